"""The data card of the written set counts what is there."""

from dataclasses import replace

import pytest

from model.labels import Label
from training.settings import HeldOut
from training.written import load
from training.written_card import BEGIN, CARD, END, counted, with_counts


@pytest.fixture(scope="module")
def messages():
    return load()


def test_the_card_that_ships_is_up_to_date(messages):
    card = CARD.read_text(encoding="utf-8")

    assert with_counts(card, counted(messages, HeldOut())) == card, "run `python -m training.written_card`"


def test_a_message_more_is_counted_in_every_table_and_a_paraphrase_in_none(messages):
    some = list(messages[:40])
    one = replace(some[0], variant="once more", label=Label.FRAUD, role="bad")
    again = replace(some[0], variant="paraphrase-1")

    assert counted([*some, one], HeldOut()) != counted(some, HeldOut())
    before, after = counted(some, HeldOut()), counted([*some, again], HeldOut())
    assert before.splitlines()[1:] == after.splitlines()[1:]
    assert "40 messages and 1 paraphrases" in after


def test_held_out_mail_is_told_apart(messages):
    some = [m for m in messages if m.author == "b"][:10]

    assert "| b | 10 | " in counted(some, HeldOut(authors=("b",)))
    assert counted(some, HeldOut(authors=("b",))) != counted(
        some, HeldOut(authors=(), languages=(), sectors=(), senders=0)
    )


def test_a_card_without_a_place_for_counts_is_refused():
    with pytest.raises(ValueError, match="no place"):
        with_counts("# A card\n", "counts")
    assert with_counts(f"a\n{BEGIN}old{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
