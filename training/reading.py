"""Labelled bytes to `Seen` values through the very functions that serve: extract, facts, normalise.

Extraction runs in the same killable child as in the gateway, so one hostile message of a collection costs itself
only. Results are cached outside the tree by the content's hash and a fingerprint of the reading code and its lists.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from threading import local
from typing import Any, Self

import model
from model.child import ExtractionFailed, Extractor
from model.domains import DomainLists
from model.extracted import Extracted, Limits
from model.facts import Facts, Site, facts
from model.mail import Client, Envelope, RawMessage, Recipient
from model.normalise import Document, normalise
from model.sender_facts import author

WORKERS = 2
"""Extraction children at once: training shares the machine."""
TIMEOUT = 20.0
"""Seconds for one message; the child's own limits are shorter."""
_AHEAD = 64
_FORMAT = b"2"
"""Of the cached values."""
_CACHE = "seen.sqlite"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS origins (key TEXT PRIMARY KEY, digest TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS origins_digest ON origins (digest)",
)
_SERVING = ("bundle", "child", "encode", "head", "labels", "lexical", "mail", "policy", "score", "screen", "shelf",
            "text", "verdict")  # fmt: skip
"""Modules of `model` that have no say in what is read out of a message."""

COLLECTION = Site(trusted_authserv_ids=frozenset({"*"}), own_domains=frozenset(), known_correspondents=frozenset())
"""Stored mail names its own collector's gateway: its topmost Authentication-Results is taken at its word."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What serving would have made of a message; `fault` says why it could not, and then the rest is empty.

    `sender` is the registrable domain of From, or the whole address where a domain is shared by strangers (free
    mail): what intervals and certificates are counted by. Empty where From names nobody, or several.
    """

    document: Document
    facts: Facts
    fault: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes to read, with facts that are declared and not computed (written mail only)."""

    data: bytes
    declared: Mapping[str, bool]


class Reader:
    """Reads messages, two at a time, through a cache. Use as a context manager."""

    def __init__(self, cache: Path, lists: DomainLists) -> None:
        """Open the cache below `cache`, mode 0700. Raises OSError or sqlite3.Error."""
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lists = lists
        self._print = fingerprint()
        self._own = local()
        self._extractors: list[Extractor] = []
        self._pool = ThreadPoolExecutor(WORKERS)
        self._db = sqlite3.connect(cache / _CACHE, timeout=60)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA secure_delete=ON")
        for table in _TABLES:
            self._db.execute(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the children and close the cache."""
        self._pool.shutdown()
        for extractor in self._extractors:
            extractor.close()
        self._db.close()

    def read(self, messages: Iterable[Raw]) -> Iterator[Seen]:
        """Yield what is seen of each message, in order."""
        stream = iter(messages)
        while batch := list(islice(stream, _AHEAD)):
            keys = [self._key(raw) for raw in batch]
            known = self._known(keys)
            fresh = {k: raw for k, raw in zip(keys, batch, strict=True) if k not in known}
            made = dict(zip(fresh, self._pool.map(self._see, fresh.values()), strict=True))
            self._db.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?)", [(k, _packed(seen)) for k, seen in made.items()]
            )
            self._remember_origins(keys, batch)
            self._db.commit()
            yield from (made[k] if k in made else known[k] for k in keys)

    def _key(self, raw: Raw) -> str:
        declared = json.dumps(dict(raw.declared), sort_keys=True)
        return hashlib.sha256(b"\0".join((self._print.encode(), declared.encode(), raw.data))).hexdigest()

    def _remember_origins(self, keys: list[str], batch: list[Raw]) -> None:
        """Note of which message each row is, so that it can be forgotten; where all are noted nothing is written."""
        marks = ",".join("?" * len(keys))
        noted = {k for (k,) in self._db.execute(f"SELECT key FROM origins WHERE key IN ({marks})", keys)}  # noqa: S608 - only ?
        self._db.executemany(
            "INSERT OR IGNORE INTO origins VALUES (?, ?)",
            [(k, hashlib.sha256(r.data).hexdigest()) for k, r in zip(keys, batch, strict=True) if k not in noted],
        )

    def _known(self, keys: list[str]) -> dict[str, Seen]:
        marks = ",".join("?" * len(keys))
        found = self._db.execute(f"SELECT key, value FROM seen WHERE key IN ({marks})", keys)  # noqa: S608 - only ?
        return {key: _unpacked(value) for key, value in found}

    def _see(self, raw: Raw) -> Seen:
        message = RawMessage.of(raw.data)
        try:
            extracted = self._extractor().extract(message, timeout=TIMEOUT)
        except ExtractionFailed as error:
            return Seen(Document("", (), "", ()), Facts(), f"extraction-{error.reason}")
        found = facts(extracted, envelope_of(extracted), COLLECTION, self._lists)
        if raw.declared:
            found = replace(found, **raw.declared)
        return Seen(normalise(extracted, found, self._lists), found, "", sender_of(extracted, self._lists))

    def _extractor(self) -> Extractor:
        if not hasattr(self._own, "extractor"):
            self._own.extractor = Extractor(Limits())
            self._extractors.append(self._own.extractor)
        mine: Extractor = self._own.extractor
        return mine


