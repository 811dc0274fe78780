"""`gatepost dataset review`, `suspects` and `agreement` in a real terminal, with the shipped model."""

import json
import os
import re
import subprocess
import sys

import pytest
from dataset_rig import BODY, data_settings, data_store, lesson, letter, numbered, put, said
from kept_mail import Clock, write_config
from pty_terminal import Terminal

from quarantine.reviewer import reviewer
from quarantine.store import utc_now
from training.store.entry import LabelSource
from training.store.labelling import give
from training.store.store import DataStore

THEIRS = (
    "Your account was locked. Confirm your password within 24 hours at http://login.bank.example.top/verify or all "
    "access will be lost for ever. Click here now and verify your identity, dear customer."
)
EVIL = "支払い\x1b]52;c;x\x07\x1b[31m\u202e" * 30


def locked(second: int) -> bytes:
    """One of a campaign."""
    return letter(THEIRS, sender="bank@evil.example", subject="Account locked",
                  date=f"Mon, 02 Feb 2026 10:00:{second:02} +0000")  # fmt: skip


@pytest.fixture
def put_in(tmp_path):
    """Make a data store of an hour ago, with a configuration that names it; return the digests."""

    def put_all(*messages, dataset=""):
        write_config(tmp_path)
        with (tmp_path / "config.toml").open("a") as config:
            config.write(f'[dataset]\npath = "{tmp_path}/dataset"\n{dataset}')
        clock = Clock(utc_now())
        clock.forward(hours=-1)
        with data_store(tmp_path, clock) as store:
            return [done.digest for done in put(store, *messages)]

    return put_all


@pytest.fixture
def review(tmp_path):
    def start(*args, **more):
        return Terminal(tmp_path / "config.toml", "dataset", "review", "--cache", str(tmp_path / "cache"), *args,
                        seconds=60, **more)  # fmt: skip

    return start


