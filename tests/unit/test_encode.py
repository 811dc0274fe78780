"""From a document to the windows that the encoder reads."""

import numpy as np
import pytest

from model.bundle import DEFAULT, TOKENIZER
from model.encode import Encoder, Shape
from model.normalise import Document


def encoder(weights=None, **shape) -> Encoder:
    return Encoder(DEFAULT / TOKENIZER, weights, Shape(**shape))


def document(body: str, subject: str = "hello", hosts=()) -> Document:
    return Document(subject, (), body, hosts)


def test_a_short_text_is_one_window_between_cls_and_sep():
    windows = encoder().encode(document("good morning"))

    assert [list(w) for w in windows.ids] == [[101, 7592, 2204, 2851, 102]]
    assert windows.slices == 1


def test_nothing_is_still_one_window():
    windows = encoder().encode(Document("", (), "", ()))

    assert [list(w) for w in windows.ids] == [[101, 102]]


def test_windows_never_exceed_the_shape_and_each_starts_with_the_subject():
    windows = encoder(max_tokens=64, windows=3).encode(document("word " * 5_000))

    assert len(windows.ids) == 3
    assert all(len(w) == 64 and w[0] == 101 and w[1] == 7592 and w[-1] == 102 for w in windows.ids)
    assert windows.slices > 80


@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_the_most_suspicious_slice_is_read_wherever_it_stands(place):
    plain = encoder()
    bad = int(plain.tokens("viagra")[0])
    weights = np.zeros(plain.vocabulary, dtype=np.float32)
    weights[bad] = 1.0
    words = ["garden"] * 10_000
    at = int(place * len(words))
    text = " ".join([*words[:at], "viagra", *words[at:]])

    windows = encoder(weights).encode(document(text))

    assert any(bad in w for w in windows.ids)
    assert len(windows.ids) <= 4


def test_fact_tokens_are_read_only_where_the_shape_says_so():
    with_facts = Document("hello", ("reply",), "body", ())

    assert len(encoder(fact_tokens=True).encode(with_facts).ids[0]) == len(encoder().encode(with_facts).ids[0]) + 1


def test_words_are_weighed_of_head_and_tail_of_the_body_with_fact_tokens_and_without_link_hosts():
    read = encoder(word_tokens=60)
    long = Document("hello", ("reply",), "first " * 100 + "deep " * 100 + "last " * 100, ("sudden.example",))

    body, facts = read.encode(long).passages

    assert [int((body == read.tokens(word)[0]).sum()) for word in ("hello", "first", "deep", "last", "sudden")] == [
        1, 50, 0, 10, 0]  # fmt: skip
    assert list(facts) == list(read.tokens("reply"))


def test_the_opening_is_what_the_first_slice_holds():
    read = encoder(word_tokens=2_000, max_tokens=64)
    windows = read.encode(document("first " * 70 + "later " * 70))

    assert read.tokens("later")[0] in windows.passages[0]
    assert read.tokens("later")[0] not in windows.opening[0]


def test_older_bundles_weigh_the_words_of_their_windows():
    windows = encoder(max_tokens=64, windows=2).encode(document("word " * 500, hosts=("sudden.example",)))

    assert [list(p) for p in windows.passages] == [list(w[1:-1]) for w in windows.ids]
    assert len(windows.opening) == 1


def test_unknown_share_counts_word_pieces_outside_the_vocabulary():
    assert encoder().unknown_share("hello world") == 0.0
    assert encoder().unknown_share("\U0001f9ff") == 1.0
    assert encoder().unknown_share("") == 0.0


@pytest.mark.parametrize("shape", [{"word_tokens": -1}, {"long": 0}])
def test_a_negative_number_of_words_cannot_be_asked_for(shape):
    with pytest.raises(ValueError, match="expected at least"):
        Shape(**shape)


@pytest.mark.parametrize("shape", [{"windows": 0}, {"windows": 9}, {"max_tokens": 32, "subject_tokens": 24}])
def test_an_impossible_shape_cannot_be_built(shape):
    with pytest.raises(ValueError, match="window"):
        Shape(**shape)
