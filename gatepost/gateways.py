"""The running gateway as a command sees it: asked at its health address, watched until it follows the pointer."""

import json
import os
import pwd
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from milter.endpoint import Endpoint
from milter.prepare import StartError, account_of
from milter.settings import Settings
from model.bundle import Bundle
from model.shelf import ShelfError, pointer_mark, pointer_text
from training.gate.promotion import Follow, Followed

PATIENCE = 5.0
EVERY = 0.2
_MOST = 1 << 20


def ask(settings: Settings) -> dict[str, Any] | None:
    """Return what /healthz says, whatever its status; None where nobody answers or no address is set."""
    if not settings.metrics.listen:
        return None
    place = Endpoint.parse(settings.metrics.listen)
    kind = socket.AF_UNIX if place.path else socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        with socket.socket(kind, socket.SOCK_STREAM) as line:
            line.settimeout(PATIENCE)
            line.connect(place.path or (place.host, place.port))
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while (piece := line.recv(65536)) and len(answer) < _MOST:
                answer += piece
        found = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def follower(settings: Settings, seconds: float, *, clock: Callable[[], float] = time.monotonic,
             sleep: Callable[[float], None] = time.sleep) -> Callable[[Bundle], Followed]:  # fmt: skip
    """Return what waits, at most `seconds`, for the gateway to serve with a bundle or to refuse it."""

    def follow(bundle: Bundle) -> Followed:
        mark = pointer_text(pointer_mark(settings.model.store))
        end = clock() + seconds
        health = ask(settings)
        if health is None:
            return Followed(Follow.NOBODY, _nobody(settings))
        while True:
            if health is not None and health.get("pointer") == mark:
                if health.get("model") == bundle.version:
                    return Followed(Follow.FOLLOWED, f"the running gateway serves with {health.get('model')}")
                if health.get("refused"):
                    return Followed(Follow.REFUSED, str(health["refused"]))
            if clock() >= end:
                return Followed(Follow.LATE, f"the running gateway has not followed after {seconds:.0f} seconds; see "
                                             "its log for reload-done or reload-refused")  # fmt: skip
            sleep(EVERY)
            health = ask(settings)

    return follow


def _nobody(settings: Settings) -> str:
    if not settings.metrics.listen:
        return "metrics.listen is empty, so a running gateway cannot be asked; its log has reload-done"
    return f"no gateway answers at {settings.metrics.listen}; it loads this model when it starts"


def readable(settings: Settings) -> Callable[[Path], None]:
    """Return what refuses a folder that the gateway's account could not read (ShelfError)."""

    def prepare(folder: Path) -> None:
        who = _account(settings)
        if who is None or who.pw_uid == 0:
            return
        groups = set(os.getgrouplist(who.pw_name, who.pw_gid))
        for place in (*reversed(folder.resolve().parents), folder, *folder.iterdir()):
            if not _may_read(place.stat(), who.pw_uid, groups):
                raise ShelfError(f"{place}: the gateway's account {who.pw_name} may not read it; change its mode")

    return prepare


def _account(settings: Settings) -> pwd.struct_passwd | None:
    """Return who the gateway runs as: the account that is set, else the owner of its state folder."""
    try:
        if settings.gateway.user:
            return account_of(settings.gateway.user)
        return pwd.getpwuid(settings.gateway.state_dir.stat().st_uid)
    except (StartError, OSError, KeyError):
        return None


def _may_read(found: os.stat_result, uid: int, groups: set[int]) -> bool:
    """Tell by the mode bits whether an account may pass through a folder, or read a file."""
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    return bool((found.st_mode >> shift) & (1 if stat.S_ISDIR(found.st_mode) else 4))
