"""A place to listen at or to connect to: TCP address and port, or a unix socket."""

import ipaddress
from dataclasses import dataclass
from typing import Self

_SHAPES = '"ADDRESS:PORT", "[IPV6]:PORT" or "unix:/PATH"'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Either `host` and `port`, or `path` of a unix socket. Written and read as one string."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `127.0.0.1:25`, `[::1]:25`, `name:25` or `unix:/path`. Raises ValueError."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/"):
                raise ValueError(f"expected {_SHAPES} with an absolute path")
            if len(path.encode()) > 107:  # sockaddr_un's limit on Linux
                raise ValueError("expected a unix socket path of at most 107 bytes")
            return cls(path=path)
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit():
            raise ValueError(f"expected {_SHAPES}")
        if not 0 < int(port) < 65536:
            raise ValueError("expected a port from 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("expected an IPv6 address in brackets: [::1]:10025")
        return cls(host=host, port=int(port))

    @property
    def literal(self) -> bool:
        """Whether no name has to be looked up: a unix socket or an IP address."""
        if self.path:
            return True
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.path) or (self.literal and ipaddress.ip_address(self.host).is_loopback)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
