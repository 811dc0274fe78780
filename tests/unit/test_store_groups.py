"""A campaign is one group, however its messages came in."""

import random

import numpy as np
import pytest
from dataset_rig import BODY, data_store, letter, numbered, put
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dedup import SKETCH, jaccard, overlap, shingles, sketch

WORDS = [f"word{i}" for i in range(9000)]


def edited(number: int) -> str:
    """The body with one word changed: near every other one of them."""
    words = (BODY + " " + " ".join(WORDS[:60])).split()
    words[number % len(words)] = f"changed{number}"
    return " ".join(words)


@pytest.fixture
def data(tmp_path):
    with data_store(tmp_path) as opened:
        yield opened


def test_near_duplicates_are_one_group_and_strangers_are_not(data):
    put(data, letter(edited(1)), letter(edited(2), sender="otto@elsewhere.example"), numbered(7))

    groups = [e.group for e in data.entries()]

    assert groups[0] == groups[1] != groups[2]


def test_the_same_text_from_many_is_one_group(data):
    put(data, *(letter(date=f"Mon, 02 Feb 2026 10:00:{n:02} +0000") for n in range(40)), numbered(1))

    assert len({e.group for e in data.entries()}) == 2


def test_mail_without_text_is_nobodys_copy(data):
    put(data, *(b"From: a@b.example\r\nX-Number: %d\r\n\r\n" % n for n in range(2)))

    assert len({e.group for e in data.entries()}) == 2


def test_groups_do_not_depend_on_the_order_nor_on_the_batches(tmp_path):
    """A chain of edits is connected through its middle, whichever link comes last."""
    base = WORDS[:120]
    chain = [" ".join([*(f"new{n}" for n in range(step * 9)), *base[step * 9 :]]) for step in range(4)]
    mail = [*(letter(text) for text in chain), *(letter(edited(n)) for n in range(4)), numbered(1)]
    found = []
    for seed in range(3):
        order = random.Random(seed).sample(mail, len(mail))
        (tmp_path / str(seed)).mkdir()
        with data_store(tmp_path / str(seed)) as data:
            put(data, *order[:4])
            put(data, *order[4:])
            found.append({e.digest: e.group for e in data.entries()})

    assert found[0] == found[1] == found[2]
    assert len(set(found[0].values())) == 3


def test_a_stricter_threshold_joins_less(tmp_path):
    with data_store(tmp_path, near_duplicate=1.0) as data:
        put(data, letter(edited(1)), letter(edited(2)))

        assert len({e.group for e in data.entries()}) == 2


def test_sketches_of_long_texts_tell_the_overlap():
    one, other = shingles(" ".join(WORDS[:8000])), shingles(" ".join(WORDS[800:8800]))

    assert len(one) > SKETCH
    assert overlap(sketch(one), sketch(other)) == pytest.approx(jaccard(one, other), abs=0.04)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS[:30]), max_size=60), st.lists(st.sampled_from(WORDS[:30]), max_size=60))
def test_while_sketches_are_whole_the_overlap_is_exact(one, other):
    a, b = shingles(" ".join(one)), shingles(" ".join(other))

    assert overlap(sketch(a), sketch(b)) == pytest.approx(jaccard(a, b))
    assert np.array_equal(sketch(a), a)
