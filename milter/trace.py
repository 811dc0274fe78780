"""The trace field: it names our pass over a message, for people and for loop detection.

    X-Gatepost-Trace: v1 inbound 5k3j9d2m4q7w1xz8 6f1c…

version, listener, id of the pass, and an HMAC-SHA256 over these. Nobody without the key of this installation can
make one that counts, so nobody can have somebody else's mail taken for a loop.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from milter.headers import NAMESPACE, line
from milter.keepsake import made_once
from model.mail import RawMessage

KEY_FILE = "trace.key"
KEY_BYTES = 32
RECEIVED_LIMIT = 50
PASSES_LIMIT = 2
HEADER_LIMIT = 1 << 20

_TRACE = re.compile(rb"v1 ([A-Za-z0-9_.-]{1,64}) ([a-z2-7]{16}) ([0-9a-f]{64})")
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:(?:[ \t]|\r\n[ \t])*(<[!-=?-~]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_FIELDS = re.compile(rb"^(received|x-gatepost-trace)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Passes:
    """What a header section says of the way a message came: `Received` fields, ids of our own earlier passes.

    `message_id` is the first Message-ID as it stands, in angle brackets; empty without one.
    """

    received: int
    ours: frozenset[str]
    message_id: str = ""

    @property
    def looping(self) -> bool:
        """Whether the message goes round: too many hops, or twice through the same listener before."""
        return self.received > RECEIVED_LIMIT or len(self.ours) >= PASSES_LIMIT


class Tracer:
    """Makes and checks trace fields with the installation's key."""

    def __init__(self, key: bytes, ids: Callable[[], str] | None = None) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"a trace key has at least {KEY_BYTES} bytes")
        self._key = key
        self._ids = ids or new_id

    def new(self) -> str:
        """Return the id of a new pass."""
        return self._ids()

    def field(self, listener: str, trace: str) -> str:
        """Return the header field for a pass, without its line end."""
        return line("Trace", f"v1 {listener} {trace} {self._sign(listener, trace)}")

    def ours(self, field: bytes) -> tuple[str, str] | None:
        """Return (listener, id) of a trace field that this installation made; None for any other field."""
        name, colon, value = field.partition(b":")
        if not colon or name.strip().lower() != f"{NAMESPACE}Trace".lower().encode():
            return None
        found = _TRACE.fullmatch(b" ".join(value.split()))
        if found is None:
            return None
        listener, trace, signature = (part.decode() for part in found.groups())
        if not hmac.compare_digest(signature, self._sign(listener, trace)):
            return None
        return listener, trace

    def passes(self, raw: RawMessage, listener: str) -> Passes:
        """Read the header section (its first `HEADER_LIMIT` octets) for hops and for our own earlier passes."""
        head = raw.read(HEADER_LIMIT)
        head = head[: end + 2] if (end := head.find(b"\r\n\r\n")) >= 0 else head
        received = 0
        ours = set()
        for found in _FIELDS.finditer(head):
            if found[1].lower() == b"received":
                received += 1
            elif (seen := self.ours(found[0])) is not None and seen[0] == listener:
                ours.add(seen[1])
        found_id = _MESSAGE_ID.search(head)
        return Passes(received, frozenset(ours), found_id[1].decode("ascii") if found_id else "")

    def _sign(self, listener: str, trace: str) -> str:
        return hmac.new(self._key, f"v1 {listener} {trace}".encode(), hashlib.sha256).hexdigest()


def new_id() -> str:
    """Return 80 random bits as 16 characters that are easy to read out."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def load_key(state_dir: Path) -> bytes:
    """Return the key kept in `state_dir`, made with mode 0600 at first use. Raises OSError or ValueError.

    Two processes that start at once end up with the same key.
    """
    path = state_dir / KEY_FILE
    key = made_once(path, lambda: secrets.token_bytes(KEY_BYTES))
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path}: expected {KEY_BYTES} bytes, found {len(key)}; remove it to have a new one made")
    return key
