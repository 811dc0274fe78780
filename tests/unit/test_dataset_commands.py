"""`gatepost dataset ...` as people and scripts use it: a real store, no traceback, and every word of it readable."""

import json
import os
import pwd
import sqlite3
import stat
from contextlib import closing

import pytest
from click.testing import CliRunner
from dataset_rig import BODY, letter, numbered

from gatepost.cli import main

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def run(tmp_path):
    def call(*args, code=0, stdin=None):
        done = CliRunner().invoke(
            main, ["dataset", "--store", str(tmp_path / "dataset"), *map(str, args)], input=stdin,
            catch_exceptions=False, env={"GATEPOST_CONFIG": "", "COLUMNS": "100"},
        )  # fmt: skip
        assert done.exit_code == code, done.output
        return done

    return call


@pytest.fixture
def mail(tmp_path):
    folder = tmp_path / "mail"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.eml").write_bytes(numbered(number))
    return folder


def test_from_mail_to_a_snapshot_and_back(run, mail, tmp_path):
    assert run("add", mail, "--label", "ham").stdout == "4 added\n"
    assert run("add", mail, "--label", "ham").stdout == "4 known already\n"
    frozen = run("snapshot", "first").stdout.splitlines()
    assert frozen[0] == "first: 4 messages in 4 groups (4 ham)"
    assert "note: there is no bad mail in it" in run("snapshot", "second").stderr

    out = tmp_path / "out.jsonl"
    assert run("export", out, "--snapshot", "first", "--raw").stderr == "4 messages\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run("import", out).stdout == "4 known already\n"
    there = tmp_path / "other"
    assert run("import", out, "--store", there).stdout == "4 added\n"
    assert run("snapshot", "again", "--store", there).stdout.splitlines()[1] == frozen[1]
    listed, _ = map(json.loads, run("snapshot", "--json").stdout.splitlines())
    assert (listed["name"], listed["by"], listed["messages"]) == ("first", ME, 4)
    assert frozen[1] == f"fingerprint {listed['fingerprint']}"


def test_what_was_not_taken_is_named_and_the_rest_is_taken(run, mail):
    (mail / "notes.txt").write_text("no mail at all\n")

    done = run("add", mail, mail / "none.eml", code=1)

    assert done.stdout == "4 added, 2 not added\n"
    assert f"{mail}/notes.txt: no header field at its beginning: this is no message\n" in done.stderr
    assert f"{mail}/none.eml: No such file or directory\n" in done.stderr


def test_an_mbox_a_maildir_and_standard_input(run, tmp_path):
    box = tmp_path / "box"
    box.write_bytes(b"".join(b"From a@b.example Mon Feb  2 10:00:00 2026\n" + numbered(n) + b"\n" for n in range(3)))
    for part in ("cur", "new", "tmp"):
        (tmp_path / "md" / part).mkdir(parents=True)
    (tmp_path / "md/cur/1:2,S").write_bytes(numbered(10))
    (tmp_path / "md/new/2").write_bytes(numbered(11))

    assert run("add", box, tmp_path / "md").stdout == "5 added\n"
    assert run("add", "-", stdin=numbered(12)).stdout == "1 added\n"


def test_a_broken_mbox_loses_only_what_is_broken(run, tmp_path):
    box = tmp_path / "box"
    line = b"From a@b.example Mon Feb  2 10:00:00 2026\n"
    box.write_bytes(line + numbered(1) + b"\n" + line + b"\x00\x01 torn\n\n" + line + numbered(2)[:60])

    done = run("add", box, code=1)

    assert done.stdout == "2 added, 1 not added\n"
    assert f"{box}#2: no header field at its beginning" in done.stderr


def test_another_label_is_told(run, mail):
    run("add", mail, "--label", "ham")
    done = run("add", mail, "--label", "spam", code=1)
    assert done.stdout == "4 known under another label, and left as it is\n"
    assert "the same again with --relabel changes all of these" in done.stderr
    assert f"{mail}/0.eml: it is labelled ham there, and spam here\n" in done.stderr
    assert run("add", mail, "--label", "spam", "--relabel").stdout == "4 known and labelled now\n"


