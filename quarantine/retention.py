"""Housekeeping: what happens to kept mail in time, without anybody at the keyboard.

Pending rows whose client never heard a reply are dropped: 250 is only said after `confirm`, so that client
still has the message and comes again, and keeping our row as well would make two of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, update

from model.mail import Direction
from quarantine.correspondents import expire
from quarantine.engine import compact
from quarantine.errors import StoreError, WrongState
from quarantine.item import Action, State
from quarantine.moves import keep_on, move, postpone, reject, remove
from quarantine.record import MessageRecord
from quarantine.release import Send, release
from quarantine.schema import bodies, items, messages
from quarantine.settings import Fate
from quarantine.store import Store, drop_orphan

BY = "housekeeping"
BATCH = 100
PAGES = 2_000
RETRY = timedelta(hours=1)


@dataclass(slots=True)
class Report:
    """What one pass did, in items (messages for `bodies` and `rows`, pairs for `correspondents`)."""

    cancelled: int = 0
    fates: int = 0
    failed: int = 0
    expired: int = 0
    bodies: int = 0
    rows: int = 0
    correspondents: int = 0


def housekeep(store: Store, now: datetime, send: Send | None = None) -> Report:
    """Do everything that is due at `now`, in short transactions. Raises StoreError.

    Without `send`, held mail whose fate is release waits on. Safe to run in several processes at once.
    """
    report = Report()
    report.cancelled = _drop_stale(store, now)
    _carry_out_fates(store, now, send, report)
    report.expired = _expire(store, now)
    report.bodies = _drop_bodies(store, now)
    report.rows = _drop_rows(store, now)
    report.correspondents = expire(store, now)
    compact(store.engine, store.settings.path, PAGES)
    return report


def _drop_stale(store: Store, now: datetime) -> int:
    stale = (items.c.state == State.PENDING, items.c.kept_at < now - store.settings.pending_limit)
    with store.writing() as connection:
        found = connection.execute(select(items.c.message_id).where(*stale).distinct()).scalars().all()
        dropped: int = connection.execute(delete(items).where(*stale)).rowcount
        for message in found:
            drop_orphan(connection, message)
    return dropped


def _carry_out_fates(store: Store, now: datetime, send: Send | None, report: Report) -> None:
    for item, direction in _overdue(store, now):
        fate = store.settings.hold_fate_outbound if direction == Direction.OUTBOUND else store.settings.hold_fate
        try:
            if _carry_out(store, item, fate, send):
                report.fates += 1
            else:
                report.failed += 1
                postpone(store, item, now + RETRY)
        except WrongState:
            continue  # a person was faster


def _overdue(store: Store, now: datetime) -> list[tuple[str, str]]:
    query = (
        select(items.c.id, messages.c.direction)
        .join(messages, messages.c.id == items.c.message_id)
        .where(items.c.state == State.HELD, items.c.deadline <= now)
        .order_by(items.c.deadline)
        .limit(BATCH)
    )
    with store.reading() as connection:
        return [(row.id, row.direction) for row in connection.execute(query)]


def _carry_out(store: Store, item: str, fate: Fate, send: Send | None) -> bool:
    reason = "the deadline passed without a decision"
    match fate:
        case Fate.KEEP:
            keep_on(store, item, by=BY, reason=reason)
        case Fate.REJECT:
            reject(store, item, by=BY, reason=reason)
        case Fate.DELETE:
            remove(store, item, by=BY, reason=reason)
        case Fate.RELEASE:
            if send is None:
                return False
            try:
                return release(store, item, send, by=BY, reason=reason, by_person=False).state is not State.HELD
            except WrongState:
                raise
            except StoreError:  # its bytes are damaged: one bad body must not stop the others' fates
                return False
    return True


def _expire(store: Store, now: datetime) -> int:
    keep = store.settings.retention
    return _expire_state(store, State.QUARANTINED, now - keep.quarantined, "nobody decided in time") + _expire_state(
        store, State.SAMPLED, now - keep.sampled, "a sample is kept no longer")


def _expire_state(store: Store, state: State, since: datetime, reason: str) -> int:
    query = select(items.c.id).where(items.c.state == state, items.c.changed_at < since).limit(BATCH)
    done = 0
    while True:
        with store.reading() as connection:
            due = connection.execute(query).scalars().all()
        for item in due:
            try:
                move(store, item, Action.EXPIRE, by=BY, reason=reason)
                done += 1
            except WrongState:
                continue
        if len(due) < BATCH:
            return done


def _done_with_body(store: Store, now: datetime) -> ColumnElement[bool]:
    keep = store.settings.retention
    spans = {State.RELEASED: keep.released, State.REJECTED: keep.rejected, State.DELETED: keep.deleted}
    due = [and_(items.c.state == state, items.c.changed_at <= now - span) for state, span in spans.items()]
    return or_(items.c.state == State.EXPIRED, *due)


def _drop_bodies(store: Store, now: datetime) -> int:
    waiting = exists().where(items.c.message_id == messages.c.id, ~_done_with_body(store, now))
    query = select(messages.c.id, messages.c.salt, messages.c.record).where(messages.c.body.is_(True), ~waiting)
    done = 0
    for row in _batches(store, query):
        record = _without_text(store, row.id, row.salt, row.record)
        with store.writing() as connection:
            # Asked again inside the transaction: a release may have begun since.
            change = update(messages).where(messages.c.id == row.id, messages.c.body.is_(True), ~waiting)
            if connection.execute(change.values(body=False, stored=0, record=record)).rowcount:
                connection.execute(delete(bodies).where(bodies.c.message_id == row.id))
                done += 1
    return done


def _batches(store: Store, query: Select[tuple[str, bytes, bytes]]) -> "Iterator[Row]":
    last = ""
    while True:
        with store.reading() as connection:
            page = connection.execute(query.where(messages.c.id > last).order_by(messages.c.id).limit(BATCH)).all()
        yield from (Row(*row) for row in page)
        if len(page) < BATCH:
            return
        last = page[-1][0]


@dataclass(frozen=True, slots=True)
class Row:
    """A message on its way out."""

    id: str
    salt: bytes
    record: bytes


def _without_text(store: Store, message: str, salt: bytes, sealed: bytes) -> bytes:
    vault = store.vault(message, salt)
    try:
        record = MessageRecord.from_bytes(vault.unseal_small("message", sealed))
    except StoreError:
        return sealed
    # The stored beginning of the text is a part of the body, and goes with it.
    return vault.seal_small("message", record.lean().to_bytes())


def _drop_rows(store: Store, now: datetime) -> int:
    recent = exists().where(
        items.c.message_id == messages.c.id,
        or_(items.c.changed_at > now - store.settings.retention.rows, items.c.state == State.RELEASING),
    )
    query = select(messages.c.id, messages.c.salt, messages.c.record).where(messages.c.body.is_(False), ~recent)
    done = 0
    for row in _batches(store, query):
        with store.writing() as connection:
            connection.execute(delete(items).where(items.c.message_id == row.id))
            drop_orphan(connection, row.id)
            done += 1
    return done
