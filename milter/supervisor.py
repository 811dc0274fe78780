"""The supervisor: binds every socket once, keeps the workers alive, and exchanges them without losing a connection.

    start    bind → become `user` → migrate → workers → every worker ready → READY
    SIGHUP   read settings → bind what is new → one new worker passes its self-test → the rest → the old ones
             drain. Whatever fails on the way, the old generation goes on as if nothing had been asked.
    pointer  `gatepost model` set another current model: the same exchange, with the settings in use
    SIGTERM  drain, at most `drain_seconds`; then, or at a second signal, kill
    death    of a worker: a new one, at once, and more slowly if they keep dying young

It never loads the model and never touches a message. When it dies, its workers see the end of their line, finish
what is in flight and go.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from milter import model_watch
from milter.background import Background, migrate, unless
from milter.crew import Crew, Generation, Worker, WorkerRefused
from milter.endpoint import Endpoint
from milter.events import LogEvents, log_key
from milter.health import HealthServer
from milter.identity import gateway_id
from milter.listen import ListenError
from milter.log_pipe import STDERR
from milter.metrics import Totals
from milter.notify import notify, reloading
from milter.ports import Ports
from milter.prepare import StartError, check_writable, drop_privileges, make_folders, take_lock
from milter.settings import Settings
from milter.shadow_keeper import ShadowKeeper
from model.shelf import ShelfError
from quarantine.errors import StoreError

READY_LIMIT = 60.0
"""Seconds that a worker has to become ready."""
YOUNG = 1.0
"""A worker that dies before it is ready, or within so many seconds after, died young: the next may do the same."""
PATIENT_DEATHS = 5
"""So many deaths in a row of young workers are replaced at once."""
LONGEST_WAIT = 10.0
STOP_PATIENCE = 1.0
"""Seconds at a stop in which connected clients may still begin a message."""
GRACE = 2.0
"""Seconds beyond `drain_seconds` before workers are killed."""
BIND_PATIENCE = 3.0


class Supervisor:
    """One gateway. `read` returns fresh settings at a reload, or raises to have it refused."""

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self._settings = settings
        self._read = read
        self._events = LogEvents(settings.log, b"")
        self._totals = Totals()
        self._background = Background(lambda: self._settings, self._note, self._tag_soon, self._totals)
        self._shadow = ShadowKeeper(self._note, self._totals)
        self._crew = Crew(self._heard, self._left, self._shadow.sending)
        self._ports = Ports(self._note)
        self._current: Generation | None = None
        self._generations: list[Generation] = []
        self._health = HealthServer(self._metrics, self._state)
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._reread = False
        self._watch = model_watch.ModelWatch()
        self._signals = 0
        self._young_deaths = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until a signal ends it. Raises StartError if it cannot even begin."""
        self._loop = loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        try:
            await unless(self._stop, self._start())
            while not self._stop.is_set():
                await unless(self._stop, self._wake.wait())
                if self._wake.is_set():
                    self._wake.clear()
                    await unless(self._stop, self._reload())
        finally:
            await self._shut_down()

    def _asked_to_stop(self, number: int) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            self._events.note("warning", "killing", signal=signal.Signals(number).name)
            for worker in self._workers():
                worker.kill()

    def _asked_to_reload(self) -> None:
        self._reread = True
        self._wake.set()

    async def _watch_model(self) -> None:
        """Have another model loaded when the pointer was set."""
        while True:
            await asyncio.sleep(model_watch.INTERVAL)
            current = self._current
            if current is not None and self._watch.due(self._settings.model, current.bundle):
                self._wake.set()
            self._totals.model_refused.set(bool(self._watch.refused))

    # --- start

    async def _start(self) -> None:
        begun = time.monotonic()
        settings = self._settings
        make_folders(settings.gateway)
        os.umask(0o077)
        self._lock = take_lock(settings.gateway.state_dir)
        try:
            self._ports.bind(settings.listener, BIND_PATIENCE)
        except ListenError as error:
            raise StartError(str(error)) from None
        drop_privileges(settings.gateway.user)
        check_writable(settings.gateway)
        gateway = gateway_id(settings.gateway.state_dir, settings.gateway.name)
        self._events = self._log(settings)
        await self._open_health(settings)
        try:
            self._current = generation = self._new_generation(settings)
            workers = [await self._crew.start(generation, go=False) for _ in range(settings.gateway.worker_count)]
            generation.tagging = await asyncio.to_thread(self._background.open, gateway)
            for worker in workers:
                worker.go(generation.tagging)
            async with asyncio.timeout(READY_LIMIT):
                versions = await asyncio.gather(*(worker.ready for worker in workers))
        except (ShelfError, StoreError, WorkerRefused) as error:
            raise StartError(str(error)) from None
        except TimeoutError:
            raise StartError(f"the workers were not ready after {READY_LIMIT:.0f} seconds; see the log") from None
        except OSError as error:
            raise StartError(f"cannot start a worker: {error.strerror}: {error.filename or ''}") from None
        self._promote(generation, versions[0])
        await self._fill(generation)  # a worker may have died since it was ready, while others were not yet
        self._background.start()
        self._later(self._watch_model())
        notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={self._status()}")
        took = round(time.monotonic() - begun, 3)
        self._events.note("info", "ready", workers=len(workers), model=versions[0], seconds=took)

    def _log(self, settings: Settings) -> LogEvents:
        try:
            return LogEvents(settings.log, log_key(settings.gateway.state_dir))
        except (OSError, ValueError) as error:
            raise StartError(str(error)) from None

    async def _open_health(self, settings: Settings) -> None:
        server = HealthServer(self._metrics, self._state)
        if settings.metrics.listen:
            try:
                await server.start(Endpoint.parse(settings.metrics.listen))
            except OSError as error:
                why = error.strerror or str(error)
                raise StartError(f"metrics.listen: cannot listen at {settings.metrics.listen}: {why}") from None
        self._health.close()
        self._health = server

    def _new_generation(self, settings: Settings) -> Generation:
        number = self._generations[-1].number + 1 if self._generations else 1
        generation = Generation(number, settings, self._ports.of(settings), self._watch.wanted(settings.model))
        generation.tagging = self._current.tagging if self._current else frozenset()
        self._generations.append(generation)
        return generation

    def _promote(self, generation: Generation, model: str) -> None:
        self._current = generation
        self._settings = generation.settings
        generation.model = model
        self._totals.show_model(model)
        self._tag(self._background.serving(generation.number, model, generation.settings))
        self._shadow.serve(generation.settings, generation.bundle)

    def _tag_soon(self, _tagging: frozenset[str]) -> None:
        """Have it said in our thread, as it then is: until its turn comes, another model may have begun to serve."""
        self._loop.call_soon_threadsafe(lambda: self._tag(self._background.tagging))

    def _tag(self, tagging: frozenset[str]) -> None:
        """Tell the workers that serve, and those to come, for which directions the breaker is open."""
        generation = self._current
        if generation is None or generation.tagging == tagging:
            return
        generation.tagging = tagging
        for worker in generation.workers:
            worker.tag(tagging)
        notify(f"STATUS={self._status()}")

    def _status(self) -> str:
        """Return the line that `systemctl status` shows."""
        if self._current is None:
            return "starting"
        opened = ", ".join(sorted(self._current.tagging))
        said = f"; BREAKER OPEN for {opened} mail: what the model would keep is only tagged" if opened else ""
        return f"{self._settings.gateway.worker_count} workers, model {self._current.model}{said}"

    # --- reload

    async def _reload(self) -> None:
        notify(reloading())
        self._events.note("info", "reload-started")
        before = self._ports.places
        generation: Generation | None = None
        # a switch of the model takes nothing else with it: the file may be half written, or not meant to count yet
        read, self._reread = self._read if self._reread else (lambda: self._settings), False
        try:
            settings = read()
            self._ports.bind(settings.listener)
            await asyncio.to_thread(migrate, settings)
            generation = self._new_generation(settings)
            await self._exchange(generation)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new, the old goes on serving
            self._abandon(generation, before)
            self._totals.reloads.labels("refused").inc()
            why = str(error) or type(error).__name__
            self._refused(generation, error, why)
            self._events.note("error", "reload-refused", error=why, kept="the settings and the model in use")
        else:
            self._totals.reloads.labels("done").inc()
            self._events.note("info", "reload-done", generation=generation.number, model=generation.model)
        notify(f"READY=1\nSTATUS={self._status()}")

    def _refused(self, generation: Generation | None, error: Exception, why: str) -> None:
        """Remember that it was the model that could not be had, for health and metrics."""
        other = generation is not None and self._current is not None and generation.bundle != self._current.bundle
        if other or isinstance(error, ShelfError):
            self._watch.refused = why

    async def _exchange(self, generation: Generation) -> None:
        """Bring the new generation up and send the old one home. Raises before anything of the old is touched."""
        settings = generation.settings
        try:
            async with asyncio.timeout(READY_LIMIT):
                model = await (await self._crew.start(generation, go=True)).ready
        except TimeoutError:
            raise WorkerRefused(f"the new worker was not ready after {READY_LIMIT:.0f} seconds") from None
        await self._open_health_again(settings)
        events = self._log(settings)
        old = self._current
        self._promote(generation, model)
        self._events = events
        await self._fill(generation)
        # The old ones serve until the new ones are at full strength; one that fails is replaced like any other.
        if coming := [worker.ready for worker in generation.workers]:
            await asyncio.wait(coming, timeout=READY_LIMIT)
        if old is not None:
            for worker in list(old.workers):
                # There is no hurry: the new ones serve. So nobody who is connected is turned away.
                seconds = old.settings.gateway.drain_seconds
                worker.drain(seconds, patience=max(0.0, seconds - GRACE))
                self._later(self._kill_late(worker, seconds + GRACE))
        wanted = {listener.listen for listener in settings.listener}
        self._ports.release(self._ports.places - wanted)

    async def _open_health_again(self, settings: Settings) -> None:
        if settings.metrics.listen != self._settings.metrics.listen:
            await self._open_health(settings)

    def _abandon(self, generation: Generation | None, before: set[Endpoint]) -> None:
        if generation is not None:
            for worker in generation.workers:
                worker.draining = True  # its end is no death
                worker.kill()
            self._generations.remove(generation)
        self._ports.release(self._ports.places - before)

    # --- the life of workers

    def _heard(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "metrics":
                self._totals.add(worker.pid, message)
                self._background.heard(worker.generation, message["tallies"])
            case "ready":
                self._events.note("info", "worker-ready", worker=worker.pid, model=str(message.get("model", "")),
                                  seconds=round(time.monotonic() - worker.started, 3))
            case "failed":
                self._events.note("error", "worker-refused", worker=worker.pid, error=str(message.get("error", "")))

    def _left(self, generation: Generation, worker: Worker, how: str) -> None:
        self._totals.forget(worker.pid)
        if generation is not self._current and not generation.workers and generation in self._generations:
            self._generations.remove(generation)
        if worker.draining or self._stop.is_set():
            return
        self._totals.deaths.inc()
        self._events.note("error", "worker-died", worker=worker.pid, how=how, generation=generation.number)
        worker.kill()  # its helper processes, if any are left
        young = worker.ready_at is None or time.monotonic() - worker.ready_at < YOUNG
        self._young_deaths = self._young_deaths + 1 if young else 0
        if generation is self._current and generation.model:
            self._later(self._replace(generation))

    async def _fill(self, generation: Generation) -> None:
        """Start what is missing of the generation that serves; what cannot be started now is tried again later."""
        for _ in range(generation.settings.gateway.worker_count - len(generation.workers)):
            await self._replace(generation)

    async def _replace(self, generation: Generation) -> None:
        beyond = self._young_deaths - PATIENT_DEATHS
        wait = min(LONGEST_WAIT, 0.1 * 2**beyond) if beyond > 0 else 0.0
        if wait:
            self._events.note("warning", "worker-delayed", seconds=wait, deaths=self._young_deaths)
        await asyncio.sleep(wait)
        missing = generation.settings.gateway.worker_count - len(generation.workers)
        if missing > 0 and generation is self._current and not self._stop.is_set():
            try:
                await self._crew.start(generation, go=True)
            except OSError as error:
                self._events.note("error", "worker-not-started", error=error.strerror or str(error))
                self._young_deaths += 1
                await asyncio.sleep(1.0)
                self._later(self._replace(generation))

    async def _kill_late(self, worker: Worker, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await worker.gone.wait()
        except TimeoutError:
            self._events.note("warning", "worker-killed", worker=worker.pid, reason="did not finish in time")
            worker.kill()

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _workers(self) -> list[Worker]:
        return [worker for generation in self._generations for worker in generation.workers]

    # --- the end

    async def _shut_down(self) -> None:
        self._stop.set()
        self._background.wind_down()
        notify("STOPPING=1")
        workers = self._workers()
        seconds = self._settings.gateway.drain_seconds if self._signals < 2 else 0.0
        if self._current is not None and self._current.model:
            self._events.note("info", "draining", workers=len(workers), seconds=seconds)
        for worker in workers:
            if worker.ready_at is None:
                worker.kill()
            worker.drain(seconds, patience=min(STOP_PATIENCE, seconds))
        await asyncio.gather(*(self._kill_late(worker, seconds + GRACE) for worker in workers))
        await asyncio.gather(*(worker.gone.wait() for worker in workers))
        self._health.close()
        self._ports.release(self._ports.places)
        await self._shadow.stop()
        await asyncio.to_thread(self._background.stop, GRACE)
        self._events.note("info", "stopped")

    # --- what others may see

    def _note(self, level: str, name: str, /, **values: Any) -> None:
        self._events.note(level, name, **values)  # a reload exchanges the log

    def _state(self) -> dict[str, Any]:
        current = self._current
        serving = current.serving if current else 0
        return {
            "ok": serving > 0 and not self._stop.is_set(),
            "workers": {"ready": serving, "wanted": self._settings.gateway.worker_count},
            "generation": current.number if current else 0,
            "model": current.model if current else "",
            "bundle": current.bundle if current else "",
            "pointer": self._watch.pointer,
            "refused": self._watch.refused,
            **self._background.state(),
            "shadow": self._shadow.state,
        }

    def _metrics(self) -> bytes:
        if lost := STDERR.dropped():
            self._totals.fault("log-line-lost", lost)
        self._totals.workers.clear()
        for worker in self._workers():
            self._totals.workers.labels(worker.state).inc()
        return self._totals.render()


def serve(settings: Settings, read: Callable[[], Settings]) -> None:
    """Run a gateway until it is stopped. Raises StartError."""

    async def main() -> None:
        await Supervisor(settings, read).run()

    asyncio.run(main())
