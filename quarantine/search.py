"""Reading the quarantine: one item, a filtered list, its history, its bytes, and figures over all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from model.labels import Label
from model.mail import Direction
from model.verdict import Route
from quarantine.errors import NotFound, StoreError
from quarantine.item import Action, QuarantineItem, Review, State
from quarantine.record import ItemRecord, MessageRecord
from quarantine.schema import bodies, items, messages, reviews
from quarantine.store import ID_LENGTH, ID_LETTERS, Store

SHORTEST_PREFIX = 4
_PAGE = 200
_MISREAD = str.maketrans("oil", "011")  # letters that no id has, and what they were read from


class Sort(StrEnum):
    """What a list can be ordered by; by time and score the greatest come first."""

    TIME = "time"
    SCORE = "score"
    SENDER = "sender"
    RECIPIENT = "recipient"
    SIZE = "size"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items; an empty field filters nothing. Texts match anywhere, in any case (of ASCII letters).

    `subject` is not a column in clear: it is compared after opening each candidate.
    """

    states: tuple[State, ...] = ()
    direction: Direction | None = None
    label: Label | None = None
    reviewed: Label | None = None
    unreviewed: bool = False
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    reason: str = ""
    model: str = ""
    message: str = ""
    since: datetime | None = None
    before: datetime | None = None
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An item with its sealed parts opened; None where they cannot be."""

    item: QuarantineItem
    message: MessageRecord | None
    record: ItemRecord | None


ROWS: Select[Any] = select(
    items,
    messages.c.direction,
    messages.c.listener,
    messages.c.sender,
    messages.c.size,
    messages.c.model,
    messages.c.body,
    messages.c.salt,
    messages.c.record.label("message_record"),
).join(messages, messages.c.id == items.c.message_id)


def get(store: Store, wanted: str) -> Opened:
    """Return the item with this id, or with the only id that starts with it. Raises NotFound or StoreError.

    The id of a message, which the client was told, stands for its item if it has one recipient.
    """
    prefix = wanted.strip().lower().translate(_MISREAD)
    if not prefix or len(prefix) > ID_LENGTH or set(prefix) - set(ID_LETTERS):
        raise NotFound(f"{wanted!r} is not an id: ids have {ID_LENGTH} letters and digits")
    if len(prefix) < SHORTEST_PREFIX:
        raise NotFound(f"{wanted!r} is too short: give at least {SHORTEST_PREFIX} letters of the id")
    with store.reading() as connection:
        for col in (items.c.id, items.c.message_id):
            fits = (col.startswith(prefix, autoescape=True), items.c.state != State.PENDING)
            if found := connection.execute(ROWS.where(*fits).limit(2)).all():
                break
    if not found:
        raise NotFound(f"there is no item {wanted}")
    if len({row.message_id for row in found}) < len(found):
        raise NotFound(
            f"message {wanted} was kept for several; see: gatepost quarantine list --all --message {wanted}"
        )
    if len(found) > 1:
        raise NotFound(f"several ids start with {wanted}: give more of it")
    return opened(store, found[0])


def find(
    store: Store,
    wanted: Filter,
    *,
    sort: Sort = Sort.TIME,
    reverse: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[Opened]:
    """Yield the items that fit, in order, page by page; never holds the database for longer than a page."""
    query = ROWS.where(*conditions(wanted)).order_by(*_order(sort, reverse=reverse))
    needle = wanted.subject.casefold()
    at, skip = (0, offset) if needle else (offset, 0)
    given = 0
    while limit is None or given < limit:
        size = _PAGE if limit is None or needle else min(_PAGE, limit - given)
        with store.reading() as connection:
            page = connection.execute(query.limit(size).offset(at)).all()
        at += len(page)
        for row in page:
            one = opened(store, row)
            if needle and (one.message is None or needle not in one.message.subject.casefold()):
                continue
            if skip:
                skip -= 1
                continue
            if limit is not None and given >= limit:
                return
            given += 1
            yield one
        if len(page) < size:
            return


def count(store: Store, wanted: Filter) -> int:
    """Return how many items fit (the subject is not looked at)."""
    query = select(func.count()).select_from(items).join(messages, messages.c.id == items.c.message_id)
    with store.reading() as connection:
        return int(connection.execute(query.where(*conditions(wanted))).scalar_one())


def history(store: Store, item: str) -> tuple[Review, ...]:
    """Return everything that was done to an item, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(select(reviews).where(reviews.c.item_id == item).order_by(reviews.c.id)).all()
    return tuple(
        Review(
            row.item_id, row.at, row.by, Action(row.action), Label(row.label) if row.label else None, row.reason,
            State(row.before) if row.before else None, State(row.after) if row.after else None,
        )
        for row in rows
    )  # fmt: skip


