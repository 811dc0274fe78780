"""Running counts of what the model says, by hour or day: no message is named, and none can be found by them.

An epoch is a time in which one model served under one policy at one gateway. Gateways that share a database change
their models and policies each in its own time, and see other mail, so each has epochs of its own; counts, trips and
alarms belong to an epoch, hence to its gateway. Counts are of messages, within an epoch, by direction and by the name
and value of something: the verdict, a band of the score, a fact.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from model.mail import Direction
from quarantine.schema import alarms, epochs, tallies, trips
from quarantine.store import Store


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row: since when which model served, and where; `settings` is a digest of what else decides."""

    id: int
    at: datetime
    model: str
    settings: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What is counted: in an epoch, from an hour or day on, in a direction, a value of something."""

    epoch: int
    at: datetime
    direction: Direction
    name: str
    value: int


def gateways(store: Store) -> list[str]:
    """Return the names of all gateways that ever counted here, in their order. Raises StoreError."""
    with store.reading() as connection:
        return list(connection.execute(select(epochs.c.gateway).distinct().order_by(epochs.c.gateway)).scalars())


def adopt(store: Store, gateway: str) -> None:
    """Take over the epochs of a time when a database had one gateway, which was not named. Raises StoreError."""
    with store.writing() as connection:
        connection.execute(update(epochs).where(epochs.c.gateway == "").values(gateway=gateway))


def history(store: Store, gateway: str) -> tuple[Epoch, ...]:
    """Return every epoch of a gateway, the one that lasts at the end. Raises StoreError."""
    query = select(epochs).where(epochs.c.gateway == gateway).order_by(epochs.c.id)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(Epoch(row.id, row.at, row.model, row.settings, row.gateway) for row in rows)


def begin(store: Store, gateway: str, model: str, settings: str, at: datetime) -> Epoch:
    """Begin another epoch of a gateway; durable when it returns. Raises StoreError."""
    row = {"at": at, "model": model, "settings": settings, "gateway": gateway}
    with store.writing() as connection:
        done = connection.execute(insert(epochs), row)
        return Epoch(int(done.inserted_primary_key[0]), at, model, settings, gateway)


def add(store: Store, counts: Mapping[Cell, int]) -> None:
    """Add counts to what is there, in one transaction of a few statements: mail waits for it. Raises StoreError."""
    table = tallies.c
    keys = [table.epoch, table.at, table.direction, table.name, table.value]
    within = table.epoch.in_({cell.epoch for cell in counts}), table.at.in_({cell.at for cell in counts})
    more = update(tallies).where(*(key == bindparam(f"its_{key.name}") for key in keys))
    with store.writing() as connection:
        there = {Cell(r.epoch, r.at, Direction(r.direction), r.name, r.value)
                 for r in connection.execute(select(*keys).where(*within))}  # fmt: skip
        old = [{f"its_{name}": value for name, value in _row(cell).items()} | {"more": n}
               for cell, n in counts.items() if cell in there]  # fmt: skip
        new = [{**_row(cell), "n": n} for cell, n in counts.items() if cell not in there]
        if old:
            connection.execute(more.values(n=table.n + bindparam("more")), old)
        if new:
            connection.execute(insert(tallies), new)


def _row(cell: Cell) -> dict[str, Any]:
    return {"epoch": cell.epoch, "at": cell.at, "direction": cell.direction, "name": cell.name, "value": cell.value}


def read(store: Store, within: Collection[int], *, names: Collection[str] = (), direction: Direction | None = None,
         since: datetime | None = None, before: datetime | None = None) -> dict[Cell, int]:  # fmt: skip
    """Return the counts of some epochs, in the order of time. Raises StoreError."""
    table = tallies.c
    query = select(tallies).where(table.epoch.in_(within)).order_by(table.at, table.epoch)
    query = query.where(table.name.in_(names)) if names else query
    query = query.where(table.direction == direction) if direction else query
    query = query.where(table.at >= since) if since else query
    query = query.where(table.at < before) if before else query
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return {Cell(r.epoch, r.at, Direction(r.direction), r.name, r.value): r.n for r in rows}


def expire(store: Store, before: datetime) -> int:
    """Forget counts of before a time, and epochs of which nothing is left; return how many counts. StoreError.

    Of all gateways, also of those that are no more; the epoch that lasts at each stays.
    """
    with store.writing() as connection:
        gone = int(connection.execute(delete(tallies).where(tallies.c.at < before)).rowcount)
        if gone:
            last = select(func.max(epochs.c.id)).group_by(epochs.c.gateway)
            used = (select(table.c.epoch) for table in (tallies, trips, alarms))
            connection.execute(delete(epochs).where(
                epochs.c.at < before, epochs.c.id.not_in(last), *(epochs.c.id.not_in(some) for some in used)))
    return gone
