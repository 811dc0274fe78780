"""Figures over the store: what it holds, by what it can be trained on, and what stands in the way."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from training.dedup import Shingles, overlap
from training.store.entry import Entry, LabelSource
from training.store.groups import open_sketch
from training.store.schema import entries, tombstones
from training.store.snapshots import contradictions
from training.store.store import DataStore

UNLABELLED = "unlabelled"
DRAFTED = "draft"
_COMPARED = 50  # members of one group that a message is compared with


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of messages, unless they say otherwise. `by` is a property's name, its value, and the label.

    `senders` counts registrable domains. `shared` are pairs of collections with the number of groups in both.
    `oldest` and `newest` are times of receipt.
    """

    messages: int
    octets: int
    trainable: int
    groups: int
    senders: int
    by: dict[str, dict[str, dict[str, int]]]
    reviewers: dict[str, int]
    shared: dict[tuple[str, str], int]
    contradictions: tuple[tuple[str, dict[str, list[str]]], ...]
    oldest: datetime | None
    newest: datetime | None
    last_added: datetime | None
    forgotten: int


def label_of(entry: Entry) -> str:
    """The column of a count that an entry falls into."""
    if entry.trains:
        return entry.name
    return DRAFTED if entry.label_source is LabelSource.DRAFT else UNLABELLED


def status(store: DataStore) -> Status:
    """Count everything."""
    found = store.entries()
    with store.reading() as connection:
        forgotten = connection.execute(select(func.count()).select_from(tombstones)).scalar_one()
    times = [e.received for e in found if e.received is not None]
    return Status(
        messages=len(found),
        octets=sum(e.size for e in found),
        trainable=sum(e.trains for e in found),
        groups=len({e.group for e in found}),
        senders=len({e.sender_domain for e in found if e.sender_domain}),
        by={
            "collection": _table(found, lambda e: e.collection),
            "language": _table(found, lambda e: e.lang or "unknown"),
            "origin": _table(found, lambda e: e.origin),
            "source": _table(found, lambda e: e.label_source or "none"),
            "licence": _table(found, lambda e: e.licence or "unknown"),
        },
        reviewers=dict(Counter(e.reviewer for e in found if e.trains).most_common()),
        shared=_shared(found),
        contradictions=tuple(contradictions(found)),
        oldest=min(times, default=None),
        newest=max(times, default=None),
        last_added=max((e.added for e in found), default=None),
        forgotten=int(forgotten),
    )


def _table(found: Iterable[Entry], value: Any) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for entry in found:
        row = table.setdefault(str(value(entry)), {})
        row[label_of(entry)] = row.get(label_of(entry), 0) + 1
    return dict(sorted(table.items(), key=lambda item: -sum(item[1].values())))


def _shared(found: Iterable[Entry]) -> dict[tuple[str, str], int]:
    where: dict[str, set[str]] = {}
    for entry in found:
        where.setdefault(entry.group, set()).add(entry.collection)
    pairs: Counter[tuple[str, str]] = Counter()
    for names in where.values():
        ordered = sorted(names)
        pairs.update((a, b) for at, a in enumerate(ordered) for b in ordered[at + 1 :])
    return dict(pairs.most_common())


@dataclass(frozen=True, slots=True)
class Copy:
    """A message of one set with the message of the other that it is nearest to, and their Jaccard index."""

    digest: str
    other: str
    jaccard: float
    same_label: bool


def copies(store: DataStore, one: Sequence[Entry], other: Sequence[Entry]) -> list[Copy]:
    """Return each message of `one` that `other` has too, exactly or nearly (in the same group), the nearest first.

    A message that is in both sets is its own copy, with 1.
    """
    now = _groups_now(store, {e.digest for e in (*one, *other)})  # a snapshot's may have been joined since
    mates: dict[str, list[Entry]] = {}
    for entry in other:
        mates.setdefault(now[entry.digest], []).append(entry)
    wanted = [e for e in one if now[e.digest] in mates]
    near = {e.digest: mates[now[e.digest]][:_COMPARED] for e in wanted}
    sketches = _sketches(store, set(near) | {mate.digest for some in near.values() for mate in some})
    found = []
    for entry in wanted:
        twin = next((mate for mate in mates[now[entry.digest]] if mate.digest == entry.digest), None)
        scored = [(overlap(sketches[entry.digest], sketches[m.digest]), m.digest, m) for m in near[entry.digest]]
        jaccard, _, mate = (1.0, "", twin) if twin is not None else max(scored, key=lambda pair: pair[:2])
        found.append(Copy(entry.digest, mate.digest, jaccard, entry.bad == mate.bad))
    return sorted(found, key=lambda c: (-c.jaccard, c.digest))


def _groups_now(store: DataStore, digests: set[str]) -> dict[str, str]:
    wanted = sorted(digests)
    found: dict[str, str] = {}
    with store.reading() as connection:
        for at in range(0, len(wanted), 500):
            query = select(entries.c.digest, entries.c.grouped).where(entries.c.digest.in_(wanted[at : at + 500]))
            found.update((row.digest, row.grouped) for row in connection.execute(query))
    return found


def _sketches(store: DataStore, digests: set[str]) -> dict[str, Shingles]:
    wanted = sorted(digests)
    found = {}
    with store.reading() as connection:
        for at in range(0, len(wanted), 500):
            query = select(entries.c.digest, entries.c.salt, entries.c.sketch).where(
                entries.c.digest.in_(wanted[at : at + 500])
            )
            for row in connection.execute(query):
                sealed = store.vault(row.digest, row.salt).unseal_small("sketch", row.sketch)
                found[row.digest] = open_sketch(sealed)
    return found
