"""`gatepost evaluate`: measure a model bundle on labelled mail."""

import json
import sys
import time
from pathlib import Path

import click

from gatepost.commands.train import missing_extra


@click.command("evaluate", short_help="measure a model on labelled mail")
@click.option("--model", "path", type=click.Path(path_type=Path), help="Bundle folder; the shipped model without.")
@click.option(
    "--corpora",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of labelled collections with index.csv. Without it, only kept-back written pairs are measured.",
)
@click.option("--set", "wanted", multiple=True, help="Measure only this set; may be given again.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps extracted messages between runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    path: Path | None, corpora: Path | None, wanted: tuple[str, ...], cache: Path | None, as_json: bool
) -> None:
    """Measure a model through the code that serves, beside TF-IDF with logistic regression and the facts alone.

    Every figure has its n and a 95 % interval. What the model was trained on is never measured.
    """
    missing_extra()
    from model.bundle import DEFAULT, Bundle, BundleError
    from training.card import card
    from training.corpora import CorporaError
    from training.evaluate import RefusedError, evaluate
    from training.gather import DataError
    from training.trainer import read_record, settings_of
    from training.written import WrittenError

    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    try:
        bundle = Bundle.open(path or DEFAULT)
        record = read_record(bundle.path)
        report = evaluate(bundle, record, settings_of(record, cache), corpora, tell, wanted=wanted)
    except (BundleError, RefusedError, CorporaError, WrittenError, DataError, OSError) as error:
        click.echo(f"gatepost evaluate: {error}", err=True)
        sys.exit(2)
    click.echo(json.dumps(report.to_json(), ensure_ascii=False) if as_json else card(bundle, record, report))
