"""Small files in `state_dir` that are made once, at first use, and then stay."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what the file holds; where there is none it is written first, with mode 0600. Raises OSError.

    Two processes that start at once end up with the same content.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # never replaces what another process has made meanwhile
        draft.unlink()
    return path.read_bytes()
