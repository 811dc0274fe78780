"""A site's data that cannot teach: a clear line each, exit 2, nothing half-written, the model in place untouched."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dataset_rig import data_store, lesson, letter, put, said

from gatepost.cli import main
from model.bundle import DEFAULT, Bundle
from model.score import Scorer, verify
from training.store.entry import About
from training.store.snapshots import Resolve, freeze

pytestmark = pytest.mark.train
ROOT = Path(__file__).parents[2]
FULL = """
import resource, signal, sys
sys.path.insert(0, {root!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails with EFBIG, as one on a full disk does
from training.site import bundle
writing = bundle.shutil.copyfile
def first_copy(*given):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    bundle.shutil.copyfile = writing
    return writing(*given)
bundle.shutil.copyfile = first_copy
from gatepost.cli import main
main({words!r})
"""


def trained(tmp_path: Path, messages: list[tuple[bytes, About]], resolve: Resolve | None = None) -> list[str]:
    """Make a store with these messages frozen as "first"; return the words that train from it."""
    recipe = tmp_path / "recipe.toml"
    text = f'cache = "{tmp_path / "cache"}"\n[site]\nreplay_most = 30\nguard_most = 140\n'
    recipe.write_text(text + "[triage]\nguard_ham = 0.5\nguard_bad = 0.5\n", encoding="utf-8")
    with data_store(tmp_path) as store:
        put(store, *messages)
        freeze(store, "first", by="mona", resolve=resolve)
    return ["train", "--dataset", "first", "--from", str(DEFAULT), "--store", str(tmp_path / "dataset"), "--recipe",
            str(recipe), "--out", str(tmp_path / "out")]  # fmt: skip


def run(words: list[str]) -> Result:
    return CliRunner().invoke(main, words)


def refused(done: Result, tmp_path: Path) -> str:
    """Return the one line that says why, after seeing that nothing came of it."""
    [line] = [line for line in done.output.splitlines() if line.startswith("gatepost train: ")]
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]
    return line


def test_ten_examples_in_all(tmp_path: Path) -> None:
    """Of ten the gate keeps some, so there are too few; the line says how many there are and what to do."""
    words = trained(tmp_path, [(lesson(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(10)])

    line = refused(run(words), tmp_path)

    assert "distinct messages may train" in line
    assert line.endswith("expected at least 10 (site.fewest): review more mail first")


@pytest.mark.parametrize(("label", "missing"), [("spam", "legitimate"), ("ham", "bad")])
def test_an_empty_class(label: str, missing: str, tmp_path: Path) -> None:
    words = trained(tmp_path, [(lesson(n, bad=label == "spam"), said(label)) for n in range(30)])

    line = refused(run(words), tmp_path)

    assert f"0 distinct messages that may train are {missing} mail, expected at least 1" in line


def test_a_set_of_one_senders_mail(tmp_path: Path) -> None:
    """Legitimate mail of one sender alone would teach that sender, and set the threshold for everybody."""
    ours = [(letter(" ".join(f"v{n}x{at}" for at in range(30)), sender="ida@shop.example", subject=f"Bill {n}"),
             said("ham")) for n in range(30)]  # fmt: skip
    theirs = [(letter(" ".join(f"u{n}x{at}" for at in range(30)), sender="ida@shop.example", subject=f"Offer {n}"),
               said("spam")) for n in range(30)]  # fmt: skip
    words = trained(tmp_path, ours + theirs)

    line = refused(run(words), tmp_path)

    assert "all mail that may train is from one sender, shop.example" in line


def test_contradictory_labels_for_one_group(tmp_path: Path) -> None:
    """Freezing refuses them; what a rule left of them is too little, and said so."""
    twins = [letter(f"{letter().decode()} {n}", subject="Your parcel") for n in range(6)]
    messages = [(one, said("ham" if n % 2 else "spam")) for n, one in enumerate(twins)]
    with data_store(tmp_path) as store:
        put(store, *messages)
    asked = ["dataset", "--store", str(tmp_path / "dataset"), "snapshot", "first"]

    done = run(asked)

    assert done.exit_code == 1
    assert "1 group of near-duplicates has labels that exclude each other:" in done.output
    assert "choose with --resolve newest, majority or drop" in done.output


def test_a_snapshot_that_is_not_there(tmp_path: Path) -> None:
    words = trained(tmp_path, [(lesson(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(4)])
    words[words.index("first")] = "second"

    assert "there is no snapshot second; see: gatepost dataset snapshot" in refused(run(words), tmp_path)


def test_a_disk_that_fills_while_the_bundle_is_written(tmp_path: Path) -> None:
    """The encoder no longer fits: one line, no part of a bundle stays, and the base still proves itself."""
    words = trained(tmp_path, [(lesson(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(40)])

    done = subprocess.run([sys.executable, "-c", FULL.format(root=str(ROOT), words=words)], capture_output=True,
                          text=True, cwd="/")

    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("gatepost train: /")
    assert done.stderr.splitlines()[-1].endswith(": File too large; no model was written")
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]
    assert verify(Scorer(Bundle.open(DEFAULT)), most=2) < 1
