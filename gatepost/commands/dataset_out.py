"""`gatepost dataset snapshot` and `export`: frozen sets, and mail for labelling tools."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click

from gatepost.commands.dataset_common import opened, store_options
from gatepost.commands.options import json_lines
from gatepost.commands.quarantine_common import When, one_of
from gatepost.terminal import Column, columns, table
from gatepost.times import full
from model.domains import DomainLists
from model.safe_text import safe
from quarantine.reviewer import reviewer
from training.store.advice import shortcomings
from training.store.entry import NAMES, Entry, Filter, Origin, Snapshot
from training.store.errors import DataStoreError
from training.store.look import Looker
from training.store.rows import as_line
from training.store.snapshots import Resolve, freeze, listed
from training.store.snapshots import snapshot as snapshot_of
from training.store.store import DataStore
from training.triage.approval import approved, said

_collections = click.option("--collection", "collections", multiple=True, metavar="NAME",
                            help="Only this set; may be repeated.")  # fmt: skip
_origins = click.option("--origin", "origins", multiple=True, type=one_of(*Origin), help="Only mail that came so.")


@click.command(name="snapshot", short_help="freeze what is labelled, or list what was frozen")
@click.argument("name", required=False)
@click.option("--resolve", type=one_of(*Resolve),
              help="Of near-duplicates whose labels exclude each other, take the newest label, or that of the "
              "majority, or drop all of them. Without it they are listed and nothing is frozen.")  # fmt: skip
@_collections
@_origins
@json_lines
@store_options
def snapshot(
    name: str | None, resolve: str | None, collections: tuple[str, ...], origins: tuple[str, ...], as_json: bool,
    config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Freeze, under NAME, everything that is labelled; without a NAME, list the snapshots.

    What counts is labelled by a person, by an import or by a recorded bulk rule; drafts never are. A snapshot never
    changes. Its fingerprint stands for exactly these messages, labels and groups, and a model names it.
    """
    with opened(config, folder, create=False) as store:
        if name is None:
            _list(listed(store), as_json)
            return
        wanted = Filter(collections=collections, origins=tuple(map(Origin, origins)))
        may_train, held = _approval(store, wanted)
        made = freeze(
            store, name, by=reviewer(), wanted=wanted, resolve=Resolve(resolve) if resolve else None, only=may_train
        )
    short = [*shortcomings(made.entries), *held]
    if as_json:
        click.echo(json.dumps({**_data(made), "shortcomings": short}))
        return
    for line in short:
        click.echo(f"note: {safe(line)}", err=True)
    counts = {label: sum(e.name == label for e in made.entries) for label in NAMES}
    told = ", ".join(f"{n} {label}" for label, n in counts.items() if n)
    click.echo(f"{name}: {made.size} messages in {len({e.group for e in made.entries})} groups ({told})")
    click.echo(f"fingerprint {made.fingerprint}")


def _approval(store: DataStore, wanted: Filter) -> tuple[Callable[[Entry], bool], list[str]]:
    """Return what may be frozen under `[dataset] approvals`, and a sentence about what waits for another person.

    Raises DataStoreError where everything that is labelled waits.
    """
    needed = store.settings.approvals
    may_train = approved(said(store.history()), needed)
    labelled = store.entries(replace(wanted, labelled=True))
    waiting = sum(not may_train(entry) for entry in labelled)
    if not waiting:
        return may_train, []
    told = (
        f"{waiting} of {len(labelled)} labelled messages wait for {needed} people to give them the same label "
        "([dataset] approvals): somebody else runs gatepost dataset review"
    )
    if waiting == len(labelled):
        raise DataStoreError(f"{told}; nothing was frozen")
    return may_train, [told]


def _data(one: Snapshot) -> dict[str, object]:
    return {"name": one.name, "fingerprint": one.fingerprint, "created": one.created.isoformat(), "by": one.by,
            "resolved": one.resolved or None, "messages": one.size,
            "superseded": one.superseded.isoformat() if one.superseded else None}  # fmt: skip


def _list(found: Sequence[Snapshot], as_json: bool) -> None:
    if as_json:
        for one in found:
            click.echo(json.dumps(_data(one)))
        return
    if not found:
        click.echo("Nothing is frozen.  (gatepost dataset snapshot NAME)")
        return
    heads = [Column("NAME", 8, 1), Column("FROZEN", 16), Column("BY", 4), Column("MESSAGES", 8, right=True),
             Column("FINGERPRINT", 16), Column("", 0)]  # fmt: skip
    cells = [
        [one.name, full(one.created), safe(one.by), str(one.size), one.fingerprint[:16],
         "superseded" if one.superseded else ""]
        for one in found
    ]  # fmt: skip
    for line in table(heads, cells, columns()):
        click.echo(line)


@click.command(name="export", short_help="write JSON lines for labelling tools and other stores")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--snapshot", "name", metavar="NAME", help="Only this snapshot, under its labels.")
@_collections
@_origins
@click.option("--label", "labels", multiple=True, type=one_of(*NAMES), help="Only this label; may be repeated.")
@click.option("--unlabelled", is_flag=True, help="Only what no person has labelled.")
@click.option("--since", type=When(), help="Added at or after this: 3d, 2026-11-23 or 2026-11-23T14:30.")
@click.option("--raw", is_flag=True, help="With the whole message in base64, so that another store can import it.")
@store_options
def export(
    *, file: Path | None, name: str | None, collections: tuple[str, ...], origins: tuple[str, ...],
    labels: tuple[str, ...], unlabelled: bool, since: object, raw: bool, config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Write messages as JSON lines to FILE (readable by you alone), or to standard output.

    Each has an id, a label, a draft, the subject and text that a model reads, and where it came from. A labelling
    tool fills in label, and `dataset import` takes it back by id. The text is people's mail: mind where it goes,
    `dataset forget` does not reach it there.
    """
    chosen = Filter(
        collections=collections, origins=tuple(map(Origin, origins)), labels=labels,
        labelled=False if unlabelled else None, since=since,  # type: ignore[arg-type]  # When gives a datetime
    )  # fmt: skip
    with opened(config, folder) as store:
        found = list(snapshot_of(store, name).entries) if name else store.entries(chosen)
        with _output(file) as out:
            for line in _lines(store, found, raw=raw):
                out.write(json.dumps(line) + "\n")
    click.echo(f"{len(found)} messages", err=True)


def _lines(store: DataStore, found: Sequence[Entry], *, raw: bool) -> Iterator[dict[str, object]]:
    with Looker(DomainLists.load(), store.clock()) as looker:
        looks = looker.look(store.raws(e.digest for e in found))
        for entry, look in zip(found, looks, strict=True):
            document = look.document
            yield as_line(entry, document.subject, document.body, store.raw(entry.digest) if raw else None)


@contextmanager
def _output(file: Path | None) -> Iterator[TextIO]:
    """Yield standard output, or a file that appears whole or not at all, with mode 0600."""
    if file is None:
        yield sys.stdout
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}; nothing was written") from None
    finally:
        draft.unlink(missing_ok=True)
