"""`gatepost quarantine ...` as people and scripts use it: real store, real release port, no traceback."""

import json
import os
import pwd
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from kept_mail import RAW, Clock, Spec, keep, kept, mail, new_store, screening, store_settings, write_config
from release_sink import release_sink

from gatepost.cli import main
from gatepost.commands.quarantine_look import NARROW
from model.labels import Label
from model.verdict import Reason, Route
from quarantine import moves
from quarantine.item import State
from quarantine.release import release
from quarantine.search import get, history
from quarantine.store import Store, utc_now

EVIL = "Hi \x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m \u202egpj.exe \u200b\r\n.fake line"
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def store(tmp_path):
    write_config(tmp_path)
    with new_store(tmp_path, Clock(utc_now())) as opened:
        yield opened


@pytest.fixture
def run(tmp_path):
    def call(*args, columns=100, stdin=None):
        return CliRunner().invoke(
            main, ["quarantine", *args], input=stdin, catch_exceptions=False,
            env={"GATEPOST_CONFIG": str(tmp_path / "config.toml"), "COLUMNS": str(columns)},
        )  # fmt: skip

    return call


def plain(text):
    """No line may hold what a terminal obeys or reorders."""
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)


def test_an_empty_quarantine_says_so(store, run):
    assert run("list").stdout == "Nothing waits for a decision.  (--all shows what was decided)\n"
    assert run("list", "--state", "held").stdout == "Nothing fits.\n"
    assert run("stats").stdout == "The quarantine is empty.\n"
    assert run("list", "--json").stdout == ""


@pytest.mark.parametrize("columns", [44, 60, 80, 120, 200])
def test_a_list_is_aligned_and_no_line_is_wider_than_the_terminal(store, run, columns):
    keep(store, subject="支払い方法の更新が必要です" * 9, label=Label.SPAM, p_bad=0.999)
    keep(store, mail(RAW, "a-very-long-address@" + "department." * 9 + "example"), subject="x" * 300)
    keep(store, route=Route.HOLD, label=None, p_bad=None, subject=EVIL)

    lines = run("list", columns=columns).stdout.splitlines()

    assert len(lines) == 4
    assert all(sum(2 if ord(c) > 0x2E80 else 1 for c in line) <= columns for line in lines)
    if columns < NARROW:
        assert lines[0] == "ID            KEPT    LABEL     SUBJECT"
        return
    assert lines[0].startswith("ID            KEPT    STATE")
    assert {line[22:26] for line in lines[1:]} == {"held", "quar"}
    assert sum("99%" in line for line in lines) == 1  # never rounded up to a certainty


def test_what_was_decided_is_listed_only_when_asked_for(store, run):
    item = keep(store)
    moves.reject(store, item, by="mona", reason="bad")

    assert "Nothing waits" in run("list").stdout
    assert item in run("list", "--all").stdout
    assert item in run("list", "--state", "rejected").stdout


def test_filters_reach_the_store(store, run):
    shop = keep(store, mail(sender="sale@shop.example"), label=Label.SPAM, p_bad=0.5, subject="Sale")
    bank = keep(store, mail(RAW, "eve@here.example"), p_bad=0.9, subject="Account")
    for args, expected in [
        (["--label", "spam"], {shop}), (["--sender", "SHOP"], {shop}), (["--recipient", "eve"], {bank}),
        (["--subject", "sale"], {shop}), (["--min-score", "0.8"], {bank}), (["--since", "1h"], {shop, bank}),
        (["--before", "1h"], set()), (["--since", "2026-01-01"], {shop, bank}),
        (["--limit", "1", "--sort", "score"], {bank}),
        (["--limit", "1", "--offset", "1", "--sort", "score"], {shop}), (["--unreviewed"], {shop, bank}),
    ]:  # fmt: skip
        found = {json.loads(line)["id"] for line in run("list", "--json", *args).stdout.splitlines()}
        assert found == expected, args


