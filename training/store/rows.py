"""Tables of labelled mail: CSV with named columns, and JSON lines as the store exports them.

A file is checked to its end before anything of it is used, so that a wrong label in line 900 stops line 1 too.
"""

import base64
import binascii
import csv
import json
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from pathlib import Path
from typing import Any

from model.mail import Direction
from training.corpora import wrap
from training.store.entry import NAMES, About, Entry, LabelSource, Origin
from training.store.errors import DataStoreError

FIELDS = (
    "path", "text", "html", "subject", "sender", "label", "collection", "licence", "provenance", "received", "lang",
    "direction",
)  # fmt: skip
"""Columns that a CSV may have; others are ignored. It needs `path`, `text` or `html`."""
_TOLD = 20  # problems of a file that are named
_LONGEST = 64 << 20  # octets of a field or line


@dataclass(frozen=True, slots=True)
class Columns:
    """How a CSV of somebody else's is read: the header that stands for each field, the label that each word means."""

    names: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, str] = field(default_factory=dict)


def read_csv(path: Path, about: About, columns: Columns) -> Iterator[tuple[bytes, About]]:
    """Check a CSV file and return its messages. Raises DataStoreError naming file, line and column.

    A row's own columns come before what `about` says of all.
    """
    _refuse(path, [found for found in _csv_rows(path, about, columns) if isinstance(found, str)])
    return (found for found in _csv_rows(path, about, columns) if not isinstance(found, str))


def _csv_rows(path: Path, about: About, columns: Columns) -> Iterator[tuple[bytes, About] | str]:
    csv.field_size_limit(_LONGEST)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            titles = {name: columns.names.get(name, name) for name in FIELDS}
            _check_titles(path, titles, reader.fieldnames or (), columns)
            for row in reader:
                line = reader.line_num
                try:
                    given = {name: (row.get(title) or "") for name, title in titles.items()}
                    yield _csv_row(path, given, about, columns.means, line)
                except ValueError as error:
                    yield f"line {line}: {error}"
    except OSError as error:
        raise DataStoreError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataStoreError(f"{path}: expected UTF-8, found byte {error.object[error.start]:#04x}") from None
    except csv.Error as error:
        raise DataStoreError(f"{path}: this is no CSV: {error}") from None


def _check_titles(path: Path, titles: Mapping[str, str], found: Sequence[str], columns: Columns) -> None:
    for name, title in columns.names.items():
        if title not in found:
            raise DataStoreError(f"{path}: line 1: there is no column {title!r} for {name}")
    if not {titles[name] for name in ("path", "text", "html")} & set(found):
        named = ", ".join(repr(name) for name in found[:12]) or "nothing"
        raise DataStoreError(
            f"{path}: line 1: expected a column path, text or html, found {named}; the first line names the columns "
            "(--column text=HEADER if yours is called otherwise)"
        )


def _csv_row(
    path: Path, given: Mapping[str, str], about: About, means: Mapping[str, str], line: int
) -> tuple[bytes, About]:
    """Make a message of a row. Raises ValueError."""
    if given["path"]:
        file = path.parent / given["path"]
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise ValueError(f"path: {file}: this is no file")
            raw = file.read_bytes()
        except OSError as error:
            raise ValueError(f"path: {file}: {error.strerror}") from None
    elif given["text"].strip() or given["html"].strip():
        kind = "html" if given["html"].strip() else "text"
        body = given[kind].encode()
        raw = _head(given) + wrap(body if kind == "html" else b"\n" + body, kind)
    else:
        raise ValueError("expected a path or a text, found neither")
    label = means.get(given["label"], given["label"].strip().lower()) or about.label
    return raw, _about(about, {**given, "label": label}, f"{path.name}: line {line}")


