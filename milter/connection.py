"""The life of one client connection: greeting, timer, the loop that writes replies, an orderly end.

A subclass of aiosmtpd's SMTP, which gives the stream and its timer. Its command loop is replaced: it upper-cases
parameters, refuses DSN's, has no XFORWARD, answers 500 to a fault of ours, takes a bare end of line for one, and
keeps whole messages in memory. What a command means is the business of `milter.session`.
"""

import asyncio
import logging
from abc import ABC, abstractmethod

from aiosmtpd.smtp import SMTP

from milter.data import Disconnected, Inbox, LineTooLong
from milter.lane import Lane
from milter.replies import AFTER_QUEUE, Event, Reply, reply
from model.mail import CHUNK

COMMAND_LIMIT = 1_000
ERROR_LIMIT = 3
GOODBYE = 1.0
"""Seconds in which a client that we want to leave may still say QUIT, or read what it was told, by itself."""
ERRORS = frozenset({Event.UNKNOWN_COMMAND, Event.NOT_IMPLEMENTED, Event.LINE_TOO_LONG, Event.SYNTAX})

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own lines quote commands and addresses


class Connection(SMTP, ABC):  # type: ignore[misc]
    """One client. `registry` is where open connections are known, for draining; `ended` is done at its end."""

    line_length_limit = CHUNK  # the stream's buffer; the limit on commands is our own

    def __init__(self, lane: Lane, registry: set["Connection"]) -> None:
        super().__init__(None, hostname=lane.hostname, timeout=lane.patience.command,
                         loop=asyncio.get_running_loop())
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self._lane = lane
        self._registry = registry
        self._inbox: Inbox
        self._peer = ""
        self._errors = 0
        self._left = False
        self._retiring = False
        self._idle = True

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a message has been begun and not ended."""

    @abstractmethod
    async def answer(self, verb: str, argument: str | None) -> Reply:
        """Carry out a command; the argument is None for a line that is no command at all."""

    @abstractmethod
    def give_up(self, event: Event) -> Reply:
        """Give an open transaction up and return the reply that says so."""

    @abstractmethod
    def leave(self) -> None:
        """The connection is ending: let go of everything."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new client in."""
        self._registry.add(self)
        self._lane.metrics.session_opened(self._lane.name)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that nobody waits for replies any more."""
        self._left = True
        self._registry.discard(self)
        self._lane.metrics.session_closed(self._lane.name)
        self.ended.set_result(None)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """Note that the client sends no more; commands that are here already are still answered."""
        self._left = True
        return asyncio.StreamReaderProtocol.eof_received(self)

    def retire(self) -> None:
        """End the session soon after no transaction is open: the client may still leave by itself."""
        self._retiring = True
        if self._idle and not self.in_transaction and self.transport is not None:
            self._reset_timeout(GOODBYE)

    def abort(self) -> None:
        """End the session at once."""
        if self.transport is not None:
            self.transport.abort()

    def _timeout_cb(self) -> None:
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.transport.abort()  # it does not even read what we have said; close() would wait for that
        else:
            self._farewell(Event.SHUTTING_DOWN if self._leaving else Event.COMMAND_TIMEOUT)

    @property
    def _leaving(self) -> bool:
        return self._retiring and not self.in_transaction

    def _farewell(self, event: Event) -> None:
        """Close; an after-queue client is not told 421, since Postfix would leave us alone for minutes then."""
        if self.transport is None:
            return
        if self._lane.mode != AFTER_QUEUE or event is not Event.SHUTTING_DOWN:
            self._writer.write(reply(event).wire())
        self.transport.close()

    async def _handle_client(self) -> None:
        """Greet, then answer one command after the other until either side ends it."""
        self._inbox = Inbox(self._reader)
        try:
            await self._say(Reply(220, "", (f"{self._lane.hostname} ESMTP",)))
            while self.transport is not None:
                self._reset_timeout(GOODBYE if self._leaving else self._lane.patience.command)
                self._idle = True
                answer = await self._next()
                self._reset_timeout(self._lane.patience.command)  # also for a client that reads no replies
                await self._say(answer)
                if answer.close:
                    break
        except (Disconnected, ConnectionError):
            pass
        finally:
            self.leave()
            if self.transport is not None:
                self.transport.close()

    async def _say(self, answer: Reply) -> None:
        self._writer.write(answer.wire())
        await self._writer.drain()

    async def _next(self) -> Reply:
        try:
            line = await self._inbox.line(COMMAND_LIMIT)
            self._idle = False
            self._timeout_handle.cancel()
            return await self.answer(*_command(line))
        except LineTooLong:
            return self._erred(Event.LINE_TOO_LONG)
        except (Disconnected, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours is 451 and never ends in a bounce
            return await self.handle_exception(error)

    async def handle_exception(self, error: Exception) -> Reply:
        """Tell the operator, drop what was begun, and say 451 with a fixed text."""
        self._lane.events.session_fault(self._lane.name, self._peer, error)
        self._lane.metrics.fault("session")
        return self.give_up(Event.INTERNAL)

    def _erred(self, event: Event) -> Reply:
        """Count what a client gets wrong by itself; after a few of these it is not worth listening to."""
        answer = reply(event)
        if event in ERRORS:
            self._errors += 1
            if self._errors > ERROR_LIMIT:
                return reply(Event.TOO_MANY_ERRORS)
        return answer


def _command(line: bytes) -> tuple[str, str | None]:
    """Return (verb, argument); the argument is None for a line that is no command at all."""
    verb, _, rest = line.partition(b" ")
    if not verb.isalpha() or any(octet < 32 or octet == 127 for octet in line):
        return "", None
    return verb.decode("ascii").upper(), rest.strip(b" ").decode("utf-8", "surrogateescape")
