"""Forgetting a sender, a message or a reviewer: out of the store, its snapshots, its file and the reading cache.

What stays is a keyed hash, so that the same mail does not come back with the next import, and the names of the
snapshots that held it, which count as superseded: a model whose data had such a fingerprint has to be rebuilt.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from quarantine.engine import explain
from quarantine.record import column
from training.reading import forget as forget_readings
from training.store.adding import tombstone
from training.store.errors import DataStoreError, DataStoreFull
from training.store.groups import NAME
from training.store.labelling import renew
from training.store.schema import bands, entries, frozen, labels, snapshots, tombstones
from training.store.store import DataStore, of_sender

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be forgotten: one of the three. A sender is an address or a domain with those below it."""

    sender: str = ""
    digest: str = ""
    reviewer: str = ""

    @property
    def mark(self) -> str:
        """The name whose keyed hash stays behind."""
        if self.sender:
            return f"sender {self.sender.strip().lower().removeprefix('@').rstrip('.')}"
        return f"message {self.digest}" if self.digest else f"reviewer {self.reviewer}"

    @property
    def needle(self) -> str:
        """What the store's files must not hold any more; empty where that says nothing (a name in a path)."""
        name = self.mark.partition(" ")[2]
        return "" if self.reviewer else name if self.digest or "@" in name else f"@{name}"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, or would be: messages, labels taken off messages that stay, and snapshots superseded.

    `snapshots` are names and fingerprints. `readings` counts rows of the reading cache.
    """

    digests: tuple[str, ...]
    unlabelled: tuple[str, ...]
    snapshots: tuple[tuple[str, str], ...]
    provenances: tuple[str, ...] = ()
    readings: int = 0


def forget(
    store: DataStore,
    subject: Subject,
    *,
    by: str,
    cache: Path | None,
    dry_run: bool = False,
    others: Sequence[Callable[[Sequence[str]], int]] = (),
) -> Forgotten:
    """Forget, for good; or with `dry_run` only say what that would mean. Raises DataStoreError.

    `others` forget messages by their digests elsewhere (logs, caches) and say how many rows went. The reading cache
    and they go first, then the store in one transaction, then the file is written anew without what it
    held: whatever stops it, doing it again ends it.
    """
    with store.reading() as connection:
        found = present(connection, subject)
    if dry_run:
        return found
    readings = _forget_readings(cache, found.digests) + _forget_elsewhere(others, found.digests)
    now = store.clock()
    with store.writing() as connection:
        found = present(connection, subject)
        ids = _ids(connection, found.digests)
        _supersede(connection, [name for name, _ in found.snapshots], now)
        if subject.reviewer:
            _unlabel(connection, subject.reviewer, found.unlabelled)
        _hand_bands_on(connection, ids)
        groups = _groups(connection, ids)
        for chunk in _chunks(ids):
            connection.execute(delete(entries).where(entries.c.id.in_(chunk)))
        _rename(connection, groups, found.digests)
        if subject.sender:
            _forget_reporter(connection, subject.sender)
        for name in (subject.mark, *(f"message {digest}" for digest in found.digests)):
            connection.execute(_tombstone(store, name, now, by))
    readings += _forget_readings(cache, found.digests)  # another command may have read it in between
    wipe(store)
    return Forgotten(found.digests, found.unlabelled, found.snapshots, found.provenances, readings)


def lift(store: DataStore, subject: Subject) -> bool:
    """Let what was forgotten be added again; False where it never was. What is gone stays gone."""
    with store.writing() as connection:
        mark = tombstone(store, subject.mark)
        return bool(connection.execute(delete(tombstones).where(tombstones.c.mark == mark)).rowcount)


def _tombstone(store: DataStore, name: str, now: Any, by: str) -> Any:
    row = {"mark": tombstone(store, name), "at": now, "by": column(by)}
    return insert(tombstones).prefix_with("OR IGNORE").values(**row)


def present(connection: Connection, subject: Subject) -> Forgotten:
    """Return what there is of a subject."""
    if subject.reviewer:
        labelled = (
            select(entries.c.digest)
            .join(labels, labels.c.entry == entries.c.id)
            .where(labels.c.by == column(subject.reviewer))
            .distinct()
        )
        digests = connection.execute(labelled.order_by(entries.c.digest)).scalars().all()
        own = select(frozen.c.snapshot).where(frozen.c.reviewer == column(subject.reviewer))
        return Forgotten((), tuple(digests), _snapshots(connection, own))
    which = of_sender(subject.sender) if subject.sender else entries.c.digest == subject.digest
    query = select(entries.c.digest, entries.c.provenance).where(which).order_by(entries.c.id)
    rows = connection.execute(query).all()
    held = select(frozen.c.snapshot).join(entries, entries.c.id == frozen.c.entry).where(which)
    ids = set(connection.execute(held).scalars()) | _named_after(connection, [row.digest for row in rows])
    return Forgotten(
        tuple(row.digest for row in rows), (), _snapshots(connection, ids), tuple(row.provenance for row in rows)
    )


def _named_after(connection: Connection, digests: Sequence[str]) -> set[int]:
    """Return the snapshots in which a group has its name from one of the messages, whether they hold it or not."""
    found: set[int] = set()
    for chunk in _chunks(digests):
        query = select(frozen.c.snapshot).where(frozen.c.grouped.in_([digest[:NAME] for digest in chunk]))
        found.update(connection.execute(query).scalars())
    return found


def _snapshots(connection: Connection, ids: Any) -> tuple[tuple[str, str], ...]:
    query = select(snapshots.c.name, snapshots.c.fingerprint).where(snapshots.c.id.in_(ids)).order_by(snapshots.c.id)
    return tuple((row.name, row.fingerprint) for row in connection.execute(query))


def _ids(connection: Connection, digests: Sequence[str]) -> list[int]:
    found: list[int] = []
    for chunk in _chunks(digests):
        found += connection.execute(select(entries.c.id).where(entries.c.digest.in_(chunk))).scalars().all()
    return found


def _supersede(connection: Connection, names: Sequence[str], now: Any) -> None:
    change = update(snapshots).where(snapshots.c.name.in_(names), snapshots.c.superseded.is_(None))
    connection.execute(change.values(superseded=now))


def _unlabel(connection: Connection, reviewer: str, digests: Sequence[str]) -> None:
    """Take a reviewer's words out of history, labels and snapshots; what others said counts again."""
    name = column(reviewer)
    connection.execute(delete(frozen).where(frozen.c.reviewer == name))
    connection.execute(delete(labels).where(labels.c.by == name))
    connection.execute(update(snapshots).where(snapshots.c.by == name).values(by=""))
    connection.execute(update(tombstones).where(tombstones.c.by == name).values(by=""))
    connection.execute(update(entries).where(entries.c.reporter == name).values(reporter=""))
    for entry in _ids(connection, digests):
        renew(connection, entry)


