"""Which bundle the gateway should serve with, and whether that has changed since it was last tried.

The supervisor asks every few seconds. A pointer that was set anew is tried once; if its model is refused, the one
that serves stays, and nothing is tried again until the pointer is set anew (even to the same version) or a reload
is asked for.
"""

from milter.settings import ModelSettings
from model.shelf import ShelfError, pointer_mark, pointer_text, resolve

INTERVAL = 2.0
"""Seconds between two looks at the pointer: one readlink each."""


class ModelWatch:
    """Remembers what was tried. `refused` says why the model that is asked for does not serve; empty if it does."""

    def __init__(self) -> None:
        self._tried: tuple[int, int, int] | None = None
        self.refused = ""

    @property
    def pointer(self) -> str:
        """Which setting of the pointer was last tried, as `pointer_text` writes it."""
        return pointer_text(self._tried or (0, 0, 0))

    def wanted(self, choice: ModelSettings) -> str:
        """Return the folder of the bundle to serve, and take the pointer as tried. Raises ShelfError."""
        self._tried = pointer_mark(choice.store)  # before it is read: a change in between is seen next time
        self.refused = ""
        return str(resolve(choice))

    def due(self, choice: ModelSettings, serving: str) -> bool:
        """Tell whether the pointer was set since it was last tried, to something else than what serves."""
        if choice.path or pointer_mark(choice.store) == self._tried:
            return False
        try:
            if self.wanted(choice) != serving:
                return True
        except ShelfError:
            return True  # trying it says what is wrong
        return False
