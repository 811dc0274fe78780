"""`gatepost model`: look at models, prove that this machine computes them right, and choose which one serves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gatepost.commands.model_breaker import breaker
from gatepost.commands.model_drift import drift
from gatepost.commands.model_shadow import shadow
from gatepost.commands.model_switch import promote, rollback
from gatepost.commands.options import json_lines, json_object, scoring_config
from gatepost.terminal import columns, wrapped
from model.safe_text import safe


@click.group(name="model")
def command() -> None:
    """List, show and verify models, and choose which one serves.

    A model is a folder (a bundle): an int8 ONNX encoder, its tokenizer, a manifest with hashes and golden scores,
    and a card with its figures. MODEL is such a folder or a version of the model store; without it, the one that
    serves.
    """


command.add_command(promote)
command.add_command(rollback)
command.add_command(breaker)
command.add_command(drift)
command.add_command(shadow)
_MODEL = click.argument("model", required=False)


@contextmanager
def _refused() -> Iterator[None]:
    """Turn what is wrong with a bundle, the store or its lineage into a message and exit code 1."""
    from model.bundle import BundleError
    from model.shelf import ShelfError
    from training.gate.lineage import LineageError

    try:
        yield
    except (BundleError, ShelfError, LineageError) as error:
        raise click.ClickException(safe(str(error))) from None


def _folder(model: str | None, config: Path | None) -> Path:
    """Return the bundle that is meant: a folder, a stored version, or what serves. Raises ShelfError."""
    from gatepost.model_view import folder_of
    from gatepost.screening import settings_for

    return folder_of(settings_for(config).model, model or "")


@command.command(name="list", short_help="list models and which one serves")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_lines
@scoring_config
def list_models(folder: Path | None, as_json: bool, config: Path | None) -> None:
    """List the shipped model and those of the model store, with which one serves; or the bundles in FOLDER.

    Exit code 1 if one of them is refused, or there is none.
    """
    from gatepost.model_view import rows_in, rows_of
    from gatepost.screening import settings_for

    with _refused():
        rows, notes = (rows_in(folder), []) if folder else rows_of(settings_for(config).model)
    if not rows:
        raise click.ClickException(f"{folder}: no model bundles in it")
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    for note in notes:
        click.echo(f"gatepost: {safe(note)}", err=True)
    click.get_current_context().exit(1 if any("error" in row for row in rows) else 0)


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{'* ' if row.get('serves') else '  '}{row['version']}: {safe(row['error'])}"
    words = [row["version"], row["created"][:10], row["base_model"], row["path"]]
    head = "* " if row.get("serves") else "  "
    about = [text for text in (row.get("state", ""), row.get("figures", "")) if text]
    return "\n".join([head + "  ".join(words), *(f"    {text}" for text in about)])


@command.command(short_help="show card, thresholds, weights and lineage of a model")
@_MODEL
@json_object
@scoring_config
def show(model: str | None, as_json: bool, config: Path | None) -> None:
    """Show what a model is: its card, thresholds and the weight of every fact; and how it came to serve.

    The lineage is verified: its first line that was changed, removed or added is named, with exit code 1.
    """
    from gatepost.model_view import lineage_lines, lineage_of
    from gatepost.screening import settings_for
    from model.bundle import CARD, Bundle, manifest_json

    with _refused():
        bundle = Bundle.open(_folder(model, config))
        found = lineage_of(settings_for(config).model.store, bundle.version)
    if as_json:
        manifest = manifest_json(bundle)
        manifest.pop("goldens")
        click.echo(json.dumps({**manifest, "lineage": found}, sort_keys=True))
    else:
        click.echo(f"version      {bundle.version}\ncreated      {bundle.created}\nbase model   {bundle.base_model}")
        click.echo(f"data         {bundle.data_fingerprint}\nfolder       {bundle.path}")
        click.echo(f"quarantine   at p_bad ≥ {bundle.thresholds.quarantine:.4f}"
                   + (f", hold at ≥ {bundle.thresholds.hold:.4f}" if bundle.thresholds.hold else ""))
        click.echo("facts        (logits of bad mail when true, before calibration)")
        for name, term in sorted(bundle.fusion.facts.items(), key=lambda item: item[1].weight):
            click.echo(f"  {name:<24}{term.weight * (1 - term.centre):+6.2f}")
        for line in lineage_lines(found):
            click.echo(line)
        card = bundle.path / CARD
        if card.exists():
            click.echo("")
            click.echo("\n".join(wrapped(card.read_text(encoding="utf-8"), max(columns(), 100))))
    click.get_current_context().exit(1 if found["fault"] else 0)


@command.command(short_help="check hashes and golden scores on this machine")
@_MODEL
@json_object
@scoring_config
def verify(model: str | None, as_json: bool, config: Path | None) -> None:
    """Check every hash and score the golden inputs on this machine.

    Exit code 0 if the model may serve here, 1 if not; the message names the file and what to do.
    """
    from model.bundle import Bundle
    from model.score import Scorer
    from model.score import verify as verify_scores

    with _refused():
        bundle = Bundle.open(_folder(model, config))
        worst = verify_scores(Scorer(bundle))
    row = {"path": str(bundle.path), "version": bundle.version, "files": len(bundle.files),
           "goldens": len(bundle.goldens), "worst_logit_difference": round(worst, 6),
           "tolerance": bundle.golden_tolerance}
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(f"ok: {bundle.version}: {len(bundle.files)} files and {len(bundle.goldens)} golden scores "
                   f"are right (greatest difference {worst:.4f} logits, tolerance {bundle.golden_tolerance})")
