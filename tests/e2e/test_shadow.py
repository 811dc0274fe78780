"""Shadow mode with a real gateway: a candidate that sees all and does nothing, and whose death nobody notices."""

import json
import os
import shutil
import signal
import smtplib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from serving import GATEPOST, MAIL, MODEL, Load, Serving, copy_of_model, serving, until

from model.bundle import DEFAULT, MANIFEST

pytestmark = pytest.mark.skipif(bool(MODEL), reason="[model] is written for that one")


def candidate(folder: Path) -> Path:
    """The shipped model under another name, whose threshold quarantines everything."""
    copy = copy_of_model(folder, "next-1")
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["thresholds"] = {"quarantine": 1e-9, "hold": None}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    return copy


def shadow(it: Serving) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what would change, and the summary."""
    done = subprocess.run([*GATEPOST, "model", "shadow", "--json", "--config", str(it.config)], capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows[:-1], rows[-1]["summary"] if rows else {}


def process(it: Serving) -> int:
    """Return the id of the shadow process."""
    [found] = [pid for pid in it.workers() if b"milter.shadow" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def test_a_candidate_sees_all_and_does_nothing(tmp_path):
    with serving(tmp_path, workers=2) as it:
        it.stage = "keep"
        it.quarantine = {"sample": 1.0}
        it.shadow = str(candidate(tmp_path))
        it.start()
        until(lambda: it.health()["shadow"].get("state") == "ready", "the candidate is not ready")
        assert it.health()["shadow"]["candidate"] == "next-1"
        assert os.getpriority(os.PRIO_PROCESS, process(it)) == 19

        before = process(it)
        it.reload()
        assert (process(it), it.health()["shadow"]["state"]) == (before, "ready"), "nothing has changed for it"

        with smtplib.SMTP("127.0.0.1", it.port, timeout=30) as client:
            for _ in range(10):
                client.sendmail("anna@shop.example", ["bob@corp.example"], MAIL)
        assert it.sink.count == 10  # it would have kept all of them
        until(lambda: shadow(it)[1].get("messages") == 10, "not all were scored")
        rows, summary = shadow(it)
        assert (summary["candidate"], summary["changed"]) == ("next-1", 10)
        assert summary["moves"] == [{"from": "deliver", "to": "quarantine", "messages": 10}]
        assert {row["old_p_bad"] for row in rows} == {row["new_p_bad"] for row in rows}  # the same model, after all
        assert sum(bool(row["id"]) for row in rows) > 0  # sampled mail is named by its item
        until(lambda: 'gatepost_shadow_total{outcome="changes"} 10.0' in it.get("/metrics")[1], "not counted")
        assert all(b"next-1" not in one.data for one in it.sink.sink.received)

        os.kill(process(it), signal.SIGSTOP)  # stuck: the line fills, and mail goes on
        with Load(it) as clients:
            until(lambda: "shadow-skipped" in it.get("/metrics")[1], "the line never filled")
        assert clients.errors == []
        os.kill(process(it), signal.SIGKILL)  # dead
        until(lambda: it.events("shadow-died"), "its death was not noticed")
        it.send()
        until(lambda: len(it.events("shadow-ready")) == 2, "it was not started again")
        it.send()
        assert not it.events("session-fault")
        assert not it.events("worker-died")
        assert it.stop() == 0
        assert it.workers() == set()


@pytest.mark.parametrize("wrong", ["damaged", "absent", "itself"])
def test_a_candidate_that_cannot_serve_is_refused_and_mail_flows(tmp_path, wrong):
    with serving(tmp_path, workers=1) as it:
        bundle = candidate(tmp_path)
        (bundle / "model.onnx").write_bytes(b"short")
        it.shadow = {"damaged": str(bundle), "absent": "no-such-1", "itself": "shipped"}[wrong]
        it.start()
        until(lambda: it.health()["shadow"].get("refused"), "not said")
        said = {"damaged": "model.onnx: SHA-256", "absent": "no such version", "itself": "nothing to compare"}
        assert said[wrong] in it.events("shadow-refused")[0]["error"]
        it.send()
        assert it.sink.count == 1
        if wrong == "damaged":
            shutil.copy(DEFAULT / "model.onnx", bundle / "model.onnx")
            it.reload()
            until(lambda: it.health()["shadow"].get("state") == "ready", "mended, and not tried again")
        assert it.stop() == 0
