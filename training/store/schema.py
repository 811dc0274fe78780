"""The tables of the data store.

In clear are the columns that lists count, filter and forget by: digests, labels, who gave them, senders, groups,
collections, times. Bytes and the word sequences that grouping compares are sealed (`quarantine.bodies`), and what
is looked up by them is a keyed hash. The version is one number in the file's header and there are no migrations:
only commands write here, none of them serves, and an older store is moved by exporting and importing it.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from quarantine.schema import Moment

VERSION = 1
"""Of these tables (SQLite's user_version)."""
APPLICATION = 0x67706473
"""SQLite's application_id: "gpds"."""

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

vault = Table(
    "vault",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    comment="one sealed word, which tells at once whether the key file belongs to this database",
)

entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("label", String(12), nullable=False),
    Column("label_source", String(12), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("labelled", Moment, nullable=True),
    Column("sender", Text, nullable=False),
    Column("sender_domain", Text, nullable=False),
    Column("grouped", String(16), nullable=False),
    Column("collection", Text, nullable=False),
    Column("provenance", Text, nullable=False),
    Column("licence", Text, nullable=False),
    Column("reporter", Text, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("origin", String(12), nullable=False),
    Column("sample_weight", Float, nullable=False),
    Column("received", Moment, nullable=True),
    Column("added", Moment, nullable=False),
    Column("lang", String(8), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("pieces", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("text_mark", LargeBinary, nullable=False),
    Column("sketch", LargeBinary, nullable=False),
    Index(None, "grouped"),
    Index(None, "text_mark"),
    Index(None, "sender_domain"),
    comment="a message once; text_mark is a keyed hash of its word sequences, sketch the sealed sequences",
)

bodies = Table(
    "bodies",
    metadata,
    Column("entry", Integer, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    comment="the pieces of a message, compressed and sealed, each under 1 MB",
)

bands = Table(
    "bands",
    metadata,
    Column("band", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", Integer, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "entry"),
    comment="keyed hashes of MinHash bands: where near-duplicates are looked for",
    sqlite_with_rowid=False,
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("entry", Integer, ForeignKey("entries.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("before", String(12), nullable=False),
    Column("after", String(12), nullable=False),
    Column("source", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("confidence", Float, nullable=True),
    UniqueConstraint("entry", "at", "by", "after", "source"),
    comment="who gave which label when; rows are only ever added, and go with their entry or their reviewer",
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("resolved", String(12), nullable=False),
    Column("superseded", Moment, nullable=True),
)

frozen = Table(
    "frozen",
    metadata,
    Column("snapshot", Integer, ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True),
    Column("entry", Integer, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
    Column("label", String(12), nullable=False),
    Column("label_source", String(12), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("labelled", Moment, nullable=True),
    Column("grouped", String(16), nullable=False),
    Index(None, "entry"),
    comment="labels and groups as they were when the snapshot was frozen",
    sqlite_with_rowid=False,
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("mark", LargeBinary, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    comment="keyed hashes of what was forgotten, so that it is not added again",
)
