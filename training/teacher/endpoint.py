"""One request to an OpenAI-compatible server: one connection, one answer, no redirect, bounded in time and size.

The host is looked up once and its addresses are checked; the connection goes to a checked address, so that a name
cannot lead elsewhere a moment later. Environment variables such as https_proxy are not looked at.
"""

import http.client
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Timer
from time import time
from typing import Any
from urllib.parse import urlsplit

from training.teacher.errors import TeacherBusy, TeacherDeclined, TeacherError, Unusable
from training.teacher.settings import TeacherSettings

MOST_OCTETS = 1 << 20
"""Largest answer that is read; one with a reason of 200 characters takes 1 KB."""
_CHUNK = 1 << 16
_HINT = 200
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 529})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where drafts are asked for. `address` is a checked IP address; the key is in no representation of it."""

    url: str
    secure: bool
    host: str
    port: int
    path: str
    address: str
    timeout: float
    key: str = field(default="", repr=False)

    @property
    def remote(self) -> bool:
        """Whether it is neither this machine nor in a private network."""
        return not near(self.address)


def endpoint(settings: TeacherSettings) -> Endpoint:
    """Look the teacher's host up and read its key. Raises TeacherError where nothing may be sent there."""
    if not settings.url:
        raise TeacherError("there is no teacher: set url and model in the [teacher] table of the configuration")
    parts = urlsplit(settings.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = _checked(host, port, settings)
    if not secure and not near(address):
        raise TeacherError(f"[teacher] url: {host} is not in your network and would get mail in clear: use https")
    path = parts.path or "/v1"
    if not path.endswith("/chat/completions"):
        path += "/chat/completions"
    url = f"{parts.scheme}://{parts.netloc}{path}"
    return Endpoint(url, secure, host, port, path, address, settings.timeout, _key(settings.key_file))


def near(address: str) -> bool:
    """Whether an IP address is this machine's or a private network's (RFC 1918, RFC 4193)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return found.is_loopback or any(found in network for network in _PRIVATE if network.version == found.version)


def _checked(host: str, port: int, settings: TeacherSettings) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TeacherError(f"[teacher] url: {host} cannot be found: {_why(error)}") from None
    addresses = [str(one[4][0]) for one in found]
    far = next((address for address in addresses if not near(address)), None)
    if far and not settings.allow_remote:
        raise TeacherError(
            f"[teacher] url: {host} ({far}) is neither this machine nor in a private network: mail would leave your "
            "house. If that is what you want, set allow_remote = true"
        )
    return addresses[0]


def _key(key_file: str) -> str:
    """Read the key. Raises TeacherError if others may read it too, or it is no key."""
    if not key_file:
        return ""
    path = Path(key_file)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except OSError as error:
        raise TeacherError(f"[teacher] key_file: {path}: {error.strerror or error}") from None
    if mode & 0o077:
        raise TeacherError(f"[teacher] key_file: {path}: others may read it ({mode & 0o777:04o}): chmod 0600 {path}")
    key = text.decode("ascii", "replace").strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise TeacherError(f"[teacher] key_file: {path}: expected a key in one line of ASCII characters")
    return key


def headers(to: Endpoint, *, shown: bool = False) -> dict[str, str]:
    """Return the header fields of a request; `shown` leaves the key out."""
    fields = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "gatepost",
              "Connection": "close"}  # fmt: skip
    return fields | ({"Authorization": "Bearer (the key)" if shown else f"Bearer {to.key}"} if to.key else {})


def post(to: Endpoint, request: bytes, *, now: Callable[[], float] = time) -> str:
    """Send a request and return what the model wrote. Raises TeacherBusy, TeacherDeclined, Unusable or TeacherError.

    The time limit is for all of it: a server that drips octets is cut off like one that is silent.
    """
    sock = _connect(to)
    expired: list[bool] = []

    def cut() -> None:
        expired.append(True)
        with suppress(OSError):  # it is closed already
            sock.shutdown(socket.SHUT_RDWR)

    watch = Timer(to.timeout, cut)
    watch.daemon = True
    watch.start()
    try:
        status, fields, data = _exchange(to, sock, request)
    except (OSError, http.client.HTTPException) as error:
        if expired or isinstance(error, TimeoutError):
            raise TeacherBusy(f"{to.url}: no whole answer within {to.timeout:g} s") from None
        raise TeacherBusy(f"{to.url}: the answer broke off: {_why(error)}") from None
    finally:
        watch.cancel()
        sock.close()
    if expired:
        raise TeacherBusy(f"{to.url}: no whole answer within {to.timeout:g} s")
    return _content(to, status, fields, data, now())


def _connect(to: Endpoint) -> socket.socket:
    try:
        plain = socket.create_connection((to.address, to.port), to.timeout)
    except OSError as error:
        raise TeacherBusy(f"{to.url}: cannot connect to {to.address} port {to.port}: {_why(error)}") from None
    if not to.secure:
        return plain
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=to.host)
    except ssl.SSLError as error:
        plain.close()
        raise TeacherError(f"{to.url}: no encrypted connection: {_why(error)}") from None
    except OSError as error:
        plain.close()
        raise TeacherBusy(f"{to.url}: no encrypted connection: {_why(error)}") from None


def _exchange(to: Endpoint, sock: socket.socket, request: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(to.host, to.port)
    connection.sock = sock
    connection.auto_open = 0  # never a second connection behind our back
    connection.request("POST", to.path, request, headers(to))
    with connection.getresponse() as response:
        pieces, size = [], 0
        while piece := response.read1(_CHUNK):
            size += len(piece)
            if size > MOST_OCTETS:
                raise Unusable(f"{to.url}: the answer is larger than {MOST_OCTETS >> 20} MB")
            pieces.append(piece)
        if response.length:  # of a body with Content-Length, read1 does not miss the end
            raise http.client.IncompleteRead(b"", response.length)
        return response.status, response.msg, b"".join(pieces)


def _content(to: Endpoint, status: int, fields: http.client.HTTPMessage, data: bytes, now: float) -> str:
    if status in _BUSY:
        raise TeacherBusy(f"{to.url}: {status} {_hint(data)}".rstrip(), _after(fields.get("Retry-After", ""), now))
    if status in (400, 413, 422):
        raise TeacherDeclined(f"{to.url}: {status} {_hint(data)}".rstrip())
    if 300 <= status < 400:
        place = fields.get("Location", "")[:_HINT]
        raise TeacherError(f"{to.url}: the server sends us on to {place!r}, and nothing is sent there: set url right")
    if status in (401, 403):
        raise TeacherError(f"{to.url}: {status}: the key is not accepted: see key_file. {_hint(data)}".rstrip())
    if status == 404:
        raise TeacherError(f"{to.url}: 404: no such path or model: see url and model. {_hint(data)}".rstrip())
    if status != 200:
        raise TeacherError(f"{to.url}: {status} {_hint(data)}".rstrip())
    kind = fields.get_content_type()
    if kind != "application/json":
        stream = kind == "text/event-stream"
        what = "a stream, though none was asked for" if stream else f"{kind}, not application/json"
        raise Unusable(f"{to.url}: the answer is {what}")
    try:
        found: Any = json.loads(data)
        choice = found["choices"][0]
        content = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Unusable(f"{to.url}: the answer is no chat completion: {_hint(data)}") from None
    if not isinstance(content, str):
        raise Unusable(f"{to.url}: the answer has no text")
    return content


def _after(value: str, now: float) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3): seconds, or a date."""
    if value.strip().isdecimal():
        return min(float(value), 1e6)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _hint(data: bytes) -> str:
    """Return the server's own words about an error: the OpenAI error object's, else the beginning of the body."""
    try:
        text = json.loads(data)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = data[: 4 * _HINT].decode("utf-8", "replace")
    return " ".join(str(text).split())[:_HINT]


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
