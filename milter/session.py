"""What commands mean: a conversation that promises no more than the next hop does.

Handlers return replies. MAIL and RCPT go to the next hop as they arrive; a message is read to disk and then
belongs to a `Transaction`, which runs to its end even if the client leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from milter.announce import EVERYTHING, announced, feature_lines
from milter.connection import Connection
from milter.data import Arrival, Disconnected
from milter.esmtp import ParameterError, Path, declared_size, mail_params, parse_path, rcpt_params
from milter.lane import Lane
from milter.link import Link
from milter.next_hop import HopError
from milter.replies import AFTER_QUEUE, Event, Reply, holds, passed_on, reply
from milter.transaction import Transaction
from milter.xforward import Forwarded, ForwardError
from model.mail import Envelope, Mail, RawWriter, Recipient

RECIPIENT_LIMIT = 10_000
WEB_VERBS = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "TRACE", "PATCH"})

T = TypeVar("T")
Handler = Callable[[str], Awaitable[Reply]]


class Session(Connection):
    """One client's conversation, and its way to the next hop."""

    def __init__(self, lane: Lane, registry: set[Connection]) -> None:
        super().__init__(lane, registry)
        self._link = Link(lane.next_hop, lane.hostname, lane.timeouts)
        self._forwarded = Forwarded()
        self._helo = ""
        self._announced: dict[str, str] = {}
        self._path: Path | None = None
        self._sender_params: tuple[str, ...] = ()
        self._recipients: list[Recipient] = []
        self._broken: Event | None = None
        self._running: asyncio.Future[Reply] | None = None
        self._handlers: dict[str, Handler] = {
            "EHLO": self._ehlo, "HELO": self._helo_, "MAIL": self._mail, "RCPT": self._rcpt, "DATA": self._data,
            "RSET": self._rset, "NOOP": self._noop, "QUIT": self._quit, "VRFY": self._vrfy,
            "XFORWARD": self._xforward,
        }

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL has been accepted and nothing has ended it."""
        return self._path is not None

    async def answer(self, verb: str, argument: str | None) -> Reply:
        """Carry out a command; a next hop that cannot be talked to is 451 up to the end of the transaction."""
        if verb in WEB_VERBS:
            return reply(Event.WEB_CLIENT)
        if self._inbox.waiting and ("PIPELINING" not in self._announced or verb in ("EHLO", "HELO", "DATA")):
            return reply(Event.EARLY_TALKER)
        handler = self._handlers.get(verb)
        if argument is None or (handler is None and verb not in _REFUSED):
            return self._erred(Event.UNKNOWN_COMMAND)
        if handler is None:
            return self._erred(_REFUSED[verb])
        try:
            return await handler(argument)
        except ParameterError as error:
            return self._erred(Event(error.fault))
        except HopError as error:
            self._lane.hop_down(str(error))
            return self.give_up(Event.HOP_NONSENSE if error.nonsense else Event.HOP_DOWN)

    def give_up(self, event: Event) -> Reply:
        """Give an open transaction up, but not its state: what the client has sent ahead is 451 too, not 503."""
        self._link.drop()
        self._broken = event
        return reply(event)

    def leave(self) -> None:
        """Leave the next hop: when a running transaction has ended, at once if we are cancelled, else politely."""
        task = asyncio.current_task()
        if self._running is not None and not self._running.done():
            self._running.add_done_callback(lambda _: self._link.drop())
        elif task is not None and task.cancelling():
            self._link.drop()
        else:
            _in_background(self._link.close())

    async def _ehlo(self, argument: str) -> Reply:
        if not argument:
            return self._erred(Event.SYNTAX)
        await self._rset("")
        self._helo = argument
        try:
            theirs = dict((await self._link.up()).capabilities)
            self._lane.known[str(self._lane.next_hop)] = theirs
        except HopError as error:
            # MAIL will be 451. Promising less here would make an upstream bounce what it cannot hand over so.
            self._lane.hop_down(str(error))
            theirs = dict(self._lane.known.get(str(self._lane.next_hop), EVERYTHING))
        ours = 0 if holds(Event.TOO_BIG, self._lane.mode) else self._lane.max_message_bytes
        self._announced = announced(theirs, ours)
        return Reply(250, "", (self._lane.hostname,
                               *feature_lines(self._announced, xforward=self._lane.trusts(self._peer))))

    async def _helo_(self, argument: str) -> Reply:
        if not argument:
            return self._erred(Event.SYNTAX)
        await self._rset("")
        self._helo = argument
        self._announced = {}
        return Reply(250, "", (self._lane.hostname,))

    async def _xforward(self, argument: str) -> Reply:
        if not self._lane.trusts(self._peer):
            return reply(Event.NOT_TRUSTED)
        if self._path is not None and self._broken is None:
            return reply(Event.BAD_SEQUENCE)
        if self._path is not None:
            self._forget()  # a transaction that broke has ended, and its client with it
        try:
            self._forwarded.update(argument)
        except ForwardError:
            return self._erred(Event.SYNTAX)
        return reply(Event.XFORWARD_OK)

    async def _mail(self, argument: str) -> Reply:
        if self._broken is not None:
            self._forget(keep_forwarded=self._path is None)  # a MAIL that went nowhere began nothing
        if not self._helo or self._path is not None:
            return reply(Event.BAD_SEQUENCE)
        if self._retiring and self._lane.mode != AFTER_QUEUE:
            return reply(Event.SHUTTING_DOWN)
        path = parse_path(argument, "FROM:")
        params = mail_params(path, self._announced)
        if declared_size(path.params) > self._size_limit() and not holds(Event.TOO_BIG, self._lane.mode):
            return reply(Event.TOO_BIG)
        hop = await self._link.up()
        if not self._announced.keys() <= {*hop.capabilities}:
            return reply(Event.HOP_DOWN)  # it came back as less than we said it was
        answer = passed_on(await self._link.mail(path.address, params, self._forwarded.attributes))
        if not answer.positive:
            return answer
        self._path, self._sender_params = path, params
        return reply(Event.SENDER_OK)

    async def _rcpt(self, argument: str) -> Reply:
        if self._broken is not None:
            return reply(self._broken)
        if self._path is None:
            return reply(Event.BAD_SEQUENCE)
        path = parse_path(argument, "TO:")
        if not path.address:
            return self._erred(Event.BAD_ADDRESS)
        params = rcpt_params(path, self._announced)
        if len(self._recipients) >= RECIPIENT_LIMIT:
            return reply(Event.TOO_MANY_RECIPIENTS)
        answer = passed_on(await self._link.current().rcpt(path.address, params))
        if not answer.positive:
            return answer
        self._recipients.append(Recipient(path.address, params))
        return replace(reply(Event.RECIPIENT_OK), code=answer.code)

    async def _data(self, argument: str) -> Reply:
        if argument:
            return self._erred(Event.SYNTAX)
        if self._broken is not None:
            return reply(self._broken)
        if self._path is None or not self._recipients:
            return reply(Event.BAD_SEQUENCE)
        envelope = Envelope(self._path.address, tuple(self._recipients), self._sender_params,
                            self._forwarded.client(self._peer, self._helo))
        attributes = dict(self._forwarded.attributes)
        writer = RawWriter(self._lane.spool_dir)
        try:
            self._reset_timeout(self._lane.patience.data)  # also for a client that does not read our go-ahead
            await self._say(reply(Event.START_DATA))
            limit = None if holds(Event.TOO_BIG, self._lane.mode) else self._size_limit()
            arrival = await self._inbox.message(writer, limit)
            self._timeout_handle.cancel()
        except BaseException as error:
            writer.discard()
            self._link.drop()
            if not isinstance(error, Exception) or isinstance(error, (Disconnected, ConnectionError)):
                raise
            return replace(await self.handle_exception(error), close=True)  # the rest of a message is no command
        self._forget()
        mail = Mail(envelope, writer.finish(), self._lane.direction)
        work = Transaction(self._lane, self._link, mail, attributes, size=arrival.size,
                           fault=self._wrong_with(arrival), present=lambda: not self._left)
        self._running = _in_background(work.run())
        return await asyncio.shield(self._running)

    def _wrong_with(self, arrival: Arrival) -> Event | None:
        if not arrival.stored:
            return Event.SPOOL_FULL
        if arrival.too_big or arrival.size > self._lane.max_message_bytes:
            return Event.TOO_BIG
        return None if arrival.clean else Event.BAD_LINE_ENDING

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return self._erred(Event.SYNTAX)
        if self._path is not None:
            await self._link.reset()
        self._forget()
        return reply(Event.OK)

    async def _noop(self, _: str) -> Reply:
        return reply(Event.OK)

    async def _quit(self, _: str) -> Reply:
        return reply(Event.BYE)

    async def _vrfy(self, argument: str) -> Reply:
        return reply(Event.VERIFY) if argument else self._erred(Event.SYNTAX)

    def _size_limit(self) -> int:
        """Octets that a message may have where it can be refused: what we announced, else our own limit."""
        return int(self._announced.get("SIZE") or self._lane.max_message_bytes)

    def _forget(self, *, keep_forwarded: bool = False) -> None:
        """End the transaction on our side; XFORWARD lasts no longer than that."""
        self._path = None
        self._broken = None
        self._sender_params = ()
        self._recipients = []
        if not keep_forwarded:
            self._forwarded.clear()


_REFUSED = {
    "STARTTLS": Event.NOT_IMPLEMENTED, "AUTH": Event.NOT_IMPLEMENTED, "EXPN": Event.NOT_IMPLEMENTED,
    "HELP": Event.NOT_IMPLEMENTED, "ETRN": Event.NOT_IMPLEMENTED, "TURN": Event.NOT_IMPLEMENTED,
    "SEND": Event.NOT_IMPLEMENTED, "SOML": Event.NOT_IMPLEMENTED, "SAML": Event.NOT_IMPLEMENTED,
    "XCLIENT": Event.NOT_IMPLEMENTED, "BDAT": Event.CHUNKING,
}
_BACKGROUND: set[asyncio.Future[Any]] = set()  # the loop itself keeps only weak references to tasks


async def settled(seconds: float) -> None:
    """Wait for what outlives its session: transactions without a client, and goodbyes to next hops."""
    if _BACKGROUND:
        await asyncio.wait(tuple(_BACKGROUND), timeout=seconds)


def _in_background(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    task = asyncio.ensure_future(work)
    _BACKGROUND.add(task)
    task.add_done_callback(_BACKGROUND.discard)
    return task
