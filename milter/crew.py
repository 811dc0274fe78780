"""The supervisor's side of its workers: one process each, in generations that share settings and model."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milter.channel import Channel
from milter.settings import Settings

SILENCE = 60.0
"""Seconds without a word after which a worker counts as stuck and is killed; it speaks every few seconds."""
WORKER = (sys.executable, "-P", "-m", "milter.worker")
"""-P keeps whatever lies in the working directory from being imported."""
FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""One core and little memory for each worker: there are as many workers as cores."""


class WorkerRefused(Exception):
    """A worker did not become ready; the text is its own, or how it died."""


@dataclass(eq=False)
class Worker:
    """A worker process as the supervisor sees it. `ready` gives the model's version, or raises WorkerRefused."""

    process: asyncio.subprocess.Process
    channel: Channel
    ready: asyncio.Future[str]
    generation: int
    started: float
    ready_at: float | None = None
    draining: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def state(self) -> str:
        """starting, ready or draining."""
        return "draining" if self.draining else "starting" if self.ready_at is None else "ready"

    def go(self, tagging: Iterable[str]) -> None:
        """The database is ready: open it. `tagging`: the directions whose breaker is open."""
        self.channel.send("go", tagging=sorted(tagging))

    def tag(self, tagging: Iterable[str]) -> None:
        """Have it tag in these directions, and in no others, what the model alone would keep."""
        self.channel.send("tagging", tagging=sorted(tagging))

    def drain(self, seconds: float, patience: float) -> None:
        """Ask it to accept no more, finish what is in flight within `seconds`, and exit.

        For the first `patience` of them, clients that have no message under way yet may still begin one.
        """
        if not self.draining:
            self.draining = True
            self.channel.send("drain", seconds=seconds, patience=patience)

    def kill(self) -> None:
        """End it now, with the helper processes of its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


@dataclass(eq=False)
class Generation:
    """Workers that were started with the same settings and model.

    `bundle` is the folder that all of them load, also those that replace a dead one after the pointer moved on;
    `tagging` are the directions in which the breaker is open for them.
    """

    number: int
    settings: Settings
    sockets: Mapping[str, socket.socket]
    bundle: str
    workers: list[Worker] = field(default_factory=list)
    model: str = ""
    tagging: frozenset[str] = frozenset()

    @property
    def serving(self) -> int:
        """How many of its workers accept mail."""
        return sum(worker.state == "ready" for worker in self.workers)


class Crew:
    """Starts workers and listens to them. `heard` gets their messages, `left` the news that one has gone.

    `feed` is what workers show messages to the shadow process by.
    """

    def __init__(
        self,
        heard: Callable[[Worker, dict[str, Any]], None],
        left: Callable[[Generation, Worker, str], None],
        feed: socket.socket,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._heard = heard
        self._left = left
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, generation: Generation, *, go: bool) -> Worker:
        """Start one more worker of a generation. Raises OSError if the system has no room for a process."""
        ours, theirs = socket.socketpair()
        listening = {name: sock.fileno() for name, sock in generation.sockets.items()}
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *WORKER, str(theirs.fileno()),
                    pass_fds=(theirs.fileno(), self._feed.fileno(), *listening.values()),
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, env={**os.environ, **FRUGAL},
                    start_new_session=True,  # Ctrl-C in a terminal is for the supervisor alone
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(_looked_at)
        worker = Worker(process, await Channel.over(ours), ready, generation.number, self._clock())
        generation.workers.append(worker)
        settings = generation.settings.model_dump(mode="json", include=set(Settings.model_fields))
        settings["model"]["path"] = generation.bundle
        worker.channel.send("start", settings=settings, listening=listening, generation=generation.number,
                            feed=self._feed.fileno())
        if go:
            worker.go(generation.tagging)
        task = asyncio.create_task(self._attend(generation, worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return worker

    async def _attend(self, generation: Generation, worker: Worker) -> None:
        try:
            await self._listen(worker)
        except Exception as error:  # noqa: BLE001 - whatever it said, its end must be noticed, or a stop waits for ever
            how = "was stuck" if isinstance(error, TimeoutError) else "talked nonsense"
            worker.kill()
        else:
            how = ""
        code = await worker.process.wait()
        worker.channel.close()
        generation.workers.remove(worker)
        how = how or (f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}")
        if not worker.ready.done():
            worker.ready.set_exception(WorkerRefused(f"a worker {how} before it was ready"))
        worker.gone.set()
        self._left(generation, worker, how)

    async def _listen(self, worker: Worker) -> None:
        while True:
            async with asyncio.timeout(SILENCE):
                message = await worker.channel.receive()
            if message is None:
                return
            match message["kind"]:
                case "ready" if not worker.ready.done():
                    worker.ready_at = self._clock()
                    worker.ready.set_result(str(message.get("model", "")))
                case "failed" if not worker.ready.done():
                    worker.ready.set_exception(WorkerRefused(str(message.get("error", ""))))
            self._heard(worker, message)


def _looked_at(ready: asyncio.Future[str]) -> None:
    if not ready.cancelled():
        ready.exception()  # a worker that fails while nobody waits for it is told of by its exit
