"""Near-duplicates: found where texts share most of their shingles, and only there."""

import numpy as np
import pytest

from training.dedup import jaccard, near_duplicates, shingles

WORDS = [f"word{i}" for i in range(400)]


def test_a_small_edit_is_a_near_duplicate() -> None:
    text = " ".join(WORDS[:200])
    edited = " ".join([*WORDS[:100], "other", *WORDS[101:200]])

    assert jaccard(shingles(text), shingles(edited)) > 0.9
    assert near_duplicates([edited], [text]).tolist() == [True]


def test_half_of_a_text_is_not() -> None:
    assert near_duplicates([" ".join(WORDS[:100])], [" ".join(WORDS[:200])]).tolist() == [False]


def test_case_and_spacing_do_not_hide_a_copy() -> None:
    text = " ".join(WORDS[:50])

    assert near_duplicates([text.upper().replace(" ", "\n  ")], [text]).tolist() == [True]


def test_empty_texts_are_nobodys_copy() -> None:
    assert near_duplicates(["", "a b"], ["", "c d"]).tolist() == [False, False]


@pytest.mark.parametrize("words", [1, 2, 3])
def test_brief_texts_are_compared_whole(words: int) -> None:
    text = " ".join(WORDS[:words])

    assert near_duplicates([text, text + " more"], [text]).tolist() == [True, False]


def test_finds_what_comparing_all_pairs_finds() -> None:
    """MinHash only speeds the search up: at the threshold it misses none of these and adds none."""
    draw = np.random.default_rng(1)
    known = [" ".join(draw.choice(WORDS, 60)) for _ in range(30)]
    asked = []
    for text in known:
        words = text.split()
        for at in draw.choice(60, int(draw.integers(0, 12)), replace=False):
            words[at] = "changed"
        asked.append(" ".join(words))

    expected = [any(jaccard(shingles(a), shingles(k)) >= 0.8 for k in known) for a in asked]

    assert near_duplicates(asked, known).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_a_text_without_spaces_is_compared_by_its_characters() -> None:
    text = "尊敬的客户您好我公司可以代开各类发票税点优惠欢迎来电咨询如有打扰敬请谅解长期有效联系人陈先生"
    edited = text.replace("陈先生", "李先生")

    assert len(shingles(text)) > 20
    assert near_duplicates([edited], [text]).tolist() == [True]