def body(store: Store, message: str) -> Iterator[bytes]:
    """Yield the exact octets of a message. Raises StoreError, at the latest at the end, if they are not whole."""
    with store.reading() as connection:
        row = connection.execute(
            select(messages.c.salt, messages.c.pieces, messages.c.body).where(messages.c.id == message)
        ).first()
    if row is None or not row.body:
        raise StoreError(f"message {message}: the message itself is gone")
    yield from store.vault(message, row.salt).open_body(_pieces(store, message, row.pieces), row.pieces)


def _pieces(store: Store, message: str, pieces: int) -> Iterator[bytes]:
    for number in range(pieces):
        query = select(bodies.c.data).where(bodies.c.message_id == message, bodies.c.number == number)
        with store.reading() as connection:
            data = connection.execute(query).scalar()
        if data is None:
            return
        yield data


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Return the filter as SQL, for `ROWS`; every value is a bound parameter, wildcards in texts are escaped."""
    found: list[ColumnElement[bool]] = [items.c.state != State.PENDING]
    if wanted.states:
        found.append(items.c.state.in_(wanted.states))
    exact = (
        (messages.c.direction, wanted.direction),
        (items.c.label, wanted.label),
        (items.c.reviewed, wanted.reviewed),
        (items.c.reason, wanted.reason),
        (messages.c.model, wanted.model),
    )
    found += [col == value for col, value in exact if value]
    if wanted.message:
        found.append(items.c.message_id.startswith(wanted.message, autoescape=True))
    if wanted.unreviewed:
        found.append(items.c.reviewed.is_(None))
    parts = ((messages.c.sender, wanted.sender), (items.c.recipient, wanted.recipient))
    found += [col.icontains(value, autoescape=True) for col, value in parts if value]
    if wanted.since is not None:
        found.append(items.c.kept_at >= wanted.since)
    if wanted.before is not None:
        found.append(items.c.kept_at < wanted.before)
    if wanted.min_score is not None:
        found.append(items.c.p_bad >= wanted.min_score)
    return found


def _order(sort: Sort, *, reverse: bool) -> list[ColumnElement[Any]]:
    col, falling = {
        Sort.TIME: (items.c.kept_at, True),
        Sort.SCORE: (items.c.p_bad, True),
        Sort.SENDER: (func.lower(messages.c.sender), False),
        Sort.RECIPIENT: (func.lower(items.c.recipient), False),
        Sort.SIZE: (messages.c.size, True),
        Sort.DEADLINE: (items.c.deadline, False),
    }[sort]
    # Databases differ in where they put rows without a value: here they are always last.
    first = col.desc() if falling != reverse else col.asc()
    return [col.is_(None), first, items.c.kept_at.desc(), items.c.id]


def as_item(row: Any) -> QuarantineItem:
    """Read the columns in clear."""
    return QuarantineItem(
        id=row.id,
        message=row.message_id,
        state=State(row.state),
        direction=Direction(row.direction),
        listener=row.listener,
        kept_at=row.kept_at,
        changed_at=row.changed_at,
        sender=row.sender,
        recipient=row.recipient,
        size=row.size,
        route=Route(row.route),
        reason=row.reason,
        label=Label(row.label) if row.label else None,
        p_bad=row.p_bad,
        model=row.model,
        reviewed=Label(row.reviewed) if row.reviewed else None,
        deadline=row.deadline,
        before=State(row.before) if row.before else None,
        attempt=row.attempt,
        body=row.body,
        drawn=row.drawn,
    )


def opened(store: Store, row: Any) -> Opened:
    """Read a row of `ROWS` and open its sealed parts."""
    item = as_item(row)
    vault = store.vault(item.message, row.salt)
    try:
        message = MessageRecord.from_bytes(vault.unseal_small("message", row.message_record))
        record = ItemRecord.from_bytes(vault.unseal_small(f"item {item.id}", row.record))
    except StoreError:  # one damaged row must not hide the others
        return Opened(item, None, None)
    return Opened(item, message, record)
