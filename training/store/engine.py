"""The data store's database: made, opened, checked. SQLite as in `quarantine.engine`, with deleted bytes wiped."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, insert, inspect, select

from quarantine import engine as shared
from quarantine.bodies import SALT, Vault
from quarantine.errors import StoreError, StoreFull
from quarantine.keys import load_key, make_key
from training.store.errors import DataStoreError, DataStoreFull
from training.store.schema import APPLICATION, VERSION, metadata, vault
from training.store.settings import DatasetSettings

_WORD = b"gatepost dataset"


def open_engine(settings: DatasetSettings) -> Engine:
    """Return an engine whose connections overwrite what they delete. Opens nothing yet."""
    engine = shared.make_engine(settings)

    @event.listens_for(engine, "connect")
    def _wipe(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA secure_delete=ON")

    return engine


@contextmanager
def transaction(engine: Engine, path: Path, *, write: bool) -> Iterator[Connection]:
    """One transaction: committed and on the disk at the end, or rolled back and a DataStoreError raised."""
    with plain_errors(), shared.transaction(engine, path, write=write) as connection:
        yield connection


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the shared parts of the store raise into errors of this one."""
    try:
        yield
    except DataStoreError:
        raise
    except StoreFull as error:
        raise DataStoreFull(f"{error}. Nothing of this step was written: make room and run it again") from None
    except StoreError as error:
        raise DataStoreError(str(error)) from None


def make(settings: DatasetSettings, *, entropy: Callable[[int], bytes] = os.urandom) -> None:
    """Make database and key where there are none. Raises DataStoreError, and then nothing has changed."""
    with plain_errors():
        shared.make_database_file(settings.database)
    engine = open_engine(settings)
    try:
        with transaction(engine, settings.database, write=True) as connection:
            if _empty(connection, settings.database):
                metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION}")
                connection.exec_driver_sql(f"PRAGMA user_version={VERSION}")
                key, salt = make_key(settings.key, entropy), entropy(SALT)
                sealed = Vault(key, salt, "word", entropy).seal("word", _WORD)
                connection.execute(insert(vault).values(name="word", salt=salt, sealed=sealed))
    finally:
        engine.dispose()


def _empty(connection: Connection, path: Path) -> bool:
    """Whether the database is new. Raises DataStoreError where it is another program's, or of another version."""
    application = connection.exec_driver_sql("PRAGMA application_id").scalar()
    version = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
    if application != APPLICATION:
        if application or version or inspect(connection).get_table_names():
            raise DataStoreError(f"{path}: this is another program's database; set dataset.path to another folder")
        return True
    if version > VERSION:
        raise DataStoreError(f"{path}: the data store is of a newer version of Gatepost; upgrade this installation")
    if version < VERSION:
        raise DataStoreError(
            f"{path}: the data store is of an older version. Export it with that version (gatepost dataset export "
            "--raw), and import the file into a new folder"
        )
    return False


def checked_key(engine: Engine, settings: DatasetSettings) -> bytes:
    """Return the key of a store that is there. Raises DataStoreError if store or key is missing or another's."""
    path = settings.database
    if not path.exists():
        raise DataStoreError(f"{path}: there is no data store yet; `gatepost dataset add` makes it")
    with plain_errors():
        key = load_key(settings.key)
    with transaction(engine, path, write=False) as connection:
        if _empty(connection, path):
            raise DataStoreError(f"{path}: there is no data store yet; `gatepost dataset add` makes it")
        row = connection.execute(select(vault.c.salt, vault.c.sealed).where(vault.c.name == "word")).first()
    if row is None:
        raise DataStoreError(f"{path}: the data store has no key check; restore it from its backup")
    try:
        Vault(key, row.salt, "word").unseal("word", row.sealed)
    except StoreError:
        raise DataStoreError(
            f"{settings.key}: this is not the key of {path}. Its mail cannot be read without the right one: restore "
            "the key file from its backup"
        ) from None
    return key