def test_json_is_one_ascii_object_a_line(store, run):
    item = keep(store, subject=EVIL)

    [line] = run("list", "--json").stdout.splitlines()

    assert line.isascii()
    data = json.loads(line)
    assert (data["id"], data["subject"], data["state"], data["label"]) == (item, EVIL, "quarantined", "phishing")
    assert data["reasons"] == [{"code": "score", "detail": "0.93 >= 0.80"}]
    assert data["kept_at"].endswith("+00:00")


def test_a_page_says_what_comes_next(store, run):
    for _ in range(3):
        keep(store)

    assert "1 to 2 of 3; next: --offset 2" in run("list", "--limit", "2").stderr
    assert run("list", "--offset", "9").stdout == "Nothing beyond the first 3.\n"


@pytest.mark.parametrize(
    "args", [["--since", "yesterday"], ["--state", "pending"], ["--min-score", "2"], ["--sort", "x"],
             ["--since", "0001-01-01"], ["--before", "9999-12-31T23:59:59-05:00"], ["--offset", str(10**23)],
             ["--limit", str(10**23)]]
)
def test_a_wrong_option_is_a_usage_error(store, run, args):
    assert run("list", *args).exit_code == 2


def test_show_says_why_with_the_threshold_beside_the_score(store, run):
    item = keep(store)
    moves.label(store, item, Label.HAM, by="mona", reason="asked the sender")

    text = run("show", item[:6]).stdout

    for part in (item, "phishing, 93.0% bad", "a person says ham", "score: 0.93 >= 0.80", "Ida <ida@sender.example>",
                 "mx.sender.example [192.0.2.7]", "text +1.50, is_reply -0.70, base -0.50 = +0.30",
                 "payment-card: 4111********1111", "bill.pdf  (application/pdf, really application/zip, 1.2 KB)",
                 "https://sender.example/x", "mona  label ham: asked the sender", "Two lines,"):  # fmt: skip
        assert part in text


def test_what_was_weighed_adds_up_however_many_facts(store, run):
    seen = screening()
    weights = {f"fact_{n}": 0.1 * (n - 9) for n in range(20)}
    score = replace(seen.score, fact_logits=weights)
    one = mail()
    item = store.keep(
        one, [replace(k, screening=replace(seen, score=score)) for k in kept(one)], pending=False
    ).items[0]

    text = " ".join(run("show", item, columns=80).stdout.split())
    parts, total = re.search(r"Weighed (.*?) = ([+-]\d+\.\d\d)", text).groups()

    assert "14 more facts" in parts
    assert sum(float(n) for n in re.findall(r"[+-]\d+\.\d\d", parts)) == pytest.approx(float(total), abs=0.03)
    assert float(total) == pytest.approx(score.bias + score.text_logit + sum(weights.values()), abs=0.01)


def test_nothing_of_a_mail_reaches_the_terminal_unescaped(store, run):
    one = mail(b"Subject: " + EVIL.encode() + b"\r\nX: \xff\x9b\r\n\r\nbody", sender="e\x1b[2Jvil@x.example")
    reasons = (Reason("defect", EVIL),)
    verdict = kept(one, Spec(subject=EVIL, text=EVIL * 3, reasons=reasons))
    item = store.keep(one, verdict, pending=False, listener="in").items[0]
    moves.reject(store, item, by="mona", reason=EVIL)

    outputs = [run("list", "--all"), run("show", item), run("show", item, "--headers"), run("show", item, "--full"),
               run("release", item), run("reject", item, "--reason", EVIL), run("show", EVIL)]  # fmt: skip

    for result in outputs:
        assert plain(result.stdout + result.stderr), result.stdout
    assert "\\x1b]52;c;" in outputs[1].stdout


def test_show_headers_stops_at_the_body(store, run):
    item = keep(store, mail(b"From: a@b.example\r\nSubject: x\r\n y\r\n\r\nFrom: body\r\n"))

    assert run("show", "--headers", item).stdout == "From: a@b.example\nSubject: x\n y\n"


def test_a_secret_in_an_outbound_header_is_masked(store, run):
    item = keep(
        store, mail(b"Subject: card 4111 1111 1111 1111 visa\r\n\r\n", direction="outbound"), route=Route.HOLD
    )

    text = run("show", "--headers", item).stdout

    assert text.startswith("Subject: card ")
    assert "1111 1111 1111" not in text


