"""A worker process: inherits the listening sockets, loads the model, takes mail while it has room.

Started by the supervisor as `python -P -m milter.worker FD`, where FD is its end of the line (`milter.channel`).
It says `ready` after its self-test, or `failed` with a sentence for the operator; `drain`, SIGTERM or the end of
the line make it accept no more, finish what is in flight, and exit.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from milter.acquaintance import Learner
from milter.aftermath import Tally
from milter.channel import Channel
from milter.events import LogEvents, log_key, whereabouts
from milter.gateway import Gateway
from milter.listen import Acceptor, Room
from milter.log_pipe import STDERR
from milter.metrics import INTERVAL, WorkerMetrics
from milter.settings import Settings
from milter.shadow_feed import Feed
from model.bundle import Bundle, BundleError
from model.child import ExtractionFailed, Extractor
from model.domains import DomainLists
from model.extracted import Limits
from model.facts import Site
from model.filterfile import ListsError
from model.mail import Direction, RawMessage
from model.score import Scorer, ScoringFailed, verify
from model.screen import Screener
from model.shelf import ShelfError, resolve
from quarantine.errors import StoreError
from quarantine.store import Store, utc_now

EXIT_LIMIT = 1.0
"""Seconds that threads have to end after everything is answered."""
EXTRACTOR_LIMIT = 30.0
GOLDENS = 4
"""Golden inputs that a worker scores before it serves; `gatepost model verify` scores all of them."""
HELLO = b"Subject: are you there?\r\n\r\nYes.\r\n"
ORPHAN_HURRY = 2.0
"""Seconds of the drain in which a worker without a supervisor sends away clients that have nothing under way."""
HEARTBEAT = 5.0
"""Longest time, in seconds, without a word to the supervisor."""


class Refused(Exception):
    """This worker cannot serve; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What screening needs, tested and ready."""

    bundle: Bundle
    extractor: Extractor
    screener: Screener


def tools(settings: Settings, known: Collection[str] = frozenset(), seen: Collection[str] = frozenset()) -> Tools:
    """Load lists and model and prove them on golden inputs. Raises Refused.

    `known` and `seen` are the site's correspondents and earlier senders; they may be filled later.
    """
    extractor = Extractor(Limits())
    try:
        return _tools(settings, extractor, known, seen)
    except BaseException:
        extractor.close()
        raise


def _tools(settings: Settings, extractor: Extractor, known: Collection[str], seen: Collection[str]) -> Tools:
    with contextlib.suppress(OSError):  # the self-test below tries again, and says so
        extractor.start()  # its interpreter starts while the model loads
    try:
        bundle = Bundle.open(resolve(settings.model))
        scorer = Scorer(bundle)
        verify(scorer, most=GOLDENS)
        lists = DomainLists.load()
    except (BundleError, ShelfError, ScoringFailed, ListsError) as error:
        raise Refused(str(error)) from error
    try:
        with RawMessage.of(HELLO) as hello:
            extractor.extract(hello, timeout=EXTRACTOR_LIMIT)  # the child is up before the first message comes
    except ExtractionFailed as error:
        raise Refused(f"self-test: {error}; the installation is damaged, install Gatepost again") from error
    site = Site(
        trusted_authserv_ids=frozenset(settings.site.trusted_authserv_ids),
        own_domains=frozenset(settings.site.own_domains),
        known_correspondents=known,
        seen_senders=seen,
    )
    return Tools(bundle, extractor, Screener(scorer, extractor, site, lists))


class Worker:
    """One worker: its sockets, its gateway, its line to the supervisor."""

    def __init__(self, channel: Channel, settings: Settings, listening: dict[str, int],
                 feed: Feed | None = None) -> None:
        self._channel = channel
        self._settings = settings
        self._listening = listening
        self._feed = feed
        self._metrics = WorkerMetrics()
        self._tally = Tally()
        self._gateway: Gateway | None = None
        self._events = LogEvents(settings.log, log_key(settings.gateway.state_dir))
        self._leave = asyncio.Event()
        self._seconds = settings.gateway.drain_seconds
        self._patience = 0.0
        self._acceptors: list[Acceptor] = []

    async def run(self) -> None:
        """Serve until told to leave."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave.set)
        loop.set_exception_handler(self._loop_fault)
        learner = self._learner(loop)
        made = tools(self._settings, learner.known, learner.seen) if learner else tools(self._settings)
        try:
            message = await self._channel.receive()
            if message is None or message["kind"] != "go":
                return
            await self._serve(made, learner, message["tagging"])
        finally:
            made.extractor.close()

    def _learner(self, loop: asyncio.AbstractEventLoop) -> Learner | None:
        if not self._settings.quarantine.correspondents_days:
            return None

        def failed(kind: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the counting
                loop.call_soon_threadsafe(self._metrics.fault, kind)

        return Learner(self._settings.quarantine, utc_now, failed)

    async def _serve(self, made: Tools, learner: Learner | None, tagging: list[str]) -> None:
        loop = asyncio.get_running_loop()
        store = Store.open(self._settings.quarantine, clock=utc_now)  # from now on used by one thread of the gateway
        gateway = Gateway(self._settings, made.screener, store, self._events, self._metrics,
                          thresholds=made.bundle.thresholds, learner=learner, tally=self._tally,
                          shadow=self._feed)
        gateway.tag(map(Direction, tagging))
        self._gateway = gateway
        if learner is not None:
            learner.start()
        room = Room(self._settings.gateway.max_connections_per_worker)
        for listener in self._settings.listener:
            sock = socket.socket(fileno=self._listening[listener.name])
            self._acceptors.append(Acceptor(sock, gateway.factory(listener), room, loop))
        for acceptor in self._acceptors:
            acceptor.resume()
        self._channel.send("ready", model=made.bundle.version)
        reporting = asyncio.create_task(self._report())
        listening = asyncio.create_task(self._listen())
        await self._leave.wait()
        for acceptor in self._acceptors:
            acceptor.close()
        await asyncio.gather(*(acceptor.settled() for acceptor in self._acceptors))
        await self._drain(gateway)
        for task in (reporting, listening):
            task.cancel()
        self._report_now()
        await self._channel.flush()
        _exit_soon(EXIT_LIMIT)
        if learner is not None:
            learner.stop(EXIT_LIMIT / 2)
        gateway.close()
        store.close()

    async def _drain(self, gateway: Gateway) -> None:
        """Give clients time to finish by themselves first: one that has only said hello is about to send mail."""
        begun = time.monotonic()
        while gateway.open_sessions and time.monotonic() < begun + self._patience:  # noqa: ASYNC110 - nothing tells of the last
            await asyncio.sleep(0.02)
        if cut := await gateway.drain(max(0.0, begun + self._seconds - time.monotonic())):
            self._events.note("warning", "sessions-cut", sessions=cut)

    async def _listen(self) -> None:
        """Do what the supervisor says; its end is a reason to leave as well."""
        while True:
            message = await self._channel.receive()
            if message is None:
                self._patience = max(0.0, self._seconds - ORPHAN_HURRY)
                break
            if message["kind"] == "tagging" and self._gateway is not None:
                self._gateway.tag(map(Direction, message["tagging"]))
            if message["kind"] == "drain":
                self._seconds, self._patience = float(message["seconds"]), float(message["patience"])
                break
        self._leave.set()

    async def _report(self) -> None:
        last = 0.0
        while True:
            await asyncio.sleep(INTERVAL)
            self._tell_of_lost_lines()
            if self._metrics.changed or time.monotonic() - last >= HEARTBEAT:
                last = time.monotonic()
                self._report_now()

    def _report_now(self) -> None:
        self._channel.send("metrics", **self._metrics.take(), tallies=self._tally.take())

    def _tell_of_lost_lines(self) -> None:
        if lost := STDERR.dropped():
            self._metrics.fault("log-line-lost", lost)
            self._events.note("warning", "log-lines-lost", lines=lost)

    def _loop_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(str(context.get("message", "")))
        self._metrics.fault("loop")
        self._events.session_fault("", "", error)


async def _main(end: socket.socket) -> int:
    channel = await Channel.over(end)
    start = await channel.receive()
    if start is None:
        return 0
    try:
        settings = Settings.model_validate(start["settings"])
        listening = {str(name): int(fd) for name, fd in start["listening"].items()}
        for fd in listening.values():
            os.set_inheritable(fd, False)  # the extraction child must not keep our ports open
        await Worker(channel, settings, listening, _feed(settings, int(start["feed"]))).run()
    except (Refused, StoreError) as error:
        return await _failed(channel, str(error))
    except Exception as error:  # noqa: BLE001 - the supervisor tells the operator, whatever it was
        return await _failed(channel, f"{type(error).__name__}: {error} ({whereabouts(error)})")
    return 0


def _feed(settings: Settings, fd: int) -> Feed | None:
    """Take over the line to the shadow process, if there is to be one."""
    os.set_inheritable(fd, False)
    end = socket.socket(fileno=fd)
    if settings.model.shadow:
        return Feed(end)
    end.close()
    return None


async def _failed(channel: Channel, text: str) -> int:
    channel.send("failed", error=text)
    await channel.flush()
    channel.close()
    return 1


def _exit_soon(seconds: float) -> None:
    """End the process by force if a thread that cannot be interrupted keeps it from ending."""
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


def main() -> None:
    """Run one worker on the descriptor that the supervisor named."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    code = 1
    with contextlib.suppress(KeyboardInterrupt):
        code = asyncio.run(_main(socket.socket(fileno=fd)))
    sys.exit(code)


if __name__ == "__main__":
    main()
