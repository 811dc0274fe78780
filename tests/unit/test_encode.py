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


def test_unknown_share_counts_word_pieces_outside_the_vocabulary():
    assert encoder().unknown_share("hello world") == 0.0
    assert encoder().unknown_share("\U0001f9ff") == 1.0
    assert encoder().unknown_share("") == 0.0


@pytest.mark.parametrize("shape", [{"windows": 0}, {"windows": 9}, {"max_tokens": 32, "subject_tokens": 24}])
def test_an_impossible_shape_cannot_be_built(shape):
    with pytest.raises(ValueError, match="window"):
        Shape(**shape)
