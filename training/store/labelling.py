"""Labels: given, corrected, taken back. The history only grows, and the newest word of a person counts.

A draft never displaces what a person said, and is never more than a proposal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, insert, select, update

from quarantine.record import column
from training.store.entry import LabelSource, read_label
from training.store.errors import DataStoreError
from training.store.schema import entries, labels
from training.store.store import DataStore


def give(
    store: DataStore,
    given: Mapping[str, str],
    *,
    source: LabelSource,
    by: str,
    reason: str = "",
    at: datetime | None = None,
    confidence: float | None = None,
    again: bool = False,
) -> int:
    """Label messages by digest in one transaction, with "" to take a label back; return how many lines were added.

    Who says again what they said last adds nothing, unless `again`: they looked anew. `reason` of a rule is the rule
    itself. Raises DataStoreError, and then no label was given.
    """
    for label in set(given.values()):
        _checked(label, source, by, reason)
    moment = at or store.clock()
    with store.writing() as connection:
        entries_of = {digest: _entry(connection, digest) for digest in given}
        return sum(
            change(connection, entry, given[digest], source=source, by=by, reason=reason, at=moment,
                   confidence=confidence)
            for digest, entry in entries_of.items()
            if again or not _says_so(connection, entry, given[digest], source, by)
        )  # fmt: skip


def _says_so(connection: Connection, entry: int, label: str, source: LabelSource, by: str) -> bool:
    """Whether the newest word of the same person, from the same source, is this one."""
    own = (labels.c.entry == entry, labels.c.by == column(by), labels.c.source == source)
    newest = select(labels.c.after).where(*own).order_by(labels.c.at.desc(), labels.c.id.desc()).limit(1)
    return connection.execute(newest).scalar() == label


def _checked(label: str, source: LabelSource, by: str, reason: str) -> None:
    try:
        read_label(label)
    except ValueError as error:
        raise DataStoreError(str(error)) from None
    if not by.strip():
        raise DataStoreError("a label needs the name of who gave it")
    if source is LabelSource.RULE and not reason.strip():
        raise DataStoreError("a label by a bulk rule needs the rule as its reason: it stays on record")


def _entry(connection: Connection, digest: str) -> int:
    found = connection.execute(select(entries.c.id).where(entries.c.digest == digest)).scalar()
    if found is None:
        raise DataStoreError(f"there is no message {digest} in the data store")
    return int(found)


def change(
    connection: Connection, entry: int, label: str, *, source: LabelSource, by: str, reason: str, at: datetime,
    confidence: float | None = None,
) -> bool:  # fmt: skip
    """Add a line to the history of an entry and renew its label; False where that very line is there already."""
    name, why = column(by), column(reason)
    same = exists().where(
        labels.c.entry == entry, labels.c.at == at, labels.c.by == name, labels.c.after == label,
        labels.c.source == source,
    )  # fmt: skip
    if connection.execute(select(same)).scalar():
        return False
    before = connection.execute(select(entries.c.label).where(entries.c.id == entry)).scalar_one()
    row = {"entry": entry, "at": at, "by": name, "before": before, "after": label, "source": source, "reason": why,
           "confidence": confidence}  # fmt: skip
    connection.execute(insert(labels), row)
    renew(connection, entry)
    return True


def renew(connection: Connection, entry: int) -> None:
    """Set an entry's label to the newest of its history that stands: a person's, else a draft, else none."""
    query = select(labels).where(labels.c.entry == entry).order_by(labels.c.at, labels.c.id)
    rows = connection.execute(query).all()
    said = _standing([row for row in rows if row.source != LabelSource.DRAFT])
    drafts = [row for row in rows if row.source == LabelSource.DRAFT]
    newest: Any = said[-1] if said else drafts[-1] if drafts else None
    values = (
        {"label": newest.after, "label_source": newest.source, "reviewer": newest.by, "labelled": newest.at}
        if newest is not None and newest.after
        else {"label": "", "label_source": "", "reviewer": "", "labelled": None}
    )
    connection.execute(update(entries).where(entries.c.id == entry).values(**values))


def _standing(rows: Sequence[Any]) -> list[Any]:
    """Return the words that stand, oldest first: who takes a word back takes back their own, and then those of
    others count again; who has none of their own takes back all.
    """
    words: dict[tuple[str, str], Any] = {}
    for row in rows:
        own = (row.by, row.source)
        if row.after or own in words:
            words.pop(own, None)
        else:
            words.clear()
        if row.after:
            words[own] = row
    return list(words.values())
