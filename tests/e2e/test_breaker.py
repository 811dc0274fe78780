"""The breaker with a real gateway: a model that keeps everything is soon not believed any more, across a restart."""

import json
import os
import re
import smtplib
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gate_evidence import passes
from serving import GATEPOST, MAIL, MODEL, Serving, copy_of_model, serving, until

from gatepost.config import load
from gatepost.gateways import follower
from model.bundle import MANIFEST
from model.shelf import Shelf
from training.gate.promotion import Hands, promote

pytestmark = pytest.mark.skipif(bool(MODEL), reason="another model is pinned, so none can be promoted")

BREAKER = """
[model.breaker]
least = 10
[[policy.default.block]]
domain = "blocked.example"
"""


def gatepost(it: Serving, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATEPOST, *words, "--config", str(it.config)], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=100)  # fmt: skip


def keeps_everything(folder: Path, version: str = "greedy-1") -> Path:
    """A model whose own threshold quarantines all there is."""
    copy = copy_of_model(folder, version)
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["thresholds"] = {"quarantine": 1e-9, "hold": None}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    return copy


def send(it: Serving, number: int = 1, sender: str = "anna@shop.example") -> None:
    with smtplib.SMTP("127.0.0.1", it.port, timeout=30) as client:
        for _ in range(number):
            client.sendmail(sender, ["bob@corp.example"], MAIL)


def test_a_model_that_keeps_everything_is_not_believed(tmp_path):
    with serving(tmp_path, workers=1) as it:
        it.stage, it.extra = "keep", BREAKER
        it.start()
        send(it, 110)
        assert it.sink.count == 110
        hands = Hands("ida", lambda: datetime.now(UTC), follower(load(it.config), 60.0))
        assert promote(Shelf(tmp_path / "models"), str(keeps_everything(tmp_path)), passes, hands).switched

        def kept_until_it_trips(time: int) -> None:
            kept = 0
            while len(it.events("breaker-tripped")) < time:
                send(it)
                kept += 1
                assert kept < 1000, "it keeps everything, and the breaker has not tripped"

        kept_until_it_trips(1)
        [tripped] = it.events("breaker-tripped")
        assert "model greedy-1 quarantined" in tripped["why"]
        before = it.sink.count
        until(lambda: send(it) or it.sink.count > before, "still kept though it has tripped")

        def tagged_now() -> None:
            """Delivered with what the observe stage would add; a rule of the operator still keeps."""
            seen = it.sink.count
            send(it)
            send(it, sender="x@blocked.example")
            assert it.sink.count == seen + 1
            head = it.sink.sink.received[-1].data.partition(b"\r\n\r\n")[0]
            assert re.search(rb"X-Gatepost-Verdict: quarantine; label=[a-z]+; stage=observe\r\n", head)
            assert b"X-Gatepost-Reason: breaker, score-quarantine" in head
            assert b"X-Gatepost-Model: greedy-1" in head

        tagged_now()
        assert it.health()["breaker"][0]["direction"] == "inbound"
        until(lambda: 'gatepost_tagged_total{listener="in"}' in it.get("/metrics")[1], "not counted")
        assert 'gatepost_breaker_open{direction="inbound"} 1.0' in it.get("/metrics")[1]
        last = it.events("message")[-2]
        assert (last["to"][0]["route"], last["to"][0]["wanted"]) == ("deliver", "quarantine")

        assert it.stop() == 0
        it.start()
        tagged_now()
        assert it.events("breaker-open")
        checked = gatepost(it, "check")
        assert checked.returncode == 1
        assert "wrong  breaker: open for inbound mail" in checked.stdout

        def tagged() -> list[dict[str, Any]]:
            listed = gatepost(it, "quarantine", "list", "--state", "tagged", "--limit", "0", "--json")
            return [json.loads(line) for line in listed.stdout.splitlines()]

        until(lambda: len(tagged()) == it.sink.count - 110, "not all are on record")
        rows = tagged()
        assert {(row["recipient"], row["model"], row["reasons"][0]["code"]) for row in rows} == {
            ("bob@corp.example", "greedy-1", "breaker")
        }
        assert rows[0]["subject"] == "dinner"

        cleared = gatepost(it, "model", "breaker", "--clear", "--reason", "it is right", "--json")
        assert cleared.returncode == 0, cleared.stderr
        assert json.loads(cleared.stdout)["reason"] == "it is right"
        until(lambda: it.events("breaker-cleared"), "the gateway did not hear of it")

        def kept_again() -> bool:
            before = it.sink.count
            send(it)
            return it.sink.count == before

        until(kept_again, "still tagged though it was cleared")
        before = it.sink.count
        send(it, 30)
        assert it.sink.count == before
        assert len(it.events("breaker-tripped")) == 1

        back = gatepost(it, "model", "rollback", "--reason", "it keeps everything")
        assert back.returncode == 0, back.stderr
        again = str(keeps_everything(tmp_path, "greedy-2"))
        assert promote(Shelf(tmp_path / "models"), again, passes, hands).switched
        kept_until_it_trips(2)
        assert gatepost(it, "model", "rollback", "--reason", "again").returncode == 0
        until(lambda: len(it.events("breaker-cleared")) == 2, "going back did not clear it")
        assert it.events("breaker-cleared")[-1]["by"] == "gatepost"
        assert it.health()["breaker"] == []
        assert not kept_again()
        assert not it.events("session-fault")
        assert not it.events("lookout-failed")
