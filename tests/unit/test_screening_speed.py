"""What makes screening cheap changes nothing: shortcuts give what the long way gives."""

from dataclasses import replace

import pytest

from model.bundle import DEFAULT, Bundle, BundleError
from model.child import Extractor
from model.confusables import fold, imitates
from model.extracted import Limits
from model.mail import RawMessage
from model.normalise import clean
from model.score import Scorer, verify


@pytest.fixture(scope="module")
def scorer():
    return Scorer(Bundle.open(DEFAULT))


@pytest.mark.parametrize("word", ["plain", "Grüße", "Привет", "pаypal", "naïve", "Ωmega", "日本語", "ﬁne", "𝐛old"])
def test_a_text_imitates_exactly_where_folding_its_words_changes_one(word):
    assert imitates(f"one {word} more") == (fold(word) != word)


def test_signs_that_fold_but_stand_in_no_word_imitate_nothing():
    assert not imitates("it’s 3–4 o’clock")


def test_borrowed_letters_fold_within_a_text_of_other_letters():
    assert clean("Grüße von аpple, привет") == "Grüße von apple, привет"


def test_tokens_are_those_of_the_plain_call(scorer):
    text = "Grüße, 日本語 pаypal! " * 40
    plain = scorer.encoder._tokenizer.encode(text, add_special_tokens=False).ids

    assert scorer.encoder.tokens(text).tolist() == plain


def test_a_start_scores_some_golden_inputs_the_first_among_them(scorer):
    first, second, *rest = scorer.bundle.goldens
    wrong_second = Scorer(replace(scorer.bundle, goldens=(first, replace(second, logit=second.logit + 1.0), *rest)))
    wrong_first = Scorer(replace(scorer.bundle, goldens=(replace(first, logit=first.logit + 1.0), second, *rest)))

    verify(wrong_second, most=1)
    with pytest.raises(BundleError, match="golden input 1"):
        verify(wrong_first, most=1)
    with pytest.raises(BundleError, match="golden input 2"):
        verify(wrong_second, most=len(scorer.bundle.goldens))


def test_a_child_that_was_started_early_is_the_one_that_extracts():
    with Extractor(Limits()) as extractor, RawMessage.of(b"Subject: hello\r\n\r\nYes.\r\n") as raw:
        extractor.start()
        early = extractor.pid
        extractor.start()

        assert extractor.extract(raw, timeout=30).subject == "hello"
        assert early is not None
        assert extractor.pid == early
