"""A message as it was received: its envelope and a read-only handle on its raw bytes.

Nothing here parses a message. The bytes are kept in memory up to `MEMORY_LIMIT` and in an unlinked spool
file above it, and they are never rewritten.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

MEMORY_LIMIT = 1 << 20
CHUNK = 1 << 16


class Direction(StrEnum):
    """Which way a message travels, seen from the operator's organisation."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward path with its ESMTP parameters as received (RFC 5321 section 4.1.2).

    `address` is without angle brackets. `params` keeps each `KEY=value` in the client's spelling, since
    NOTIFY and ORCPT (RFC 3461) are passed on unread. Bytes that are not UTF-8 are surrogate-escaped.
    """

    address: str
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """What is known of the peer: from the connection, or from a trusted upstream's XFORWARD.

    Empty strings mean unknown. `queue_id` is the upstream's IDENT attribute.
    """

    address: str = ""
    name: str = ""
    helo: str = ""
    protocol: str = ""
    source: str = ""
    port: str = ""
    queue_id: str = ""
    login: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The SMTP envelope. `sender` is the reverse path without brackets; empty is the null sender."""

    sender: str
    recipients: tuple[Recipient, ...]
    params: tuple[str, ...] = ()
    client: Client = field(default_factory=Client)

    @property
    def smtputf8(self) -> bool:
        """Whether the client asked for internationalised mail (RFC 6531)."""
        return any(p.upper() == "SMTPUTF8" for p in self.params)


class RawMessage:
    """Read-only bytes of one message, on disk or in memory. Close it, or use it as a context manager."""

    __slots__ = ("_data", "_fd", "sha256", "size")

    def __init__(self, data: bytes | None, fd: int | None, size: int, sha256: str) -> None:
        self._data = data
        self._fd = fd
        self.size = size
        self.sha256 = sha256

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Wrap bytes that are already in memory."""
        return cls(data, None, len(data), hashlib.sha256(data).hexdigest())

    def chunks(self, start: int = 0, size: int = CHUNK) -> Iterator[bytes]:
        """Yield the bytes from `start` to the end in pieces of at most `size` octets."""
        if self._data is not None:
            for at in range(start, len(self._data), size):
                yield self._data[at : at + size]
            return
        if self._fd is None:
            raise ValueError("the message has been closed")
        at = start
        while piece := os.pread(self._fd, size, at):
            yield piece
            at += len(piece)

    def read(self, limit: int | None = None) -> bytes:
        """Return all bytes, or the first `limit` of them."""
        if self._data is not None:
            return self._data if limit is None else self._data[:limit]
        if limit is None:
            return b"".join(self.chunks())
        if self._fd is None:
            raise ValueError("the message has been closed")
        return b"".join(self.chunks())[:limit] if limit > self.size else os.pread(self._fd, limit, 0)

    def close(self) -> None:
        """Give the spool file back. Reading afterwards raises ValueError."""
        self._data = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class RawWriter:
    """Collects the bytes of a message: memory up to `MEMORY_LIMIT`, then an unlinked file in `spool_dir`."""

    def __init__(self, spool_dir: Path | None = None) -> None:
        self._spool_dir = spool_dir
        self._pieces: list[bytes] = []
        self._fd: int | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append octets. Raises OSError when the spool is full."""
        self.size += len(piece)
        self._hash.update(piece)
        if self._fd is None:
            self._pieces.append(piece)
            if self.size > MEMORY_LIMIT:
                self._fd = _unlinked_file(self._spool_dir)
                self._flush()
        else:
            _write_all(self._fd, piece)

    def _flush(self) -> None:
        assert self._fd is not None  # noqa: S101 - for the type checker; set by the only caller
        for piece in self._pieces:
            _write_all(self._fd, piece)
        self._pieces.clear()

    def finish(self) -> RawMessage:
        """Hand the bytes over as a `RawMessage`; the writer must not be used again."""
        data = b"".join(self._pieces) if self._fd is None else None
        message = RawMessage(data, self._fd, self.size, self._hash.hexdigest())
        self._fd = None
        self._pieces = []
        return message

    def discard(self) -> None:
        """Drop what was written."""
        self._pieces.clear()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _unlinked_file(folder: Path | None) -> int:
    fd, name = tempfile.mkstemp(prefix="gatepost-", dir=folder)
    Path(name).unlink()
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


@dataclass(frozen=True, slots=True)
class Mail:
    """One message in one transaction: what every later step reads and none changes."""

    envelope: Envelope
    raw: RawMessage
    direction: Direction
