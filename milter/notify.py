"""Tells systemd how the service stands (sd_notify(3)); does nothing where nobody asked."""

import os
import socket
import time
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send one state, such as `READY=1`, to $NOTIFY_SOCKET. Failures are systemd's to notice."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return


def reloading() -> str:
    """Return the state of a reload that begins now; systemd wants the monotonic clock with it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
