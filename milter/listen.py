"""Listening sockets: bound once by the supervisor, accepted from by the workers that inherit them.

A worker accepts only while it has room. What nobody accepts waits in the kernel's queue, which costs its sender
a little time; a refusal (421) would make Postfix set the whole destination aside for minutes.
"""

import asyncio
import errno
import grp
import os
import socket
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from milter.settings import ListenerSettings

BACKLOG = 512
PAUSE = 0.5
"""Seconds without accepting after the system had no descriptor or memory left for a connection."""


class ListenError(Exception):
    """A listener could not be bound; the text names it, its address and the reason."""


def bind(listener: ListenerSettings, *, patience: float = 0.0) -> socket.socket:
    """Bind and listen. An address in use is tried again for `patience` seconds. Raises ListenError."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return _bind_unix(listener) if listener.listen.path else _bind_tcp(listener)
        except (OSError, KeyError) as error:
            busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            if busy and time.monotonic() < give_up:
                time.sleep(0.05)  # workers of a supervisor that was killed let go of it within milliseconds
                continue
            where = f"listener {listener.name}: cannot listen at {listener.listen}"
            raise ListenError(f"{where}: {_why(error)}") from None


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    assert isinstance(error, OSError)  # noqa: S101 - the only other kind that bind() catches
    hints = {
        errno.EADDRINUSE: "address in use (is another gatepost serve running, or Postfix listening there?)",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "permission denied",
    }
    return hints.get(error.errno or 0, error.strerror or str(error))


def _bind_tcp(listener: ListenerSettings) -> socket.socket:
    place = listener.listen
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((place.host, place.port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(listener: ListenerSettings) -> socket.socket:
    path = Path(listener.listen.path)
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(str(path))
        _permit(listener)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def permit(listener: ListenerSettings) -> None:
    """Give the file of a unix socket the group and mode of the settings; others have none. Raises ListenError."""
    try:
        _permit(listener)
    except (OSError, KeyError) as error:
        where = f"listener {listener.name}: cannot set who may use {listener.listen}"
        raise ListenError(f"{where}: {_why(error)}") from None


def _permit(listener: ListenerSettings) -> None:
    if not listener.listen.path:
        return
    if listener.socket_group:
        try:
            group = grp.getgrnam(listener.socket_group).gr_gid
        except KeyError:
            raise KeyError(f'there is no group "{listener.socket_group}" (socket_group)') from None
        os.chown(listener.listen.path, -1, group)
    Path(listener.listen.path).chmod(int(listener.socket_mode, 8))


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if one does, or if it is no socket."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, "there is a file of that name that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # somebody listens, and has a full queue
    raise OSError(errno.EADDRINUSE, "address in use")


def remove_socket_file(listener: ListenerSettings) -> None:
    """Remove the file of a unix socket that is no longer listened on; others have none."""
    if listener.listen.path:
        Path(listener.listen.path).unlink(missing_ok=True)


class Room:
    """How many connections a worker may still take. Tells its acceptors when that changes from or to none."""

    def __init__(self, size: int) -> None:
        self._free = size
        self.acceptors: list[Acceptor] = []

    @property
    def free(self) -> int:
        """Connections that may still be taken."""
        return self._free

    def take(self) -> None:
        """A connection was accepted."""
        self._free -= 1
        if self._free == 0:
            for acceptor in self.acceptors:
                acceptor.pause()

    def give(self) -> None:
        """A connection has ended."""
        self._free += 1
        if self._free == 1:
            for acceptor in self.acceptors:
                acceptor.resume()


class Acceptor:
    """Accepts connections of one inherited listening socket into one protocol factory.

    It accepts in the loop's readiness callback and not in a task, so that stopping can never lose a connection
    between the kernel's queue and its protocol.
    """

    def __init__(self, sock: socket.socket, factory: Callable[[], asyncio.Protocol], room: Room,
                 loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._factory = factory
        self._room = room
        self._loop = loop
        self._tasks: set[asyncio.Task[object]] = set()
        self._reading = False
        self._closed = False
        room.acceptors.append(self)

    def resume(self) -> None:
        """Accept from now on."""
        if not self._closed and not self._reading and self._room.free > 0:
            self._reading = True
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def pause(self) -> None:
        """Leave new connections in the kernel's queue."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def close(self) -> None:
        """Stop for good and let go of the socket; what was accepted goes on."""
        self.pause()
        self._closed = True
        self._sock.close()

    async def settled(self) -> None:
        """Return once every connection that was accepted has its session."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _readable(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was quicker, or the client has gone
        except OSError:
            self.pause()
            self._loop.call_later(PAUSE, self.resume)
            return
        connection.setblocking(False)
        self._room.take()
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        counted: _Counted | None = None
        try:
            counted = _Counted(self._factory(), self._room)
            await self._loop.connect_accepted_socket(partial(_given, counted), connection)
        except BaseException:
            counted.release() if counted else self._room.give()
            connection.close()
            raise


def _given(protocol: asyncio.Protocol) -> asyncio.Protocol:
    return protocol


class _Counted(asyncio.Protocol):
    """Passes everything on to the session and gives its place back when the connection ends."""

    def __init__(self, inner: asyncio.Protocol, room: Room) -> None:
        self._inner = inner
        self._room: Room | None = room

    def release(self) -> None:
        """Give the place back, once."""
        if self._room is not None:
            self._room.give()
            self._room = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.release()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
