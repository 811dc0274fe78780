"""`gatepost evaluate`: measure a model bundle on labelled mail."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from gatepost.commands.train import missing_extra

OUT = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command("evaluate", short_help="measure a model on labelled mail")
@click.option("--model", "path", type=click.Path(path_type=Path), help="Bundle folder; the shipped model without.")
@click.option(
    "--corpora",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of labelled collections with index.csv. Without it, only held-out written mail is measured.",
)
@click.option("--set", "wanted", multiple=True, help="Measure only this set; may be given again.")
@click.option(
    "--against", type=click.Path(path_type=Path), help="Another bundle to compare with, message by message."
)
@click.option(
    "--robustness", type=click.IntRange(0), default=0, metavar="N",
    help="Attack N bad messages in every known way and tell what is still caught; takes minutes.",
)  # fmt: skip
@click.option(
    "--prior", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.5, show_default=True,
    help="Share of bad mail at which the calibration error is told.",
)  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps extracted messages between runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=OUT, help="Also write the report with plots here, as one file.")
@click.option("--markdown", type=OUT, help="Also write the report as a model card here.")
def command(
    path: Path | None, corpora: Path | None, wanted: tuple[str, ...], against: Path | None, robustness: int,
    prior: float, cache: Path | None, as_json: bool, html: Path | None, markdown: Path | None,
) -> None:  # fmt: skip
    """Measure a model through the code that serves, beside baselines trained on the same messages.

    Every figure has its n and a 95 % interval by sender. What the model was trained on is never measured.
    """
    missing_extra()
    from model.bundle import DEFAULT, Bundle, BundleError
    from training.corpora import CorporaError
    from training.evaluation import report_html, report_markdown, report_terminal
    from training.evaluation.evaluate import Asked, RefusedError, evaluate
    from training.gather import DataError
    from training.trainer import read_record, settings_of
    from training.written import WrittenError

    try:
        bundle = Bundle.open(path or DEFAULT)
        record = read_record(bundle.path)
        asked = Asked(
            sets=wanted, against=Bundle.open(against) if against else None, prior=prior, robustness=robustness
        )
        report = evaluate(bundle, record, settings_of(record, cache), corpora, teller(), asked)
        if html:
            write(html, report_html.render(report))
        if markdown:
            write(markdown, report_markdown.card(bundle, record, report))
    except (BundleError, RefusedError, CorporaError, WrittenError, DataError, OSError) as error:
        click.echo(f"gatepost evaluate: {error}", err=True)
        sys.exit(2)
    text = json.dumps(report.to_json(), ensure_ascii=False) if as_json else report_terminal.render(report)
    click.echo(text)


def teller() -> Callable[[str], None]:
    """Return what prints a line of progress with the seconds since now."""
    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    return tell


def write(path: Path, text: str) -> None:
    """Write a report whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
