"""Whether what was forgotten is gone, and which models learnt from it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import or_, select

from model.bundle import MANIFEST
from training.reading import remembered
from training.store.adding import tombstone
from training.store.forget import Subject, present
from training.store.schema import entries, labels, tombstones
from training.store.store import DataStore


def verify(store: DataStore, subject: Subject, cache: Path) -> list[str]:
    """Look for what should be gone: in every table, in the bytes of the files, and in the reading cache.

    Return what is left, one line each; empty is the proof. Backups, exported files and what a file system keeps of
    blocks that it has freed cannot be looked into.
    """
    with store.reading() as connection:
        found = present(connection, subject)
        marks = set(connection.execute(select(tombstones.c.mark)).scalars())
    left = [f"message {digest} is in the data store" for digest in found.digests]
    left += [f"a label on message {digest} is in the data store" for digest in found.unlabelled]
    if tombstone(store, subject.mark) not in marks:
        left.append("it was never forgotten: no mark of it is in the data store")
    cached, nameless = remembered(cache)
    left += [f"{cache}: message {d} is cached" for d in cached if tombstone(store, f"message {d}") in marks]
    if nameless:
        left.append(f"{cache}: {nameless} cached messages do not say which they are; forgetting again removes them")
    return left + [f"{path}: its bytes hold {subject.needle}" for path in _holding(store, subject.needle)]


def _holding(store: DataStore, needle: str) -> list[Path]:
    """Return the files in whose bytes a name stands that no row of others explains."""
    if not needle or _explained(store, needle):
        return []
    database = store.settings.database
    files = [path for end in ("", "-wal", "-journal") if (path := Path(f"{database}{end}")).exists()]
    return [path for path in files if needle.encode() in path.read_bytes().lower()]


def _explained(store: DataStore, needle: str) -> bool:
    """Whether mail that stays has the name in it: in another's longer address, in a path."""
    columns = (entries.c.sender, entries.c.reporter, entries.c.provenance, entries.c.collection, labels.c.reason)
    query = select(entries.c.id).outerjoin(labels, labels.c.entry == entries.c.id)
    with store.reading() as connection:
        named = or_(*(column.icontains(needle, autoescape=True) for column in columns))
        return connection.execute(query.where(named).limit(1)).first() is not None


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
