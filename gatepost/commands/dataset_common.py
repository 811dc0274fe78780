"""What the commands of the data store share: the store, its options, errors as people read them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from gatepost.commands.options import scoring_config
from gatepost.config import DEFAULT_PATH, find, load
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
    return where(scoring_config(command))


def settings_of(config: Path | None, folder: Path | None) -> DatasetSettings:
    """Return the settings of the data store: those of the configuration where there is one, and the folder."""
    path = config or outer("config")
    place = find(path)
    found = load(place).dataset if path or place != DEFAULT_PATH or place.exists() else DatasetSettings()
    chosen = folder or outer("folder")
    return found.model_copy(update={"path": chosen.absolute()}) if chosen else found


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
    Outcome.DIFFERS: "known under another label, and left as it is (--relabel changes it)",
    Outcome.FORGOTTEN: "forgotten once, and not added again",
    Outcome.UNREADABLE: "not added",
}


def summary(counts: Counter[Outcome]) -> str:
    """Say how many messages had which outcome, in one line."""
    parts = [f"{counts[outcome]} {said}" for outcome, said in _SAID.items() if counts[outcome]]
    return ", ".join(parts) or "no message found"
