"""The supervisor's side of the shadow process: starts it, hears it, starts it again when it dies."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milter.crew import FRUGAL
from milter.metrics import Totals
from milter.settings import ModelSettings, Settings
from model.shelf import Shelf, ShelfError

if TYPE_CHECKING:  # it brings the database with it
    from milter.housekeeping import Note

PROCESS = (sys.executable, "-P", "-m", "milter.shadow")
PATIENCE = 3.0
"""Seconds that it has to write what it knows when it is to end."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before it is started again; twice as many after each death."""
LINE_LIMIT = 1 << 20
BUFFER = 1 << 20
"""Octets of the queue to it that are asked for; the system may give less."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the sending and the receiving end of the queue; messages keep their bounds."""
    sending, receiving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    sending.setblocking(False)
    return sending, receiving


def candidate(choice: ModelSettings) -> Path:
    """Return the folder of the bundle that is named as candidate. Raises ShelfError where there is none."""
    return Path(choice.shadow) if "/" in choice.shadow else Shelf(choice.store).folder_of(choice.shadow)


class ShadowKeeper:
    """One gateway's. `sending` is for the workers; `state` for health."""

    def __init__(self, note: "Note", totals: Totals) -> None:
        self._note = note
        self._totals = totals
        self.sending, self._receiving = pair()
        self._wanted: tuple[Path, Settings] | None = None
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, str] = {}

    def serve(self, settings: Settings, serving: str) -> None:
        """Shadow the bundle that serves with the one that the settings name, or with none.

        One that runs with these settings goes on; one that was refused is tried again.
        """
        wanted = self._resolved(settings, serving)
        if wanted is not None and wanted == self._wanted and self._task is not None and not self._task.done():
            return
        self._wanted = wanted
        self._cancel()
        if wanted is not None:
            self.state = {"candidate": settings.model.shadow, "state": "starting"}
            self._task = asyncio.ensure_future(self._keep(*wanted))

    def _resolved(self, settings: Settings, serving: str) -> tuple[Path, Settings] | None:
        """Return what to run; None, with `state` saying why, for nothing."""
        name = settings.model.shadow
        if not name:
            self.state = {}
            return None
        try:
            folder = candidate(settings.model)
        except ShelfError as error:
            self._refused(str(error))
            return None
        if folder.resolve() == Path(serving).resolve():
            self._refused(f"{name} is the model that serves: there is nothing to compare", level="info")
            return None
        return folder, settings

    def _refused(self, why: str, *, level: str = "error") -> None:
        self.state = {"refused": why}
        self._note(level, "shadow-refused", error=why)

    async def _keep(self, folder: Path, settings: Settings) -> None:
        wait = FIRST_WAIT
        while True:
            how = await self._once(folder, settings)
            if how is None:
                return
            self.state = {"candidate": str(folder), "state": how}
            self._note("error", "shadow-died", candidate=str(folder), how=how, again_in_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(LONGEST_WAIT, wait * 2)

    async def _once(self, folder: Path, settings: Settings) -> str | None:
        """Run it to its end; return how it died, or None where it refused to serve."""
        fd = self._receiving.fileno()
        try:
            process = await asyncio.create_subprocess_exec(
                *PROCESS, str(fd), pass_fds=(fd,), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **FRUGAL}, start_new_session=True, limit=LINE_LIMIT,
            )  # fmt: skip
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        try:
            return await self._attend(process, folder, settings)
        except (AttributeError, KeyError, TypeError, ValueError):  # a library of the candidate's may print anything
            return "talked nonsense"
        finally:
            if process.returncode is None:
                await _end(process)

    async def _attend(self, process: asyncio.subprocess.Process, folder: Path, settings: Settings) -> str | None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        dumped = settings.model_dump(mode="json", include=set(Settings.model_fields))
        start = {"candidate": str(folder), "settings": dumped}
        process.stdin.write(json.dumps(start).encode() + b"\n")
        process.stdin.close()
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                if not self._heard(json.loads(line)):
                    return None
        code = await process.wait()
        return f"exited with {code}" if code >= 0 else f"was killed by signal {-code}"

    def _heard(self, message: dict[str, Any]) -> bool:
        """Take in what it says; False where it will not serve."""
        match message.get("kind"):
            case "ready":
                self.state = {"candidate": str(message["candidate"]), "state": "ready"}
                self._note("info", "shadow-ready", candidate=message["candidate"])
            case "counts":
                for outcome, n in message["counts"].items():
                    self._totals.shadow.labels(str(outcome)).inc(int(n))
            case "trouble":
                self._note("warning", "shadow-unwritten", error=str(message.get("error", "")))
            case "failed":
                self._refused(str(message.get("error", "")))
                return False
        return True

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def stop(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.sending.close()
        self._receiving.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it write what it knows, then end it by force."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
