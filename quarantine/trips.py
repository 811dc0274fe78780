"""When the breaker tripped, on which figures, and who or what closed it again."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import insert, select, update

from model.mail import Direction
from quarantine.record import column
from quarantine.schema import epochs, trips
from quarantine.store import Store

OURSELVES = "gatepost"
"""Who clears a trip because another model or policy came."""


OF_PROVEN = "-proven"
"""What ends a kind that is of mail from proven and known senders only."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One row. `kind` is held or quarantined, perhaps with `OF_PROVEN`: so many `kept` of so many messages, now and
    before (0 of 0: unknown).

    It is open while `cleared_at` is None; `cleared_by` is a person's account, or `OURSELVES`.
    """

    id: int
    epoch: int
    model: str
    at: datetime
    direction: Direction
    kind: str
    kept: int
    messages: int
    kept_before: int
    messages_before: int
    cleared_at: datetime | None = None
    cleared_by: str = ""
    reason: str = ""
    gateway: str = ""

    @property
    def by_person(self) -> bool:
        """Whether a person cleared it, who accepts the new level with that."""
        return self.cleared_at is not None and self.cleared_by != OURSELVES

    @property
    def told(self) -> str:
        """What happened, in one sentence without a capital or a full stop."""
        before = "there was too little mail before to compare with"
        if self.messages_before:
            before = f"in the worst hour before, at that time of day, {self.kept_before} of {self.messages_before}"
        verb, of_proven = self.kind.removesuffix(OF_PROVEN), self.kind.endswith(OF_PROVEN)
        whose = " from proven and known senders" if of_proven else ""
        return f"model {self.model} {verb} {self.kept} of {self.messages} {self.direction} messages{whose}; {before}"


def record(store: Store, trip: Trip) -> Trip:
    """Write an open trip and return it with its id; durable when it returns. Raises StoreError."""
    names = ("epoch", "at", "direction", "kind", "kept", "messages", "kept_before", "messages_before")
    row = {name: getattr(trip, name) for name in names}
    with store.writing() as connection:
        done = connection.execute(insert(trips), row)
        return replace(trip, id=int(done.inserted_primary_key[0]))


def clear(store: Store, gateway: str, *, by: str, reason: str, at: datetime) -> int:
    """Close every open trip of a gateway; return how many. Raises StoreError."""
    its = select(epochs.c.id).where(epochs.c.gateway == gateway)
    change = update(trips).where(trips.c.cleared_at.is_(None), trips.c.epoch.in_(its))
    with store.writing() as connection:
        values = {"cleared_at": at, "cleared_by": column(by), "reason": column(reason)}
        return int(connection.execute(change.values(**values)).rowcount)


def tripped(store: Store, *, gateway: str | None = None, epoch: int | None = None, only_open: bool = False,
            limit: int = 100) -> list[Trip]:  # fmt: skip
    """Return trips, the newest first: all, those of a gateway or an epoch, those that are open. Raises StoreError."""
    query = select(trips, epochs.c.model, epochs.c.gateway).join(epochs, epochs.c.id == trips.c.epoch)
    query = query.order_by(trips.c.id.desc())
    query = query.where(epochs.c.gateway == gateway) if gateway is not None else query
    query = query.where(trips.c.epoch == epoch) if epoch is not None else query
    query = query.where(trips.c.cleared_at.is_(None)) if only_open else query
    with store.reading() as connection:
        rows = connection.execute(query.limit(limit)).all()
    return [
        Trip(r.id, r.epoch, r.model, r.at, Direction(r.direction), r.kind, r.kept, r.messages, r.kept_before,
             r.messages_before, r.cleared_at, r.cleared_by or "", r.reason or "", r.gateway)
        for r in rows
    ]  # fmt: skip
