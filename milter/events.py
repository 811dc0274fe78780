"""The operator's log: named events, one line each, on standard error.

No text of a message ever enters it. Addresses are keyed hashes unless the operator wants them in clear: the same
address always has the same hash, so a complaint can be followed through the log, and nobody without the key can
tell or guess it. A line is one `write` (`milter.log_pipe`) of at most `LINE_LIMIT` octets, so lines of several
workers never mix.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any

from milter.log_pipe import STDERR
from milter.record import MessageRecord
from milter.settings import LogSettings
from milter.trace import load_key

LINE_LIMIT = 4096
"""PIPE_BUF on Linux: a shorter write to a pipe is never mixed with another's."""
VALUE_LIMIT = 256
"""Longest text value, in characters; hostile message ids and addresses are cut here."""
RECIPIENTS = 10
"""Recipients that a line names; the others are counted."""
HASH_DIGITS = 12
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")  # only ever on text that `clean` has cut
ROOT = Path(__file__).resolve().parent.parent


def hashed(address: str, key: bytes) -> str:
    """Return local part and domain as keyed hashes, joined by @, so that a domain can be followed as well."""
    local, at, domain = address.rpartition("@")
    if not at:
        return _hash(address.lower(), key) if address else ""
    return f"{_hash(local.lower(), key)}@{_hash(domain.lower().rstrip('.'), key)}"


def log_key(state_dir: Path) -> bytes:
    """Return the key of the hashes, derived from the installation's own. Raises OSError or ValueError."""
    return hashlib.blake2b(load_key(state_dir), person=b"gatepost log", digest_size=32).digest()


def _hash(text: str, key: bytes) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, key=key[:64], digest_size=HASH_DIGITS // 2).hexdigest()


def clean(text: str) -> str:
    """Cut to `VALUE_LIMIT` and replace what could steer a terminal or a log reader: controls, bidi, surrogates."""
    if len(text) > VALUE_LIMIT:
        text = text[: VALUE_LIMIT - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class LogEvents:
    """Writes events as lines. `write` takes one finished line; `now` is the clock (aware, UTC)."""

    def __init__(
        self,
        settings: LogSettings,
        key: bytes,
        *,
        write: Callable[[bytes], None] = STDERR.put,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._json = settings.format == "json"
        self._clear = settings.addresses == "clear"
        self._key = key
        self._write = write
        self._now = now

    def message(self, record: MessageRecord) -> None:
        """One line for a transaction that has been answered."""
        values: dict[str, Any] = {
            "listener": record.listener,
            "direction": str(record.direction),
            "mode": record.mode,
            "trace": record.trace,
            "queue_id": record.queue_id,
            "message_id": record.message_id,
            "from": self.address(record.sender),
            "to": [
                {"address": self.address(r.address), "route": str(r.route), "reasons": list(r.reasons[:5])}
                | ({"wanted": str(r.wanted)} if r.wanted not in (None, r.route) else {})
                for r in record.recipients[:RECIPIENTS]
            ],
            "recipients": len(record.recipients),
            "label": str(record.label) if record.label else None,
            "p_bad": round(record.p_bad, 4) if record.p_bad is not None else None,
            "model": record.model,
            "size": record.size,
            "ms": {stage: round(value, 1) for stage, value in record.ms.items()},
            "reply": self._said(record.reply),
            "queued_as": record.queued_as,
            "fault": record.fault,
        }
        self.emit("warning" if record.fault else "info", "message", values)

    def next_hop_down(self, listener: str, address: str, error: str) -> None:
        """The next hop refused a connection, hung up or was silent too long; the client heard 451."""
        self.emit("error", "next-hop-down", {"listener": listener, "address": address, "error": self._said(error)})

    def session_fault(self, listener: str, peer: str, error: BaseException) -> None:
        """Our own code failed. The error's text is left out, for it may quote a message; its place is told."""
        values = {"listener": listener, "peer": peer, "error": type(error).__name__, "where": whereabouts(error)}
        self.emit("error", "session-fault", values)

    def note(self, level: str, name: str, **values: Any) -> None:
        """Tell of something in the life of the service itself: start, reload, a worker's death."""
        self.emit(level, name, values)

    def address(self, address: str) -> str:
        """Return an address as the log may show it."""
        return address if self._clear else hashed(address, self._key)

    def _said(self, text: str) -> str:
        """Return what another server said; it may name the recipient: 550 <bob@corp.example>: User unknown."""
        return text if self._clear else _ADDRESS.sub(lambda found: self.address(found[0]), clean(text))

    def emit(self, level: str, name: str, values: Mapping[str, Any]) -> None:
        """Write one event. Empty values are left out; a line that is too long loses its recipients, then its rest."""
        stamp = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"time": stamp, "level": level, "event": name, "pid": os.getpid()}
        line.update((key, _safe(value)) for key, value in values.items() if value not in ("", None, [], {}))
        data = self._encode(line)
        for droppable in ("to", *reversed(list(line))):
            if len(data) <= LINE_LIMIT:
                break
            line.pop(droppable, None)
            line["cut"] = True
            data = self._encode(line)
        self._write(data)

    def _encode(self, line: Mapping[str, Any]) -> bytes:
        if self._json:
            return json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        words = [str(line["time"]), str(line["level"]), str(line["event"])]
        words += [f"{key}={_word(value)}" for key, value in line.items() if key not in ("time", "level", "event")]
        return " ".join(words).encode("utf-8", "replace") + b"\n"


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=') else text


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(item) for item in value]
    return value


def whereabouts(error: BaseException, depth: int = 4) -> str:
    """Return file, line and function of the last frames of an error, innermost first; no values."""
    frames = list(reversed(extract_tb(error.__traceback__)))[:depth]
    return " < ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)


def _short(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
