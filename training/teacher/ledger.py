"""What was sent, and what came of it: a log of every request, and answers by mail, prompt and model.

Both lie in the data store's folder, readable by its owner alone. The log is written and synced before a request
goes out; what cannot be logged is not sent. Both forget a message with the data store.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from training.teacher.answer import Answer

LOG = "teacher.jsonl"
ANSWERS = "teacher.db"
_LOCK = "teacher.lock"
_KEYS = frozenset({"at", "digest", "url", "headers", "request"})
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, digest TEXT NOT NULL, model TEXT NOT NULL, "
    "answer TEXT NOT NULL, seconds REAL NOT NULL)"
)
_INDEX = "CREATE INDEX IF NOT EXISTS answers_digest ON answers (digest)"


class Damaged(Exception):
    """The log is not what was written."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer of before; None for a draft that was dropped, since what came back was no answer."""

    answer: Answer | None


class Ledger:
    """The log and the answers of one data store's folder. Use as a context manager, from one thread."""

    def __init__(self, folder: Path) -> None:
        """Open both, making them with mode 0600. Raises OSError or sqlite3.Error."""
        self.folder = folder
        path = folder / ANSWERS
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute("PRAGMA secure_delete=ON")
        with self._db:
            self._db.execute(_TABLE)
            self._db.execute(_INDEX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def sent(self, at: datetime, digest: str, url: str, headers: Mapping[str, str], request: bytes) -> None:
        """Write down a request that is about to be sent. Raises OSError, and then it must not be."""
        line = json.dumps({"at": at.isoformat(), "digest": digest, "url": url, "headers": dict(headers),
                           "request": request.decode()}, ensure_ascii=False)  # fmt: skip
        with _locked(self.folder):
            fd = os.open(self.folder / LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(fd, "a+b") as file:
                size = file.seek(0, os.SEEK_END)
                # what was killed while it wrote left half a line, and never sent it
                whole = not size or os.pread(fd, 1, size - 1) == b"\n"
                try:
                    file.write((b"" if whole else b"\n") + line.encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self.folder / LOG, size)  # no half line
                    raise

    def known(self, key: str) -> Remembered | None:
        """Return the answer of before, if there was one."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        return Remembered(Answer.model_validate_json(row[0]) if row[0] else None)

    def remember(self, key: str, digest: str, model: str, answer: Answer | None, seconds: float) -> None:
        """Keep an answer, and how many seconds it took."""
        text = answer.model_dump_json() if answer else ""
        row = (key, digest, model, text, seconds)
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def pace(self, model: str) -> float | None:
        """Return the mean seconds of this model's last hundred answers, None where there is none."""
        query = "SELECT avg(seconds) FROM (SELECT seconds FROM answers WHERE model = ? ORDER BY rowid DESC LIMIT 100)"
        found = self._db.execute(query, (model,)).fetchone()[0]
        return None if found is None else float(found)


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every request of the log, oldest first. Raises OSError, and at the end Damaged if a line is none."""
    path = folder / LOG
    if not path.exists():
        return
    damaged = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            found = _request(line)
            if found is None:
                damaged.append(str(number))
            else:
                yield found
    if damaged:
        raise Damaged(f"{path}: no request can be read from line {', '.join(damaged[:20])}")


def remembered(folder: Path) -> set[str]:
    """Return the digests of all messages in the log and the answers. Raises OSError or sqlite3.Error."""
    found: set[str] = set()
    if (path := folder / LOG).exists():
        with path.open("rb") as file:
            found = {str(request["digest"]) for line in file if (request := _request(line))}
    if (path := folder / ANSWERS).exists():
        with closing(sqlite3.connect(path, timeout=60)) as db:
            db.execute(_TABLE)
            found.update(row[0] for row in db.execute("SELECT digest FROM answers"))
    return found


def forget(folder: Path, digests: Sequence[str]) -> int:
    """Take messages out of the log and the answers; return how many rows went. Raises OSError or sqlite3.Error."""
    gone = set(digests)
    return (_forget_answers(folder / ANSWERS, gone) + _forget_lines(folder, gone)) if gone else 0


def _forget_answers(path: Path, gone: set[str]) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=60)) as db:
        db.execute("PRAGMA secure_delete=ON")
        with db:
            db.execute(_TABLE)
            return sum(db.execute("DELETE FROM answers WHERE digest = ?", (digest,)).rowcount for digest in gone)


def _forget_lines(folder: Path, gone: set[str]) -> int:
    path = folder / LOG
    if not path.exists():
        return 0
    draft = path.with_suffix(".new")
    count = 0
    with _locked(folder):
        try:
            with (
                path.open("rb") as before,
                os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as after,
            ):
                for line in before:
                    if _is_about(line, gone):
                        count += 1
                    else:
                        after.write(line)
                after.flush()
                os.fsync(after.fileno())
            if count:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return count


def _request(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= _KEYS else None


def _is_about(line: bytes, gone: set[str]) -> bool:
    """Whether a line is about one of the messages; of a damaged one, whether it names one."""
    found = _request(line)
    return found["digest"] in gone if found else any(digest.encode() in line for digest in gone)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time append to the log or write it anew."""
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
