"""Whether what was forgotten is gone, and which models learnt from it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import select

from model.bundle import MANIFEST
from training.reading import remembered
from training.store.adding import tombstone
from training.store.forget import Subject, present
from training.store.schema import tombstones
from training.store.store import DataStore


def verify(store: DataStore, subject: Subject, cache: Path | None) -> list[str]:
    """Look for what should be gone, in every table, in the bytes of the files, and in the reading cache.

    Return what is left, one line each; empty is the proof. What is sealed, backups and exported files cannot be
    looked into.
    """
    left: list[str] = []
    with store.reading() as connection:
        found = present(connection, subject)
        known = connection.execute(
            select(tombstones.c.mark).where(tombstones.c.mark == tombstone(store, subject.mark))
        ).scalar()
    if known is None:
        left.append("it was never forgotten: no mark of it is in the data store")
    left += [f"message {digest} is in the data store" for digest in found.digests]
    left += [f"a label on message {digest} is in the data store" for digest in found.unlabelled]
    needle = subject.sender.strip().lower() or subject.digest or subject.reviewer
    for path in _files(store.settings.database):
        if needle.encode() in _lower(path):
            left.append(f"{path}: its bytes hold {needle}")
    if cache is not None and subject.digest:
        left += [f"the reading cache holds message {subject.digest}"] * (remembered(cache, subject.digest) > 0)
    return left


def _files(database: Path) -> list[Path]:
    return [path for end in ("", "-wal", "-journal") if (path := Path(f"{database}{end}")).exists()]


def _lower(path: Path) -> bytes:
    return path.read_bytes().lower()


def models_with(fingerprints: Iterable[str], folders: Iterable[Path]) -> list[Path]:
    """Return the model bundles whose manifest names one of the fingerprints: what has to be rebuilt."""
    wanted = tuple(fingerprints)
    manifests = sorted({path for folder in folders for path in (folder, *folder.glob("versions/*"))})
    return [path for path in manifests if wanted and _names(path / MANIFEST, wanted)]


def _names(manifest: Path, fingerprints: Sequence[str]) -> bool:
    try:
        text = manifest.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(fingerprint in text for fingerprint in fingerprints)
