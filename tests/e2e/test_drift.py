"""Drift with a real gateway: counts of its own mail, days that pass in the database, an alarm that comes once."""

import json
import os
import smtplib
import sqlite3
import subprocess
from datetime import timedelta

from serving import GATEPOST, MAIL, Serving, serving, until

OTHER = (b"From: Desk <desk@news.example>\r\nTo: bob@corp.example\r\nSubject: Re: your order\r\n"
         b"In-Reply-To: <1@corp.example>\r\nList-Unsubscribe: <https://news.example/u>\r\n"
         b"Content-Type: text/html\r\n\r\n<p>Confirm your account <a href='http://203.0.113.9/x'>here</a>.</p>\r\n")
DRIFT = "[model.drift]\ndays = 1\nleast = 100\n"


def drift(it: Serving, *words: str) -> tuple[int, str]:
    done = subprocess.run([*GATEPOST, "model", "drift", *words, "--config", str(it.config)], capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=100)  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def send(it: Serving, message: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", it.port, timeout=30) as client:
        for _ in range(110):
            client.sendmail("anna@shop.example", ["bob@corp.example"], message)


def days_pass(it: Serving, days: int) -> None:
    """Move everything that was counted into the past."""
    with sqlite3.connect(it.folder / "state" / "quarantine.db") as database:
        span = timedelta(days=days) // timedelta(microseconds=1)
        database.execute("UPDATE tallies SET at = at - ?", [span])
        database.execute("UPDATE epochs SET at = at - ?", [span])
    database.close()


def test_mail_that_is_not_what_it_was_is_told_once(tmp_path):
    with serving(tmp_path, workers=2) as it:
        it.extra = DRIFT
        it.start()
        assert drift(it)[0] == 0
        send(it, MAIL)
        assert it.stop() == 0
        days_pass(it, 2)
        assert "0 messages in the last 1 days are too few" in drift(it)[1]

        it.start()
        send(it, OTHER)
        assert it.stop() == 0
        days_pass(it, 1)
        it.start()
        until(lambda: "is_reply" in {event["of"] for event in it.events("drift")}, "no alarm")
        until(lambda: it.health()["drift"], "not in health")
        alarms = it.events("drift")
        [reply] = [event for event in alarms if event["of"] == "is_reply"]
        assert (reply["direction"], reply["grew"], reply["before"], reply["now"]) == ("inbound", "true", 0.0, 1.0)
        assert 'gatepost_drift_alarm{direction="inbound",name="is_reply"} 1.0' in it.get("/metrics")[1]
        code, out = drift(it, "--json")
        rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
        assert code == 1
        assert (rows["is_reply"]["reference"], rows["is_reply"]["recent"]) == (110, 110)
        assert rows["is_reply"]["alarm_since"]
        assert rows["hidden_text"]["alarm_since"] is None
        assert "is_reply" in drift(it)[1]

        assert it.stop() == 0
        it.start()
        until(lambda: it.health()["drift"], "forgotten over a restart")
        assert len(it.events("drift")) == len(alarms)
        assert not it.events("lookout-failed")