def test_status(run, mail, tmp_path):
    run("add", mail, "--label", "ham", "--collection", "a", "--licence", "CC0")
    for second, label in ((1, "ham"), (2, "spam")):
        (tmp_path / "one.eml").write_bytes(letter(date=f"Mon, 02 Feb 2026 10:00:0{second} +0000"))
        run("add", tmp_path / "one.eml", "--label", label, "--collection", "ab"[second - 1])

    text = run("status").stdout
    assert "messages        6, " in text
    assert "groups          5 (near-duplicates are one), from 1 senders' domains" in text
    assert f"labelled by     {ME} 6" in text
    assert "in both         1 groups: a and b" in text
    assert "contradictory   1 groups with labels that exclude each other:\n  group " in text
    data = json.loads(run("status", "--json").stdout)
    assert data["collection"] == {"a": {"ham": 5}, "b": {"spam": 1}}
    assert data["licence"] == {"CC0": {"ham": 4}, "unknown": {"ham": 1, "spam": 1}}
    assert data["shared"] == [{"collections": ["a", "b"], "groups": 1}]
    assert len(data["contradictions"]) == 1

    refused = run("snapshot", "first", code=1)
    assert refused.stderr.startswith("Error: 1 group of near-duplicates has labels that exclude each other:\n")
    assert run("snapshot", "first", "--resolve", "drop").stdout.startswith("first: 4 messages in 4 groups (4 ham)\n")


def test_an_empty_store_says_so(run, tmp_path):
    assert "there is no data store yet; `gatepost dataset add` makes it" in run("status", code=1).stderr
    (tmp_path / "empty").mkdir()
    run("add", tmp_path / "empty")
    assert run("status").stdout == "The data store is empty.\n"
    assert run("snapshot").stdout == "Nothing is frozen.  (gatepost dataset snapshot NAME)\n"
    refused = run("snapshot", "x", code=1).stderr
    assert refused == "Error: nothing that fits is labelled, so there is nothing to freeze\n"


def test_show(run, tmp_path):
    file = tmp_path / "one.eml"
    file.write_bytes(letter())
    run("add", file, "--label", "fraud", "--licence", "CC0")
    [row] = map(json.loads, run("export").stdout.splitlines())

    text = run("show", row["id"][:10]).stdout
    assert "label           fraud\n" in text
    assert f"{ME} (import): no label to fraud" in text
    data = json.loads(run("show", row["id"][:10], "--json").stdout)
    assert (data["licence"], data["near"], data["history"][0]["after"]) == ("CC0", [], "fraud")
    assert run("show", row["id"], "--raw").stdout_bytes == letter()


def test_labels_come_back_from_a_tool_by_id(run, mail, tmp_path):
    run("add", mail)
    out = tmp_path / "todo.jsonl"
    run("export", out, "--unlabelled")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    out.write_text("".join(json.dumps({"id": r["id"], "label": "spam"}) + "\n" for r in rows[:3]))

    assert run("import", out).stdout == "3 known and labelled now\n"
    assert run("import", out).stdout == "3 known already\n"
    data = json.loads(run("status", "--json").stdout)
    assert data["source"] == {"review": {"spam": 3}, "none": {"unlabelled": 1}}

    out.write_text(json.dumps({"id": rows[3]["id"], "label": "ham"}) + '\n{"id": "x", "label": "ham"}\n')
    refused = run("import", out, code=1)
    assert f"{out}: line 2: id: there is no message 'x' in the data store" in refused.stderr
    assert json.loads(run("status", "--json").stdout)["labelled"] == 3


def test_csv(run, tmp_path):
    file = tmp_path / "mail.csv"
    file.write_text(f'kind,body\n1,"{BODY}"\n0,"See you on Friday at the usual place"\n')
    options = ("--column", "text=body", "--column", "label=kind", "--means", "1=spam", "--means", "0=ham")

    assert run("import", file, *options).stdout == "2 added\n"
    assert run("import", file, *options).stdout == "2 known already\n"
    assert run("export", "--label", "spam").stderr == "1 messages\n"
    told = run("import", file, "--column", "body=text", code=2).stderr
    assert "--column: expected a field (path, text, html" in told
    assert "--means: expected WORD = one of ham, spam" in run("import", file, "--means", "1=junk", code=2).stderr


def test_reports_are_drafts_until_a_person_says_so(run, tmp_path):
    file = tmp_path / "report.eml"
    file.write_bytes(b"From: eva@here.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                     b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n\r\n--b\r\n"
                     b"Content-Type: message/rfc822\r\n\r\n" + letter() + b"\r\n--b--\r\n")  # fmt: skip

    assert run("import", file, "--format", "reports").stdout == "1 added\n"
    [row] = map(json.loads, run("export", "--raw").stdout.splitlines())
    assert (row["label"], row["draft"], row["reporter"]) == (None, "bad", "eva@here.example")
    assert "nothing that fits is labelled" in run("snapshot", "x", code=1).stderr

    assert run("import", file, "--format", "reports", "--label", "phishing").stdout == "1 known and labelled now\n"
    assert run("snapshot", "x").stdout.startswith("x: 1 messages in 1 groups (1 phishing)")
    (tmp_path / "plain.eml").write_bytes(letter())
    refused = run("import", tmp_path / "plain.eml", "--format", "reports", code=1)
    assert refused.stderr == f"{tmp_path}/plain.eml: no whole message is attached to it\n"


