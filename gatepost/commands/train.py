"""`gatepost train`: make a model bundle from labelled mail."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.extras import LEARN, TRAIN
from gatepost.writable import file_trouble, folder_trouble, plainly

if TYPE_CHECKING:
    from training.settings import TrainSettings
    from training.trainer import Trained

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Anew:
    """What the options say about training anew."""

    recipe: Path | None
    corpora: Path | None
    out: Path
    hold_out_author: str
    keep_fp32: Path | None


@click.command("train", short_help="train a model from labelled mail")
@click.option("--recipe", type=click.Path(path_type=Path), help="TOML file with training settings; defaults without.")
@click.option("--dataset", metavar="SNAPSHOT", default="",
              help="Learn from a snapshot of this site's reviewed mail: a minute or two, without torch.")
@click.option("--from", "base", metavar="VERSION|FOLDER", default="",
              help="With --dataset: model to start from.  [default: the one that serves, or what it was made from]")
@click.option("--config", type=click.Path(path_type=Path),
              help="With --dataset: configuration file that names data store and model store.")
@click.option("--store", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="With --dataset: folder of the data store.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False),
              help="With --dataset: write what moved, and which verdicts were left out, to this JSON file.")
@click.option(
    "--corpora",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of labelled collections with index.csv. Without it, the written set alone trains.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to write the bundle to; must not exist."
)
@click.option("--hold-out-author", default="", help="Keep all mail of one author of the written set out of training.")
@click.option("--keep-fp32", type=click.Path(path_type=Path), help="Also keep the unquantised ONNX file here.")
def command(
    recipe: Path | None, dataset: str, base: str, config: Path | None, folder: Path | None, report: Path | None,
    corpora: Path | None, out: Path, hold_out_author: str, keep_fp32: Path | None,
) -> None:  # fmt: skip
    """Train a model, prove it, and write it as a bundle for `gatepost model promote`.

    With --dataset, the model in place learns from your own verdicts: encoder and most of what it knows stay. Without,
    a model is trained anew, from the written set and from --corpora.

    --dataset needs pip install 'gatepost[learn]' (scipy and scikit-learn); training anew needs pip install
    'gatepost[train]', torch and all. Nothing is written unless everything went well.
    """
    anew = (("--corpora", corpora), ("--hold-out-author", hold_out_author), ("--keep-fp32", keep_fp32))
    verdicts = (("--from", base), ("--config", config), ("--store", folder), ("--report", report))
    if dataset:
        _unasked(anew, "is for training anew; leave it out with --dataset")
        _stop_if(LEARN.lacking("learning from verdicts"))
        _stop_if(folder_trouble(out) or (file_trouble(report) if report else ""))
        from gatepost.site_training import train_site

        train_site(dataset, base, recipe, config, folder, out, report)
        return
    _unasked(verdicts, "goes with --dataset (a file of training settings is --recipe)")
    if lacking := TRAIN.lacking("training anew"):
        _stop_if(f"{lacking}. To learn from your own verdicts (--dataset) {LEARN.remedy} is enough")
    _stop_if(folder_trouble(out) or (file_trouble(keep_fp32) if keep_fp32 else ""))
    _train_anew(Anew(recipe, corpora, out, hold_out_author, keep_fp32))


def _unasked(options: Sequence[tuple[str, object]], why: str) -> None:
    for name, given in options:
        if given:
            raise click.UsageError(f"{name} {why}")


def _train_anew(asked: Anew) -> None:
    """Train, evaluate and write a bundle; what goes wrong is said in a line, exit code 2."""
    from model.bundle import BundleError
    from training.corpora import CorporaError
    from training.evaluation.evaluate import RefusedError
    from training.export import ExportError
    from training.gather import DataError
    from training.settings import SettingsError, load
    from training.trainer import train
    from training.written import WrittenError

    tell = _teller()
    try:
        settings = load(asked.recipe)
        if asked.corpora is None:
            tell(
                "no --corpora: the written set alone trains. Such a model knows no real mail; it is for trying the "
                "gateway, not for keeping mail."
            )
        done = train(
            settings, asked.corpora, asked.out, now=datetime.now(UTC), tell=tell,
            finish=lambda trained: _card(trained, settings, asked.corpora, tell),
            keep_fp32=asked.keep_fp32, hold_out_author=asked.hold_out_author,
        )  # fmt: skip
    except (
        SettingsError, CorporaError, WrittenError, DataError, ExportError, BundleError, RefusedError, OSError,
    ) as error:  # fmt: skip
        click.echo(f"gatepost train: {plainly(error, asked.out)}", err=True)
        sys.exit(2)
    click.echo(_summary(done, asked.out))


def _teller() -> Tell:
    started = time.monotonic()
    return lambda line: click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)


def _card(done: "Trained", settings: "TrainSettings", corpora: Path | None, tell: Tell) -> str:
    """Measure what was trained and return its card."""
    from training.evaluation.evaluate import evaluate
    from training.evaluation.report_markdown import card
    from training.trainer import record_of

    record = record_of(settings, done.material, done.parity)
    report = evaluate(done.bundle, record, settings, corpora, tell, material=done.material)
    return card(done.bundle, record, report)


def _summary(done: "Trained", out: Path) -> str:
    from training.examples import WRITTEN

    written = sum(e.archive == WRITTEN for e in done.material.train)
    return (
        f"{out}: model {done.bundle.version}, trained on {len(done.material.train)} messages "
        f"({written} of them written by this project)"
    )


def _stop_if(wrong: str) -> None:
    if wrong:
        click.echo(f"gatepost train: {wrong}", err=True)
        sys.exit(2)
