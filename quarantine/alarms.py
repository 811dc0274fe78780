"""Which distribution has drifted, from when to when: what was told stays told."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from model.mail import Direction
from quarantine.schema import alarms, epochs, tallies
from quarantine.store import Store


@dataclass(frozen=True, slots=True)
class Alarm:
    """One row; it lasts while `over_at` is None."""

    id: int
    model: str
    direction: Direction
    name: str
    at: datetime
    psi: float
    gateway: str = ""
    over_at: datetime | None = None


def lasting(store: Store, gateway: str | None = None) -> list[Alarm]:
    """Return the alarms that last, of one gateway or of all. Raises StoreError."""
    query = select(alarms, epochs.c.model, epochs.c.gateway).join(epochs, epochs.c.id == alarms.c.epoch)
    query = query.where(epochs.c.gateway == gateway) if gateway is not None else query
    query = query.order_by(alarms.c.id)
    with store.reading() as connection:
        rows = connection.execute(query.where(alarms.c.over_at.is_(None))).all()
    return [Alarm(r.id, r.model, Direction(r.direction), r.name, r.at, r.psi, r.gateway) for r in rows]


def begin(store: Store, epoch: int, direction: Direction, name: str, psi: float, at: datetime) -> None:
    """Write that something has drifted. Raises StoreError."""
    row = {"epoch": epoch, "direction": direction, "name": name, "at": at, "psi": psi}
    with store.writing() as connection:
        connection.execute(insert(alarms), row)


def abandon(store: Store, before: datetime, at: datetime, *, but: str) -> None:
    """End the alarms of gateways, `but` one, that have counted nothing since `before`. Raises StoreError."""
    alive = select(epochs.c.gateway).join(tallies, tallies.c.epoch == epochs.c.id).where(tallies.c.at >= before)
    gone = select(epochs.c.id).where(epochs.c.gateway != but, epochs.c.gateway.not_in(alive))
    change = update(alarms).where(alarms.c.over_at.is_(None), alarms.c.epoch.in_(gone))
    with store.writing() as connection:
        connection.execute(change.values(over_at=at))


def end(store: Store, alarm: Alarm, at: datetime) -> None:
    """Write that it is over. Raises StoreError."""
    with store.writing() as connection:
        connection.execute(update(alarms).where(alarms.c.id == alarm.id).values(over_at=at))
