"""What the supervisor does beside its workers, in threads: housekeeping, and the lookout for the model's doings.

They bring the database with them, whose libraries need not be there before the workers are on their way: so they are
imported once the workers have been started.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from milter.metrics import Totals
from milter.settings import Settings

if TYPE_CHECKING:
    from milter.housekeeping import Housekeeper, Note
    from milter.lookout import Lookout


def migrate(settings: Settings) -> None:
    """Bring the database up to date. Raises StoreError."""
    from quarantine.migrate import migrate as upgrade

    upgrade(settings.quarantine)


class Background:
    """Both threads. `settings` gives those in use; `tell` hears, in any thread, what workers are to tag now."""

    def __init__(self, settings: Callable[[], Settings], note: "Note", tell: Callable[[frozenset[str]], object],
                 totals: Totals) -> None:  # fmt: skip
        self._settings = settings
        self._note = note
        self._tell = tell
        self._totals = totals
        self._housekeeper: Housekeeper | None = None
        self._lookout: Lookout | None = None

    def open(self, gateway: str) -> frozenset[str]:
        """Bring the database up to date and read how things stood; return what is to be tagged. Raises StoreError.

        `gateway`: our own name among those that may share it.
        """
        from milter.lookout import Lookout

        migrate(self._settings())
        self._lookout = Lookout(gateway, self._settings, self._note, self._tell, self._totals)
        return self._lookout.open()

    def start(self) -> None:
        """Begin, after `open`."""
        from milter.housekeeping import Housekeeper

        self._housekeeper = Housekeeper(self._settings, self._note)
        for one in (self._housekeeper, self._lookout):
            if one is not None:
                one.start()

    def serving(self, generation: int, model: str, settings: Settings) -> frozenset[str]:
        """A generation serves from now on; return what it is to tag."""
        return self._lookout.serving(generation, model, settings) if self._lookout else frozenset()

    def heard(self, generation: int, tallies: Iterable[tuple[str, str, int, int]]) -> None:
        """Take in what a worker counted."""
        if self._lookout is not None:
            self._lookout.heard(generation, tallies)

    @property
    def tagging(self) -> frozenset[str]:
        """The directions in which workers are to tag."""
        return self._lookout.tagging if self._lookout else frozenset()

    def state(self) -> dict[str, Any]:
        """Return what health says of it."""
        return self._lookout.state() if self._lookout else {}

    def wind_down(self) -> None:
        """Begin no more housekeeping; what workers still hand up is counted."""
        if self._housekeeper is not None:
            self._housekeeper.stop()

    def stop(self, patience: float) -> None:
        """Begin nothing new, write what waits, and end; give up after about `patience` seconds."""
        if self._housekeeper is not None:
            self._housekeeper.stop(patience)
        if self._lookout is not None:
            self._lookout.stop(patience)


async def unless(stop: asyncio.Event, work: Awaitable[object]) -> None:
    """Wait for `work`, or give it up when `stop` is set."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not task.done():
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