def test_raw_is_exact(store, tmp_path):
    data = bytes(range(256)) * 300
    item = keep(store, mail(data))

    done = subprocess.run(
        [sys.executable, "-c", "from gatepost.cli import main; main()", "quarantine", "show", "--raw", item],
        env={**os.environ, "GATEPOST_CONFIG": str(tmp_path / "config.toml")}, capture_output=True,
    )  # fmt: skip

    assert done.stdout == data


def test_release_sends_the_exact_bytes_to_the_release_port(store, run, tmp_path):
    item = keep(store)
    with release_sink() as (address, sink):
        write_config(tmp_path, address)
        result = run("release", item[:5], "--reason", "by phone")

    assert (result.exit_code, result.stdout) == (0, f"{item}: released (250 2.0.0 Ok: queued as SINK0)\n")
    [got] = sink.received
    header, _, rest = got.data.partition(b"\r\n")
    assert (got.mail, rest) == ("<ida@sender.example>", RAW)
    assert got.rcpts == ["<ben@here.example> NOTIFY=NEVER ORCPT=rfc822;ben@here.example"]
    assert got.xforward == ["SOURCE=REMOTE"]
    assert re.fullmatch(rb"X-Gatepost-Released: \w{12}; by [\w.-]+; at \d{4}-\d\d-\d\dT[\d:]{8}Z", header)
    assert get(store, item).item.state is State.RELEASED


def test_release_to_another_is_recorded_with_its_reason(store, run, tmp_path):
    item = keep(store)
    assert "--to needs --reason" in run("release", item, "--to", "abuse@here.example").stderr
    assert "is not an address" in run("release", item, "--to", "a b>", "--reason", "x").stderr
    with release_sink() as (address, sink):
        write_config(tmp_path, address)
        run("release", item, "--to", "abuse@here.example", "--reason", "for the report")

    assert sink.received[0].rcpts == ["<abuse@here.example>"]
    assert history(store, item)[0].reason == "to abuse@here.example: for the report"
    assert history(store, item)[0].by == ME


@pytest.mark.parametrize("answer", ["450 4.2.0 later", "550 5.7.1 never"])
def test_a_refusal_of_the_release_port_is_shown(store, run, tmp_path, answer):
    item = keep(store)
    with release_sink(answer) as (address, _):
        write_config(tmp_path, address)
        result = run("release", item)

    assert result.exit_code == 1
    assert result.stderr == f"{item}: not released, it stays quarantined ({answer})\n"


def test_no_release_port_is_said_and_the_item_stays(store, run):
    item = keep(store)

    result = run("release", item)

    assert result.exit_code == 1
    assert "it stays quarantined (cannot connect to 127.0.0.1:9" in result.stderr


def test_line_ends_that_no_server_may_be_sent_are_said(store, run, tmp_path):
    item = keep(store, mail(b"Subject: x\r\n\r\nbare\nline"))
    with release_sink() as (address, sink):
        write_config(tmp_path, address)
        result = run("release", item)

    assert "bare LF" in result.stderr
    assert sink.received == []
    assert get(store, item).item.state is State.QUARANTINED


def lost(_envelope, chunks):
    list(chunks)
    raise OSError


def test_a_stuck_release_is_shown_with_its_ways_out(tmp_path, run):
    write_config(tmp_path)
    clock = Clock(utc_now())
    clock.forward(minutes=-30)
    with new_store(tmp_path, clock) as store:
        items = [keep(store) for _ in range(3)]
        for item in items:
            release(store, item, lost, by="mona")

        assert run("list").stdout.count("releasing") == 3
        assert f"--mark-released {items[0]}" in run("release", items[0]).stderr
        assert run("release", "--mark-released", items[0]).exit_code == 0
        assert run("release", "--mark-unsent", items[1]).exit_code == 0
        with release_sink() as (address, sink):
            write_config(tmp_path, address)
            assert run("release", "--resume", items[2]).exit_code == 0

        assert len(sink.received) == 1
        assert [get(store, i).item.state for i in items] == [State.RELEASED, State.QUARANTINED, State.RELEASED]
    assert run("release", "--resume", "--mark-unsent", items[2]).exit_code == 2


