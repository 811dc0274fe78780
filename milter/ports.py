"""The sockets that the supervisor holds: bound once, kept over every reload that still wants them."""

import contextlib
import socket
from collections.abc import Callable, Iterable

from milter.endpoint import Endpoint
from milter.listen import bind, permit, remove_socket_file
from milter.settings import ListenerSettings, Settings


class Ports:
    """Listening sockets by address. `note` hears of each that comes or goes."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self._bound: dict[Endpoint, tuple[socket.socket, ListenerSettings]] = {}

    @property
    def places(self) -> set[Endpoint]:
        """Where we listen."""
        return set(self._bound)

    def bind(self, listeners: Iterable[ListenerSettings], patience: float = 0.0) -> None:
        """Bind what is not bound yet, and apply who may use unix sockets. Raises ListenError at the first failure."""
        for listener in listeners:
            if listener.listen in self._bound:
                permit(listener)
                continue
            self._bound[listener.listen] = (bind(listener, patience=patience), listener)
            self._note("info", "listening", listener=listener.name, address=str(listener.listen))

    def of(self, settings: Settings) -> dict[str, socket.socket]:
        """Return the socket of each listener, by its name."""
        return {listener.name: self._bound[listener.listen][0] for listener in settings.listener}

    def release(self, places: Iterable[Endpoint]) -> None:
        """Close sockets, and remove the files of those that have one."""
        for place in places:
            sock, listener = self._bound.pop(place)
            sock.close()
            with contextlib.suppress(OSError):
                remove_socket_file(listener)
            self._note("info", "listener-closed", listener=listener.name, address=str(place))
