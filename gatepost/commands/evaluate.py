"""`gatepost evaluate`: measure a model bundle on labelled mail."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import scoring_config
from gatepost.extras import TRAIN

if TYPE_CHECKING:
    from training.evaluation.sets import Sample
    from training.settings import TrainSettings

_RIVALS = {"facts": "facts alone", "tfidf": "TF-IDF + LR", "frozen": "frozen embeddings + LR"}
"""Baselines by their short names, as `training.evaluation.methods` calls them."""
_FOLDER = click.Path(path_type=Path, file_okay=False)
_OUT = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command("evaluate", short_help="measure a model on labelled mail")
@click.option("--model", metavar="MODEL", default="",
              help="Folder of a bundle, a version of the model store, or: shipped.  [default: what serves]")
@click.option(
    "--corpora",
    type=_FOLDER,
    help="Folder of labelled collections with index.csv. Without it, only held-out written mail is measured.",
)
@click.option("--set", "wanted", multiple=True, help="Measure only this set; may be given again.")
@click.option("--against", type=click.Path(path_type=Path), help="Another bundle to compare with, mail by mail.")
@click.option(
    "--baseline",
    "rivals",
    multiple=True,
    type=click.Choice(["facts", "tfidf", "frozen", "none"]),
    help="Measure beside this baseline only; may be given again.  [default: all three]",
)
@click.option(
    "--robustness",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Attack N bad messages in every known way and tell what is still caught; takes minutes.",
)
@click.option(
    "--prior",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of bad mail at which the calibration error is told.",
)
@click.option(
    "--dataset",
    metavar="SNAPSHOT",
    help="Measure a snapshot of the data store: kept, sampled and imported mail each apart.",
)
@click.option(
    "--store",
    "folder",
    metavar="FOLDER",
    type=_FOLDER,
    help="Folder of the data store.  [default: path in the [dataset] table]",
)
@scoring_config
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    metavar="COLLECTION",
    help="Instead: train the model's recipe without this collection, and test on it; may be given again. Goes with "
    "--corpora, --model, --cache and --json alone.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps extracted messages between runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (with --leave-out, one a collection).")
@click.option("--html", type=_OUT, help="Also write the report with plots here, as one file.")
@click.option("--markdown", type=_OUT, help="Also write the report as a model card here.")
def command(
    model: str,
    corpora: Path | None,
    wanted: tuple[str, ...],
    against: Path | None,
    robustness: int,
    prior: float,
    dataset: str | None,
    folder: Path | None,
    config: Path | None,
    left_out: tuple[str, ...],
    cache: Path | None,
    rivals: tuple[str, ...],
    as_json: bool,
    html: Path | None,
    markdown: Path | None,
) -> None:
    """Measure a model through the code that serves, beside baselines trained on the same messages.

    Every figure has its n and a 95 % interval by sender. What the model was trained on is never measured.
    """
    if lacking := TRAIN.lacking("evaluating"):
        click.echo(f"gatepost evaluate: {lacking}", err=True)
        sys.exit(2)
    from model.bundle import Bundle, BundleError
    from model.shelf import ShelfError
    from quarantine.errors import StoreError
    from training.corpora import CorporaError
    from training.evaluation import report_html, report_markdown, report_terminal
    from training.evaluation.evaluate import Asked, RefusedError, evaluate
    from training.gather import DataError
    from training.trainer import read_record, settings_of
    from training.written import WrittenError

    tell = teller()
    try:
        _writable(html, markdown)
        if left_out:
            _alone({"--set": wanted, "--against": against, "--baseline": rivals, "--robustness": robustness,
                    "--dataset": dataset, "--store": folder, "--html": html, "--markdown": markdown})
        bundle = Bundle.open(_folder_of(model, config))
        record = read_record(bundle.path)
        settings = settings_of(record, cache)
        if left_out:
            _leave_out(left_out, settings, corpora, tell, as_json=as_json)
            return
        asked = Asked(
            sets=wanted,
            against=Bundle.open(against) if against else None,
            baselines=tuple(_RIVALS[name] for name in rivals if name in _RIVALS)
            if rivals
            else tuple(_RIVALS.values()),
            prior=prior,
            robustness=robustness,
            further=_snapshot(dataset, config, folder, settings, record, tell) if dataset else (),
        )
        report = evaluate(bundle, record, settings, corpora, tell, asked)
        if html:
            write(html, report_html.render(report))
        if markdown:
            write(markdown, report_markdown.card(bundle, record, report))
    except (
        BundleError, ShelfError, RefusedError, CorporaError, WrittenError, DataError, StoreError, OSError,
    ) as error:  # fmt: skip
        click.echo(f"gatepost evaluate: {error}", err=True)
        sys.exit(2)
    text = json.dumps(report.to_json(), ensure_ascii=False) if as_json else report_terminal.render(report)
    click.echo(text)


def _folder_of(wanted: str, config: Path | None) -> Path:
    """Return the bundle that is meant: a folder, a stored version, or what serves. Raises ShelfError."""
    from gatepost.model_view import folder_of
    from gatepost.screening import settings_for

    return folder_of(settings_for(config).model, wanted)


def _alone(others: Mapping[str, object]) -> None:
    """Refuse options that would be without effect beside --leave-out."""
    if given := [name for name, value in others.items() if value]:
        raise click.UsageError(f"{' and '.join(given)} cannot be used with --leave-out, which trains a model of its "
                               "own and measures it on that collection alone")  # fmt: skip


def _snapshot(
    name: str, config: Path | None, folder: Path | None, settings: "TrainSettings", record: Mapping[str, Any],
    tell: Callable[[str], None],
) -> "tuple[Sample, ...]":  # fmt: skip
    from gatepost.commands.dataset_common import settings_of
    from training.evaluation.stored import snapshot_samples, taught_by
    from training.store.snapshots import snapshot
    from training.store.store import DataStore

    with DataStore.open(settings_of(config, folder)) as store:
        return tuple(snapshot_samples(store, snapshot(store, name), settings, tell, taught_by(store, record)))


def _leave_out(
    names: tuple[str, ...],
    settings: "TrainSettings",
    corpora: Path | None,
    tell: Callable[[str], None],
    *,
    as_json: bool,
) -> None:
    from training.evaluation.leave_out import leave_out, render
    from training.evaluation.sets import RefusedError
    from training.gather import gather

    if corpora is None:
        raise RefusedError("--leave-out needs collections to train on and to test on: give --corpora")
    material = gather(settings, corpora, tell)
    for name in names:
        found = leave_out(name, settings, corpora, tell, material=material)
        click.echo(json.dumps(found.to_json(), ensure_ascii=False) if as_json else render(found))


def teller() -> Callable[[str], None]:
    """Return what prints a line of progress with the seconds since now."""
    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    return tell


def _writable(*wanted: Path | None) -> None:
    """Raise OSError for a report that has no folder to go to: before minutes are spent, not after."""
    for path in wanted:
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {path.parent} to write the report into")


def write(path: Path, text: str) -> None:
    """Write a report whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
