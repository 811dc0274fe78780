"""Who writes to whom here, as keyed hashes: what makes a sender known, or a stranger.

A pair of a local and an outside address is learnt where a person here wrote to somebody, where a person released an
authenticated sender's mail, and (apart from these) where mail was delivered. Stored are HMACs under the quarantine's
key, so that the table names nobody to whom the key is not given, and cannot be filled from outside it. Of the
outside address its domain is hashed too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, func, insert, or_, select, update

from quarantine.schema import correspondents
from quarantine.store import Store

SEEN_AFTER = timedelta(days=14)
"""How long deliveries are learnt before anybody counts as a stranger: in a young list everybody would."""
PAGE = 2_000
_SIGNATURE = select(func.count(), func.max(correspondents.c.last_at))


class Bond(StrEnum):
    """How a pair came to be learnt."""

    WROTE = "wrote"  # the local address wrote to the outside one
    RELEASED = "released"  # a person released mail of the authenticated outside address
    SEEN = "seen"  # mail was delivered


@dataclass(frozen=True, slots=True)
class Meeting:
    """A pair of addresses, in any case of letters, and what happened between them."""

    local: str
    outside: str
    bond: Bond


@dataclass(frozen=True, slots=True)
class Known:
    """Hashes of addresses and domains: those that are known, and (once the list is old enough) those seen before.

    `mark` is the `signature` of the table that they were read from.
    """

    known: frozenset[bytes]
    seen: frozenset[bytes]
    mark: tuple[object, ...] = ()


class Hashed(Collection[str]):
    """A set of addresses and domains that can be asked and not read: iterating yields nothing, whatever is in it.

    One thread refills it (`fill`, `extend`) while others ask.
    """

    def __init__(self) -> None:
        self._held: tuple[Callable[[str], bytes] | None, frozenset[bytes]] = (None, frozenset())

    def fill(self, hashed: Callable[[str], bytes], hashes: frozenset[bytes]) -> None:
        """Replace everything; `hashed` makes the hash of an address."""
        self._held = (hashed, hashes)

    def extend(self, hashes: Iterable[bytes]) -> None:
        """Add to what is there."""
        hashed, held = self._held
        self._held = (hashed, held.union(hashes))

    def __contains__(self, name: object) -> bool:
        hashed, held = self._held
        return hashed is not None and isinstance(name, str) and hashed(normal(name)) in held

    def __len__(self) -> int:
        return len(self._held[1])

    def __iter__(self) -> Iterator[str]:
        return iter(())


def normal(address: str) -> str:
    """Return an address or domain as it is hashed."""
    return address.strip().strip("<>").lower().rstrip(".")


def hashes(store: Store, outside: str) -> tuple[bytes, bytes]:
    """Return the hashes of an outside address and of its domain."""
    address = normal(outside)
    return store.hashed(address), store.hashed(address.rpartition("@")[2])


def remember(store: Store, meetings: Iterable[Meeting], now: datetime) -> None:
    """Store pairs, or that they met again; one transaction. Raises StoreError."""
    rows = []
    for one in meetings:
        outside, domain = hashes(store, one.outside)
        local = store.hashed(normal(one.local))
        rows.append({"local": local, "outside": outside, "bond": one.bond, "domain": domain,
                     "first_at": now, "last_at": now})  # fmt: skip
    table = correspondents.c
    with store.writing() as connection:
        for row in rows:
            again = update(correspondents).where(
                table.local == row["local"], table.outside == row["outside"], table.bond == row["bond"]
            )
            if not connection.execute(again.values(last_at=now)).rowcount:
                connection.execute(insert(correspondents), row)


def forget(store: Store, who: str) -> int:
    """Forget an address (local or outside) or an outside domain; return how many pairs. Raises StoreError."""
    name = store.hashed(normal(who))
    table = correspondents.c
    fits = or_(table.local == name, table.outside == name) if "@" in who else table.domain == name
    with store.writing() as connection:
        return int(connection.execute(delete(correspondents).where(fits)).rowcount)


def expire(store: Store, now: datetime) -> int:
    """Forget pairs that have not met for `correspondents_days`, and the oldest above `correspondents_most`.

    Returns how many. Raises StoreError.
    """
    last = correspondents.c.last_at
    with store.writing() as connection:
        old = last < now - timedelta(days=store.settings.correspondents_days)
        gone = int(connection.execute(delete(correspondents).where(old)).rowcount)
        over = connection.execute(
            select(last).order_by(last.desc()).offset(store.settings.correspondents_most).limit(1)
        ).scalar()
        if over is not None:
            gone += int(connection.execute(delete(correspondents).where(last <= over)).rowcount)
    return gone


def load(store: Store, now: datetime) -> Known:
    """Return everything that is known. Raises StoreError."""
    table = correspondents.c
    known: set[bytes] = set()
    seen: set[bytes] = set()
    with store.reading() as connection:
        mark = tuple(connection.execute(_SIGNATURE).one())
        since = connection.execute(select(func.min(table.first_at)).where(table.bond == Bond.SEEN)).scalar()
        wanted = list(Bond) if since is not None and since <= now - SEEN_AFTER else [Bond.WROTE, Bond.RELEASED]
        query = select(table.outside, table.domain, table.bond).where(table.bond.in_(wanted))
        for page in connection.execute(query).partitions(PAGE):
            for outside, domain, bond in page:
                (seen if bond == Bond.SEEN else known).update((outside, domain))
    return Known(frozenset(known), frozenset(seen), mark)


def signature(store: Store) -> tuple[object, ...]:
    """Return something that differs when `load` would. Raises StoreError."""
    with store.reading() as connection:
        return tuple(connection.execute(_SIGNATURE).one())