def forget(cache: Path, digests: Sequence[str]) -> int:
    """Remove what was read of these messages from a cache, and every row that does not say of which it is.

    Return how many rows went; 0 where there is no cache. Raises sqlite3.Error, also where somebody else is reading.
    """
    if not (cache / _CACHE).exists():
        return 0
    with closing(sqlite3.connect(cache / _CACHE, timeout=60)) as db:
        db.execute("PRAGMA secure_delete=ON")
        for table in _TABLES:
            db.execute(table)
        with db:
            db.execute("BEGIN IMMEDIATE")
            gone = db.execute("DELETE FROM seen WHERE key NOT IN (SELECT key FROM origins)").rowcount
            for digest in digests:
                own = "SELECT key FROM origins WHERE digest = ?"
                gone += db.execute(f"DELETE FROM seen WHERE key IN ({own})", (digest,)).rowcount  # noqa: S608 - only ?
                db.execute("DELETE FROM origins WHERE digest = ?", (digest,))
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise sqlite3.OperationalError("it is being read")
    return gone


def remembered(cache: Path) -> tuple[list[str], int]:
    """Return the SHA-256 of every message that a cache holds, and how many rows do not say of which they are."""
    if not (cache / _CACHE).exists():
        return [], 0
    with closing(sqlite3.connect(cache / _CACHE, timeout=60)) as db:
        for table in _TABLES:
            db.execute(table)
        rows = db.execute("SELECT DISTINCT digest FROM seen LEFT JOIN origins USING (key) ORDER BY digest").fetchall()
        nameless = db.execute("SELECT count(*) FROM seen WHERE key NOT IN (SELECT key FROM origins)").fetchone()[0]
    return [digest for (digest,) in rows if digest is not None], int(nameless)


def sender_of(extracted: Extracted, lists: DomainLists) -> str:
    """Return whom a message counts for: its From's registrable domain, or the address itself at a shared domain."""
    who = author(extracted, lists)
    shared = who.organisation and (lists.free_mail(who.organisation) or lists.shared(who.domain))
    return who.address.address.lower() if shared else who.organisation


def envelope_of(extracted: Extracted) -> Envelope:
    """Rebuild what a stored message still tells of its envelope: the return path, and whom it names."""
    back = extracted.headers.get("return-path")
    if back is not None and not back.strip("<> \t"):  # the null sender, as reports have it
        sender = ""
    else:
        back = (back or "").strip().strip("<>")
        sender = back if "@" in back else next((a.address for a in extracted.from_), "")
    return Envelope(sender, tuple(Recipient(a.address) for a in extracted.to[:1]), (), Client())


def fingerprint() -> str:
    """Hash of the code and the lists that decide what is seen of a message."""
    folder = Path(model.__path__[0])
    total = hashlib.sha256(_FORMAT)
    for path in sorted(folder.glob("*.py")):
        if path.stem not in _SERVING:
            total.update(path.read_bytes())
    for path in sorted((folder / "data").glob("*")):
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _packed(seen: Seen) -> bytes:
    return zlib.compress(json.dumps(asdict(seen)).encode(), 1)


def _unpacked(value: bytes) -> Seen:
    data: dict[str, Any] = json.loads(zlib.decompress(value))
    document = data["document"]
    return Seen(
        Document(document["subject"], tuple(document["fact_tokens"]), document["body"], tuple(document["hosts"])),
        Facts(**data["facts"]),
        data["fault"],
        data["sender"],
    )
