"""Which gateway this is, where several share one database.

Neither the name of the machine nor the one that we greet with tells them apart: two may run on one machine, and a
group behind one address greets with one name. What no two gateways share is their `state_dir`, which is locked while
one serves: so the name is made there at the first start, and outlives a change of either.
"""

import base64
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from milter.keepsake import made_once
from milter.prepare import StartError

ID_FILE = "gateway.id"
_NAME = re.compile(r"[A-Za-z0-9.-]{1,64}-[a-z2-7]{8}")
_STRANGE = re.compile(r"[^A-Za-z0-9.-]")


def gateway_id(state_dir: Path, name: str, *, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return this gateway's own name, made from `name` and 40 random bits at the first call. Raises StartError."""
    path = state_dir / ID_FILE

    def fresh() -> bytes:
        told = _STRANGE.sub("-", name)[:64] or "gateway"
        return f"{told}-{base64.b32encode(entropy(5)).decode().lower()}\n".encode()

    try:
        found = made_once(path, fresh).decode("ascii", "replace").strip()
    except OSError as error:
        raise StartError(f"{path}: cannot be read or written: {error.strerror}") from None
    if not _NAME.fullmatch(found):
        raise StartError(f"{path}: expected a name such as mx1.corp.example-k3v7q2xa, found {found[:80]!r}; remove "
                         "the file to have another made, with which the breaker and the drift alarm begin anew")
    return found
