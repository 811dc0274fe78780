"""What of the written set is held out, and that it is held out whole."""

from datetime import UTC, datetime

import pytest

from model.labels import Label
from training.holdout import reasons
from training.settings import HeldOut
from training.written import Written


def written(pair: str, sender: str, *, bad: bool = False, author: str = "x", sector: str = "crafts", lang: str = "en",
            **facts: bool) -> Written:  # fmt: skip
    return Written(author=author, pair=pair, role="bad" if bad else "honest", label=Label.SPAM if bad else Label.HAM,
                   theme="t", lang=lang, sender=sender, subject="s", date=datetime(2025, 1, 1, tzinfo=UTC),
                   sector=sector, text="words", facts=facts)  # fmt: skip


NOTHING = HeldOut(authors=(), languages=(), sectors=(), senders=0.0)


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ({"authors": ("x",)}, "author x"),
        ({"languages": ("en",)}, "language en"),
        ({"sectors": ("crafts",)}, "sector crafts"),
        ({"senders": 0.999999}, "sender"),
    ],
)
def test_a_pair_goes_whole_if_one_of_its_messages_is_named(update: dict[str, object], reason: str) -> None:
    """The bad twin is of another sector; it goes with the honest one."""
    messages = [written("p", "Ann <ann@one.example>"), written("p", "Bo <bo@two.example>", bad=True, sector="bank")]

    assert reasons(messages, NOTHING.model_copy(update=update)) == {"x/p": reason}
    assert reasons(messages, NOTHING) == {}


def test_pairs_of_one_sender_go_together() -> None:
    """Three pairs hang together by two senders; one of them is of a held-out sector."""
    messages = [
        written("p", "a@mail.one.example", sector="rail"),
        written("q", "b@one.example"),
        written("q", "c@two.example", bad=True),
        written("r", "d@news.two.example"),
        written("s", "e@three.example"),
    ]

    held = reasons(messages, NOTHING.model_copy(update={"sectors": ("rail",)}))

    assert set(held) == {"x/p", "x/q", "x/r"}


def test_strangers_at_a_free_mail_provider_are_not_one_sender() -> None:
    messages = [
        written("p", "a@postbox.example", sector="rail", free_mail_sender=True),
        written("q", "b@postbox.example", free_mail_sender=True),
    ]

    assert set(reasons(messages, NOTHING.model_copy(update={"sectors": ("rail",)}))) == {"x/p"}


def test_a_sender_stays_where_it_is_when_others_are_added() -> None:
    settings = NOTHING.model_copy(update={"senders": 0.5})
    few = [written(f"p{n}", f"a@s{n}.example") for n in range(40)]
    more = [*few, *(written(f"z{n}", f"a@t{n}.example") for n in range(40))]

    before, after = reasons(few, settings), reasons(more, settings)

    assert 5 < len(before) < 35
    assert before.keys() == {group for group in after if group.startswith("x/p")}
