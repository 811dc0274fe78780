"""Writing to the store beside the mail's way: a thread and a connection of its own, and a bounded queue.

Nothing waits for it. What is too much, or cannot be written, is the caller's to count.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from quarantine.settings import StoreSettings
from quarantine.store import Clock, Store, StoreError

MOST_WAITING = 100
"""Writes under way at once; each may hold the bytes of its message."""

T = TypeVar("T")


class Aside:
    """One thread that writes. `submit` and `close` belong to the event loop's thread."""

    def __init__(self, settings: StoreSettings, clock: Clock, name: str) -> None:
        self._settings = settings
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._store: Store | None = None
        self._begun: set[Future[object]] = set()

    def submit(self, act: Callable[[Store], T]) -> "Future[T] | None":
        """Begin to write; None where too much waits already. The future raises StoreError."""
        self._begun = {one for one in self._begun if not one.done()}
        if len(self._begun) >= MOST_WAITING:
            return None
        begun = self._thread.submit(self._do, act)
        self._begun.add(begun)  # type: ignore[arg-type]  # futures are invariant, and we only ask whether it is done
        return begun

    def close(self) -> None:
        """Finish what waits."""
        self._thread.shutdown()
        if self._store is not None:
            self._store.close()

    def _do(self, act: Callable[[Store], T]) -> T:
        if self._store is None:
            self._store = Store.open(self._settings, clock=self._clock)
        try:
            return act(self._store)
        except StoreError:
            self._store.close()
            self._store = None
            raise
