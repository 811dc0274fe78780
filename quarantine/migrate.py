"""Brings the database to the schema of this code, and makes database and key at first use.

The supervisor calls `migrate` once before it starts workers; the store itself only checks (`check_schema`).
"""

import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, inspect, select, text

from quarantine.bodies import SALT, Vault
from quarantine.engine import explain, make_database_file, make_engine, transaction
from quarantine.errors import StoreError
from quarantine.keys import load_key, make_key
from quarantine.schema import HEAD, vault
from quarantine.settings import StoreSettings

_SCRIPTS = Path(__file__).parent / "migrations"
_WORD = b"gatepost"


def migrate(settings: StoreSettings, *, entropy: Callable[[int], bytes] = os.urandom) -> None:
    """Make or upgrade the database in one transaction, and make the key file if both are new.

    Raises StoreError, and then nothing has changed. Safe to call at every start and from several processes.
    """
    make_database_file(settings.path)
    engine = make_engine(settings)
    try:
        with transaction(engine, settings.path, write=True) as connection:
            _check_not_newer(connection, settings.path)
            _upgrade(connection, settings.path)
            _check_word(connection, settings, entropy)
    finally:
        engine.dispose()


def check_schema(engine: Engine, path: Path) -> None:
    """Raise StoreError unless the database is at `HEAD`."""
    if not path.exists():
        raise StoreError(f"{path}: there is no database yet; `gatepost serve` makes it at its first start")
    with transaction(engine, path, write=False) as connection:
        found = _revision(connection)
        _check_not_newer(connection, path)
    if found != HEAD:
        raise StoreError(f"{path}: the database is of an older version; `gatepost serve` upgrades it at its start")


def check_key(engine: Engine, path: Path, key_file: Path) -> bytes:
    """Return the key. Raises StoreError if it is not the one that the database was sealed with."""
    key = load_key(key_file)
    with transaction(engine, path, write=False) as connection:
        row = connection.execute(select(vault.c.salt, vault.c.sealed).where(vault.c.name == "word")).first()
    if row is None:
        raise StoreError(f"{path}: the database has no key check; restore it from its backup")
    _compare(key, row.salt, row.sealed, path, key_file)
    return key


def _compare(key: bytes, salt: bytes, sealed: bytes, path: Path, key_file: Path) -> None:
    try:
        Vault(key, salt, "word").unseal("word", sealed)
    except StoreError:
        raise StoreError(
            f"{key_file}: this is not the key of {path}. What is kept cannot be read with it: "
            "restore the key file from its backup"
        ) from None


def _check_word(connection: Connection, settings: StoreSettings, entropy: Callable[[int], bytes]) -> None:
    row = connection.execute(select(vault.c.salt, vault.c.sealed).where(vault.c.name == "word")).first()
    if row is not None:
        # Never make a key for a database that has one: it would hide that the right one is lost.
        _compare(load_key(settings.key_file), row.salt, row.sealed, settings.path, settings.key_file)
        return
    key, salt = make_key(settings.key_file, entropy), entropy(SALT)
    sealed = Vault(key, salt, "word", entropy).seal("word", _WORD)
    connection.execute(insert(vault).values(name="word", salt=salt, sealed=sealed))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _check_not_newer(connection: Connection, path: Path) -> None:
    found = _revision(connection)
    if found is not None and found > HEAD:
        raise StoreError(f"{path}: the database is of a newer version of Gatepost; upgrade this installation")
    if found is None and inspect(connection).get_table_names():
        raise StoreError(f"{path}: this is the database of another program; set quarantine.url to a file of its own")


def _upgrade(connection: Connection, path: Path) -> None:
    from alembic import command  # slow to import, and needed once a start
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise explain(error, path) from error
