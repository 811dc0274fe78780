"""The sending side: an SMTP client that changes no octet and puts nothing but CRLF line ends on the wire.

One `NextHop` is one connection, used for any number of transactions in a row. Replies, also refusals, are
values; a connection that failed is a `HopError`. RFC 5321, 1870, 6152, 6531, 3461, and Postfix's XFORWARD.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from milter.endpoint import Endpoint
from milter.replies import Reply, from_wire
from milter.xforward import words
from model.mail import Envelope

LINE_LIMIT = 4096
REPLY_LINES = 128
FORWARD_LINE = 500
QUICK = 2.0
"""Seconds that a next hop has to answer commands with nothing to do, for which nobody should be kept waiting."""


class HopError(Exception):
    """The connection to the next hop is of no more use. `after_dot`: it may or may not have taken the message."""

    def __init__(self, detail: str, *, after_dot: bool = False, nonsense: bool = False) -> None:
        super().__init__(detail)
        self.after_dot = after_dot
        self.nonsense = nonsense


class UnsendableError(ValueError):
    """The message has a bare CR, a bare LF or a NUL octet: it cannot go out without being changed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a stage may take. `done` is for the reply to the dot, when the next hop makes mail durable."""

    connect: float = 10.0
    command: float = 60.0
    block: float = 60.0
    done: float = 300.0


DEFAULT_TIMEOUTS = Timeouts()


class NextHop:
    """One connection to the next hop. Build it with `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeouts: Timeouts) -> None:
        self._reader = reader
        self._writer = writer
        self._timeouts = timeouts
        self.capabilities: Mapping[str, str] = {}

    @classmethod
    async def connect(cls, endpoint: Endpoint, helo: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Self:
        """Connect, wait for the greeting, say EHLO (or HELO). Raises HopError, also for a refused greeting."""
        try:
            async with asyncio.timeout(timeouts.connect):
                if endpoint.path:
                    streams = await asyncio.open_unix_connection(endpoint.path, limit=LINE_LIMIT)
                else:
                    streams = await asyncio.open_connection(endpoint.host, endpoint.port, limit=LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            raise HopError(f"cannot connect to {endpoint}: {_named(error)}") from error
        hop = cls(*streams, timeouts)
        try:
            await hop._greet(helo)
        except BaseException:
            hop.abort()
            raise
        return hop

    async def _greet(self, helo: str) -> None:
        greeting = await self._reply(self._timeouts.command)
        if not greeting.positive:
            raise HopError(f"greeting was {greeting.text}")
        await self._send(f"EHLO {helo}\r\n".encode("ascii", "replace"), self._timeouts.command)
        code, lines = await self._lines(self._timeouts.command)
        if 200 <= code < 300:
            pairs = (line.partition(" ") for line in lines[1:])
            self.capabilities = {name.upper(): rest for name, _, rest in pairs if name}
            return
        answer = await self.command(f"HELO {helo}")
        if not answer.positive:
            raise HopError(f"answer to HELO was {answer.text}")

    async def command(self, line: str, patience: float | None = None) -> Reply:
        """Send one command line and return the reply. Raises HopError."""
        octets = line.encode("utf-8", "surrogateescape")
        if any(o in octets for o in b"\r\n\0"):
            raise ValueError("a command is one line")
        await self._send(octets + b"\r\n", self._timeouts.command)
        return await self._reply(patience or self._timeouts.command)

    async def xforward(self, attributes: Mapping[str, str]) -> Reply | None:
        """Tell the next hop of the client, as far as it announced that it listens; None if nothing was said."""
        line = ""
        answer = None
        for word in words(attributes, self.capabilities.get("XFORWARD", "")):
            if line and len(line) + 1 + len(word) > FORWARD_LINE:
                answer = await self.command("XFORWARD" + line)
                line = ""
            line += f" {word}"
        return await self.command("XFORWARD" + line) if line else answer

    async def mail(self, sender: str, params: Sequence[str] = ()) -> Reply:
        """MAIL, with parameters as they came."""
        return await self.command(" ".join((f"MAIL FROM:<{sender}>", *params)))

    async def rcpt(self, address: str, params: Sequence[str] = ()) -> Reply:
        """RCPT, with parameters as they came."""
        return await self.command(" ".join((f"RCPT TO:<{address}>", *params)))

    async def rset(self) -> Reply:
        """Forget the transaction. It costs nothing, so there is no waiting for a next hop that is slow to say so."""
        return await self.command("RSET", patience=QUICK)

    async def data(self, chunks: Iterable[bytes], before_dot: Callable[[], None] | None = None) -> Reply:
        """Send a message and return the reply to its dot (or to DATA, if that was refused).

        `before_dot` is called when everything but the dot has been sent; what it raises ends the connection, so
        the next hop forgets the message. Raises HopError, and UnsendableError before an octet that is not fit
        to be sent; both leave the connection closed.
        """
        answer = await self.command("DATA")
        if answer.positive:
            raise self._nonsense(f"answer to DATA was {answer.text}")
        if answer.code != 354:
            return answer
        try:
            for block in dot_stuffed(chunks):
                await self._send(block, self._timeouts.block)
                await asyncio.sleep(0)  # a next hop that is always quick must not keep everybody else waiting
            if before_dot is not None:
                before_dot()
        except BaseException:
            self.abort()
            raise
        try:
            await self._send(b".\r\n", self._timeouts.block)
            return await self._reply(self._timeouts.done)
        except HopError as error:
            raise HopError(str(error), after_dot=True) from error

    async def quit(self) -> None:
        """Leave politely; what goes wrong here no longer matters to any message."""
        with contextlib.suppress(HopError):
            await self.command("QUIT", patience=QUICK)
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()

    @property
    def closed(self) -> bool:
        """Whether the connection is known to have ended."""
        return self._writer.is_closing() or self._reader.at_eof()

    async def _send(self, octets: bytes, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                self._writer.write(octets)
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            self.abort()
            raise HopError(f"sending failed: {_named(error)}") from error

    async def _reply(self, patience: float) -> Reply:
        return from_wire(*await self._lines(patience))

    async def _lines(self, patience: float) -> tuple[int, tuple[str, ...]]:
        try:
            async with asyncio.timeout(patience):
                return await self._read_lines()
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            self.abort()
            raise HopError(f"no reply: {_named(error)}") from error

    async def _read_lines(self) -> tuple[int, tuple[str, ...]]:
        lines: list[str] = []
        code = 0
        while len(lines) < REPLY_LINES:
            line = (await self._reader.readuntil(b"\n")).rstrip(b"\r\n").decode("utf-8", "replace")
            number, mark, text = line[:3], line[3:4], line[4:]
            fits = number.isascii() and number.isdigit() and mark in ("", " ", "-")
            if not fits or not 200 <= int(number) < 600 or (code and int(number) != code):
                raise self._nonsense("a reply that is not SMTP")
            code = int(number)
            lines.append(text)
            if mark != "-":
                return code, tuple(lines)
        raise self._nonsense(f"a reply of more than {REPLY_LINES} lines")

    def _nonsense(self, detail: str) -> HopError:
        self.abort()
        return HopError(detail, nonsense=True)


async def send_message(endpoint: Endpoint, envelope: Envelope, chunks: Iterable[bytes], *, helo: str,
                       attributes: Mapping[str, str] | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Reply:
    """Send one message in a connection of its own and return the reply that decided.

    Any refused recipient refuses the whole: nothing has been sent then. `attributes` are for XFORWARD; a
    released inbound message has `{"SOURCE": "REMOTE"}`. Raises HopError or UnsendableError.
    """
    hop = await NextHop.connect(endpoint, helo, timeouts)
    try:
        answer = await _open(hop, envelope, attributes or {})
        if answer.positive:
            answer = await hop.data(chunks)
        if not hop.closed:
            await hop.quit()
        return answer
    finally:
        hop.abort()


async def _open(hop: NextHop, envelope: Envelope, attributes: Mapping[str, str]) -> Reply:
    if attributes:
        await hop.xforward(attributes)
    answer = await hop.mail(envelope.sender, envelope.params)
    for recipient in envelope.recipients:
        if not answer.positive:
            break
        answer = await hop.rcpt(recipient.address, recipient.params)
    return answer


def dot_stuffed(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield a message's octets with line-initial dots doubled (RFC 5321 section 4.5.2) and a CRLF at the end.

    Raises UnsendableError, before the chunk that has it, for a bare CR, a bare LF or NUL.
    """
    carry = b"\r\n"  # a dot that starts the message is line-initial too
    skip = 2
    for chunk in chunks:
        data = carry + chunk
        keep = 2 if data.endswith(b"\r\n") else 1 if data.endswith(b"\r") else 0
        carry, data = data[len(data) - keep :], data[: len(data) - keep]
        crlf = data.count(b"\r\n")
        if data.count(b"\r") != crlf or data.count(b"\n") != crlf or b"\0" in data:
            raise UnsendableError("bare CR, bare LF or NUL")
        data = data.replace(b"\r\n.", b"\r\n..")
        yield data[skip:]  # also when that is nothing: whoever sends may want to look up between chunks
        skip = 0 if data else skip
    if carry == b"\r":
        raise UnsendableError("bare CR at the end")
    yield carry[skip:] if carry else b"\r\n"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__} {error}".strip()
