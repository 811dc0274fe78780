"""Figures over the whole quarantine, and where each reviewer stopped."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from model.labels import Label
from model.mail import Direction
from quarantine.item import UNDECIDED, State
from quarantine.schema import items, messages, positions
from quarantine.store import Store


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of items; `octets` of the messages whose bodies are there, `stored` of these in the database.

    `agreement` counts items with a person's label, by (the model's label or None, the person's). Samples of delivered
    mail that are still there are `sampled`; they are not undecided.
    """

    states: dict[tuple[Direction, State], int]
    agreement: dict[tuple[Label | None, Label], int]
    unreviewed: int
    sampled: int
    sampled_unreviewed: int
    oldest: datetime | None
    next_deadline: datetime | None
    messages: int
    octets: int
    stored: int


def stats(store: Store) -> Stats:
    """Count everything, as of one moment."""
    joined = items.join(messages, messages.c.id == items.c.message_id)
    visible = items.c.state != State.PENDING
    undecided = items.c.state.in_(UNDECIDED)
    with store.reading() as connection:
        states = connection.execute(
            select(messages.c.direction, items.c.state, func.count())
            .select_from(joined)
            .where(visible)
            .group_by(messages.c.direction, items.c.state)
        ).all()
        labels = connection.execute(
            select(items.c.label, items.c.reviewed, func.count())
            .where(visible, items.c.reviewed.is_not(None))
            .group_by(items.c.label, items.c.reviewed)
        ).all()
        waiting = connection.execute(
            select(func.count(), func.min(items.c.kept_at), func.min(items.c.deadline)).where(undecided)
        ).one()
        unreviewed = connection.execute(
            select(func.count()).where(undecided, items.c.reviewed.is_(None))
        ).scalar_one()
        drawn, judged = connection.execute(
            select(func.count(), func.count(items.c.reviewed)).where(items.c.state == State.SAMPLED)
        ).one()
        sizes = connection.execute(
            select(func.count(), func.sum(messages.c.size), func.sum(messages.c.stored)).where(
                messages.c.body.is_(True)
            )
        ).one()
    return Stats(
        states={(Direction(way), State(state)): number for way, state, number in states},
        agreement={(Label(ours) if ours else None, Label(theirs)): number for ours, theirs, number in labels},
        unreviewed=unreviewed,
        sampled=drawn,
        sampled_unreviewed=drawn - judged,
        oldest=waiting[1],
        next_deadline=waiting[2],
        messages=sizes[0],
        octets=int(sizes[1] or 0),
        stored=int(sizes[2] or 0),
    )


def position(store: Store, reviewer: str) -> tuple[datetime, str] | None:
    """Return the time and id of the item that a reviewer looked at last; None at the first time."""
    with store.reading() as connection:
        row = connection.execute(select(positions).where(positions.c.reviewer == reviewer)).first()
    return None if row is None else (row.kept_at, row.item_id)


def remember(store: Store, reviewer: str, kept_at: datetime, item: str) -> None:
    """Store where a reviewer is."""
    with store.writing() as connection:
        connection.execute(delete(positions).where(positions.c.reviewer == reviewer))
        connection.execute(insert(positions), {"reviewer": reviewer, "kept_at": kept_at, "item_id": item})


def forget(store: Store, reviewer: str) -> None:
    """Let a reviewer begin anew."""
    with store.writing() as connection:
        connection.execute(delete(positions).where(positions.c.reviewer == reviewer))
