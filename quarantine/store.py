"""The store: what the gateway writes. Every method is one transaction, durable when it returns.

One `Store` belongs to one thread of one process and is opened after any fork; any number of processes may have
one on the same database.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select, update

from model.mail import Mail
from quarantine.bodies import SALT, Vault
from quarantine.engine import make_engine, transaction
from quarantine.errors import StoreError, StoreFull
from quarantine.item import KEPT_AS, State
from quarantine.migrate import check_key, check_schema
from quarantine.record import ItemRecord, Kept, MessageRecord, column
from quarantine.schema import bodies, items, messages
from quarantine.settings import StoreSettings

__all__ = ["Clock", "Kept", "Store", "StoreError", "StoreFull", "Ticket", "drop_orphan", "new_id", "utc_now"]

Clock = Callable[[], datetime]
ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o, u: read aloud and typed without mistakes
ID_LENGTH = 12
HASH = 16  # octets of a keyed hash
SAMPLING_SPAN = timedelta(days=1)
"""The time over which `sample_most` counts."""


def new_id() -> str:
    """Return 60 random bits in 12 letters: short enough to type, and not to be guessed."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What `keep` wrote: the message and its items, in the order of `kept`."""

    message: str
    items: tuple[str, ...]


class Store:
    """The quarantine's database, open."""

    def __init__(
        self,
        settings: StoreSettings,
        engine: Engine,
        key: bytes,
        *,
        clock: Clock,
        ids: Callable[[], str],
        entropy: Callable[[int], bytes],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.engine = engine
        self._key = key
        self._hash_key = hmac.digest(key, b"gatepost correspondents", hashlib.sha256)
        self._ids = ids
        self._entropy = entropy

    @classmethod
    def open(
        cls,
        settings: StoreSettings,
        *,
        clock: Clock = utc_now,
        ids: Callable[[], str] = new_id,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> Self:
        """Open a database that `migrate` made. Raises StoreError if it is missing, damaged, old or not ours."""
        engine = make_engine(settings)
        try:
            check_schema(engine, settings.path)
            key = check_key(engine, settings.path, settings.key_file)
        except StoreError:
            engine.dispose()
            raise
        return cls(settings, engine, key, clock=clock, ids=ids, entropy=entropy)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def reading(self) -> Any:
        """Return a context manager that yields a connection in a read transaction."""
        return transaction(self.engine, self.settings.path, write=False)

    def writing(self) -> Any:
        """Return a context manager that yields a connection in a write transaction."""
        return transaction(self.engine, self.settings.path, write=True)

    def vault(self, message: str, salt: bytes) -> Vault:
        """Return what seals and opens one message."""
        return Vault(self._key, salt, message, self._entropy)

    def hashed(self, name: str) -> bytes:
        """Return the keyed hash of an address or domain; without the key file nobody can make or test one."""
        return hmac.digest(self._hash_key, name.encode("utf-8", "surrogateescape"), hashlib.sha256)[:HASH]

    def keep(self, mail: Mail, kept: Sequence[Kept], *, pending: bool, listener: str = "") -> Ticket:
        """Write a message and its kept recipients; durable when it returns.

        With `pending` the items count for nothing until `confirm`: some other recipient of the same
        transaction is still being delivered. Raises StoreFull or StoreError, and then nothing was written.
        """
        if not kept:
            raise ValueError("nothing to keep")
        states = [State.PENDING if pending else state for state in map(_kept_as, kept)]
        ticket, write = self._prepared(mail, kept, states, listener, drawn=None)
        with self.writing() as connection:
            write(connection)
        return ticket

    def sample(self, mail: Mail, copy: Kept, *, drawn: float, listener: str = "") -> Ticket | None:
        """Write a copy of a message that was delivered, drawn with probability `drawn`; None: enough for today.

        Raises StoreFull or StoreError, and then nothing was written.
        """
        with self.reading() as connection:
            if not self._room_for_sample(connection):
                return None
        ticket, write = self._prepared(mail, [copy], [State.SAMPLED], listener, drawn=drawn)
        with self.writing() as connection:
            if not self._room_for_sample(connection):  # another worker was faster
                return None
            write(connection)
        return ticket

    def tag(self, mail: Mail, tagged: Sequence[Kept], listener: str = "") -> Ticket:
        """Write which recipients got a copy that only the breaker kept from being kept; no body, no text of it.

        Raises StoreFull or StoreError, and then nothing was written.
        """
        ticket, write = self._prepared(mail, tagged, [State.TAGGED] * len(tagged), listener, drawn=None, body=False)
        with self.writing() as connection:
            write(connection)
        return ticket

    def _room_for_sample(self, connection: Connection) -> bool:
        since = self.clock() - SAMPLING_SPAN
        query = select(func.count()).where(items.c.kept_at > since, items.c.drawn.is_not(None))
        return int(connection.execute(query).scalar_one()) < self.settings.sample_most

    def _prepared(
        self, mail: Mail, kept: Sequence[Kept], states: Sequence[State], listener: str, *, drawn: float | None,
        body: bool = True,
    ) -> tuple[Ticket, Callable[[Connection], None]]:
        """Seal a message and its items; return what writes them."""
        ticket = Ticket(self._ids(), tuple(self._ids() for _ in kept))
        salt = self._entropy(SALT)
        vault = self.vault(ticket.message, salt)
        # Compressing and sealing come before the transaction, so that no other writer waits for them.
        rows = vault.seal_body(mail.raw.chunks()) if body else []
        now = self.clock()
        message = self._message_row(ticket, mail, kept[0], vault, salt, now, body=body)
        message |= {"listener": column(listener), "stored": sum(map(len, rows)), "pieces": len(rows)}
        item_rows = [
            self._item_row(item, ticket.message, one, vault, now, state) | {"drawn": drawn}
            for item, one, state in zip(ticket.items, kept, states, strict=True)
        ]

        def write(connection: Connection) -> None:
            connection.execute(insert(messages), message)
            for number, data in enumerate(rows):
                connection.execute(insert(bodies), {"message_id": ticket.message, "number": number, "data": data})
            connection.execute(insert(items), item_rows)

        return ticket, write

    def confirm(self, ticket: Ticket) -> None:
        """Make a pending ticket count; durable when it returns, so that 250 may be said then and not before.

        Raises StoreError if it is not pending any more. Answer 451 then: the mail is kept nowhere.
        """
        now = self.clock()
        with self.writing() as connection:
            done = 0
            for state in (State.QUARANTINED, State.HELD):
                routes = [route for route, kept_as in KEPT_AS.items() if kept_as is state]
                change = update(items).where(
                    items.c.id.in_(ticket.items), items.c.state == State.PENDING, items.c.route.in_(routes)
                )
                done += connection.execute(change.values(state=state, changed_at=now)).rowcount
            if done != len(ticket.items):
                raise StoreError("the kept mail is not pending any more")

    def cancel(self, ticket: Ticket) -> None:
        """Take a pending ticket back: the client heard a failure and will come again. Twice is once.

        Raises StoreError if it was confirmed already.
        """
        with self.writing() as connection:
            pending = (items.c.id.in_(ticket.items), items.c.state == State.PENDING)
            connection.execute(delete(items).where(*pending))
            drop_orphan(connection, ticket.message)
            if connection.execute(select(exists().where(items.c.id.in_(ticket.items)))).scalar():
                raise StoreError("the kept mail was confirmed already")

    def _message_row(
        self, ticket: Ticket, mail: Mail, first: Kept, vault: Vault, salt: bytes, now: datetime, *, body: bool
    ) -> dict[str, Any]:
        score = first.screening.score
        record = MessageRecord.of(mail, first.screening)
        return {
            "id": ticket.message,
            "kept_at": now,
            "direction": mail.direction,
            "sender": column(mail.envelope.sender),
            "size": mail.raw.size,
            "body": body,
            "model": column(score.model) if score else "",
            "salt": salt,
            "record": vault.seal_small("message", (record if body else record.lean()).to_bytes()),
        }

    def _item_row(
        self, item: str, message: str, one: Kept, vault: Vault, now: datetime, state: State
    ) -> dict[str, Any]:
        verdict = one.verdict
        held = state not in (State.SAMPLED, State.TAGGED) and _kept_as(one) is State.HELD
        return {
            "id": item,
            "message_id": message,
            "state": state,
            "kept_at": now,
            "changed_at": now,
            "recipient": column(one.recipient.address),
            "route": verdict.route,
            "reason": verdict.reasons[0].code if verdict.reasons else "",
            "label": verdict.label,
            "p_bad": verdict.p_bad,
            "reviewed": None,
            "deadline": now + self.settings.hold_deadline if held else None,
            "before": None,
            "attempt": 0,
            "record": vault.seal_small(
                f"item {item}", ItemRecord(one.recipient, verdict.reasons, one.trace).to_bytes()
            ),
        }


def _kept_as(one: Kept) -> State:
    """Return the state in which mail with this verdict is kept. Raises ValueError if it is none to keep."""
    state = KEPT_AS.get(one.verdict.route)
    if state is None:
        raise ValueError(f"mail with route {one.verdict.route} is not kept")
    return state


def drop_orphan(connection: Connection, message: str) -> None:
    """Delete a message, and with it its body, if no item is left of it."""
    left = exists().where(items.c.message_id == message)
    connection.execute(delete(messages).where(messages.c.id == message, ~left))
