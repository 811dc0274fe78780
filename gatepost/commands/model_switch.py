"""`gatepost model promote` and `rollback`: which model serves, through the gate and on record."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import gateway_config, json_object
from model.safe_text import safe

if TYPE_CHECKING:
    from gatepost.settings import Settings
    from training.gate.promotion import Hands, Judge, Outcome


def _required_with_force(context: click.Context, _option: click.Parameter, reason: str) -> str:
    if context.params.get("force") and not reason.strip():
        raise click.UsageError("--force needs --reason TEXT: it stays on record")
    return reason.strip()


@click.command(name="promote", short_help="let a model serve if it passes the gate")
@click.argument("model")
@click.option("--force", is_flag=True, is_eager=True,
              help="Switch although checks fail. Only a person at a terminal can; it is recorded with the reason.")
@click.option("--reason", default="", callback=_required_with_force, help="Why; required with --force.")
@click.option("--corpora", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of labelled collections with index.csv, as further evidence.")
@click.option("--snapshot", default="", help="Measure on this snapshot of the data store, not on what it holds now.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for unpacked collections.")
@json_object
@gateway_config
def promote(
    model: str, force: bool, reason: str, corpora: Path | None, snapshot: str, cache: Path | None, as_json: bool,
    config: Path | None,
) -> None:  # fmt: skip
    """Run the gate on MODEL, a bundle's folder or a stored version, and let it serve if every check passes.

    The running gateway loads it after a self-test while mail flows; if it refuses, the old model stays. The
    decision is signed into the model store's lineage either way.

    Exit code 0 if it serves, 1 if not.
    """
    from gatepost.config import find, load
    from model.shelf import Shelf
    from training.gate.promotion import promote as switch

    if force:
        _person()
    settings = load(find(config))
    _unpinned(settings)
    with _plain():
        judge = _judge(settings, corpora, snapshot, cache)
        outcome = switch(Shelf(settings.model.store), model, judge, _hands(settings), force=reason if force else "")
    _tell(outcome, as_json)


@click.command(name="rollback", short_help="let the model serve that served before")
@click.option("--to", default="", metavar="VERSION", help="A version that served before, or: shipped.")
@click.option("--reason", default="", help="Why; it stays on record.")
@json_object
@gateway_config
def rollback(to: str, reason: str, as_json: bool, config: Path | None) -> None:
    """Let the model serve that served before the current one, without asking the gate.

    Exit code 0 if it serves, 1 if not.
    """
    from gatepost.config import find, load
    from model.shelf import Shelf
    from training.gate.promotion import rollback as switch

    settings = load(find(config))
    _unpinned(settings)
    with _plain():
        outcome = switch(Shelf(settings.model.store), _hands(settings), to=to, reason=reason.strip())
    _tell(outcome, as_json)


def _person() -> None:
    """Refuse a forced switch to anything but a person: a timer or a script has no terminal and no login."""
    from quarantine.reviewer import logged_in

    if not (logged_in() or sys.stdin.isatty()):
        raise click.ClickException("--force needs a person: run it at a terminal")


def _unpinned(settings: "Settings") -> None:
    if settings.model.path:
        raise click.ClickException(f"model.path pins {settings.model.path}, so no other model can be made to serve: "
                                   'set model.path to "" and reload the gateway first')  # fmt: skip


def _hands(settings: "Settings") -> "Hands":
    from gatepost.gateways import follower, readable
    from quarantine.reviewer import reviewer
    from training.gate.promotion import Hands

    return Hands(reviewer(), lambda: datetime.now(UTC), follower(settings, settings.gate.wait_seconds),
                 readable(settings))  # fmt: skip


def _judge(settings: "Settings", corpora: Path | None, snapshot: str, cache: Path | None) -> "Judge":
    """Return what gathers the evidence and decides; mail is read into a folder that does not outlive it."""
    from gatepost.screening import policy_settings
    from model.domains import DomainLists
    from model.mail import Direction
    from training.evaluation.attacks import ATTACKS
    from training.gate.decision import decide_promotion
    from training.gate.measure import Operating, Trial, gather_evidence, read_record, without_record
    from training.gate.promotion import looks_of
    from training.gate.sources import collected
    from training.reading import Reader
    from training.settings import DEFAULT_CACHE

    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    written = policy_settings(settings, Direction.INBOUND)

    def judge(candidate: Any, in_place: Any, shipped: Any, chain: Any) -> Any:
        record = read_record(candidate)
        trial = Trial(candidate, record, in_place, shipped, settings.gate,
                      Operating(written.quarantine_at, written.hold_at), looks_of(chain))  # fmt: skip
        with (
            tempfile.TemporaryDirectory(prefix="gatepost-gate-") as folder,
            Reader(Path(folder), DomainLists.load()) as reader,
            collected(
                reader, settings.dataset, pairs=without_record(candidate, record), frozen=snapshot,
                most_written=settings.gate.written_messages, corpora=corpora,
                cache=(cache or DEFAULT_CACHE).expanduser(), tell=tell,
            ) as mail,
        ):  # fmt: skip
            evidence = gather_evidence(trial, mail, ATTACKS, reader, tell)
        return decide_promotion(evidence, settings.gate), evidence

    return judge


@contextmanager
def _plain() -> Iterator[None]:
    """Turn what is wrong with models, store, lineage or evidence into a message and exit code 1."""
    from model.bundle import BundleError
    from model.shelf import ShelfError
    from training.corpora import CorporaError
    from training.gate.lineage import LineageError
    from training.store.errors import DataStoreError
    from training.written import WrittenError

    try:
        yield
    except (BundleError, ShelfError, LineageError, CorporaError, DataStoreError, WrittenError) as error:
        raise click.ClickException(safe(str(error))) from None


def _tell(outcome: "Outcome", as_json: bool) -> None:
    from gatepost.model_view import outcome_data, outcome_lines

    for warning in outcome.warnings:
        click.echo(f"WARNING: {safe(warning)}", err=True)
    if as_json:
        click.echo(json.dumps(outcome_data(outcome)))
    else:
        for line in outcome_lines(outcome):
            click.echo(line)
    late = outcome.followed is not None and outcome.followed.state == "late"
    click.get_current_context().exit(0 if outcome.switched and not late else 1)
