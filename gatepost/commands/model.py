"""`gatepost model`: look at model bundles and prove that this machine computes them right."""

import json
from pathlib import Path
from typing import Any

import click

from gatepost.commands.options import json_lines, json_object
from gatepost.terminal import columns, wrapped


@click.group(name="model")
def command() -> None:
    """List, show and verify models.

    A model is a folder (a bundle): an int8 ONNX encoder, its tokenizer, a manifest with hashes and golden scores,
    and a card with its figures. PATH defaults to the model that ships with Gatepost.
    """


_PATH = click.argument("path", required=False, type=click.Path(path_type=Path))


@command.command(name="list", short_help="list bundles")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_lines
def list_models(folder: Path | None, as_json: bool) -> None:
    """List the bundles in FOLDER; without it, those that ship with Gatepost.

    Exit code 1 if one of them is refused, or there is none.
    """
    from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError

    place = folder or DEFAULT.parent
    found = sorted(p.parent for p in place.glob(f"*/{MANIFEST}"))
    if not found:
        raise click.ClickException(f"{place}: no model bundles in it")
    refused = False
    for path in found:
        try:
            bundle = Bundle.open(path)
        except BundleError as error:
            row: dict[str, Any] = {"path": str(path), "error": str(error)}
            text = f"{path.name}: {error}"
            refused = True
        else:
            row = {"path": str(path), "version": bundle.version, "created": bundle.created,
                   "base_model": bundle.base_model}
            text = f"{bundle.version}  {bundle.created[:10]}  {bundle.base_model}  {path}"
        click.echo(json.dumps(row) if as_json else text)
    click.get_current_context().exit(1 if refused else 0)


@command.command(short_help="show card, thresholds and weights of a bundle")
@_PATH
@json_object
def show(path: Path | None, as_json: bool) -> None:
    """Show what a bundle is: its card, thresholds and the weight of every fact."""
    from model.bundle import CARD, DEFAULT, Bundle, manifest_json

    folder = path or DEFAULT
    with _refused():
        bundle = Bundle.open(folder)
    if as_json:
        manifest = manifest_json(bundle)
        manifest.pop("goldens")
        click.echo(json.dumps(manifest, sort_keys=True))
        return
    click.echo(f"version      {bundle.version}\ncreated      {bundle.created}\nbase model   {bundle.base_model}")
    click.echo(f"data         {bundle.data_fingerprint}\nfolder       {bundle.path}")
    click.echo(f"quarantine   at p_bad ≥ {bundle.thresholds.quarantine:.4f}"
               + (f", hold at ≥ {bundle.thresholds.hold:.4f}" if bundle.thresholds.hold else ""))
    click.echo("facts        (logits of bad mail when true, before calibration)")
    for name, term in sorted(bundle.fusion.facts.items(), key=lambda item: item[1].weight):
        click.echo(f"  {name:<24}{term.weight * (1 - term.centre):+6.2f}")
    card = folder / CARD
    if card.exists():
        click.echo("")
        click.echo("\n".join(wrapped(card.read_text(encoding="utf-8"), max(columns(), 100))))


@command.command(short_help="check hashes and golden scores on this machine")
@_PATH
@json_object
def verify(path: Path | None, as_json: bool) -> None:
    """Check every hash and score the golden inputs on this machine.

    Exit code 0 if the bundle may serve here, 1 if not; the message names the file and what to do.
    """
    from model.bundle import DEFAULT, Bundle
    from model.score import Scorer
    from model.score import verify as verify_scores

    with _refused():
        bundle = Bundle.open(path or DEFAULT)
        worst = verify_scores(Scorer(bundle))
    row = {"path": str(bundle.path), "version": bundle.version, "files": len(bundle.files),
           "goldens": len(bundle.goldens), "worst_logit_difference": round(worst, 6),
           "tolerance": bundle.golden_tolerance}
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(f"ok: {bundle.version}: {len(bundle.files)} files and {len(bundle.goldens)} golden scores "
                   f"are right (greatest difference {worst:.4f} logits, tolerance {bundle.golden_tolerance})")


class _refused:  # noqa: N801 - reads as a word where it stands
    """Turn a refused bundle into a message and exit code 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from model.bundle import BundleError

        if isinstance(error, BundleError):
            raise click.ClickException(str(error)) from None