def _forget_reporter(connection: Connection, sender: str) -> None:
    name = sender.strip().lower()
    connection.execute(update(entries).where(entries.c.reporter == name).values(reporter=""))
    drafts = connection.execute(select(labels.c.entry).where(labels.c.by == name)).scalars().all()
    connection.execute(delete(labels).where(labels.c.by == name))
    for entry in set(drafts):
        renew(connection, entry)


def _hand_bands_on(connection: Connection, ids: Sequence[int]) -> None:
    """Give the bands of what goes to a message of the same text that stays, which was found through it."""
    going = set(ids)
    for chunk in _chunks(ids):
        query = (
            select(entries.c.id, entries.c.text_mark)
            .join(bands, bands.c.entry == entries.c.id)
            .where(entries.c.id.in_(chunk), entries.c.text_mark != b"")
            .distinct()
        )
        for row in connection.execute(query).all():
            twins = connection.execute(select(entries.c.id).where(entries.c.text_mark == row.text_mark)).scalars()
            if (heir := next((twin for twin in twins if twin not in going), None)) is not None:
                connection.execute(update(bands).where(bands.c.entry == row.id).values(entry=heir))


def _groups(connection: Connection, ids: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for chunk in _chunks(ids):
        found.update(connection.execute(select(entries.c.grouped).where(entries.c.id.in_(chunk))).scalars())
    return found


def _rename(connection: Connection, groups: Iterable[str], forgotten: Sequence[str]) -> None:
    """Name what is left of a group after one of its own: the name was the beginning of a digest that is gone."""
    for group in sorted(groups):
        digests = connection.execute(select(entries.c.digest).where(entries.c.grouped == group)).scalars().all()
        name = min((digest[:NAME] for digest in digests), default=group)
        if name != group:
            connection.execute(update(entries).where(entries.c.grouped == group).values(grouped=name))
    now = select(entries.c.grouped).where(entries.c.id == frozen.c.entry).scalar_subquery()
    for chunk in _chunks(forgotten):  # a superseded snapshot may know a group by an older name
        named = frozen.c.grouped.in_([digest[:NAME] for digest in chunk])
        connection.execute(update(frozen).where(named).values(grouped=now))


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def _forget_readings(cache: Path | None, digests: Sequence[str]) -> int:
    if cache is None or not digests:
        return 0
    try:
        return forget_readings(cache, digests)
    except sqlite3.Error as error:
        raise DataStoreError(f"{cache}: the reading cache could not be cleaned: {error}") from None


def _forget_elsewhere(others: Sequence[Callable[[Sequence[str]], int]], digests: Sequence[str]) -> int:
    try:
        return sum(other(digests) for other in others)
    except (sqlite3.Error, OSError) as error:
        raise DataStoreError(f"a cache could not be cleaned, so the data store was left as it is: {error}") from None


def wipe(store: DataStore) -> None:
    """Write the database anew without what was deleted, and empty its log. Raises DataStoreError."""
    path = store.settings.database
    try:
        with store.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                busy = raw.execute(statement).fetchone()
                if busy is not None and busy[0]:
                    raise DataStoreError(f"{path}: it is forgotten, but the file is in use: run it again later")
    except sqlite3.Error as error:
        plain = explain(error, path)
        kind = DataStoreFull if "room" in str(plain) else DataStoreError
        raise kind(
            f"{plain}. It is forgotten, but the file could not be written anew without it: run it again with as much "
            "free space as the data store takes"
        ) from None
