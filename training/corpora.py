"""Collections of labelled mail outside the project, read by their `index.csv`.

A collection folder holds `index.csv` (one row a message: archive, path, split, label, label_source, year, lang,
kind, html, group) and either the unpacked files or `ARCHIVE.tar.xz` beside it. Nothing in it is ever rendered,
resolved, fetched or copied into the project.
"""

import csv
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model.labels import Label
from training import reread

COLUMNS = ("archive", "path", "split", "label", "label_source", "year", "lang", "kind", "html", "group")
BAD = "bad"
"""Label of a row that is not ham and whose kind nobody told."""
SPLITS = ("train", "dev", "site")
KINDS = ("raw", "headers", "partial", "html", "text")

_HTML_HEAD = b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
_TEXT_HEAD = (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)


class CorporaError(Exception):
    """A collection cannot be read; the text names the file, line or column and what was expected."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message of a collection. `label` is a class or `bad`; `group` is a near-duplicate key."""

    archive: str
    path: str
    split: str
    label: str
    label_source: str
    year: int | None
    lang: str
    kind: str
    group: str

    @property
    def source(self) -> str:
        """Where within an archive the message comes from: its second path element, where that is a folder."""
        parts = self.path.split("/")
        return parts[1] if len(parts) > 2 else ""

    @property
    def bad(self) -> bool:
        """Whether the message is anything but ham."""
        return self.label != Label.HAM

    @property
    def read(self) -> bool:
        """Whether somebody read this very message to label it."""
        return self.label_source.startswith("read-")

    @property
    def synthetic(self) -> bool:
        """Whether the message was made up (templates, placeholders)."""
        return self.label_source == "synthetic"


@dataclass(frozen=True, slots=True)
class Corpora:
    """An opened collection: its rows, and the folder its paths are below."""

    rows: tuple[Row, ...]
    root: Path

    @classmethod
    def open(cls, folder: Path, cache: Path) -> "Corpora":
        """Read the index; archives that are not unpacked beside it are unpacked below `cache` once.

        Labels that were found wrong by reading (`training.reread`) are right here.

        Raises `CorporaError`.
        """
        try:
            known = reread.load()
        except reread.RereadError as error:
            raise CorporaError(str(error)) from error
        rows = tuple(_again(row, known) for row in read_index(folder / "index.csv"))
        if not rows:
            raise CorporaError(f"{folder / 'index.csv'}: no row")
        if all((folder / path).exists() for path in {r.archive: r.path for r in rows}.values()):
            return cls(rows, folder)
        for archive in sorted({r.archive for r in rows}):
            _unpack(folder / f"{archive}.tar.xz", cache / "unpacked")
        return cls(rows, cache / "unpacked")

    @property
    def corrected(self) -> int:
        """How many labels were corrected by reading."""
        return sum(row.label_source == reread.SOURCE for row in self.rows)

    def raw(self, row: Row) -> bytes:
        """Return the message of a row as bytes; bare bodies are wrapped in the headers they lack."""
        data = (self.root / row.path).read_bytes()
        return wrap(data, row.kind)


def wrap(data: bytes, kind: str) -> bytes:
    """Make a message of a bare HTML or text body, without adding anything that would tell its collection.

    A text that opens with a `Subject:` line keeps it as its header.
    """
    if kind == "html":
        return _HTML_HEAD + data
    if kind == "text":
        first, _, rest = data.partition(b"\n")
        if first[:8].lower() == b"subject:":
            return first.rstrip(b"\r") + b"\r\n" + _TEXT_HEAD + rest
        return _TEXT_HEAD + data
    return data


def read_index(path: Path) -> Iterator[Row]:
    """Yield the rows of an index. Raises `CorporaError` with file, line and column."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise CorporaError(f"{path}: column {missing[0]} is missing; expected {', '.join(COLUMNS)}")
            for row in reader:
                yield _row(row, f"{path}: line {reader.line_num}")
    except OSError as error:
        raise CorporaError(f"{path}: {error.strerror or error}; expected a folder of labelled mail") from error
    except UnicodeDecodeError as error:
        raise CorporaError(f"{path}: expected UTF-8, found byte {error.object[error.start]:#04x}") from error
    except csv.Error as error:
        raise CorporaError(f"{path}: this is no CSV: {error}") from error


def _again(row: Row, known: Mapping[str, reread.Correction]) -> Row:
    found = known.get(row.path)
    return replace(row, label=str(found.label), label_source=reread.SOURCE) if found else row


def _row(row: dict[str, str], where: str) -> Row:
    labels = (*(str(label) for label in Label), BAD)
    for column, known in (("split", SPLITS), ("label", labels), ("kind", KINDS)):
        if row[column] not in known:
            raise CorporaError(f"{where}: {column}: expected one of {', '.join(known)}, found {row[column]!r}")
    year = row["year"]
    if year and not year.isdigit():
        raise CorporaError(f"{where}: year: expected a number or nothing, found {year!r}")
    if not row["group"]:
        raise CorporaError(f"{where}: group: expected a near-duplicate key, found nothing")
    return Row(
        archive=row["archive"],
        path=row["path"],
        split=row["split"],
        label=row["label"],
        label_source=row["label_source"],
        year=int(year) if year else None,
        lang=row["lang"],
        kind=row["kind"],
        group=row["group"],
    )


def _unpack(archive: Path, into: Path) -> None:
    """Unpack once; a marker file says that it was done to the end."""
    done = into / f".{archive.name}.done"
    if done.exists():
        return
    into.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:xz") as tar:
            _unpack_files(tar, into)
    except (OSError, tarfile.TarError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CorporaError(
            f"{archive}: {told}; expected this archive or its unpacked files beside index.csv"
        ) from error
    done.touch()


def _unpack_files(tar: tarfile.TarFile, into: Path) -> None:
    """Write the plain files, and nothing outside `into`. Python before 3.11.4, as in Debian 12, knows no filters."""
    inside = into.resolve()
    for member in tar:
        source = tar.extractfile(member) if member.isfile() else None
        if source is None:
            continue  # folders come with their files; links and devices are not wanted
        target = into / member.name
        if not target.resolve().is_relative_to(inside):
            raise tarfile.TarError(f"{member.name} would be written outside the folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(source, out)
