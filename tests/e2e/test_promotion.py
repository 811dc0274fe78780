"""Switching models under a real gateway: it follows without losing a connection, or keeps what it has."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gate_evidence import passes
from serving import GATEPOST, MODEL, Load, Serving, copy_of_model, serving, until

from gatepost.config import load
from gatepost.gateways import follower
from model.bundle import DEFAULT, Bundle
from model.shelf import Shelf
from training.gate import lineage
from training.gate.promotion import Follow, Hands, Outcome, promote

pytestmark = pytest.mark.skipif(bool(MODEL), reason="another model is pinned, so none can be promoted")

GATE = """
[gate]
caught_margin = 0.5
false_positive_margin = 0.5
slower = 5.0
slowest_ms = 5000.0
attack_messages = 2
attack_margin = 0.95
uncertified = true
written_messages = 16
[dataset]
path = "{folder}/dataset"
"""


def gatepost(it: Serving, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATEPOST, *words, "--config", str(it.config)], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=100)  # fmt: skip


def in_process(it: Serving, wanted: Path, at=lambda name: None) -> Outcome:
    """Switch with a gate that lets everything pass, and with the real gateway to follow."""
    hands = Hands("ida", lambda: datetime.now(UTC), follower(load(it.config), 60.0), at=at)
    return promote(Shelf(it.folder / "models"), str(wanted), passes, hands)


@pytest.fixture
def running(tmp_path):
    with serving(tmp_path) as it:
        it.extra = GATE.format(folder=tmp_path)
        it.start()
        yield it


def test_promotion_and_rollback_under_load_turn_nobody_away(running, tmp_path):
    """The command proves, records and switches; mail is scored by the new model; one command goes back."""
    shipped = Bundle.open(DEFAULT).version
    with Load(running) as clients:
        done = gatepost(running, "model", "promote", str(copy_of_model(tmp_path, "site-1")), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        # workers of the old model finish what clients have begun with them
        until(lambda: "site-1" in {m["model"] for m in running.events("message")}, "not scored by the new model")
        back = gatepost(running, "model", "rollback", "--reason", "only a test", "--json")
        assert back.returncode == 0, back.stdout + back.stderr
    assert clients.errors == []
    assert running.sink.count == clients.sent

    assert (told["action"], told["from"], told["to"]) == ("promote", shipped, "site-1")
    assert told["gateway"]["state"] == "followed"
    assert {c["name"] for c in told["checks"]} >= {"golden", "parity", "certificate", "caught-against-in-place"}
    assert b"site-1" in b"".join(m.data for m in running.sink.sink.received)
    assert json.loads(back.stdout)["serving"] == shipped
    assert running.health()["model"] == shipped
    chain = lineage.read(tmp_path / "models")
    assert chain.fault is None
    assert [r.action for r in chain.records] == ["promote", "rollback"]


def test_a_model_that_the_gateway_refuses_goes_back(running, tmp_path):
    """The disk fails after the gate: the gateway's self-test finds out, the old model serves, the pointer returns."""
    shipped = running.health()["model"]
    stored = tmp_path / "models" / "versions" / "site-1"

    def spoil(step: str) -> None:
        if step == "recorded-promote":
            with (stored / "model.onnx").open("r+b") as file:
                file.truncate(1000)

    outcome = in_process(running, copy_of_model(tmp_path, "site-1"), spoil)

    assert outcome.followed is not None
    assert outcome.followed.state is Follow.REFUSED
    assert "model.onnx: SHA-256" in outcome.followed.detail
    assert (outcome.serving, outcome.switched) == (shipped, False)
    assert Shelf(tmp_path / "models").current is None
    assert [r.action for r in lineage.read(tmp_path / "models").records] == ["promote", "return"]
    assert "model.onnx: SHA-256" in running.events("reload-refused")[-1]["error"]
    until(lambda: not running.health()["refused"], "the refusal was not forgotten when the pointer went back")
    assert running.health()["model"] == shipped
    running.send()


def test_a_pointer_to_nothing_is_refused_and_said_everywhere(running, tmp_path):
    """Somebody sets the pointer by hand: the old model serves, and log, metrics and health say so."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "current").symlink_to("versions/nowhere")

    until(lambda: running.health()["refused"], "not noticed")

    assert "versions/nowhere, which is not there" in running.health()["refused"]
    assert running.health()["ok"]
    until(lambda: "gatepost_model_refused 1.0" in running.get("/metrics")[1], "not in the metrics")
    assert len(running.events("reload-refused")) == 1  # tried once, not every few seconds
    running.send()


def test_a_worker_that_dies_after_a_refusal_comes_back_with_the_old_model(running, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    (models / "current").symlink_to("versions/nowhere")
    until(lambda: running.health()["refused"], "not noticed")

    victim = min(running.workers())
    os.kill(victim, 9)

    until(lambda: running.events("worker-died") and running.health()["workers"]["ready"] == 2, "not replaced")
    assert "versions/nowhere" in running.health()["refused"]
    running.send()
    assert running.sink.count == 1
