"""The messages behind a PATH argument: a file, a folder, a maildir, an mbox, or `-` for standard input.

What cannot be read is a result too: a broken path never keeps the others from being worked on.
"""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FILE_LIMIT = 256 << 20
_FROM_LINE = re.compile(rb"From \S+.* \d{2}:\d{2}(?::\d{2})? .*\d{4}|From -?\s|From \S+@\S+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """One message or the reason why there is none. `name` says where it stands: `mbox#3` for the third in an mbox."""

    name: str
    data: bytes | None
    error: str = ""


def read_paths(paths: Iterable[str]) -> Iterator[Source]:
    """Yield the messages of each path in order; folders in order of names, at any depth, without hidden files."""
    for path in paths:
        if path == "-":
            if sys.stdin is None:
                yield Source("-", None, "standard input is closed")
                continue
            yield from _stream("-", sys.stdin.buffer)
            continue
        try:
            yield from _path(path)
        except OSError as error:
            yield Source(path, None, error.strerror or str(error))


def _path(name: str) -> Iterator[Source]:
    path = Path(name)
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        yield from _folder(path)
    elif stat.S_ISREG(mode):
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > FILE_LIMIT and not _is_mbox(file.read(1000)):
                yield Source(name, None, f"larger than {FILE_LIMIT >> 20} MB")
                return
            file.seek(0)
            yield from _stream(name, file)
    else:
        yield Source(name, None, "neither a file nor a folder")


def _folder(path: Path) -> Iterator[Source]:
    if all((path / part).is_dir() for part in ("cur", "new")):
        for part in ("new", "cur"):
            for file in sorted((path / part).iterdir()):
                if not file.name.startswith("."):
                    yield from read_paths([str(file)])
        return
    locked: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=locked.append):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file_name in sorted(files):
            if not file_name.startswith("."):
                yield from read_paths([str(Path(folder) / file_name)])
    for error in locked:
        yield Source(str(error.filename), None, error.strerror or str(error))


def _is_mbox(head: bytes) -> bool:
    line, _, rest = head.partition(b"\n")
    return line.startswith(b"From ") and _FROM_LINE.match(line) is not None and b":" in rest


def _stream(name: str, stream: BinaryIO) -> Iterator[Source]:
    head = stream.readline(1000) + stream.readline(1000)
    if not _is_mbox(head):
        data = head + stream.read(FILE_LIMIT)
        yield Source(name, data)
        return
    for number, message in enumerate(_mbox(head.splitlines(keepends=True), stream), 1):
        yield Source(f"{name}#{number}", message)


def _mbox(first: list[bytes], stream: Iterable[bytes]) -> Iterator[bytes]:
    """Split an mbox (RFC 4155): a message begins at a `From ` line behind an empty one; `>From ` is unquoted."""
    lines: list[bytes] = []
    blank = True
    for source in (first, stream):
        for line in source:
            if blank and line.startswith(b"From ") and _FROM_LINE.match(line.rstrip()):
                if lines:
                    yield _message(lines)
                lines = []
            else:
                lines.append(line[1:] if line.startswith((b">From ", b">>From ")) else line)
            blank = not line.strip()
    if lines:
        yield _message(lines)


def _message(lines: list[bytes]) -> bytes:
    """Join the lines without the empty one that an mbox puts behind each message."""
    if lines and not lines[-1].strip():
        lines = lines[:-1]
    return b"".join(lines)
