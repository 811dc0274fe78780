"""The real gateway on loopback for tests: its loop in a thread, a byte-exact next hop, a plain-socket client.

The model and policy are stand-ins (`ScreenerStandIn`, `Verdicts`): these tests are about the conversation. Store,
settings, sockets, sessions and next-hop client are the real ones.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from byte_sink import ByteSink
from sqlalchemy import select

from milter.acquaintance import Learner
from milter.gateway import Gateway
from milter.lane import Patience
from milter.next_hop import Timeouts
from milter.record import MessageRecord
from milter.settings import Settings
from milter.trace import Tracer
from model.labels import Label
from model.mail import Mail
from model.screen import Screening
from model.verdict import Reason, Route, Score, Verdict
from quarantine.migrate import migrate
from quarantine.schema import items
from quarantine.settings import StoreSettings
from quarantine.store import Store

KEY = b"k" * 32


class Recorder:
    """Stands in for log and metrics: remembers what it was told."""

    def __init__(self) -> None:
        self.records: list[MessageRecord] = []
        self.down: list[tuple[str, str, str]] = []
        self.faults: list[BaseException] = []
        self.kinds: list[str] = []
        self.sessions = 0

    def message(self, record: MessageRecord) -> None:
        self.records.append(record)

    def next_hop_down(self, listener: str, address: str, error: str) -> None:
        self.down.append((listener, address, error))

    def session_fault(self, listener: str, peer: str, error: BaseException) -> None:
        self.faults.append(error)


class Counter:
    """Stands in for the metrics."""

    def __init__(self) -> None:
        self.messages = 0
        self.faults: list[str] = []
        self.hop_failures = 0
        self.sessions = 0

    def message(self, record: MessageRecord) -> None:
        self.messages += 1

    def fault(self, kind: str) -> None:
        self.faults.append(kind)

    def next_hop_failure(self, listener: str) -> None:
        self.hop_failures += 1

    def session_opened(self, listener: str) -> None:
        self.sessions += 1

    def session_closed(self, listener: str) -> None:
        self.sessions -= 1


class ScreenerStandIn:
    """Returns what `answer` says of a mail; remembers the bytes that it was shown."""

    def __init__(self) -> None:
        self.answer: Callable[[Mail], Screening] = lambda mail: Screening(score=score(0.01), ms={"score": 1.0})
        self.seen: list[bytes] = []

    def screen(self, mail: Mail, *, timeout: float) -> Screening:
        self.seen.append(mail.raw.read())
        return self.answer(mail)


def score(p_bad: float) -> Score:
    """A score whose most probable class is ham or spam."""
    return Score({Label.HAM: 1 - p_bad, Label.SPAM: p_bad, Label.PHISHING: 0.0, Label.FRAUD: 0.0}, "test-1")


class Verdicts:
    """Stands in for policy: a route by recipient; without a score, unscored."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.default = Route.DELIVER

    def __call__(self, screening: Screening, mail: Mail, recipient: str, policy: Any, now: Any) -> Verdict:
        if screening.score is None:
            return Verdict(Route.UNSCORED, (Reason(screening.fault or "no-score"),))
        route = self.routes.get(recipient, self.default)
        found = screening.score
        return Verdict(route, (Reason(f"test-{route}"),), found.label, found.p_bad)


