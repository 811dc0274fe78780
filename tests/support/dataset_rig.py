"""Data stores for tests: real databases, mail written here, clocks that tests move."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from kept_mail import Clock

from model.domains import DomainLists
from training.store.adding import add
from training.store.entry import About, Added, LabelSource
from training.store.settings import DatasetSettings
from training.store.store import DataStore

BODY = (
    "The parcel that you ordered last week has left our house in Kiel this morning and should be with you on "
    "Thursday before noon, says the carrier, who will ring once and leave it with a neighbour if nobody opens."
)


@cache
def lists() -> DomainLists:
    return DomainLists.load()


def data_settings(folder: Path, **more: Any) -> DatasetSettings:
    return DatasetSettings(path=folder / "dataset", **more)


def data_store(folder: Path, clock: Clock | None = None, **more: Any) -> DataStore:
    return DataStore.open(data_settings(folder, **more), create=True, clock=clock or Clock())


def letter(text: str = BODY, *, sender: str = "ida@shop.example", subject: str = "Your parcel",
           date: str = "Mon, 02 Feb 2026 10:00:00 +0000") -> bytes:  # fmt: skip
    lines = [f"From: Ida <{sender}>", "To: ben@here.example", f"Subject: {subject}", f"Date: {date}", "", text, ""]
    return "\r\n".join(lines).encode()


def numbered(number: int, **more: Any) -> bytes:
    """A message that shares nothing with any other number's."""
    words = " ".join(f"w{number}x{at}" for at in range(40))
    return letter(words, subject=f"Number {number}", **more)


def lesson(number: int, *, bad: bool) -> bytes:
    """A message of a campaign of its own, in words that all messages of its class have in common."""
    theirs = "unlock winner lottery claim bitcoin wallet verify password suspended urgent"
    ours = "minutes meeting agenda colleagues thursday draft budget attached regards committee"
    words = " ".join(f"{word} u{number}x{at}" for at, word in enumerate((theirs if bad else ours).split()))
    return letter(words, subject=f"{'Claim' if bad else 'Minutes'} {number}", sender=f"p{number}@s{number}.example")


def said(label: str, **more: Any) -> About:
    return About(**{"label": label, "source": LabelSource.IMPORT, "by": "mona", **more})


def put(store: DataStore, *messages: tuple[bytes, About] | bytes, relabel: bool = False) -> list[Added]:
    return list(add(store, pairs(messages), lists(), relabel=relabel))


def pairs(messages: Iterable[tuple[bytes, About] | bytes]) -> list[tuple[bytes, About]]:
    return [one if isinstance(one, tuple) else (one, About(by="mona")) for one in messages]
