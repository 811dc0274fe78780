"""What arrives on a session's socket: command lines, and the message after DATA (RFC 5321 section 4.1.1.4).

Only CRLF `.` CRLF ends a message; anything else that some software takes for an end of data is content, and is
counted so that it can be refused or held. Memory stays flat: octets go on to a `RawWriter` as they come.
"""

import asyncio
from dataclasses import dataclass

from model.mail import RawWriter

CHUNK = 1 << 16
END = b"\r\n.\r\n"


class LineTooLong(Exception):
    """A command line above the limit; it has been read to its end and thrown away."""


class Disconnected(Exception):
    """The client closed the connection in the middle of a line or of a message."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What was seen while a message came in. `stored` is false if the octets could not be written."""

    size: int
    nul: bool
    bare_cr: bool
    bare_lf: bool
    too_big: bool
    stored: bool

    @property
    def clean(self) -> bool:
        """Whether every line ends in CRLF and no octet is NUL."""
        return not (self.nul or self.bare_cr or self.bare_lf)


class DotReader:
    """Takes the stream after `354` apart: undoes dot-stuffing, finds the end. Knows nothing of sockets."""

    __slots__ = ("_carry", "_skip", "bare_cr", "bare_lf", "nul")

    def __init__(self) -> None:
        # as if the line end of the DATA command came first: a dot that starts the message is line-initial too
        self._carry = b"\r\n"
        self._skip = 2
        self.nul = self.bare_cr = self.bare_lf = False

    def feed(self, piece: bytes) -> tuple[bytes, bytes | None]:
        """Return (content, rest): `rest` is None until the end of data, then what came after it."""
        data = self._carry + piece
        end = data.find(END)
        if end >= 0:
            return self._content(data[: end + 2]), data[end + len(END) :]
        keep = next((n for n in (4, 3, 2, 1) if data.endswith(END[:n])), 0)
        self._carry = data[len(data) - keep :]
        return self._content(data[: len(data) - keep]), None

    def _content(self, data: bytes) -> bytes:
        crlf, cr, lf = data.count(b"\r\n"), data.count(b"\r"), data.count(b"\n")
        self.bare_cr = self.bare_cr or cr != crlf
        self.bare_lf = self.bare_lf or lf != crlf
        self.nul = self.nul or b"\0" in data
        content = data.replace(b"\r\n.", b"\r\n")
        if self._skip and content:
            content, self._skip = content[self._skip :], 0
        return content


class Inbox:
    """The reading side of a session: one buffer for commands and messages, so nothing is read twice."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = b""

    @property
    def waiting(self) -> bool:
        """Whether the client has sent more than was asked for so far."""
        return bool(self._buffer)

    async def line(self, limit: int) -> bytes:
        """Return the next line without its end. Raises LineTooLong, or Disconnected at the end of the stream."""
        too_long = False
        while (at := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > limit + 1:
                too_long, self._buffer = True, b""
            await self._more()
        line, self._buffer = self._buffer[:at], self._buffer[at + 1 :]
        line = line.removesuffix(b"\r")
        if too_long or len(line) > limit:
            raise LineTooLong
        return line

    async def message(self, writer: RawWriter, limit: int | None) -> Arrival:
        """Read a message to its end into `writer`; beyond `limit` octets, or on a full disk, only to its end."""
        dots = DotReader()
        size = 0
        too_big = False
        stored = True
        rest: bytes | None = None
        while rest is None:
            if not self._buffer:
                await self._more()
            content, rest = dots.feed(self._buffer)
            self._buffer = rest or b""
            size += len(content)
            too_big = limit is not None and size > limit
            if too_big or not stored:
                writer.discard()
                continue
            try:
                writer.write(content)
            except OSError:
                stored = False
        return Arrival(size, dots.nul, dots.bare_cr, dots.bare_lf, too_big, stored)

    async def _more(self) -> None:
        piece = await self._reader.read(CHUNK)
        if not piece:
            raise Disconnected
        self._buffer += piece