@dataclass
class Rig:
    """A running gateway with everything a test wants to look at."""

    gateway: Gateway
    sink: ByteSink
    store: Store
    events: Recorder
    metrics: Counter
    screener: ScreenerStandIn
    verdicts: Verdicts
    tracer: Tracer
    loop: asyncio.AbstractEventLoop
    address: Any
    clients: list["Client"] = field(default_factory=list)

    def client(self, ehlo: bool = True) -> "Client":
        """Connect, read the greeting, say EHLO."""
        client = Client(self.address)
        self.clients.append(client)
        client.expect(220)
        if ehlo:
            client.say("EHLO client.example", 250)
        return client

    def run(self, work: Any) -> Any:
        """Run a coroutine in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def kept(self) -> list[tuple[str, str]]:
        """(recipient, state) of everything in the store, in a new read transaction."""

        def read(store: Store) -> list[tuple[str, str]]:
            with store.reading() as connection:
                return [
                    tuple(row)
                    for row in connection.execute(
                        select(items.c.recipient, items.c.state).order_by(items.c.recipient)
                    )
                ]

        return self.gateway._storing.submit(read, self.store).result(10)


class Client:
    """An SMTP client that sends exactly what it is told to."""

    def __init__(self, address: Any) -> None:
        kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(kind)
        self.socket.settimeout(20)
        self.socket.connect(address)
        self._file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def reply(self) -> tuple[int, str]:
        """Read one reply: (code, text with newlines); (0, "") when the server hung up."""
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                return 0, ""
            assert line.endswith(b"\r\n"), line
            lines.append(line[4:-2].decode())
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def expect(self, code: int) -> str:
        """Read a reply that must have this code; return its text."""
        got, text = self.reply()
        assert got == code, (got, text)
        return text

    def say(self, line: str, code: int) -> str:
        """Send a command line; its reply must have this code."""
        self.send(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.expect(code)

    def envelope(self, sender: str = "a@client.example", *recipients: str) -> None:
        """MAIL and RCPT, all of them accepted."""
        self.say(f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients or ("b@corp.example",):
            self.say(f"RCPT TO:<{recipient}>", 250)

    def message(self, content: bytes, code: int = 250) -> str:
        """DATA with `content`, whose line-initial dots are doubled here."""
        self.say("DATA", 354)
        self.send((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        return self.expect(code)

    def at_end(self) -> bool:
        """Whether the server has hung up."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def rig(
    folder: Path,
    *,
    sink: ByteSink | None = None,
    hop: str = "",
    gateway: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    quarantine: dict[str, Any] | None = None,
    timeouts: Timeouts | None = None,
    patience: Patience | None = None,
    by_settings: bool = False,
    learner: Learner | None = None,
    **listener: Any,
) -> Iterator[Rig]:
    """Run a gateway with one listener until the block ends. `hop` overrides the sink's address.

    Next hops have little time in tests, unless `by_settings`.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    sink = sink or ByteSink()
    address = run(sink.start())
    kept = StoreSettings(url=f"sqlite:///{folder}/q.db", key_file=folder / "q.key", **(quarantine or {}))
    migrate(kept)
    settings = _settings(folder, gateway or {}, policy or {}, {**listener, "next_hop": hop or address})
    store, events, metrics = Store.open(kept), Recorder(), Counter()
    screener, verdicts, tracer = ScreenerStandIn(), Verdicts(), Tracer(KEY)
    made = Gateway(
        settings,
        screener,
        store,
        events,
        metrics,
        tracer=tracer,
        decide=verdicts,
        timeouts=timeouts or (None if by_settings else Timeouts(2, 3, 3, 5)),
        patience=patience,
        learner=learner,
    )

    async def listen() -> asyncio.Server:
        return await loop.create_server(made.factory(settings.listener[0]), "127.0.0.1", 0)

    server = run(listen())
    it = Rig(made, sink, store, events, metrics, screener, verdicts, tracer, loop, server.sockets[0].getsockname())
    try:
        yield it
    finally:
        for client in it.clients:
            client.close()
        run(_stop(server, made, sink))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        made.close()
        store.close()


def _settings(
    folder: Path, gateway: dict[str, Any], policy: dict[str, Any], listener: dict[str, Any]
) -> Settings:
    """Return settings with one inbound listener before the queue, changed as told."""
    return Settings.model_validate(
        {
            "gateway": {
                "hostname": "gate.example",
                "state_dir": folder,
                "spool_dir": folder,
                "deadline": 10.0,
                **gateway,
            },
            "listener": [
                {
                    "name": "in",
                    "listen": "127.0.0.1:1",
                    "mode": "before-queue",
                    "direction": "inbound",
                    "stage": "keep",
                    "policy": "p",
                    **listener,
                }
            ],
            "policy": {"p": policy},
        }
    )


async def _stop(server: asyncio.Server, gateway: Gateway, sink: ByteSink) -> None:
    server.close()
    await gateway.drain(2.0)
    await sink.stop()
    await asyncio.sleep(0.05)
