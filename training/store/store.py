"""The data store: raw mail once, by its digest, sealed; what is known of it; and who labelled it how and when.

One `DataStore` belongs to one thread; any number of processes may have one on the same folder, since every write
is one transaction.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from model.mail import Direction
from quarantine.bodies import Vault
from training.store.engine import checked_key, make, open_engine, plain_errors, transaction
from training.store.entry import EVERYTHING, TRAINS, Entry, Filter, LabelChange, LabelSource, Origin, read_label
from training.store.errors import DataStoreError
from training.store.schema import bodies, entries, labels
from training.store.settings import DatasetSettings

Clock = Callable[[], datetime]
SHORTEST_PREFIX = 6
COLUMNS = tuple(column for column in entries.c if column.name not in ("salt", "text_mark", "sketch"))
"""What an `Entry` is read from: all but what is only needed to open or compare it."""
_DIGEST = 64


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


class DataStore:
    """The data store, open. Use as a context manager."""

    def __init__(
        self,
        settings: DatasetSettings,
        engine: Engine,
        key: bytes,
        *,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.engine = engine
        self.entropy = entropy
        self._key = key
        self.marks = hmac.digest(key, b"gatepost dataset marks", sha256)
        """Key of everything that is looked up by a keyed hash."""

    @classmethod
    def open(
        cls,
        settings: DatasetSettings,
        *,
        create: bool = False,
        clock: Clock = utc_now,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Open the store of the settings; `create` makes it where there is none.

        Raises DataStoreError if it is missing, damaged, of another version, or its key is lost or another.
        """
        if create:
            make(settings, entropy=entropy)
        engine = open_engine(settings)
        try:
            key = checked_key(engine, settings)
        except DataStoreError:
            engine.dispose()
            raise
        return cls(settings, engine, key, clock=clock, entropy=entropy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a context manager that yields a connection in a read transaction."""
        return transaction(self.engine, self.settings.database, write=False)

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a context manager that yields a connection in a write transaction."""
        return transaction(self.engine, self.settings.database, write=True)

    def vault(self, digest: str, salt: bytes) -> Vault:
        """Return what seals and opens one message."""
        return Vault(self._key, salt, digest, self.entropy)

    @property
    def vault_key(self) -> bytes:
        """The key that vaults are made of."""
        return self._key

    # --- looking

    def entries(self, wanted: Filter = EVERYTHING) -> list[Entry]:
        """Return the entries that fit, in the order in which they were added."""
        with self.reading() as connection:
            rows = connection.execute(select(*COLUMNS).where(*conditions(wanted)).order_by(entries.c.id)).all()
        return [as_entry(row) for row in rows]

    def count(self, wanted: Filter = EVERYTHING) -> int:
        """Return how many entries fit."""
        with self.reading() as connection:
            query = select(func.count()).select_from(entries).where(*conditions(wanted))
            return int(connection.execute(query).scalar_one())

    def get(self, digest: str) -> Entry:
        """Return the entry of a digest, or of the only one that starts so. Raises DataStoreError."""
        prefix = digest.strip().lower()
        if not SHORTEST_PREFIX <= len(prefix) <= _DIGEST or set(prefix) - set("0123456789abcdef"):
            raise DataStoreError(f"{digest!r} is no id: give at least {SHORTEST_PREFIX} of its 64 digits 0-9 and a-f")
        with self.reading() as connection:
            rows = connection.execute(select(*COLUMNS).where(entries.c.digest.startswith(prefix)).limit(2)).all()
        if not rows:
            raise DataStoreError(f"there is no message {digest} in the data store")
        if len(rows) > 1:
            raise DataStoreError(f"several ids start with {digest}: give more of it")
        return as_entry(rows[0])

    def raw(self, digest: str) -> bytes:
        """Return the exact octets of a message. Raises DataStoreError if it is not there or was altered."""
        with self.reading() as connection:
            row = connection.execute(
                select(entries.c.id, entries.c.salt, entries.c.pieces).where(entries.c.digest == digest)
            ).first()
            if row is None:
                raise DataStoreError(f"there is no message {digest} in the data store")
            query = select(bodies.c.data).where(bodies.c.entry == row.id).order_by(bodies.c.number)
            sealed = connection.execute(query).scalars().all()
        with plain_errors():
            data = b"".join(self.vault(digest, row.salt).open_body(sealed, row.pieces))
        if sha256(data).hexdigest() != digest:
            raise DataStoreError(f"message {digest} is not what was stored: restore the data store from its backup")
        return data

    def raws(self, digests: Iterable[str]) -> Iterator[bytes]:
        """Yield the octets of several messages, one at a time."""
        return (self.raw(digest) for digest in digests)

    def history(self, digest: str = "") -> list[LabelChange]:
        """Return every label that was given to a message, or to all, oldest first."""
        query = select(labels, entries.c.digest).join(entries, entries.c.id == labels.c.entry).order_by(labels.c.id)
        if digest:
            query = query.where(entries.c.digest == digest)
        with self.reading() as connection:
            return [
                LabelChange(row.digest, row.at, row.by, row.before, row.after, LabelSource(row.source), row.reason,
                            row.confidence)
                for row in connection.execute(query)
            ]  # fmt: skip


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Return the filter as SQL; every value is a bound parameter."""
    found: list[ColumnElement[bool]] = []
    if wanted.digest:
        found.append(entries.c.digest.startswith(wanted.digest.lower(), autoescape=True))
    lists: tuple[tuple[Any, Sequence[str]], ...] = (
        (entries.c.collection, wanted.collections),
        (entries.c.origin, wanted.origins),
        (entries.c.label, wanted.labels),
    )
    found += [column.in_([str(v) for v in values]) for column, values in lists if values]
    if wanted.labels and wanted.drafts is None:
        found.append(entries.c.label_source != LabelSource.DRAFT)
    if wanted.direction:
        found.append(entries.c.direction == wanted.direction)
    if wanted.labelled is not None:
        trains = (entries.c.label != "") & entries.c.label_source.in_([str(s) for s in TRAINS])
        found.append(trains if wanted.labelled else ~trains)
    if wanted.drafts is not None:
        draft = (entries.c.label != "") & (entries.c.label_source == LabelSource.DRAFT)
        found.append(draft if wanted.drafts else ~draft)
    if wanted.group:
        found.append(entries.c.grouped == wanted.group)
    if wanted.sender:
        found.append(of_sender(wanted.sender))
    if wanted.since is not None:
        found.append(entries.c.added >= wanted.since)
    return found


def of_sender(sender: str) -> ColumnElement[bool]:
    """Match an address, or a domain with those below it."""
    name = sender.strip().lower().rstrip(".")
    if "@" in name.lstrip("@"):
        return entries.c.sender == name
    domain = name.lstrip("@")
    below = entries.c.sender.endswith(f"@{domain}", autoescape=True)
    return below | entries.c.sender.endswith(f".{domain}", autoescape=True) | (entries.c.sender_domain == domain)


def as_entry(row: Any) -> Entry:
    """Read a row."""
    try:
        label, bad = read_label(row.label)
    except ValueError as error:
        raise DataStoreError(f"message {row.digest}: {error}") from None
    return Entry(
        digest=row.digest,
        label=label,
        bad=bad,
        label_source=LabelSource(row.label_source) if row.label_source else None,
        reviewer=row.reviewer,
        labelled=row.labelled,
        sender=row.sender,
        sender_domain=row.sender_domain,
        group=row.grouped,
        collection=row.collection,
        provenance=row.provenance,
        licence=row.licence,
        reporter=row.reporter,
        direction=Direction(row.direction),
        origin=Origin(row.origin),
        sample_weight=row.sample_weight,
        received=row.received,
        added=row.added,
        lang=row.lang,
        size=row.size,
    )
