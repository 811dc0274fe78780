"""A next hop for tests: a small SMTP server that keeps the octets exactly as they came, and fails on demand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

EHLO = (
    "PIPELINING",
    "SIZE 52428800",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT",
)


STALL = "stall"


@dataclass
class Received:
    """One accepted transaction: arguments as they came, `wire` with its doubled dots, without the last dot."""

    mail: str
    rcpts: list[str]
    wire: bytes
    xforward: list[str] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The message as RFC 5321 section 4.5.2 undoes the doubled dots."""
        return (b"\r\n" + self.wire).replace(b"\r\n.", b"\r\n")[2:]


class ByteSink:
    """Answers 250 unless `answer(command line)` returns other text; "" there hangs up, None is the default, and
    STALL is no answer at all.

    The pseudo commands CONNECT, BODY (the dot of `354` has been seen) and TEXT (while the message comes in) go
    through `answer` too. `delay` seconds pass before the reply to the dot.
    """

    def __init__(
        self, features: tuple[str, ...] = EHLO, answer: Callable[[str], str | None] = lambda line: None
    ) -> None:
        self.features = features
        self.answer = answer
        self.delay = 0.0
        self.received: list[Received] = []
        self.commands: list[str] = []
        self.raw = bytearray()
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: str = "", host: str = "127.0.0.1") -> str:
        """Listen on a free loopback port, or at a unix socket; return the address as settings have it."""
        if path:
            self._server = await asyncio.start_unix_server(self._client, path, limit=1 << 20)
            return f"unix:{path}"
        self._server = await asyncio.start_server(self._client, host, 0, limit=1 << 20)
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (EOFError, ConnectionError, asyncio.CancelledError, _HangUp):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901
        async def say(line: str, default: str, taken: Received | None = None) -> str:
            text = self.answer(line)
            if text == "":
                raise _HangUp
            if text == STALL:
                await asyncio.sleep(3600)
            text = default if text is None else text
            if taken and text.startswith("2"):
                self.received.append(taken)  # before the reply: who waits for that may look at once
            writer.write(text.encode() + b"\r\n")
            await writer.drain()
            return text

        await say("CONNECT", "220 sink ESMTP")
        current = Received("", [], b"")
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "surrogateescape")
            self.commands.append(line)
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    lines = ("sink", *self.features)
                    await say(line, "\r\n".join(f"250{'-' if f is not lines[-1] else ' '}{f}" for f in lines))
                case "HELO":
                    await say(line, "250 sink")
                case "XFORWARD":
                    current.xforward.append(rest)
                    await say(line, "250 2.0.0 Ok")
                case "MAIL":
                    if (await say(line, "250 2.1.0 Ok")).startswith("2"):
                        current.mail = rest.removeprefix("FROM:")
                case "RCPT":
                    if (await say(line, "250 2.1.5 Ok")).startswith("2"):
                        current.rcpts.append(rest.removeprefix("TO:"))
                case "RSET":
                    current = Received("", [], b"")
                    await say(line, "250 2.0.0 Ok")
                case "DATA":
                    if not (await say(line, "354 go on")).startswith("3"):
                        continue
                    current.wire = await self._message(reader)
                    await asyncio.sleep(self.delay)
                    await say("BODY", f"250 2.0.0 Ok: queued as SINK{len(self.received)}", current)
                    current = Received("", [], b"")
                case "QUIT":
                    await say(line, "221 2.0.0 Bye")
                    return
                case _:
                    await say(line, "502 5.5.2 what?")

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        got = bytearray(b"\r\n")
        while not got.endswith(b"\r\n.\r\n"):
            piece = await reader.read(1 << 16)
            self.raw += piece
            if not piece or self.answer("TEXT") == "":
                raise _HangUp
            got += piece
        return bytes(got[2:-3])


class _HangUp(Exception):
    pass