def _head(given: Mapping[str, str]) -> bytes:
    lines = []
    if given["sender"].strip():
        lines.append("From: " + " ".join(given["sender"].split()))
    if given["subject"].strip():
        lines.append("Subject: " + Header(" ".join(given["subject"].split()), "utf-8").encode(linesep="\r\n"))
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _about(about: About, given: Mapping[str, Any], place: str) -> About:
    """Return what a row says, over what is said of all. Raises ValueError naming the field."""
    label = str(given.get("label") or "")
    if label and label not in NAMES:
        raise ValueError(f"label: expected one of {', '.join(NAMES)}, found {label[:40]!r}")
    return About(
        label=label,
        source=about.source,
        by=about.by,
        reason=str(given.get("reason") or about.reason),
        collection=str(given.get("collection") or about.collection),
        provenance=str(given.get("provenance") or place),
        licence=str(given.get("licence") or about.licence),
        reporter=str(given.get("reporter") or about.reporter),
        direction=_one_of(Direction, given, "direction") or about.direction,
        origin=_one_of(Origin, given, "origin") or about.origin,
        sample_weight=_weight(given.get("sample_weight"), about.sample_weight),
        received=_moment(given.get("received")) or about.received,
        lang=str(given.get("lang") or about.lang),
    )


def _one_of(kind: Any, given: Mapping[str, Any], name: str) -> Any:
    value = given.get(name)
    if value in (None, ""):
        return None
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}: expected one of {', '.join(kind)}, found {str(value)[:40]!r}") from None


def _weight(value: Any, default: float) -> float:
    if value in (None, ""):
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value < 1e9:
        raise ValueError(f"sample_weight: expected a number of at least 1, found {str(value)[:40]!r}")
    return float(value)


def _moment(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(value))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"received: expected a time such as 2026-11-23T14:30, found {str(value)[:40]!r}") from None


# --- JSON lines


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: a message with all that is known of it, or (`raw` None) a label for a stored one."""

    number: int
    digest: str
    raw: bytes | None
    about: About


def as_line(entry: Entry, subject: str, text: str, raw: bytes | None) -> dict[str, Any]:
    """Return an entry as the object that is exported. A draft stands apart, so that nothing takes it for a label."""
    draft = entry.label_source is LabelSource.DRAFT
    line: dict[str, Any] = {
        "id": entry.digest,
        "label": None if draft else entry.name or None,
        "draft": entry.name if draft else None,
        "label_source": None if draft else entry.label_source,
        "reviewer": None if draft else entry.reviewer or None,
        "subject": subject,
        "text": text,
        "sender": entry.sender,
        "group": entry.group,
        "collection": entry.collection,
        "provenance": entry.provenance,
        "licence": entry.licence,
        "reporter": entry.reporter,
        "direction": entry.direction,
        "origin": entry.origin,
        "sample_weight": entry.sample_weight,
        "received": entry.received.isoformat() if entry.received else None,
        "added": entry.added.isoformat(),
        "lang": entry.lang,
    }
    if raw is not None:
        line["raw"] = base64.b64encode(raw).decode()
    return line


def read_lines(path: Path, about: About, known: Iterable[str]) -> Iterator[Line]:
    """Check a JSONL file and return its lines. Raises DataStoreError naming every wrong line (20 at most).

    `known` are the digests of the store: a line without `raw` must name one of them.
    """
    there = frozenset(known)
    _refuse(path, [found for found in _json_lines(path, about, there) if isinstance(found, str)])
    return (found for found in _json_lines(path, about, there) if not isinstance(found, str))


def _json_lines(path: Path, about: About, known: frozenset[str]) -> Iterator[Line | str]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    yield _json_line(number, json.loads(line), about, known, path.name)
                except (ValueError, RecursionError) as error:
                    foreign = isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, RecursionError))
                    yield f"line {number}: {'this is no JSON' if foreign else error}"
    except OSError as error:
        raise DataStoreError(f"{path}: {error.strerror}") from None


def _json_line(number: int, data: Any, about: About, known: frozenset[str], place: str) -> Line:
    if not isinstance(data, dict):
        raise ValueError("expected an object with id and label, or with raw")  # noqa: TRY004 - as the others
    digest = str(data.get("id") or "")
    raw = None
    if data.get("raw"):
        try:
            raw = base64.b64decode(str(data["raw"]), validate=True)
        except binascii.Error:
            raise ValueError("raw: expected base64") from None
    elif digest not in known:
        raise ValueError(f"id: there is no message {digest[:64]!r} in the data store, and the line has no raw")
    who, how = data.get("reviewer"), data.get("label_source")
    if raw is not None and who:
        data = {**data, "reason": f"by {who} ({how}) where it was exported"}
    return Line(number, digest, raw, _about(about, data, f"{place}: line {number}"))


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        more = [f"{path}: and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        told = [f"{path}: {problem}" for problem in problems[:_TOLD]]
        raise DataStoreError("\n".join([*told, *more, "Nothing was imported."]))
