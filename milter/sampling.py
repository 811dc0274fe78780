"""Copies of delivered mail for review: drawn at random, written beside the mail's way, never in it.

What is kept shows only what the model believes bad; what it misses is found in a sample of what it delivered. A copy
is written after the next hop took the message, by a thread and a connection of its own, with little patience: mail
that waits for the store never waits for a sample, and a sample that cannot be written is counted and gone.
"""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from milter.record import Metrics
from model.mail import Mail
from quarantine.record import Kept
from quarantine.settings import StoreSettings
from quarantine.store import Clock, Store, StoreError, Ticket

BUSY_SECONDS = 2.0
"""Seconds that a sample waits for another writer."""
MOST_WAITING = 4
"""Samples under way at once: each holds the bytes of its message."""


@dataclass(slots=True)
class Sampler:
    """Draws and writes samples for one worker. Its methods belong to the event loop, but for `_write`.

    `settings` says where, and the share (above 0); `draw` gives numbers in [0, 1).
    """

    settings: StoreSettings
    clock: Clock
    metrics: Metrics
    draw: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)
    _thread: ThreadPoolExecutor = field(init=False)
    _store: Store | None = field(init=False, default=None)
    _waiting: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sampling")

    def drawn(self) -> bool:
        """Whether this message is one to keep a copy of; a message that is too many is counted, and is none."""
        if self.draw() >= self.settings.sample:
            return False
        if self._waiting >= MOST_WAITING:
            self.metrics.fault("sample-skipped")
            return False
        return True

    def write(self, mail: Mail, copy: Kept, listener: str) -> "Future[Ticket | None]":
        """Begin to write a copy; the mail must stay open until the future is done. Its outcome is for `told`."""
        begun = self._thread.submit(self._write, mail, copy, listener)
        self._waiting += 1
        return begun

    def told(self, done: "asyncio.Future[Ticket | None]") -> None:
        """Take notice of an ended write, in the loop's thread: count what went wrong."""
        self._waiting -= 1
        if done.cancelled() or done.exception() is not None:
            self.metrics.fault("sample-failed")
        elif done.result() is None:
            self.metrics.fault("sample-capped")

    def close(self) -> None:
        """Finish what is being written, and give up the rest."""
        self._thread.shutdown(cancel_futures=True)
        if self._store is not None:
            self._store.close()

    def _write(self, mail: Mail, copy: Kept, listener: str) -> Ticket | None:
        """Write; None if there are enough for today. Raises StoreError, and opens the store anew next time."""
        if self._store is None:
            patience = min(BUSY_SECONDS, self.settings.busy_seconds)
            self._store = Store.open(self.settings.model_copy(update={"busy_seconds": patience}), clock=self.clock)
        try:
            return self._store.sample(mail, copy, drawn=self.settings.sample, listener=listener)
        except StoreError:
            self._store.close()
            self._store = None
            raise
