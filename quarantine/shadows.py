"""What a candidate made of live mail beside the model that served: scores and routes, no text and no address."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from model.mail import Direction
from model.verdict import Route
from quarantine.record import column
from quarantine.schema import shadows
from quarantine.store import Store


@dataclass(frozen=True, slots=True)
class Shadowed:
    """One message. Routes are policy's, before stage and breaker, of the recipient it is worst for.

    `message` is the id under which the message is kept (or sampled, or tagged); empty for the rest.
    """

    at: datetime
    candidate: str
    model: str
    direction: Direction
    listener: str
    route: Route
    shadow_route: Route
    p_bad: float
    shadow_p_bad: float
    message: str = ""

    @property
    def changes(self) -> bool:
        """Whether the candidate would send it another way."""
        return self.route is not self.shadow_route


@dataclass(frozen=True, slots=True)
class Agreement:
    """A candidate beside one model in one direction: `moves` counts messages by (route, the candidate's route)."""

    candidate: str
    model: str
    direction: Direction
    first: datetime
    last: datetime
    moves: dict[tuple[Route, Route], int]


def add(store: Store, rows: Sequence[Shadowed]) -> None:
    """Write some, in one transaction. Raises StoreError."""
    with store.writing() as connection:
        connection.execute(insert(shadows), [
            {"at": r.at, "candidate": column(r.candidate), "model": column(r.model), "direction": r.direction,
             "listener": column(r.listener), "route": r.route, "shadow_route": r.shadow_route, "p_bad": r.p_bad,
             "shadow_p_bad": r.shadow_p_bad, "message_id": r.message or None}
            for r in rows
        ])  # fmt: skip


def agreements(store: Store, candidate: str = "", since: datetime | None = None) -> list[Agreement]:
    """Return how each candidate (or one) agrees with what served, the latest last. Raises StoreError."""
    table = shadows.c
    keys = (table.candidate, table.model, table.direction)
    query = select(*keys, table.route, table.shadow_route, func.count().label("n"), func.min(table.at).label("first"),
                   func.max(table.at).label("last")).group_by(*keys, table.route, table.shadow_route)  # fmt: skip
    query = query.where(table.candidate == candidate) if candidate else query
    query = query.where(table.at >= since) if since else query
    found: dict[tuple[str, str, str], Agreement] = {}
    with store.reading() as connection:
        rows = connection.execute(query).all()
    for r in rows:
        key = r.candidate, r.model, r.direction
        old = found.get(key) or Agreement(r.candidate, r.model, Direction(r.direction), r.first, r.last, {})
        moves = {**old.moves, (Route(r.route), Route(r.shadow_route)): r.n}
        found[key] = Agreement(old.candidate, old.model, old.direction, min(old.first, r.first),
                               max(old.last, r.last), moves)  # fmt: skip
    return sorted(found.values(), key=lambda one: one.last)


def changed(store: Store, candidate: str, since: datetime | None = None, *, limit: int) -> list[Shadowed]:
    """Return messages that a candidate would send another way, the newest first; those that are kept come first."""
    table = shadows.c
    query = select(shadows).where(table.candidate == candidate, table.route != table.shadow_route)
    query = query.where(table.at >= since) if since else query
    query = query.order_by(table.message_id.is_(None), table.id.desc()).limit(limit)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [
        Shadowed(r.at, r.candidate, r.model, Direction(r.direction), r.listener, Route(r.route),
                 Route(r.shadow_route), r.p_bad, r.shadow_p_bad, r.message_id or "")
        for r in rows
    ]  # fmt: skip


def expire(store: Store, before: datetime, most: int) -> int:
    """Forget what is too old, and the oldest above `most`; return how many. Raises StoreError."""
    table = shadows.c
    with store.writing() as connection:
        gone = int(connection.execute(delete(shadows).where(table.at < before)).rowcount)
        last = connection.execute(select(table.id).order_by(table.id.desc()).offset(most).limit(1)).scalar()
        if last is not None:
            gone += int(connection.execute(delete(shadows).where(table.id <= last)).rowcount)
    return gone
