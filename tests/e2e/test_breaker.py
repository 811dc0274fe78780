"""The breaker with a real gateway: a model that keeps everything is soon not believed any more.

Then it stays so across a restart, until a person says that the model is right, or another model comes.
"""

import json
import os
import re
import smtplib
import subprocess
from collections.abc import Iterator
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
CALM = 110
"""Messages under the model that came before: enough to compare with."""


class Site:
    """A gateway that keeps, with a next hop behind it, and the operator's commands beside it."""

    def __init__(self, it: Serving) -> None:
        self.it = it
        it.stage, it.extra = "keep", BREAKER
        it.start()
        self.send(CALM)
        assert it.sink.count == CALM
        self._hands = Hands("ida", lambda: datetime.now(UTC), follower(load(it.config), 60.0))

    def send(self, number: int = 1, sender: str = "anna@shop.example") -> int:
        """Send messages; return how many of them were delivered."""
        before = self.it.sink.count
        with smtplib.SMTP("127.0.0.1", self.it.port, timeout=30) as client:
            for _ in range(number):
                client.sendmail(sender, ["bob@corp.example"], MAIL)
        return self.it.sink.count - before

    def gatepost(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the operator's to its end."""
        return subprocess.run([*GATEPOST, *words, "--config", str(self.it.config)], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=100)  # fmt: skip

    def serve_greedy(self, version: str) -> None:
        """Have a model serve whose own threshold quarantines all there is."""
        copy = copy_of_model(self.it.folder, version)
        manifest = json.loads((copy / MANIFEST).read_text())
        manifest["thresholds"] = {"quarantine": 1e-9, "hold": None}
        (copy / MANIFEST).write_text(json.dumps(manifest))
        assert promote(Shelf(self.it.folder / "models"), str(copy), passes, self._hands).switched

    def trip(self) -> dict[str, Any]:
        """Send until the breaker trips, and the workers know; return what the log says of it."""
        seen = len(self.it.events("breaker-tripped"))
        for _ in range(1000):
            self.send()
            if len(tripped := self.it.events("breaker-tripped")) > seen:
                until(self.send, "still kept though it has tripped")
                return tripped[-1]
        raise AssertionError("it keeps everything, and the breaker has not tripped")

    def cleared(self, number: int) -> dict[str, Any]:
        """Wait until it has been cleared so often; return what the log says of the last time."""
        until(lambda: len(self.it.events("breaker-cleared")) == number, "the gateway did not hear of it")
        return self.it.events("breaker-cleared")[-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A calm site on which a model that keeps everything begins to serve."""
    with serving(tmp_path, workers=1) as it:
        made = Site(it)
        made.serve_greedy("greedy-1")
        yield made
        assert not it.events("session-fault")
        assert not it.events("lookout-failed")


def assert_only_tags(site: Site) -> None:
    """Mail is delivered with what the observe stage would add; a rule of the operator still keeps."""
    assert site.send() == 1
    assert site.send(sender="x@blocked.example") == 0
    head = site.it.sink.sink.received[-1].data.partition(b"\r\n\r\n")[0]
    assert re.search(rb"X-Gatepost-Verdict: quarantine; label=[a-z]+; stage=observe\r\n", head)
    assert b"X-Gatepost-Reason: breaker, score-quarantine" in head
    assert b"X-Gatepost-Model: greedy-1" in head


def test_it_trips_tags_from_then_on_and_says_so(site):
    assert "model greedy-1 quarantined" in site.trip()["why"]
    assert_only_tags(site)

    it = site.it
    last = it.events("message")[-2]  # the last one was kept by the rule
    assert (last["to"][0]["route"], last["to"][0]["wanted"]) == ("deliver", "quarantine")
    assert it.health()["breaker"][0]["direction"] == "inbound"
    until(lambda: 'gatepost_tagged_total{listener="in"}' in it.get("/metrics")[1], "not counted")
    assert 'gatepost_breaker_open{direction="inbound"} 1.0' in it.get("/metrics")[1]


def test_every_message_that_it_let_pass_is_on_record(site):
    site.trip()
    site.send(5)

    def tagged() -> list[dict[str, Any]]:
        listed = site.gatepost("quarantine", "list", "--state", "tagged", "--limit", "0", "--json")
        return [json.loads(line) for line in listed.stdout.splitlines()]

    until(lambda: len(tagged()) == site.it.sink.count - CALM, "not all are on record")
    rows = tagged()
    assert len(rows) > 5
    assert {(row["recipient"], row["model"], row["reasons"][0]["code"], row["subject"]) for row in rows} == {
        ("bob@corp.example", "greedy-1", "breaker", "dinner")
    }


def test_it_stays_open_across_a_restart_until_a_person_clears_it(site):
    site.trip()
    assert site.it.stop() == 0
    site.it.start()
    assert_only_tags(site)
    assert site.it.events("breaker-open")
    checked = site.gatepost("check")
    assert checked.returncode == 1
    assert "wrong  breaker: open for inbound mail" in checked.stdout

    done = site.gatepost("model", "breaker", "--clear", "--reason", "it is right", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reason"] == "it is right"
    assert site.cleared(1)["reason"] == "it is right"
    until(lambda: not site.send(), "still tagged though it was cleared")
    assert site.send(30) == 0
    assert len(site.it.events("breaker-tripped")) == 1, "the level was accepted"


def test_going_back_to_the_old_model_clears_it_and_the_next_bad_one_trips_again(site):
    site.trip()
    for number, after in enumerate(("greedy-2", ""), 1):
        back = site.gatepost("model", "rollback", "--reason", "it keeps everything")
        assert back.returncode == 0, back.stderr
        assert site.cleared(number)["by"] == "gatepost"
        assert site.it.health()["breaker"] == []
        assert site.send() == 1
        assert b"X-Gatepost-Verdict: deliver;" in site.it.sink.sink.received[-1].data, "not even tagged"
        if after:
            site.serve_greedy(after)
            assert f"model {after} quarantined" in site.trip()["why"]
