"""The supervisor's housekeeping: a thread that looks after kept mail every few minutes.

One thread in one process, so that no two passes meet; if the supervisor dies in the middle of one, what was
committed stands and the next pass goes on.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Protocol

from milter.release_port import sender
from milter.settings import Settings
from model.mail import Envelope
from quarantine import shadows
from quarantine.errors import StoreError
from quarantine.release import NotSent, Send, SendResult
from quarantine.retention import Report, housekeep
from quarantine.store import Store, utc_now

INTERVAL = 300.0
"""Seconds between two passes; deadlines are in hours and days."""


class Note(Protocol):
    """Writes a line to the operator's log; `LogEvents.note` fits."""

    def __call__(self, level: str, name: str, /, **values: object) -> None:
        """Write one event."""


class Housekeeper:
    """Runs `housekeep` again and again. `settings` gives the ones in use, so that a reload counts."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        note: Note,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._note = note
        self._interval = interval
        self._clock = clock
        self._stop = threading.Event()
        # Daemon: a release port that is slow to answer must not keep the service from stopping.
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; the first pass is one interval away."""
        self._thread.start()

    def stop(self, patience: float = 0.0) -> None:
        """Begin nothing new, and wait at most `patience` seconds for what is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def once(self) -> Report:
        """Do one pass, and tell the log what it did. Never raises.

        Scores of a candidate go with it, also of one that shadows no more.
        """
        settings = self._settings()
        report = Report()
        try:
            with Store.open(settings.quarantine, clock=self._clock) as store:
                now, model = self._clock(), settings.model
                report = housekeep(store, now, self._unless_stopped(sender(settings)))
                shadows.expire(store, now - model.shadow_keep, model.shadow_most)
        except StoreError as error:
            self._note("error", "housekeeping-failed", error=str(error))
        except Exception as error:  # noqa: BLE001 - a fault in one pass must not be the last pass
            self._note("error", "housekeeping-failed", error=f"{type(error).__name__}: {error}")
        if report != Report():
            level = "warning" if report.failed else "info"
            self._note(level, "housekeeping", **{name: n for name, n in asdict(report).items() if n})
        return report

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.once()

    def _unless_stopped(self, send: Send) -> Send:
        def guarded(envelope: Envelope, chunks: Iterable[bytes]) -> SendResult:
            if self._stop.is_set():
                raise NotSent("the gateway is stopping")
            return send(envelope, chunks)

        return guarded
