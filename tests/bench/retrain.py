"""How long retraining from a site's verdicts takes, and how much memory: from the snapshot to the written bundle.

    python tests/bench/retrain.py --corpora DIR [--verdicts 1000] [--cores 4] [--warm]

Messages of the public collections stand in for a site's mail: one collector's bad mail, and legitimate mail of other
collections, one of each in turn, as many as leave the number of verdicts once the gate has taken its part. They are
imported first, which is not counted. Then `gatepost dataset snapshot` and `gatepost train --dataset` run as an
operator runs them: on so many cores, without a GPU, from an empty reading cache (`--warm`: once more, from the cache
that the first run left). Memory is the greatest sum of the resident sizes of the command and all of its children,
looked at 20 times a second; pages that they share count more than once, so it is an upper bound.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from model.bundle import DEFAULT
from model.domains import DomainLists
from training.corpora import Corpora, Row
from training.examples import pick_rows
from training.gate.parts import for_gate
from training.store.adding import add
from training.store.entry import About, LabelSource
from training.store.settings import DatasetSettings
from training.store.store import DataStore

MINUTES, GIGABYTES = 10.0, 6.0
EVERY = 0.05
HAM = ("modern_ham", "lists")
BATCH = 200
COMMAND = "from gatepost.cli import main; main(prog_name='gatepost')"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, and gigabytes (10^9) at the most."""

    seconds: float
    memory: float


def in_turn(opened: Corpora) -> Iterator[tuple[Row, str]]:
    bad = [r for r in pick_rows(opened.rows, "site", {}, 7) if r.bad]
    ham = [r for r in pick_rows(opened.rows, "dev", {}, 7) if not r.bad and r.archive in HAM and not r.synthetic]
    for one, other in zip(bad, ham, strict=False):
        yield one, "bad"
        yield other, "ham"


def filled(folder: Path, opened: Corpora, wanted: int) -> int:
    """Import until there are enough that may train; return how many that are."""
    rows = in_turn(opened)
    with DataStore.open(DatasetSettings(path=folder), create=True) as store:
        lists = DomainLists.load()
        while True:
            some = [
                (opened.raw(row), About(label=label, source=LabelSource.REVIEW, by="bench", collection="bench"))
                for (row, label), _ in zip(rows, range(BATCH), strict=False)
            ]
            if not some:
                break
            list(add(store, some, lists))
            if sum(not for_gate(e.group) for e in store.entries()) >= wanted:
                break
        return sum(not for_gate(e.group) for e in store.entries())


def measured(words: Sequence[str], cores: int) -> Cost:
    """Run a command to its end on so many cores."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(cores)}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], env=environment)
    watched = psutil.Process(process.pid)
    watched.cpu_affinity(sorted(os.sched_getaffinity(0))[:cores])
    most = 0
    while process.poll() is None:
        most = max(most, _resident(watched))
        time.sleep(EVERY)
    if process.returncode:
        raise SystemExit(f"gatepost {words[0]} ended with {process.returncode}")
    return Cost(time.perf_counter() - begun, most / 1e9)


def _resident(root: psutil.Process) -> int:
    total = 0
    try:
        for one in (root, *root.children(recursive=True)):
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        return total
    return total


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/gatepost").expanduser(),
                        help="where the collections were unpacked; what was read before is not taken from there")
    parser.add_argument("--verdicts", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--warm", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = folder / "recipe.toml"
        recipe.write_text(f'cache = "{folder / "cache"}"\n', encoding="utf-8")
        found = filled(folder / "dataset", Corpora.open(given.corpora, given.cache), given.verdicts)
        print(f"{found} messages may train; {given.cores} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        store = ["--store", str(folder / "dataset")]
        for number, what in enumerate(("cold", *(["warm"] if given.warm else []))):
            frozen = measured(["dataset", "snapshot", f"s{number}", "--resolve", "drop", *store], given.cores)
            trained = measured(["train", "--dataset", f"s{number}", "--from", str(DEFAULT), *store, "--recipe",
                                str(recipe), "--out", str(folder / f"out{number}")], given.cores)  # fmt: skip
            seconds, memory = frozen.seconds + trained.seconds, max(frozen.memory, trained.memory)
            met = seconds <= MINUTES * 60 and memory <= GIGABYTES
            print(f"{what}: {seconds:.0f} s ({frozen.seconds:.0f} s of it the snapshot), {memory:.2f} GB at most; "
                  f"target {MINUTES:.0f} minutes, {GIGABYTES:.0f} GB: {'met' if met else 'missed'}")  # fmt: skip


if __name__ == "__main__":
    main()