def test_one_bad_id_does_not_stop_the_others(store, run):
    first, second = keep(store), keep(store)

    result = run("reject", first, "zzzzzzzz", second, "--reason", "bad")

    assert result.exit_code == 1
    assert result.stdout == f"{first}: rejected\n{second}: rejected\n"
    assert result.stderr == "there is no item zzzzzzzz\n"
    assert history(store, first)[0].reason == "bad"


def test_rejecting_needs_a_reason(store, run):
    assert run("reject", keep(store)).exit_code == 2


def test_a_reason_of_blanks_is_none(store, run):
    item = keep(store)

    result = run("reject", item, "--reason", "  ")

    assert result.exit_code == 2 and "say why" in result.stderr
    assert get(store, item).item.state is State.QUARANTINED


def test_show_shows_one_thing_at_a_time(store, run):
    assert run("show", keep(store), "--raw", "--json").exit_code == 2


def test_deleting_asks_first(store, run):
    item = keep(store)

    assert run("delete", item, stdin="n\n").exit_code == 1
    assert get(store, item).item.state is State.QUARANTINED
    assert run("delete", item, stdin="y\n").exit_code == 0
    assert get(store, item).item.state is State.DELETED
    assert f"{item} is deleted: delete is not possible" in run("delete", "--yes", item).stderr


def test_labels_are_given_and_taken_back(store, run):
    item = keep(store)

    assert run("label", "fraud", item).stdout == f"{item}: fraud\n"
    assert get(store, item).item.reviewed is Label.FRAUD
    assert "fraud*" in run("list").stdout
    assert run("label", "none", item).stdout == f"{item}: unlabelled\n"
    assert get(store, item).item.reviewed is None
    assert run("label", "nice", item).exit_code == 2


def test_stats_count(store, run):
    keep(store)
    moves.label(store, keep(store, route=Route.HOLD), Label.HAM, by="mona")

    text = run("stats").stdout
    data = json.loads(run("stats", "--json").stdout)

    assert re.search(r"quarantined\s+1", text)
    assert "1, of which 0 as the model said" in text
    assert {"direction": "inbound", "state": "held", "items": 1} in data["states"]
    assert data["octets"] == 2 * len(RAW)


@pytest.mark.parametrize("args", [["list"], ["show", "abcd"], ["stats"], ["release", "abcd"], ["delete", "abcd"]])
def test_a_missing_database_is_one_line_and_exit_1(tmp_path, run, args):
    write_config(tmp_path)

    result = run(*args)

    assert result.exit_code == 1
    assert "there is no database yet" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_damaged_database_is_one_line_and_exit_1(tmp_path, run):
    write_config(tmp_path)
    new_store(tmp_path).close()
    (tmp_path / "q.db").write_bytes(b"x" * 9999)

    result = run("list")

    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "restore it from its backup" in result.stderr


def test_a_missing_configuration_is_exit_2(tmp_path, run):
    result = run("list")

    assert result.exit_code == 2
    assert "config.toml" in result.stderr


def test_the_configuration_may_stand_before_or_after_the_command(store, tmp_path):
    path = str(tmp_path / "config.toml")

    for args in (["quarantine", "--config", path, "list"], ["quarantine", "list", "--config", path]):
        result = CliRunner().invoke(main, args, env={"GATEPOST_CONFIG": ""})
        assert result.exit_code == 0, result.stderr


def test_the_reviewer_is_nobodys_choice(store, tmp_path):
    """Neither the environment nor an option changes who is on record."""
    item = keep(store)
    names = {"USER": "eve", "LOGNAME": "eve", "SUDO_USER": "eve", "USERNAME": "eve", "GATEPOST_REVIEWER": "eve"}

    subprocess.run(
        [sys.executable, "-c", "from gatepost.cli import main; main()", "quarantine", "label", "ham", item],
        env={**os.environ, **names, "GATEPOST_CONFIG": str(tmp_path / "config.toml")},
        check=True, capture_output=True,
    )  # fmt: skip

    with Store.open(store_settings(tmp_path)) as again:
        assert history(again, item)[0].by != "eve"
