"""The lineage of an installation's models: one signed line a decision, each naming the hash of the one before.

    STORE/lineage.jsonl    the lines, only ever added to
    STORE/lineage.key      Ed25519 private key (RFC 8032), PEM, mode 0600, made at first use
    STORE/lineage.pub      its public key, PEM

A line is compact JSON with sorted keys; `signature` is over the same without it, `previous` is the SHA-256 of the
whole line before. Whoever can write the store and read its key can forge all of it: note the public key's
fingerprint (gatepost model show prints it) somewhere else.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

FILE = "lineage.jsonl"
PRIVATE = "lineage.key"
PUBLIC = "lineage.pub"
_FIRST = "0" * 64


class Action(StrEnum):
    """What a line records. `return` is the switch back after a running gateway refused the model."""

    PROMOTE = "promote"
    REFUSE = "refuse"
    FORCE = "force"
    ROLLBACK = "rollback"
    RETURN = "return"


SWITCHES = (Action.PROMOTE, Action.FORCE, Action.ROLLBACK, Action.RETURN)


class LineageError(Exception):
    """The lineage cannot be read, written or trusted; the text names file, line and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One decision: who switched from which version to which, why, on which checks and data."""

    at: datetime
    by: str
    action: Action
    before: str
    after: str
    reason: str = ""
    checks: tuple[Mapping[str, Any], ...] = ()
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """The first line, from 1, that does not fit the chain, and why."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What the file says, as far as it can be read, and its first fault. `key`: the public key's fingerprint."""

    records: tuple[Record, ...]
    fault: Fault | None
    key: str = ""

    def previous(self, current: str) -> str | None:
        """Return what served before the current version; going back twice goes two steps back, not to and fro."""
        stack: list[str] = []
        for record in self.records:
            if record.action not in SWITCHES:
                continue
            stack = stack or [record.before]
            if record.action in (Action.ROLLBACK, Action.RETURN) and record.after in stack:
                while stack[-1] != record.after:
                    stack.pop()
            elif stack[-1] != record.after:
                stack.append(record.after)
        # a decision on record whose pointer never moved stands above the current one
        while stack and stack[-1] != current:
            stack.pop()
        return stack[-2] if len(stack) > 1 else None

    @property
    def last(self) -> Record | None:
        """The last switch that was decided."""
        return next((r for r in reversed(self.records) if r.action in SWITCHES), None)


def read(store: Path) -> Chain:
    """Read and verify the whole chain; an installation that never decided has an empty one. Raises LineageError."""
    lines = _lines(store)
    if not lines:
        return Chain((), None)
    public = _public(store)
    records: list[Record] = []
    fault: Fault | None = None
    before = _FIRST
    for number, line in enumerate(lines, 1):
        try:
            data = _checked(line, number, before, public)
            records.append(_record(data))
        except ValueError as error:
            fault = fault or Fault(number, str(error))
            records += _best(line)
        before = hashlib.sha256(line).hexdigest()
    return Chain(tuple(records), fault, fingerprint(public))


def append(store: Path, record: Record) -> None:
    """Sign and add one line; durable when it returns. The caller holds the store's lock. Raises LineageError."""
    lines = _lines(store, repair=True)
    key = _private(store, first=not lines)
    before = hashlib.sha256(lines[-1]).hexdigest() if lines else _FIRST
    body = {
        "line": len(lines) + 1, "previous": before, "at": record.at.isoformat(), "by": record.by,
        "action": str(record.action), "before": record.before, "after": record.after, "reason": record.reason,
        "checks": [dict(check) for check in record.checks], "data": dict(record.data or {}),
    }  # fmt: skip
    signature = base64.b64encode(key.sign(_canonical(body))).decode()
    _write(store / FILE, _canonical({**body, "signature": signature}) + b"\n")


