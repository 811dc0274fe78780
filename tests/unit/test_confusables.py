"""Look-alike characters: what is folded, what stays, and that folding costs linear time."""


import pytest
from effort import bounded

from model.confusables import _LOOKALIKES, fold, fold_mixed, mixes_scripts, skeleton


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("раураl", "paypal"),
        ("Αpple", "Apple"),
        ("ｐａｙｐａｌ", "paypal"),
        ("𝐏𝐚𝐲𝐏𝐚𝐥", "PayPal"),
        ("ⓟⓐⓨ", "pay"),
        ("🅿🅰🆈", "PAY"),
        ("microsοft․com", "microsoft.com"),
        ("café", "café"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_fold_reads_what_the_eye_reads(written: str, read: str) -> None:
    assert fold(written) == read


def test_every_look_alike_folds_to_its_letter_and_stands_in_one_row_only() -> None:
    rows = [(char, letter) for letter, chars in _LOOKALIKES.items() for char in chars]

    assert all(fold(char) == letter for char, letter in rows)
    assert len({char for char, _ in rows}) == len(rows)


def test_honest_russian_and_greek_stay_readable_in_running_text() -> None:
    text = "Здравствуйте, это письмо. Καλημέρα. Grüße, dvě věci: déjà vu."

    assert fold_mixed(text) == text


def test_running_text_loses_words_that_mix_scripts_and_compatibility_forms() -> None:
    assert fold_mixed("Your Раyраl accоunt, 𝗰𝗹𝗶𝗰𝗸 here") == "Your Paypal account, click here"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PayPal", "paypa1"),
        ("Microsoft", "rnicrosoft"),
        ("Microsoft", "MICR0S0FT"),
        ("Wells Fargo", "vvells-farg0"),
        ("Amazon", "Аmаzоn"),
        ("Société", "societe"),
        ("Ørsted", "orsted"),
    ],
)
def test_what_looks_alike_has_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_different_names_keep_different_skeletons() -> None:
    names = ["PayPal", "Payback", "Microsoft", "Amazon", "Apple", "DHL", "UPS", "Netflix"]

    assert len({skeleton(name) for name in names}) == len(names)


def test_a_word_of_one_script_does_not_mix() -> None:
    assert mixes_scripts("раypal")
    assert not mixes_scripts("привет")
    assert not mixes_scripts("paypal 123")


@pytest.mark.parametrize("char", ["a", "а", "\u0301", "𝐏", "ﷺ", "_"])
def test_a_flood_of_one_character_costs_linear_time(char: str) -> None:
    flood = char * 1_000_000

    with bounded():
        fold(flood)
        fold_mixed(flood)
        skeleton(flood)