def gatepost(tmp_path, *args, code=0):
    done = subprocess.run(
        [sys.executable, "-c", "from gatepost.cli import main; main()", "dataset", *args],
        env={**os.environ, "GATEPOST_CONFIG": str(tmp_path / "config.toml")}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def label_of(tmp_path, digest):
    with DataStore.open(data_settings(tmp_path)) as store:
        return store.get(digest).name


def test_keys_label_skip_undo_and_stop_and_every_label_is_there(tmp_path, put_in, review):
    near = BODY.replace("says the carrier", "as we hear from the people of the carrier themselves")
    _, first, second, numbers, like = put_in(
        (letter(), said("ham")), locked(1), locked(2), numbered(1), letter(near[:150], subject="Your order")
    )
    screen = review()
    shown = screen.until("0 labelled, 3 waiting")
    assert "w1x0" in shown, "the model knows least of it"
    assert "unlike what was reviewed" in shown
    assert "Any key goes back." in screen.press("?", "Any key goes back.")
    screen.press("x", "0 labelled, 3 waiting")
    screen.press("u", "there is no label of this sitting to undo")
    screen.press("\x1b[D", "no such key; ? for help")
    after = screen.press("s", f"{numbers[:12]} labelled spam; 1 labelled, 2 waiting")
    assert "w1x0" in screen.press("u", f"{numbers[:12]}: label taken back; 0 labelled, 3 waiting")
    again = screen.press("H", f"{numbers[:12]} labelled ham; 1 labelled, 2 waiting")
    assert again.splitlines()[0] == after.splitlines()[0]
    screens = after + screen.press(" ", "1 labelled, 1 waiting")
    assert "Account locked" in screens
    assert re.search(r"Near +\d+%  ham +Your parcel", screens)
    screen.press("\x03", "Stopped.  1 labelled, 1 waiting.")

    assert screen.end() == 130
    assert label_of(tmp_path, numbers) == "ham"
    assert {label_of(tmp_path, digest) for digest in (first, second, like)} == {""}
    with DataStore.open(data_settings(tmp_path)) as store:
        assert [line.after for line in store.history(numbers)] == ["spam", "", "ham"]


def test_suspects_are_listed_with_the_reason_and_gone_through(tmp_path, put_in, review):
    digests = put_in(*((lesson(n, bad=n % 2 == 1), said("spam" if n % 2 and n != 7 else "ham")) for n in range(28)))
    wrong = digests[7]

    rows = [json.loads(line) for line in gatepost(tmp_path, "suspects", "--cache", str(tmp_path / "cache"),
                                                  "--json").stdout.splitlines()]  # fmt: skip

    assert [row["id"] for row in rows] == [wrong]
    assert rows[0]["reason"].startswith("labelled ham, but judged by all other mail it is ")
    assert {n["label"] for n in rows[0]["near"]} == {"spam"}
    screen = review("--suspects", columns=120, lines=40)
    assert "labelled ham, but judged by all other mail" in screen.until("0 labelled, 1 waiting")
    screen.press("s", "That was the last one.  1 labelled, 0 waiting.")
    screen.end()
    assert label_of(tmp_path, wrong) == "spam"
    told = gatepost(tmp_path, "suspects", "--cache", str(tmp_path / "cache")).stdout
    assert told == "0 of 28 labelled campaigns look wrong\n"


def test_a_second_opinion_is_blind_and_makes_agreement_and_approval(tmp_path, put_in, review):
    one, two = put_in((numbered(1), said("ham", source=LabelSource.REVIEW)),
                      (numbered(2), said("spam", source=LabelSource.REVIEW)), dataset="approvals = 2\n")  # fmt: skip
    assert gatepost(tmp_path, "agreement").stdout.startswith("No two people have reviewed the same mail yet.")
    refused = gatepost(tmp_path, "snapshot", "x", code=1).stderr
    assert "2 of 2 labelled messages wait for 2 people to give them the same label" in refused

    screen = review("--second", lines=40)
    shown = screen.until("0 labelled, 2 waiting")
    assert "Draft" not in shown
    assert not re.search("^(Near|Asked as|Suspected)", shown, re.MULTILINE)
    screen.press("h", "labelled ham; 1 labelled, 1 waiting")
    screen.press("h", "That was the last one.")
    screen.end()

    [row] = map(json.loads, gatepost(tmp_path, "agreement", "--json").stdout.splitlines())
    assert (row["both"], row["same"], row["kappa"]) == (2, 1, 0.0)
    assert row["differ"] == [{"id": two, "mona": "spam", reviewer(): "ham"}]
    frozen = gatepost(tmp_path, "snapshot", "x")
    assert frozen.stdout.startswith("x: 1 messages in 1 groups (1 ham)")
    assert "note: 1 of 2 labelled messages wait for 2 people" in frozen.stderr
    assert label_of(tmp_path, one) == "ham"


def test_the_screen_is_never_overrun_and_never_obeyed(tmp_path, put_in, review):
    subject = "=?utf-8?B?5pSv5omV44GEG11SOzUyO2M7eAcb?=" * 5
    [digest] = put_in(letter((EVIL + "\n") * 99, subject=subject))
    with DataStore.open(data_settings(tmp_path)) as store:
        give(store, {digest: "fraud"}, source=LabelSource.DRAFT, by="teacher", reason=EVIL, confidence=0.8)
    screen = review(columns=44, lines=14)

    drawn = screen.until("u ? q").split("\r\n")

    assert len(drawn) == 14
    assert all(sum(2 if ord(c) > 0x2E80 else 1 for c in line) <= 44 for line in drawn)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", "".join(drawn))
    assert any(line.startswith("Draft      fraud (teacher,") for line in drawn)
    screen.press("f", "That was the last one.")
    screen.end()
    assert label_of(tmp_path, digest) == "fraud"


def test_what_cannot_be_is_said_in_one_line(tmp_path, put_in):
    put_in((numbered(1), said("ham")))
    cache = ("--cache", str(tmp_path / "cache"))

    assert "review needs a terminal" in gatepost(tmp_path, "review", *cache, code=2).stderr
    assert "choose one of" in gatepost(tmp_path, "review", "--second", "--suspects", code=2).stderr
    told = gatepost(tmp_path, "suspects", *cache, code=1).stderr
    assert told.startswith("Error: too little is labelled to suspect anything: expected 10 campaigns of ham")
    (tmp_path / "file").write_text("")
    assert "Traceback" not in gatepost(tmp_path, "suspects", "--cache", str(tmp_path / "file/x"), code=1).stderr