def fingerprint(public: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key in hex, in groups, to be compared by eye."""
    digest = hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]
    return ":".join(digest[i : i + 4] for i in range(0, 32, 4))


def _canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _checked(line: bytes, number: int, before: str, public: Ed25519PublicKey) -> dict[str, Any]:
    """Return a line's data. Raises ValueError with what is wrong with it."""
    try:
        data = json.loads(line)
        signature = base64.b64decode(data.pop("signature"), validate=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("it is no signed record") from None
    try:
        public.verify(signature, _canonical(data))
    except InvalidSignature:
        raise ValueError("its signature is wrong: it was changed, or signed with another key") from None
    if data.get("line") != number:
        raise ValueError(f"it says that it is line {data.get('line')}: lines were removed, added or moved")
    if data.get("previous") != before:
        raise ValueError("it does not name the line before it: that one was changed, removed or added")
    result: dict[str, Any] = data
    return result


def _record(data: Mapping[str, Any]) -> Record:
    try:
        return Record(
            datetime.fromisoformat(data["at"]), str(data["by"]), Action(data["action"]), str(data["before"]),
            str(data["after"]), str(data["reason"]), tuple(data["checks"]), data["data"],
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from None


def _best(line: bytes) -> Iterator[Record]:
    """Yield what a faulty line still seems to say: a rollback in need can use it, and says that it is doubtful."""
    try:
        yield _record(json.loads(line))
    except (ValueError, TypeError, AttributeError):
        return


def _lines(store: Path, *, repair: bool = False) -> list[bytes]:
    """Return the whole lines. A last one without its end was never acknowledged; `repair` cuts it off."""
    path = store / FILE
    try:
        data = path.read_bytes()
        whole = data.rpartition(b"\n")[0]
        if repair and data and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)
                os.fsync(file.fileno())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LineageError(f"{path}: {error.strerror}") from None
    return whole.split(b"\n") if whole else []


def _write(path: Path, line: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)
            if os.write(fd, line) != len(line):
                raise LineageError(f"{path}: the disk is full; the line was not recorded")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise LineageError(f"{path}: cannot be written: {error.strerror}") from None


def _public(store: Path) -> Ed25519PublicKey:
    path = store / PUBLIC
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise LineageError(f"{path}: {error.strerror}: restore it, or nothing can be verified") from None
    except ValueError:
        raise LineageError(f"{path}: no public key in PEM; restore it") from None
    if not isinstance(key, Ed25519PublicKey):
        raise LineageError(f"{path}: no Ed25519 key; restore it")
    return key


def _private(store: Path, *, first: bool) -> Ed25519PrivateKey:
    """Return the signing key, made at first use. Raises LineageError if it is gone, open to others, or another."""
    path = store / PRIVATE
    if first and not path.exists():
        _make_keys(store)
    try:
        mode = path.stat().st_mode & 0o777
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise LineageError(f"{path}: the key that signs is gone; restore it, or move {FILE} and {PUBLIC} aside to "
                           "begin a new lineage") from None
    except PermissionError:
        raise LineageError(f"{path}: this account may not read it; do this as the owner of the store") from None
    except (OSError, ValueError, TypeError) as error:
        raise LineageError(f"{path}: cannot be used: {error}; restore it") from None
    if mode & 0o077:
        raise LineageError(f"{path}: mode is {mode:04o}, expected 0600: others may have read it; chmod 600 {path}")
    if not isinstance(key, Ed25519PrivateKey):
        raise LineageError(f"{path}: no Ed25519 key; restore it")
    if fingerprint(key.public_key()) != fingerprint(_public(store)):
        raise LineageError(f"{path}: does not belong to {PUBLIC}; restore the one that does")
    return key


def _make_keys(store: Path) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # the public one first: a private key that is there is whole, and so is its other half
    for path, data, mode in ((store / PUBLIC, public, 0o644), (store / PRIVATE, private, 0o600)):
        fresh = path.with_name(f".{path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)
                file.write(data)
                file.flush()
                os.fsync(fd)
            fresh.replace(path)
        except OSError as error:
            raise LineageError(f"{path}: cannot be written: {error.strerror}") from None
