"""Mail into the store: looked at, grouped, sealed, written, in batches of one transaction each.

What is known already is not looked at again, so that adding a folder twice costs a hash of each file.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, select

from model.domains import DomainLists
from quarantine.bodies import SALT
from quarantine.record import column
from training.store.entry import About, Added, LabelSource, Outcome, read_label
from training.store.errors import DataStoreError
from training.store.groups import Grouping, Likeness, add_bands, likeness
from training.store.labelling import change
from training.store.look import Look, Looker
from training.store.schema import bodies, entries, tombstones
from training.store.store import DataStore

_BATCH = 64
_BATCH_OCTETS = 32 << 20
_NO_HEADER = "no header field at its beginning: this is no message"

New = tuple[bytes, About]


def add(store: DataStore, messages: Iterable[New], lists: DomainLists, *, relabel: bool = False) -> Iterator[Added]:
    """Add messages and yield what became of each, in order. Raises DataStoreError; finished batches then stay.

    A known message keeps what is known of it; a label is added where it had none, or with `relabel` in place of
    another, and a verdict of a review that carries its own time always takes its place in the history.
    """
    with Looker(lists, store.clock()) as looker:
        for batch in _batches(messages):
            yield from _write(store, batch, looker, relabel=relabel)


def _batches(messages: Iterable[New]) -> Iterator[list[New]]:
    batch: list[New] = []
    octets = 0
    for one in messages:
        batch.append(one)
        octets += len(one[0])
        if len(batch) >= _BATCH or octets >= _BATCH_OCTETS:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


def _write(store: DataStore, batch: Sequence[New], looker: Looker, *, relabel: bool) -> list[Added]:
    for _, about in batch:
        try:
            read_label(about.label)
        except ValueError as error:
            raise DataStoreError(f"{about.provenance}: {error}") from None
    digests = [sha256(raw).hexdigest() for raw, _ in batch]
    with store.reading() as connection:
        known = _known(connection, digests)
    fresh = {d: raw for d, (raw, _) in zip(digests, batch, strict=True) if d not in known and _is_mail(raw)}
    looks = dict(zip(fresh, looker.look(fresh.values()), strict=True))
    sealed = {d: _Sealed(store, look, fresh[d]) for d, look in looks.items() if not look.fault}
    now = store.clock()
    with store.writing() as connection:
        known = _known(connection, digests)  # another command may have been faster
        grouping = Grouping(connection, store.vault_key, store.settings.near_duplicate)
        done = []
        for digest, (raw, about) in zip(digests, batch, strict=True):
            if digest in known:
                one = (digest, about)
                done.append(_known_one(connection, store, known[digest], one, now, relabel=relabel))
            elif not _is_mail(raw):
                done.append(Added(digest, Outcome.UNREADABLE, _NO_HEADER))
            elif looks[digest].fault:
                done.append(Added(digest, Outcome.UNREADABLE, looks[digest].fault))
            elif is_forgotten(connection, store, digest, looks[digest].sender, looks[digest].sender_domain):
                done.append(Added(digest, Outcome.FORGOTTEN))
            else:
                known[digest] = _insert(connection, sealed[digest], about, grouping, now)
                done.append(Added(digest, Outcome.ADDED))
                if about.label:
                    _label(connection, store, known[digest], about, now)
    return done


def _is_mail(raw: bytes) -> bool:
    """Whether it begins like a message (RFC 5322 section 2.2): a field name and a colon, behind an mbox line."""
    for line in islice(raw[:4096].lstrip(b"\r\n").splitlines(), 3):
        if line.startswith((b"From ", b">From ")):
            continue
        name, colon, _ = line.partition(b":")
        return bool(colon) and 0 < len(name.strip()) <= 76 and all(32 < octet < 127 for octet in name.strip())
    return False


def _known(connection: Connection, digests: Sequence[str]) -> dict[str, int]:
    query = select(entries.c.digest, entries.c.id).where(entries.c.digest.in_(digests))
    return {row.digest: row.id for row in connection.execute(query)}


class _Sealed:
    """A message made ready before the transaction, so that no other writer waits for it."""

    def __init__(self, store: DataStore, look: Look, raw: bytes) -> None:
        self.look = look
        self.salt = store.entropy(SALT)
        self.like: Likeness = likeness(look.document.text, store.marks)
        vault = store.vault(look.digest, self.salt)
        self.pieces = vault.seal_body([raw])
        self.sketch = vault.seal_small("sketch", self.like.to_bytes())
        self.size = len(raw)


def _insert(connection: Connection, new: _Sealed, about: About, grouping: Grouping, now: datetime) -> int:
    look = new.look
    group, needs_bands = grouping.place(look.digest, new.like)
    row: Mapping[str, Any] = {
        "digest": look.digest,
        "label": "",
        "label_source": "",
        "reviewer": "",
        "labelled": None,
        "sender": column(look.sender),
        "sender_domain": column(look.sender_domain),
        "grouped": group,
        "collection": column(about.collection),
        "provenance": column(about.provenance),
        "licence": column(about.licence),
        "reporter": column(about.reporter),
        "direction": about.direction,
        "origin": about.origin,
        "sample_weight": about.sample_weight,
        "received": about.received or look.received,
        "added": now,
        "lang": column(about.lang or look.lang)[:8],
        "size": new.size,
        "pieces": len(new.pieces),
        "salt": new.salt,
        "text_mark": new.like.mark,
        "sketch": new.sketch,
    }
    made = connection.execute(insert(entries), row).inserted_primary_key
    assert made is not None  # noqa: S101 - an insert of one row always has it; for the type checker
    entry = int(made[0])
    for number, data in enumerate(new.pieces):
        connection.execute(insert(bodies), {"entry": entry, "number": number, "data": data})
    if needs_bands:
        add_bands(connection, entry, new.like)
    return entry


def _label(connection: Connection, store: DataStore, entry: int, about: About, now: datetime) -> bool:
    return not label_forgotten(connection, store, about.by) and change(
        connection, entry, about.label, source=about.source, by=about.by, reason=about.reason, at=about.at or now
    )


def _known_one(
    connection: Connection, store: DataStore, entry: int, one: tuple[str, About], now: datetime, *, relabel: bool
) -> Added:
    digest, about = one
    row = connection.execute(select(entries.c.label, entries.c.label_source).where(entries.c.id == entry)).one()
    if not about.label:
        return Added(digest, Outcome.KNOWN)
    if about.at is not None:
        return Added(digest, Outcome.LABELLED if _label(connection, store, entry, about, now) else Outcome.KNOWN)
    person = row.label_source not in ("", LabelSource.DRAFT)
    if row.label == about.label and (person or about.source is LabelSource.DRAFT):
        return Added(digest, Outcome.KNOWN)
    if person and about.source is LabelSource.DRAFT:
        return Added(digest, Outcome.KNOWN)  # a claim, and somebody has judged: there is nothing left to do
    if person and not relabel:
        return Added(digest, Outcome.DIFFERS, f"it is labelled {row.label} there, and {about.label} here")
    given = _label(connection, store, entry, about, now)
    return Added(digest, Outcome.LABELLED if given else Outcome.KNOWN)


def is_forgotten(connection: Connection, store: DataStore, digest: str, sender: str, domain: str) -> bool:
    """Whether the message or its sender was forgotten."""
    names = [f"message {digest}", *(f"sender {name}" for name in (sender, *_above(sender, domain)))]
    return _marked(connection, store, names)


def _above(sender: str, domain: str) -> list[str]:
    """Return the domain of an address and those above it, and the registrable domain."""
    parts = sender.rpartition("@")[2].split(".")
    return [*(".".join(parts[at:]) for at in range(len(parts))), domain]


def label_forgotten(connection: Connection, store: DataStore, by: str) -> bool:
    """Whether the labels of a reviewer were forgotten."""
    return _marked(connection, store, [f"reviewer {by}"])


def _marked(connection: Connection, store: DataStore, names: Sequence[str]) -> bool:
    query = select(tombstones.c.mark).where(tombstones.c.mark.in_([tombstone(store, name) for name in names]))
    return connection.execute(query.limit(1)).first() is not None


def tombstone(store: DataStore, name: str) -> bytes:
    """Return the keyed hash under which something stays forgotten; without the key nobody can guess it back."""
    return hmac.digest(store.marks, b"forgotten " + name.encode("utf-8", "backslashreplace"), sha256)


