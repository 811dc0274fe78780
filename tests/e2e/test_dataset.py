"""A verdict in the quarantine becomes a label, a snapshot and a line for a labelling tool; and is forgotten."""

import json
import subprocess
import sys

import pytest
from dataset_rig import letter, lists, numbered
from kept_mail import Clock, keep, mail, new_store, write_config

from quarantine.store import utc_now
from training.reading import Reader
from training.store.examples import examples
from training.store.settings import DatasetSettings
from training.store.snapshots import snapshot
from training.store.store import DataStore

GATEPOST = (sys.executable, "-P", "-c", "from gatepost.cli import main; main()")


@pytest.fixture
def gatepost(tmp_path):
    write_config(tmp_path)
    with (tmp_path / "config.toml").open("a") as config:
        config.write(f'[dataset]\npath = "{tmp_path}/dataset"\n')

    def run(*args, code=0):
        done = subprocess.run([*GATEPOST, args[0], args[1], "--config", str(tmp_path / "config.toml"), *args[2:]],
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


def test_from_a_verdict_to_an_example_and_out_again(gatepost, tmp_path):
    with new_store(tmp_path, Clock(utc_now())) as quarantine:
        bad, good = (keep(quarantine, mail(raw)) for raw in (letter(), numbered(1)))
    gatepost("quarantine", "label", "phishing", bad)
    gatepost("quarantine", "label", "ham", good)
    gatepost("quarantine", "reject", good, "--reason", "a deed, and no label")

    assert gatepost("dataset", "import", "--from", "quarantine") == "2 added\n"
    assert gatepost("dataset", "import", "--from", "quarantine") == "2 known already\n"
    assert gatepost("dataset", "snapshot", "one").startswith("one: 2 messages in 2 groups (1 ham, 1 phishing)\n")

    rows = [json.loads(line) for line in gatepost("dataset", "export", "--snapshot", "one").splitlines()]
    assert {(row["label"], row["collection"], row["origin"]) for row in rows} == {
        ("phishing", "quarantine", "kept"), ("ham", "quarantine", "kept")}  # fmt: skip
    assert any("parcel" in row["text"] for row in rows)

    settings = DatasetSettings(path=tmp_path / "dataset")
    with DataStore.open(settings) as store, Reader(tmp_path / "cache", lists()) as reader:
        found = examples(store, snapshot(store, "one"), reader)
        assert {(e.bad, e.kind) for e in found} == {(True, "phishing"), (False, None)}
        assert {store.raw(e.key) for e in found} == {letter(), numbered(1)}

    cache = ("--cache", str(tmp_path / "cache"))
    told = gatepost("dataset", "forget", "--sender", "shop.example", "--yes", *cache)
    assert told.startswith("2 messages are forgotten\n")
    assert "snapshot one is superseded" in told
    proof = gatepost("dataset", "forget", "--sender", "shop.example", "--verify", *cache)
    assert proof.startswith("nothing of it is left")
    assert gatepost("dataset", "import", "--from", "quarantine") == "2 forgotten once, and not added again\n"


def test_what_cannot_be_is_said_in_one_line(gatepost, tmp_path):
    gatepost("dataset", "import", "--from", "quarantine", code=1)  # there is no quarantine yet
    gatepost("dataset", "snapshot", "one", code=1)
    assert not (tmp_path / "dataset").exists(), "what failed has made nothing"
