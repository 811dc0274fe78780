"""`gatepost demo`, as the first thing that a new user runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost.demo_site import post
from gatepost.extras import LEARN
from gatepost.terminal import width
from model.bundle import DEFAULT, Bundle
from model.shelf import Shelf
from training.gate import lineage


def demo(*words, columns=80, timeout=110, **more):
    env = {k: v for k, v in os.environ.items() if k != "GATEPOST_CONFIG"}
    return subprocess.run([sys.executable, "-m", "gatepost", "demo", *words], capture_output=True, encoding="utf-8",
                          env={**env, "COLUMNS": str(columns), **more}, timeout=timeout)


def test_the_demo_goes_all_the_way_in_80_columns_and_leaves_nothing(tmp_path):
    done = demo("--short", TMPDIR=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    for part in (" quarantine ", " hold ", " deliver ", "released (250", "The same, byte for byte."):
        assert part in done.stdout
    assert max(width(line) for line in done.stdout.splitlines()) <= 80
    assert list(tmp_path.glob("gatepost-*")) == []


def test_what_is_kept_can_be_reviewed_and_is_not_written_over(tmp_path):
    folder = tmp_path / "kept"
    done = demo("--short", "--keep", str(folder), columns=120)
    assert (done.returncode, done.stderr) == (0, "")

    listed = subprocess.run([sys.executable, "-m", "gatepost", "quarantine", "--config", str(folder / "config.toml"),
                             "list", "--json"], capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) >= 3

    again = demo("--keep", str(folder))
    assert again.returncode == 1
    assert f"{folder}: already there" in again.stderr


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/below"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    done = demo("--keep", str(tmp_path / place))

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and place in done.stderr and "Traceback" not in done.stderr


@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(LEARN.missing()), reason="learning needs scipy and scikit-learn")
def test_the_last_step_makes_a_model_serves_it_and_tells_what_changed(tmp_path):
    """Verdicts, training, gate and switch are the real ones: stores, lineage and gateway agree with what is told."""
    done = demo("--keep", str(tmp_path / "kept"), timeout=840)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(width(line) for line in done.stdout.splitlines() if str(tmp_path) not in line) <= 80
    site, mail = tmp_path / "kept" / "hollerbach", post()

    made = Bundle.open(site / "runs" / "mine").version
    chain = lineage.read(site / "models")
    assert chain.fault is None
    assert [(r.action, r.before, r.after) for r in chain.records] == [("promote", Bundle.open(DEFAULT).version, made)]
    assert Shelf(site / "models").current == made
    assert f"it serves with {made}" in " ".join(done.stdout.split())

    items = listed(site, "quarantine", "list", "--all", "--limit", "0")
    judged = [item for item in items if item["reviewed"]]
    assert len(judged) == len(mail.taught)
    assert {item["model"] for item in judged} == {Bundle.open(DEFAULT).version}
    (frozen,) = listed(site, "dataset", "snapshot")
    assert frozen["messages"] == len(mail.taught)

    kept = [item for item in items if item["model"] == made and item["state"] != "sampled"]
    bad = {(one.sender, one.subject) for one in mail.held_out if one.what != "ham"}
    caught = sum((item["sender"], item["subject"]) in bad for item in kept)
    missed, back = told(done.stdout, "bad mail delivered"), told(done.stdout, "honest mail kept back")
    assert (missed[0], missed[2]) == (len(bad), len(bad) - caught)
    assert (back[0], back[2]) == (len(mail.held_out) - len(bad), len(kept) - caught)
    assert missed[2] + back[2] < missed[1] + back[1], "verdicts made it no better"


def listed(site: Path, *words: str) -> list[dict]:
    done = subprocess.run([sys.executable, "-m", "gatepost", *words, "--json", "--config", str(site / "config.toml")],
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(text: str, row: str) -> tuple[int, int, int]:
    """Return from the table of totals how many messages there are, and how many went wrong before and after."""
    (line,) = (line for line in text.splitlines() if line.startswith(row))
    total, before, after = map(int, line.removeprefix(row).split())
    return total, before, after
