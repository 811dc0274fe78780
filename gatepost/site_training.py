"""Training from a site's verdicts, as `gatepost train --dataset` does it: which model, which store, plain errors."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.commands.dataset_common import configuration, settings_of
from gatepost.writable import plainly
from model.bundle import Bundle, BundleError
from model.score import ScoringFailed
from model.shelf import Shelf, ShelfError, resolve
from quarantine.errors import StoreError
from training.gather import DataError
from training.settings import SettingsError, load
from training.site.bundle import training_record
from training.site.train import train
from training.store.errors import DataStoreError
from training.store.snapshots import snapshot
from training.store.store import DataStore
from training.written import WrittenError


def train_site(
    name: str, base: str, recipe: Path | None, config: Path | None, folder: Path | None, out: Path,
    report: Path | None = None,
) -> None:  # fmt: skip
    """Train from snapshot `name` and write a bundle to `out`. Exits 2 with a plain line where that cannot be.

    `report`: file for what moved and what was left out; it is written also where the guard refuses the batch.
    """
    started = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {line}", err=True)

    try:
        settings = load(recipe)
        before = start_from(base, config)
        tell(f"starting from model {before.version}")
        with DataStore.open(settings_of(config, folder)) as store:
            made = train(before, store, snapshot(store, name), settings, out, now=datetime.now(UTC), tell=tell,
                         report=lambda found: _write(report, found))  # fmt: skip
    except (
        SettingsError, ShelfError, BundleError, DataStoreError, StoreError, DataError, WrittenError, ScoringFailed,
        OSError,
    ) as error:  # fmt: skip
        click.echo(f"gatepost train: {plainly(error, out)}", err=True)
        sys.exit(2)
    click.echo(f"{out}: model {made.version}, made from {before.version} by snapshot {name}")
    click.echo(f"Let it prove itself and serve: gatepost model promote {out}")


def _write(path: Path | None, found: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def start_from(base: str, config: Path | None) -> Bundle:
    """Return the model to start from: what is named, else what serves, or what that was made from by verdicts.

    Verdicts are learnt together each time, from one and the same start: what was unlearnt leaves no trace.
    """
    settings = configuration(config).model
    shelf = Shelf(settings.store)
    if base:
        named = Path(base)
        return Bundle.open(named if named.is_dir() else shelf.folder_of(base))
    serving = Bundle.open(resolve(settings))
    site = training_record(serving).get("site")
    return Bundle.open(shelf.folder_of(str(site["base"]))) if isinstance(site, dict) else serving