def test_duplicates(run, mail, tmp_path):
    run("add", mail, "--label", "ham", "--collection", "train")
    run("snapshot", "frozen")
    (tmp_path / "near.eml").write_bytes(numbered(1).replace(b"w1x39", b"other"))
    run("add", tmp_path / "near.eml", "--label", "spam", "--collection", "test")

    done = run("duplicates", "frozen", "test", code=1)
    assert done.stdout.splitlines()[-1] == (
        "1 of 4 messages of frozen are in test too: 0 exactly, 1 nearly; 1 under another label"
    )
    [row] = map(json.loads, run("duplicates", "test", "frozen", "--json", code=1).stdout.splitlines())
    assert 0.8 <= row["jaccard"] < 1
    same = run("duplicates", "frozen", "train", code=1).stdout
    assert "4 of 4 messages of frozen are in train too: 4 exactly" in same
    assert run("duplicates", "none", "test", code=1).stderr == "Error: there is no snapshot or collection none\n"


def test_forget_asks_acts_and_proves(run, mail, tmp_path):
    run("add", mail, "--label", "ham")
    run("snapshot", "first")
    first = json.loads(run("export").stdout.splitlines()[0])["id"]
    cache = ("--cache", tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    with closing(sqlite3.connect(tmp_path / "cache" / "embeddings.sqlite")) as vectors, vectors:
        vectors.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
        vectors.execute("INSERT INTO vectors VALUES (x'01', x'736563726574')")

    assert run("forget", "--message", first, *cache, stdin="n\n", code=1).stdout.startswith(
        "Forget 1 message for good? [y/N]: "
    )
    dry = run("forget", "--message", first[:10], "--dry-run", *cache).stdout
    assert dry.splitlines()[0] == "1 message would be forgotten"
    assert "snapshot first would be superseded" in dry
    assert "is in the data store" in run("forget", "--message", first, "--verify", *cache, code=1).stderr

    text = run("forget", "--message", first[:10], "--yes", *cache).stdout
    assert text.startswith(f"1 message is forgotten\n  {first}  {mail}/0.eml\n")
    assert run("forget", "--message", first, "--verify", *cache).stdout.startswith("nothing of it is left")
    assert b"secret" not in (tmp_path / "cache" / "embeddings.sqlite").read_bytes()
    assert run("add", mail, "--label", "ham").stdout == (
        "3 known already, 1 forgotten once, and not added again\n"
    )
    assert "superseded" in run("snapshot").stdout
    assert run("forget", "--message", first, "--lift").stdout.endswith("it may be added again\n")
    assert run("add", mail, "--label", "ham").stdout == "1 added, 3 known already\n"


@pytest.mark.parametrize("args", [
    ("forget",), ("forget", "--sender", "a@b.example", "--reviewer", "x"), ("forget", "--sender", "@"),
    ("forget", "--sender", "a.example", "--verify", "--lift"), ("import",), ("import", "x", "--from", "quarantine"),
    ("add", "x", "--label", "junk"), ("add", "x", "--collection", " "), ("add",),
    ("show", "abcdef", "--raw", "--json"),
])  # fmt: skip
def test_command_lines_that_make_no_sense(run, args):
    assert "Usage: " in run(*args, code=2).stderr


def test_hostile_names_reach_no_terminal(run, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "a\x1b[2J\u202e.eml").write_bytes(letter(sender='"x\x1b]0;t\x07"@b.example'))
    (folder / "b\x1b[2J.txt").write_text("none")

    added = run("add", folder, "--collection", "c\x1b[31m", code=1)
    digest = json.loads(run("export").stdout.splitlines()[0])["id"]
    texts = [added.output, run("show", digest).output, run("status").output,
             run("forget", "--message", digest, "--dry-run").output]  # fmt: skip

    assert not any(c in text for text in texts for c in "\x1b\x07\u202e")


def test_an_export_that_fails_leaves_no_file(run, mail, tmp_path):
    run("add", mail)

    assert "No such file or directory; nothing was written" in run("export", tmp_path / "no/out.jsonl", code=1).stderr

    (tmp_path / "dataset/dataset.key").unlink()
    assert "key file is missing" in run("export", tmp_path / "out.jsonl", code=1).stderr
    assert not (tmp_path / "out.jsonl").exists()
