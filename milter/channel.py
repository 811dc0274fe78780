"""The line between supervisor and worker: JSON, one object a line, over a socket pair.

Its end is the news that the other side has died. There is no pickle: a worker can hand up nothing but data.
"""

import asyncio
import contextlib
import json
import socket
from typing import Any

LINE_LIMIT = 4 * 1024 * 1024
"""Longest line, in octets: settings with very long allow lists must fit."""


class Channel:
    """One end of the line. `receive` returns None once the other side is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Take over a connected socket."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end, limit=LINE_LIMIT))

    def send(self, kind: str, **data: Any) -> None:
        """Queue one message. A dead peer is noticed by `receive`, not here."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps({"kind": kind, **data}).encode() + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end of the line. Raises ValueError on anything but JSON objects."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        message = json.loads(line)
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise ValueError("expected a JSON object with a kind")  # noqa: TRY004 - it is the line that is wrong
        return message

    async def flush(self) -> None:
        """Wait until what was sent has left this process, or the peer has gone."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
