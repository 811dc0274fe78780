"""`gatepost dataset label` as people use it: a real store, a real server, and drafts that stay drafts."""

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from dataset_rig import data_store, letter, numbered, put, said
from teacher_server import GOOD, fails, says, silent, teacher

from gatepost.cli import main
from training.store.entry import Filter, LabelSource
from training.store.labelling import give
from training.teacher.ledger import ANSWERS, LOG, Ledger

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def store(tmp_path):
    with data_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def configured(tmp_path):
    def write(url="", more=""):
        path = tmp_path / "config.toml"
        path.write_text(
            f'[dataset]\npath = "{tmp_path}/dataset"\n[site]\nown_domains = ["house.example"]\n'
            '[[listener]]\nname = "in"\nlisten = "127.0.0.1:10025"\nmode = "after-queue"\ndirection = "inbound"\n'
            f'next_hop = "127.0.0.1:10026"\n[model]\nstore = "{tmp_path}/models"\n'
            f'[teacher]\nurl = "{url}"\nmodel = "tutor"\nrequests_per_minute = 60000\ntimeout = 10\n{more}'
        )  # fmt: skip
        return path

    return write


@pytest.fixture
def run(configured):
    def call(*args, code=0, url="", more="", stdin=None):
        done = CliRunner().invoke(
            main, ["dataset", "label", "--config", str(configured(url, more)), *map(str, args)], input=stdin,
            catch_exceptions=False, env={"COLUMNS": "100"},
        )  # fmt: skip
        assert done.exit_code == code, done.output
        return done

    return call


