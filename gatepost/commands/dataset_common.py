"""What the commands of the data store share: the store, its options, errors as people read them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from gatepost.config import DEFAULT_PATH, find, load
from gatepost.settings import Settings
from model.safe_text import safe
from quarantine.errors import StoreError
from training.store.entry import Added, Outcome
from training.store.settings import DatasetSettings
from training.store.store import DataStore

_TELL_EVERY = 500
MOST_TOLD = 50
"""Messages that were not taken and are named; the others are counted."""
_Command = TypeVar("_Command", bound=Callable[..., Any])
_FOLDER = click.Path(path_type=Path, file_okay=False)


def store_options(command: _Command) -> _Command:
    """Add --config and --store."""
    where = click.option(
        "--store", "folder", metavar="FOLDER", type=_FOLDER,
        help="Folder of the data store.  [default: path in the [dataset] table, else /var/lib/gatepost/dataset]",
    )  # fmt: skip
    file = click.option(
        "--config", metavar="FILE", type=click.Path(path_type=Path),
        help="Configuration file.  [default: $GATEPOST_CONFIG, else /etc/gatepost/config.toml, else the defaults]",
    )  # fmt: skip
    return where(file(command))


def settings_of(config: Path | None, folder: Path | None) -> DatasetSettings:
    """Return the settings of the data store: those of the configuration where there is one, and the folder."""
    found = configuration(config).dataset
    chosen = folder or outer("folder")
    return found.model_copy(update={"path": chosen.absolute()}) if chosen else found


def configuration(config: Path | None) -> Settings:
    """Read the configuration that is named or stands in its usual place; where none does, return the defaults."""
    path = config or outer("config")
    place = find(path)
    if path or place != DEFAULT_PATH or os.access(place, os.R_OK):
        return load(place)
    try:
        place.lstat()
    except FileNotFoundError:
        return Settings()
    except PermissionError:
        pass
    click.echo(f"{place}: this account may not read it; the defaults are used", err=True)
    return Settings()


def outer(name: str) -> Path | None:
    """Return what an option of the group was given as: it stands before the command's name."""
    parent = click.get_current_context().parent
    value = parent.params.get(name) if parent else None
    return value if isinstance(value, Path) else None


@contextmanager
def opened(config: Path | None, folder: Path | None, *, create: bool = False) -> Iterator[DataStore]:
    """Open the data store; what goes wrong is said in a line or two, exit code 1 (2: settings)."""
    settings = settings_of(config, folder)
    with plain_errors(), DataStore.open(settings, create=create) as store:
        yield store


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an error of the store into a message without a traceback."""
    try:
        yield
    except StoreError as error:
        raise click.ClickException(safe(str(error), lines=True)) from None


def told(results: Iterable[tuple[str, Added]]) -> Counter[Outcome]:
    """Count what became of messages; say at once what was not taken, and on a long way how far it is."""
    counts: Counter[Outcome] = Counter()
    refused = 0
    for name, done in results:
        counts[done.outcome] += 1
        if done.outcome in (Outcome.UNREADABLE, Outcome.DIFFERS):
            refused += 1
            if refused <= MOST_TOLD:
                click.echo(f"{safe(name)}: {safe(done.why or str(done.outcome))}", err=True)
        if (total := sum(counts.values())) % _TELL_EVERY == 0:
            click.echo(f"{total} messages so far", err=True)
    if refused > MOST_TOLD:
        click.echo(f"and {refused - MOST_TOLD} more", err=True)
    return counts


_SAID = {
    Outcome.ADDED: "added",
    Outcome.LABELLED: "known and labelled now",
    Outcome.KNOWN: "known already",
    Outcome.DIFFERS: "known under another label, and left as it is",
    Outcome.FORGOTTEN: "forgotten once, and not added again",
    Outcome.UNREADABLE: "not added",
}


def summary(counts: Counter[Outcome]) -> str:
    """Say how many messages had which outcome, in one line."""
    parts = [f"{counts[outcome]} {said}" for outcome, said in _SAID.items() if counts[outcome]]
    return ", ".join(parts) or "no message found"
