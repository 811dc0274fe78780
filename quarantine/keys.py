"""The key file: 32 random octets in base64, readable by its owner only, made once and never replaced."""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path

from quarantine.errors import StoreError

KEY_BYTES = 32
_OTHERS = 0o077


def load_key(path: Path) -> bytes:
    """Read the key. Raises StoreError naming the file and what to do."""
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"{path}: the key file is missing. What is kept cannot be read without it: restore it from its backup"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: the key file cannot be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise StoreError(f"{path}: the key file is open to others; run: chmod 600 {path}")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: expected {KEY_BYTES} octets in base64 in the key file; restore it from its backup")
    return key


def make_key(path: Path, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the key of `path`, making the file if there is none. Raises StoreError.

    The key is written beside the file and linked into place, so that no other process reads half of it, and two
    that start at once agree on one.
    """
    if path.exists():
        return load_key(path)
    draft = path.with_name(f".{path.name}.{entropy(8).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(draft, base64.b64encode(entropy(KEY_BYTES)) + b"\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster: its key counts
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: the key file cannot be made: {error.strerror}") from None
    return load_key(path)


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
