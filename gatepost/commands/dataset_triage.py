"""`gatepost dataset suspects` and `agreement`, and what they share with `review`: a model, and mail that it reads."""

import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.dataset_common import configuration, opened, store_options
from gatepost.commands.options import json_lines
from gatepost.extras import LEARN
from gatepost.terminal import Column, columns, table, wrapped
from model.leaks import mask
from model.safe_text import safe
from training.settings import DEFAULT_CACHE

if TYPE_CHECKING:
    from model.score import Scorer
    from training.reading import Reader
    from training.triage.agreement import Agreement
    from training.triage.queue import Neighbour
    from training.triage.suspects import Suspect

cache_option = click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_CACHE, show_default=True,
    help="Folder of what was read before; `dataset forget` reaches it.",
)  # fmt: skip


def needs_extra() -> None:
    """Exit 1 with the remedy where the libraries of the review order are not installed."""
    if lacking := LEARN.lacking("comparing with reviewed mail"):
        raise click.ClickException(lacking)


@contextmanager
def reading(config: Path | None, cache: Path) -> Iterator[tuple["Reader", "Scorer"]]:
    """Yield what reads mail and the model that serves; what goes wrong is said in a line, exit code 1."""
    needs_extra()
    from model.bundle import Bundle, BundleError
    from model.domains import DomainLists
    from model.score import Scorer, ScoringFailed
    from model.shelf import ShelfError, resolve
    from training.reading import Reader

    try:
        scorer = Scorer(Bundle.open(resolve(configuration(config).model)))
        with Reader(cache.expanduser(), DomainLists.load()) as reader:
            yield reader, scorer
    except (BundleError, ShelfError, ScoringFailed) as error:
        raise click.ClickException(safe(str(error))) from None
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{cache}: {error}") from None


def tell(line: str) -> None:
    """Say how far it is, to a person at a terminal only, over what was said before; "" clears it."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)


def shown(subject: str) -> str:
    """Return a subject as lists show it: without secrets, harmless to a terminal."""
    return safe(mask(subject)) or "(no subject)"


def near_data(near: "Sequence[Neighbour]") -> list[dict[str, Any]]:
    """Return neighbours as plain JSON data."""
    return [{"id": n.digest, "label": n.label, "similarity": round(n.similarity, 4), "subject": mask(n.subject)}
            for n in near]  # fmt: skip


@click.command(name="suspects", short_help="list labels that look wrong, with the reason")
@cache_option
@json_lines
@store_options
def suspects(cache: Path, as_json: bool, config: Path | None, folder: Path | None) -> None:
    """List labels that all other labels and the model's score speak against, the surest first; changes nothing.

    Confident learning: each campaign is judged by a small model that has not seen it. `dataset review --suspects`
    goes through them, one key each.
    """
    with opened(config, folder) as store, reading(config, cache) as (reader, scorer):
        from training.store.entry import Filter
        from training.store.errors import DataStoreError
        from training.triage.pile import one_each, read
        from training.triage.settings import TriageSettings
        from training.triage.suspects import settled
        from training.triage.suspects import suspects as suspected

        settings = TriageSettings()
        labelled = one_each(store.entries(Filter(labelled=True)), settings.most_labelled, sides=True)
        pile = read(store, labelled, reader, scorer, scored=True, tell=tell)
        try:
            found = suspected(pile, settings, settled(store.history()))
        except ValueError:
            raise DataStoreError(
                f"too little is labelled to suspect anything: expected {settings.linear.fewest} campaigns of ham or "
                "more, and as many of bad mail, all inbound"
            ) from None
    tell("")
    if as_json:
        for one in found:
            click.echo(json.dumps(_data(one)))
        return
    _print(found, len(pile.entries))


def _data(one: "Suspect") -> dict[str, Any]:
    return {
        "id": one.entry.digest, "label": one.entry.name, "source": one.entry.label_source,
        "reviewer": one.entry.reviewer, "subject": mask(one.subject), "sender": one.entry.sender,
        "p_other": round(one.p_other, 4), "usual": round(one.usual, 4), "p_model": round(one.p_model, 4),
        "reason": one.reason, "near": near_data(one.near),
    }  # fmt: skip


def _print(found: "Sequence[Suspect]", total: int) -> None:
    room = columns()
    for one in found:
        head = f"{one.entry.digest[:12]}  {one.entry.name} by {one.entry.reviewer}  {shown(one.subject)}"
        for number, line in enumerate([*wrapped(safe(head), room, most=2), *wrapped(safe(one.reason), room - 2)]):
            click.echo(line if not number else f"  {line}")
    click.echo(f"{len(found)} of {total} labelled campaigns look wrong"
               + (": gatepost dataset review --suspects" if found else ""))  # fmt: skip


@click.command(name="agreement", short_help="say how far two reviewers agree")
@json_lines
@store_options
def agreement(as_json: bool, config: Path | None, folder: Path | None) -> None:
    """Compare people who reviewed the same mail: Cohen's kappa, which is 0 for chance and 1 for full agreement.

    Only labels given one message at a time count, one message a campaign. `dataset review --second` asks about mail
    that somebody else has judged, without saying how.
    """
    from training.triage.agreement import agreements

    with opened(config, folder) as store:
        found = agreements(store.history(), {e.digest: e.group for e in store.entries()})
    if as_json:
        for one in found:
            click.echo(json.dumps({
                "reviewers": [one.one, one.other], "both": one.both, "same": one.same, "kappa": one.kappa,
                "kappa_bad": one.kappa_bad,
                "differ": [{"id": digest, one.one: a, one.other: b} for digest, a, b in one.differ],
            }))  # fmt: skip
        return
    if not found:
        click.echo("No two people have reviewed the same mail yet.  (gatepost dataset review --second)")
        return
    _table(found)


def _table(found: "Sequence[Agreement]") -> None:
    heads = [Column("REVIEWERS", 12, 1), Column("BOTH", 4, right=True), Column("SAME", 4, right=True),
             Column("KAPPA", 5, right=True), Column("HAM/BAD", 7, right=True)]  # fmt: skip
    cells = [[safe(f"{a.one}, {a.other}"), str(a.both), str(a.same), _number(a.kappa), _number(a.kappa_bad)]
             for a in found]  # fmt: skip
    for line in table(heads, cells, columns()):
        click.echo(line)
    for one in found:
        for digest, a, b in one.differ:
            click.echo(safe(f"{digest[:12]}  {one.one}: {a}, {one.other}: {b}"))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
