"""The quarantine's verdicts as labels: only what a person said a message is, never what was done with it.

A release labels nothing. Every word is taken over with its own time and its own author, so that doing it again
changes nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import select

from model.domains import DomainLists
from model.mail import Direction
from quarantine.errors import StoreError
from quarantine.item import Action
from quarantine.schema import items, messages, reviews
from quarantine.search import body
from quarantine.store import Store
from training.store.adding import add, label_forgotten
from training.store.entry import About, Added, LabelSource, Origin, Outcome
from training.store.labelling import change
from training.store.schema import entries
from training.store.store import DataStore

COLLECTION = "quarantine"


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said of an item at a time; an empty label takes the one before back."""

    item: str
    at: datetime
    by: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A message of the quarantine with a verdict. `body` tells whether its bytes are still there.

    `origin` and `weight` say how it came to be looked at: kept, or drawn with a probability of 1/`weight`.
    """

    message: str
    direction: Direction
    kept: datetime
    body: bool
    words: tuple[Word, ...]
    origin: Origin = Origin.KEPT
    weight: float = 1.0


def judged(quarantine: Store) -> list[Judged]:
    """Return every message with a verdict, oldest first."""
    query = (
        select(reviews, items.c.message_id, items.c.drawn, messages.c.direction, messages.c.kept_at, messages.c.body)
        .join(items, items.c.id == reviews.c.item_id)
        .join(messages, messages.c.id == items.c.message_id)
        .where(reviews.c.action.in_([Action.LABEL, Action.UNLABEL]))
        .order_by(messages.c.kept_at, items.c.message_id, reviews.c.id)
    )
    with quarantine.reading() as connection:
        rows = connection.execute(query).all()
    return [
        Judged(message, Direction(one[0].direction), one[0].kept_at, one[0].body,
               tuple(Word(r.item_id, r.at, r.by, r.label or "", r.reason) for r in one), *_drawn(one[0].drawn))
        for message, one in ((m, list(g)) for m, g in groupby(rows, key=lambda row: row.message_id))
    ]  # fmt: skip


def _drawn(probability: float | None) -> tuple[Origin, float]:
    """Return origin and weight: what was drawn with a probability stands for as many as were not."""
    return (Origin.SAMPLED, 1 / probability) if probability else (Origin.KEPT, 1.0)


def take_over(
    store: DataStore, quarantine: Store, lists: DomainLists, *, licence: str = "", collection: str = COLLECTION
) -> Iterator[Added]:
    """Add every judged message with its words; yield the outcome for each. Raises DataStoreError."""
    broken: list[Added] = []
    under_way: deque[Judged] = deque()
    there = [one for one in judged(quarantine) if one.body]
    for done in add(store, _readable(quarantine, there, under_way, broken, collection, licence), lists):
        yield _with_words(store, done, under_way.popleft().words)
    yield from broken


def _readable(
    quarantine: Store, wanted: Iterable[Judged], under_way: deque[Judged], broken: list[Added], collection: str,
    licence: str,
) -> Iterator[tuple[bytes, About]]:  # fmt: skip
    """Yield what can be read, remembering its order in `under_way`, and put the rest into `broken`."""
    for one in wanted:
        try:
            raw = b"".join(body(quarantine, one.message))
        except StoreError as error:
            broken.append(Added(one.message, Outcome.UNREADABLE, str(error)))
            continue
        under_way.append(one)
        yield raw, _about(one, collection, licence)


def _about(one: Judged, collection: str, licence: str) -> About:
    return About(
        source=LabelSource.REVIEW,
        collection=collection,
        provenance=f"quarantine item {one.words[0].item}",
        licence=licence,
        direction=one.direction,
        origin=one.origin,
        sample_weight=one.weight,
        received=one.kept,
    )


def _with_words(store: DataStore, done: Added, words: Sequence[Word]) -> Added:
    if done.outcome not in (Outcome.ADDED, Outcome.KNOWN):
        return done
    with store.writing() as connection:
        entry = connection.execute(select(entries.c.id).where(entries.c.digest == done.digest)).scalar_one()
        new = sum(
            change(connection, entry, w.label, source=LabelSource.REVIEW, by=w.by, reason=w.reason, at=w.at)
            for w in words
            if not label_forgotten(connection, store, w.by)
        )
    return Added(done.digest, Outcome.LABELLED) if new and done.outcome is Outcome.KNOWN else done
