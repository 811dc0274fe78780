"""The connection to the database: how it is set up, and what its failures are called.

SQLite runs in WAL with `synchronous=FULL`, since 250 may only be said of what survives a power cut. Writes
begin with BEGIN IMMEDIATE: a transaction that reads first and then writes would otherwise fail under another
writer instead of waiting for it. What is particular to SQLite is in this module alone.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from quarantine.errors import StoreError, StoreFull

_WRITE = "gatepost_write"
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DENIED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
WAL_LIMIT = 64 * 1024 * 1024


class Database(Protocol):
    """What settings say of a database: its URL, and how many seconds a writer waits for another."""

    @property
    def url(self) -> str:
        """The database as SQLAlchemy names it."""
        ...

    @property
    def busy_seconds(self) -> float:
        """Seconds."""
        ...


def make_engine(settings: Database) -> Engine:
    """Return an engine whose connections are set up as the store needs them. Opens nothing yet."""
    engine = create_engine(
        settings.url,
        hide_parameters=True,  # parameters are people's mail: never in an exception's text
        connect_args={"timeout": settings.busy_seconds},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # takes effect in a new database only
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"journal_size_limit={WAL_LIMIT}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def make_database_file(path: Path) -> None:
    """Make the empty file with mode 0600 where there is none, and close one that is open to others. StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_mode & 0o077:
                os.fchmod(fd, 0o600)  # SQLite gives its -wal and -shm files the mode of this one
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFull(f"{path}: no room left on the disk") from None
        raise StoreError(f"{path}: the database cannot be made: {error.strerror}") from None


@contextmanager
def transaction(engine: Engine, path: Path, *, write: bool) -> Iterator[Connection]:
    """One transaction: committed and on the disk at the end, or rolled back and a StoreError raised."""
    try:
        with engine.connect() as plain:
            connection = plain.execution_options(**{_WRITE: write})
            with connection.begin():
                yield connection
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def compact(engine: Engine, path: Path, pages: int) -> None:
    """Give at most `pages` free pages back to the file system, without holding up writers for long."""
    try:
        with engine.connect() as connection:
            if connection.dialect.name != "sqlite":
                return
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - the dialect says so; for the type checker
            # Not execute(): it takes one step, which is one page, of a statement that gives no rows.
            raw.executescript(f"PRAGMA incremental_vacuum({int(pages)})")
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise explain(error, path) from error


def explain(error: BaseException, path: Path) -> StoreError:
    """Turn a failure of the database into a StoreError with a safe text that says what to do."""
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return StoreFull(f"{path}: no room left on the disk") if full else StoreError(f"{path}: {error.strerror}")
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", 0) or 0
    if code in _FULL:
        return StoreFull(f"{path}: no room left on the disk")
    match code & 0xFF:
        case c if c in _CORRUPT:
            return StoreError(
                f"{path}: the database is damaged or is none. Stop what uses it, move the file away and restore "
                "it from its backup, or save what can be read with: sqlite3 FILE .recover"
            )
        case c if c in _BUSY:
            return StoreError(f"{path}: the database is busy: another process kept it locked for too long")
        case c if c in _DENIED:
            return StoreError(f"{path}: the database cannot be opened or written; check its owner and mode")
        case sqlite3.SQLITE_IOERR:
            return StoreError(f"{path}: the disk failed to read or write the database")
    return StoreError(f"{path}: the database refused: {type(origin).__name__}")
