"""`gatepost dataset forget`: a sender, a message or a reviewer, through to the models that learnt from them."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gatepost.commands.dataset_common import configuration, opened, store_options
from gatepost.commands.options import json_object
from gatepost.settings import Settings
from model.bundle import DEFAULT
from model.safe_text import safe
from quarantine.reviewer import reviewer
from training.settings import DEFAULT_CACHE
from training.store.adding import is_forgotten
from training.store.forget import Forgotten, Subject, lift
from training.store.forget import forget as forget_subject
from training.store.proof import models_with, verify
from training.store.store import DataStore
from training.teacher.ledger import forget as forget_sent
from training.teacher.ledger import remembered

_SHOWN = 20


@click.command(name="forget", short_help="remove a sender, message or reviewer for good")
@click.option("--sender", default="", metavar="WHO", help="An address, or a domain and those below it: all its mail.")
@click.option("--message", "digest", default="", metavar="ID", help="One message.")
@click.option("--reviewer", "who", default="", metavar="ACCOUNT", help="All labels of this account; the mail stays.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--verify", "proof", is_flag=True, help="Prove that it is gone: look for it everywhere.")
@click.option("--lift", "allow", is_flag=True, help="Let it be added again; what is gone stays gone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--cache", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_CACHE,
              show_default=True, help="Folder in which training keeps extracted messages between runs.")  # fmt: skip
@json_object
@store_options
def forget(
    *, sender: str, digest: str, who: str, dry_run: bool, proof: bool, allow: bool, yes: bool, cache: Path,
    as_json: bool, config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Remove mail or labels for good: from the data store, its snapshots, and what training has cached.

    A keyed hash stays, so that the next import does not bring it back. Snapshots that held it are superseded, and
    the models that learnt from them are named: freeze a new snapshot, train, and promote. Copies elsewhere are not
    reached: the quarantine, exported files, backups.

    Exit code 1 if --verify finds anything that is left.
    """
    if sum(map(bool, (sender.strip(" @."), digest, who))) != 1 or sum((dry_run, proof, allow)) > 1:
        raise click.UsageError(
            "give one of --sender, --message and --reviewer, and at most one of --dry-run, --verify and --lift"
        )
    with opened(config, folder) as store:
        subject = Subject(sender, _whole(store, digest, exact=proof or allow) if digest else "", who)
        if proof:
            _prove(store, subject, cache.expanduser(), as_json=as_json)
            return
        if allow:
            told = "it may be added again" if lift(store, subject) else "it was never forgotten"
            click.echo(f"{safe(sender or digest or who)}: {told}")
            return
        plan = forget_subject(store, subject, by=reviewer(), cache=None, dry_run=True)
        if not (dry_run or yes):
            click.confirm(f"Forget {_what(plan)} for good?", abort=True)
        done = plan if dry_run else _forget(store, subject, cache.expanduser())
    models = models_with((mark for _, mark in done.snapshots), _shelves(configuration(config)))
    if as_json:
        click.echo(json.dumps(_data(done, models, dry_run=dry_run)))
    else:
        _tell(done, models, dry_run=dry_run)


def _forget(store: DataStore, subject: Subject, cache: Path) -> Forgotten:
    def vectors(digests: Sequence[str]) -> int:
        from training.evaluation.embeddings import forget as forget_vectors

        return forget_vectors(cache) if digests else 0

    def sent(digests: Sequence[str]) -> int:
        return forget_sent(store.settings.path, digests)

    done = forget_subject(store, subject, by=reviewer(), cache=cache, others=[vectors, sent])
    with _plain_errors():
        sent(done.digests)  # a teacher may have been asked in between
    return done


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"what a teacher was sent could not be looked through: {error}") from None


def _whole(store: DataStore, digest: str, *, exact: bool) -> str:
    """Return the whole id. Of a message that is gone only the whole id can be asked for."""
    given = digest.strip().lower()
    return given if exact or len(given) == 64 else store.get(given).digest


def _shelves(settings: Settings) -> list[Path]:
    return [Path(settings.model.store), Path(settings.model.path) if settings.model.path else DEFAULT]


def _what(plan: Forgotten) -> str:
    if plan.unlabelled:
        return f"the labels of {len(plan.unlabelled)} {_messages(len(plan.unlabelled))}"
    return f"{len(plan.digests)} {_messages(len(plan.digests))}"


def _verb(done: Forgotten, *, dry_run: bool) -> str:
    if dry_run:
        return "would be"
    return "is" if len(done.digests) == 1 and not done.unlabelled else "are"


def _messages(count: int) -> str:
    return "message" if count == 1 else "messages"


def _tell(done: Forgotten, models: list[Path], *, dry_run: bool) -> None:
    click.echo(f"{_what(done)} {_verb(done, dry_run=dry_run)} forgotten")
    for digest, provenance in list(zip(done.digests, done.provenances, strict=True))[:_SHOWN]:
        click.echo(f"  {digest}  {safe(provenance)}")
    if len(done.digests) > _SHOWN:
        click.echo(f"  and {len(done.digests) - _SHOWN} more")
    for name, mark in done.snapshots:
        click.echo(f"snapshot {name} {'would be' if dry_run else 'is'} superseded: fingerprint {mark[:16]}")
    for model in models:
        click.echo(f"{model}: this model learnt from it; train and promote a new one")
    if done.snapshots and not models:
        click.echo("no model in the model store names these snapshots; models elsewhere may")


def _data(done: Forgotten, models: list[Path], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run, "messages": list(done.digests), "unlabelled": list(done.unlabelled),
        "snapshots": [{"name": name, "fingerprint": mark} for name, mark in done.snapshots],
        "models": [str(model) for model in models], "cached": done.readings,
    }  # fmt: skip


def _prove(store: DataStore, subject: Subject, cache: Path, *, as_json: bool) -> None:
    left = verify(store, subject, cache)
    with _plain_errors(), store.reading() as connection:
        known = sorted(remembered(store.settings.path))
        left += [f"message {digest} is in what a teacher was sent" for digest in known
                 if is_forgotten(connection, store, digest, "", "")]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"gone": not left, "left": left}))
    for line in left if not as_json else ():
        click.echo(safe(line), err=True)
    if left:
        raise click.exceptions.Exit(1)
    if not as_json:
        click.echo("nothing of it is left in the data store, in the bytes of its files, in the reading cache, or in "
                   "what a teacher was sent")  # fmt: skip