class TestTheTeacher:
    def test_is_off_by_default(self, run, store):
        put(store, numbered(1))
        assert "there is no teacher: set url and model in the [teacher] table" in run("--teacher", code=1).stderr
        assert not (store.settings.path / LOG).exists()

    def test_drafts_what_nobody_labelled_and_drafts_train_nothing(self, run, store):
        labelled, open_one = put(store, (numbered(1), said("ham")), numbered(2))
        with teacher() as server:
            done = run("--teacher", "--yes", url=server.url)
            assert run("--teacher", "--yes", url=server.url).stderr.startswith("nothing to draft")

        assert done.stdout == "1 of 1 mails: 1 drafted\n"
        assert len(server.requests) == 1
        entry = store.get(open_one.digest)
        assert (entry.name, entry.label_source, entry.reviewer) == ("spam", LabelSource.DRAFT, "teacher tutor")
        assert not entry.trains
        (change,) = store.history(open_one.digest)
        assert (change.reason, change.confidence) == (GOOD["reason"], GOOD["confidence"])
        assert store.get(labelled.digest).reviewer == "mona"

    def test_costs_and_time_are_told_and_nothing_is_sent_without_a_yes(self, run, store):
        put(store, *[numbered(n) for n in range(4)])
        with teacher() as server:
            done = run("--teacher", url=server.url, more="price_in = 1000\nprice_out = 1000\n", code=1, stdin="n\n")
            assert server.requests == []

        assert "4 mails would be sent to tutor at 127.0.0.1 (127.0.0.1)" in done.stderr
        assert "cost about 3." in done.stderr
        assert "taken out of a sample of them: 4 address" in done.stderr

    def test_dry_run_shows_one_request_and_sends_nothing(self, run, store):
        put(store, letter("Dear Ben,\nyour card 4111 1111 1111 1111 at https://mail.house.example/x"))
        with teacher() as server:
            done = run("--teacher", "--dry-run", url=server.url)
            assert server.requests == []

        request = json.loads(done.stdout)
        mail = request["messages"][1]["content"]
        assert "Dear <NAME 1>,\\\\nyour card <CARD 1> at https://<OWN DOMAIN 1>/x" in mail
        assert not (store.settings.path / LOG).exists()

    def test_an_answer_outlives_its_draft(self, run, store):
        (one,) = put(store, numbered(1))
        with teacher() as server:
            run("--teacher", "--yes", url=server.url)
            later = datetime.now(UTC) + timedelta(seconds=1)
            give(store, {one.digest: ""}, source=LabelSource.DRAFT, by="teacher tutor", at=later)
            done = run("--teacher", "--yes", url=server.url)

        assert done.stdout == "1 of 1 mails: 1 answered before\n"
        assert len(server.requests) == 1

    def test_a_broken_server_ends_the_run_and_what_was_drafted_stays(self, run, store):
        put(store, *[numbered(n) for n in range(6)])
        with teacher(says(GOOD), says(GOOD), fails(404, "no model tutor")) as server:
            done = run("--teacher", "--yes", url=server.url, code=1)
            assert "404: no such path or model: see url and model. no model tutor" in done.stderr
            server.plays[:] = [says(GOOD)]
            assert run("--teacher", "--yes", url=server.url).stdout == "4 of 4 mails: 4 drafted\n"

        assert store.count(Filter(drafts=True)) == 6

    def test_three_mails_without_an_answer_end_the_run(self, run, store):
        put(store, *[numbered(n) for n in range(6)])
        with teacher(lambda desk: desk.reply(b"<html>", kind="text/html")) as server:
            done = run("--teacher", "--yes", url=server.url, code=1)

        assert len(server.requests) == 3
        assert "3 mails in a row had no answer; the last:" in done.stderr
        assert store.count(Filter(drafts=True)) == 0

    def test_prose_is_dropped_and_counted(self, run, store):
        put(store, numbered(1), numbered(2))
        with teacher(says("It is spam."), says("Spam!"), says(GOOD)) as server:
            done = run("--teacher", "--yes", "--json", url=server.url)

        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(row["became"], row["label"]) for row in rows] == [("dropped", None), ("drafted", "spam")]
        assert "2 of 2 mails: 1 drafted, 1 dropped: no usable answer" in done.stderr

    def test_ids_collections_and_limit_choose(self, run, store):
        _, two, _ = put(store, numbered(1), numbered(2), (numbered(3), said("", collection="other")))
        with teacher() as server:
            run("--teacher", "--yes", two.digest[:8], url=server.url)
            run("--teacher", "--yes", "--collection", "other", url=server.url)
            assert len(server.requests) == 2
            assert store.get(two.digest).name == "spam"
            assert run("--teacher", "--yes", "--limit", 9, url=server.url).stdout == "1 of 1 mails: 1 drafted\n"

    def test_a_person_is_never_overruled(self, run, store):
        (one,) = put(store, numbered(1))
        with teacher() as server:
            run("--teacher", "--yes", url=server.url)
        run(one.digest, "--label", "ham")

        entry = store.get(one.digest)
        assert (entry.name, entry.label_source, entry.reviewer, entry.trains) == ("ham", LabelSource.REVIEW, ME, True)

    def test_interrupted_it_stops_at_once_and_goes_on_later(self, configured, run, store):
        put(store, *[numbered(n) for n in range(3)])
        with teacher(says(GOOD), silent) as server:
            process = subprocess.Popen(
                [sys.executable, "-m", "gatepost", "dataset", "label", "--teacher", "--yes", "--config",
                 str(configured(server.url))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                deadline = time.monotonic() + 60
                while len(server.requests) < 2 and time.monotonic() < deadline and process.poll() is None:
                    time.sleep(0.01)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
            finally:
                process.kill()
                process.wait()
            assert (process.returncode, out) == (130, "1 of 3 mails: 1 drafted\n"), err
            assert "the same command goes on from here" in err
            assert "Traceback" not in err
            server.plays[:] = [says(GOOD)]
            assert run("--teacher", "--yes", url=server.url).stdout == "2 of 2 mails: 2 drafted\n"


class TestTheLog:
    def test_shows_what_was_sent(self, run, store):
        one, two = put(store, numbered(1), numbered(2))
        with teacher() as server:
            run("--teacher", "--yes", url=server.url)

        rows = [json.loads(line) for line in run("--show-log", "--json").stdout.splitlines()]
        assert [row["digest"] for row in rows] == [one.digest, two.digest]
        assert [row["request"].encode() for row in rows] == server.requests
        assert server.requests[1].decode() in run("--show-log", two.digest[:6]).stdout
        for name in (LOG, ANSWERS):
            assert stat.S_IMODE((store.settings.path / name).stat().st_mode) == 0o600

    def test_forgets_with_the_data_store(self, run, store):
        one, two = put(store, numbered(1), numbered(2, sender="eve@evil.example"))
        with teacher() as server:
            run("--teacher", "--yes", url=server.url)
        store.close()
        done = CliRunner().invoke(
            main, ["dataset", "--store", str(store.settings.path), "forget", "--sender", "evil.example", "--yes",
                   "--cache", str(store.settings.path / "cache")], catch_exceptions=False,
        )  # fmt: skip
        assert done.exit_code == 0, done.output

        for name in (LOG, ANSWERS):
            octets = (store.settings.path / name).read_bytes()
            assert two.digest.encode() not in octets
            assert one.digest.encode() in octets
        assert b"evil.example" not in (store.settings.path / LOG).read_bytes()

        def verify(code):
            place = str(store.settings.path)
            args = ["forget", "--sender", "evil.example", "--verify", "--cache", place]
            proof = CliRunner().invoke(main, ["dataset", "--store", place, *args], catch_exceptions=False)
            assert proof.exit_code == code, proof.output
            return proof.output

        verify(0)
        with Ledger(store.settings.path) as ledger:
            ledger.remember("key", two.digest, "tutor", None, 1.0)
        assert f"message {two.digest} is in what a teacher was sent" in verify(1)

    def test_half_a_line_costs_no_other_and_is_said(self, run, store):
        put(store, numbered(1), numbered(2))
        with teacher() as server:
            run("--teacher", "--yes", "--limit", 1, url=server.url)
            with (store.settings.path / LOG).open("ab") as log:
                log.write(b'{"at": "2026-0')
            run("--teacher", "--yes", url=server.url)

        done = run("--show-log", "--json", code=1)
        assert len(done.stdout.splitlines()) == 2
        assert f"{LOG}: no request can be read from line 2" in done.stderr


class TestTheRule:
    def test_takes_over_what_the_model_agrees_with_and_is_on_record(self, run, store):
        sure, unsure, wrong = put(store, *[numbered(n) for n in range(3)])
        model = CliRunner().invoke(main, ["score", "--json", "-"], input=numbered(0), env={"GATEPOST_CONFIG": ""})
        said_by_model = json.loads(model.stdout)["label"]
        other = "fraud" if said_by_model != "fraud" else "spam"
        drafts = ((sure, said_by_model, 0.95), (unsure, said_by_model, 0.6), (wrong, other, 0.99))
        for one, label, confidence in drafts:
            give(store, {one.digest: label}, source=LabelSource.DRAFT, by="teacher tutor", confidence=confidence)

        rule = ("--accept-drafts", "--min-confidence", "0.9", "--agreement-with-model")
        told = "1 accepted, 1 the model says otherwise, 1 the teacher is not sure enough"
        assert told in run(*rule, "--dry-run").stderr
        assert not store.get(sure.digest).trains
        assert run(*rule, "--yes").stdout == f"1 labelled by the rule (1 {said_by_model})\n"

        entry = store.get(sure.digest)
        assert (entry.name, entry.label_source, entry.reviewer, entry.trains) == (
            said_by_model, LabelSource.RULE, ME, True)  # fmt: skip
        assert store.history(sure.digest)[-1].reason.startswith(
            "rule: the teacher's draft at confidence 0.9 or more, and model ")
        assert [store.get(one.digest).trains for one in (unsure, wrong)] == [False, False]

    def test_a_report_is_no_teacher(self, run, store):
        put(store, (numbered(1), said("spam", source=LabelSource.DRAFT, by="mona@house.example")))
        done = run("--accept-drafts", "--min-confidence", "0", "--agreement-with-model", "--yes")
        assert done.stderr == "no draft of a teacher is waiting\n"


class TestByHand:
    def test_labels_and_takes_back(self, run, store):
        one, two = put(store, numbered(1), numbered(2))
        done = run(one.digest[:8], two.digest, "--label", "phishing", "--reason", "seen")
        assert done.stdout == "2 labelled phishing\n"
        assert store.history(one.digest)[-1].reason == "seen"
        assert run(one.digest, "--label", "none").stdout == "1 without your label now\n"
        assert (store.get(one.digest).name, store.get(two.digest).name) == ("", "phishing")

    def test_one_unknown_id_labels_nothing(self, run, store):
        (one,) = put(store, numbered(1))
        assert "there is no message abcdef" in run(one.digest, "abcdef", "--label", "ham", code=1).stderr
        assert store.get(one.digest).name == ""


@pytest.mark.parametrize(("args", "said_to"), [
    ((), "give one of --label, --teacher, --accept-drafts and --show-log"),
    (("--teacher", "--label", "ham"), "give one of"),
    (("--label", "ham"), "--label needs the ID"),
    (("--label", "junk", "abcdef"), "'junk' is not one of"),
    (("--accept-drafts",), "--accept-drafts needs --min-confidence and --agreement-with-model"),
    (("--accept-drafts", "--min-confidence", "0.9"), "--accept-drafts needs"),
    (("--accept-drafts", "--min-confidence", "2", "--agreement-with-model"), "is not in the range"),
    (("--teacher", "--min-confidence", "0.9"), "belong to --accept-drafts"),
])  # fmt: skip
def test_command_lines_that_make_no_sense(run, store, args, said_to):
    assert said_to in run(*args, code=2).stderr


def test_a_bad_table_names_its_key(run):
    done = run("--teacher", more='urll = ""\n', code=2)
    assert "teacher.urll: expected a known key, found an unknown one (did you mean url?)" in done.stderr
