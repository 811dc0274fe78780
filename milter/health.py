"""/metrics and /healthz: a very small HTTP server on loopback, in the supervisor.

It knows two paths and GET and HEAD, reads no body, and closes after each answer: enough for Prometheus, curl and
a load balancer, and little to attack.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from milter.endpoint import Endpoint

HEAD_LIMIT = 8192
PATIENCE = 5.0
"""Seconds that a client may take for its request."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
JSON_TYPE = "application/json"


class HealthServer:
    """Serves `metrics()` as text and `health()` as JSON; 503 while `health()["ok"]` is false."""

    def __init__(self, metrics: Callable[[], bytes], health: Callable[[], dict[str, Any]]) -> None:
        self._metrics = metrics
        self._health = health
        self._server: asyncio.Server | None = None

    async def start(self, place: Endpoint) -> None:
        """Listen. Raises OSError."""
        if place.path:
            self._server = await asyncio.start_unix_server(self._answer, place.path, limit=HEAD_LIMIT)
        else:
            self._server = await asyncio.start_server(self._answer, place.host, place.port, limit=HEAD_LIMIT)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path = head.split(b"\r\n", 1)[0].split(b" ")[:2]
                writer.write(self._response(method.decode("latin-1"), path.decode("latin-1")))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # not a client of ours
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _response(self, method: str, path: str) -> bytes:
        status, kind, body = self._page(path.partition("?")[0])
        if method not in ("GET", "HEAD"):
            status, kind, body = "405 Method Not Allowed", JSON_TYPE, b'{"error":"GET or HEAD"}\n'
        head = (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                "Cache-Control: no-store\r\nConnection: close\r\n\r\n")
        return head.encode() + (b"" if method == "HEAD" else body)

    def _page(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", METRICS_TYPE, self._metrics()
        if path == "/healthz":
            health = self._health()
            status = "200 OK" if health["ok"] else "503 Service Unavailable"
            return status, JSON_TYPE, json.dumps(health).encode() + b"\n"
        return "404 Not Found", JSON_TYPE, b'{"error":"/metrics or /healthz"}\n'
