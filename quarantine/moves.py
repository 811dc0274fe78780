"""Changes of an item: its state, by the rows of `MOVES` only, and its label. Each leaves a row that says who.

A change of state is one UPDATE that names the state it comes from (and, for releases, the attempt), so of two
people at once one succeeds and the other is told what happened.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from model.labels import Label
from quarantine.errors import NotFound, StoreError, WrongState
from quarantine.item import MOVES, Action, Move, Review, State
from quarantine.record import column
from quarantine.schema import items, messages, reviews
from quarantine.store import Store


def move(
    store: Store,
    item: str,
    action: Action,
    *,
    by: str,
    reason: str = "",
    after: State | None = None,
    attempt: int | None = None,
    values: dict[str, Any] | None = None,
) -> Review:
    """Take one legal step; durable when it returns. Raises NotFound, WrongState or StoreError.

    `after` is needed where an action may lead to several states; `attempt`, if given, must be the item's.
    `values` are further columns to set in the same UPDATE.
    """
    with store.writing() as connection:
        row = connection.execute(select(items.c.state, items.c.attempt).where(items.c.id == item)).first()
        if row is None:
            raise NotFound(f"there is no item {item}")
        before = State(row.state)
        step = _legal(item, before, action, after)
        now = store.clock()
        change = update(items).where(items.c.id == item, items.c.state == before)
        if attempt is not None:
            change = change.where(items.c.attempt == attempt)
        change = change.values(state=step.after, changed_at=now, **(values or {}))
        if connection.execute(change).rowcount != 1:
            raise WrongState(f"item {item}: somebody else was faster; look at it again")
        review = Review(item, now, by, action, None, reason, before, step.after)
        record(connection, review)
    return review


def _legal(item: str, before: State, action: Action, after: State | None) -> Move:
    steps = [m for m in MOVES if m.before is before and m.action is action and after in (None, m.after)]
    if not steps:
        raise WrongState(f"item {item} is {before}: {action} is not possible")
    if len(steps) > 1:
        raise ValueError(f"{action} may lead to several states: say which")
    return steps[0]


def reject(store: Store, item: str, *, by: str, reason: str) -> Review:
    """Judge an item bad. It is recorded and nothing is sent: a bounce to a forged sender would be backscatter."""
    return move(store, item, Action.REJECT, by=by, reason=reason)


def remove(store: Store, item: str, *, by: str, reason: str = "") -> Review:
    """Mark an item deleted. Its body goes at the next housekeeping, unless another recipient's copy needs it."""
    return move(store, item, Action.DELETE, by=by, reason=reason)


def keep_on(store: Store, item: str, *, by: str, reason: str = "") -> Review:
    """Move a held item to the quarantine, where no deadline decides over it."""
    return move(store, item, Action.KEEP, by=by, reason=reason, values={"deadline": None})


def label(store: Store, item: str, verdict: Label, *, by: str, reason: str = "") -> Review:
    """Record what a person says the message is. Changes no state: verdict and action are two things."""
    with store.writing() as connection:
        _readable(connection, item)
        connection.execute(update(items).where(items.c.id == item).values(reviewed=verdict))
        review = Review(item, store.clock(), by, Action.LABEL, verdict, reason)
        record(connection, review)
    return review


def unlabel(store: Store, item: str, *, by: str, back_to: Label | None = None) -> Review:
    """Take a label back, to the one before or to none. What was said stays on record."""
    with store.writing() as connection:
        _readable(connection, item)
        connection.execute(update(items).where(items.c.id == item).values(reviewed=back_to))
        review = Review(item, store.clock(), by, Action.UNLABEL, back_to)
        record(connection, review)
    return review


def _readable(connection: Connection, item: str) -> None:
    found = connection.execute(
        select(messages.c.body).join(items, items.c.message_id == messages.c.id).where(items.c.id == item)
    ).scalar()
    if found is None:
        raise NotFound(f"there is no item {item}")
    if not found:
        raise StoreError(f"item {item}: the message itself is gone, and nobody can judge it any more")


def record(connection: Connection, review: Review) -> None:
    """Add a row to the record of actions; there is no function that changes one."""
    connection.execute(
        insert(reviews),
        {
            "item_id": review.item,
            "at": review.at,
            "by": column(review.by),
            "action": review.action,
            "label": review.label,
            "reason": column(review.reason),
            "before": review.before,
            "after": review.after,
        },
    )


def postpone(store: Store, item: str, deadline: datetime) -> None:
    """Set a later deadline for a held item; nothing else changes."""
    with store.writing() as connection:
        connection.execute(
            update(items).where(items.c.id == item, items.c.state == State.HELD).values(deadline=deadline)
        )
