"""`gatepost replay` lists what another model would decide otherwise, and changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from kept_mail import START, keep, mail, new_store, write_config
from serving import copy_of_model

from gatepost.cli import main
from gatepost.replay import Replayed, summarise
from model.bundle import MANIFEST
from model.labels import Label
from model.verdict import Route, Verdict
from quarantine.moves import label as say
from quarantine.search import get

HONEST = b"From: Ida <ida@sender.example>\r\nTo: ben@here.example\r\nSubject: Lunch\r\n\r\nAt noon, by the river?\r\n"


def eager(folder: Path) -> Path:
    """A bundle that quarantines nearly everything."""
    copy = copy_of_model(folder, "eager-1")
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["thresholds"] = {"quarantine": 1e-9, "hold": None}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    return copy


@pytest.fixture
def config(tmp_path):
    write_config(tmp_path)
    with (tmp_path / "config.toml").open("a") as file:
        file.write(f'[model]\nstore = "{tmp_path}/models"\n')
    return str(tmp_path / "config.toml")


def replay(config: str, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["replay", *words, "--config", config])
    return done.exit_code, done.stdout + (done.stderr if done.exit_code else "")


def test_every_verdict_that_would_change_is_listed_with_the_label(tmp_path, config):
    """A stricter model keeps what the current one would deliver; the summary says what reviewers think of that."""
    with new_store(tmp_path) as store:
        item = keep(store, mail(HONEST))
        say(store, item, Label.HAM, by="ida")

    code, out = replay(config, "--model", str(eager(tmp_path)), "--since", "2026-01-01", "--json")

    assert code == 0, out
    row, total = map(json.loads, out.splitlines())
    assert (row["id"], row["old_route"], row["new_route"]) == (item, "deliver", "quarantine")
    assert (row["recorded_route"], row["recorded_p_bad"]) == ("quarantine", 0.93)
    assert row["subject"] == "The offer"
    assert row["reviewed"] == "ham"
    assert row["old_p_bad"] == pytest.approx(row["new_p_bad"])
    assert total["summary"]["reviewed_ham_newly_kept"] == 1
    assert total["summary"]["candidate"] == "eager-1"
    with new_store(tmp_path) as store:
        assert get(store, item).item.p_bad == 0.93


def test_the_same_model_changes_nothing_and_people_are_told_in_words(tmp_path, config):
    with new_store(tmp_path) as store:
        keep(store, mail(HONEST))

    code, out = replay(config, "--model", str(copy_of_model(tmp_path, "same-1")), "--since", "2026-01-01")

    assert code == 0, out
    assert "0 of 1 items would go another way with same-1" in out
    assert "reviewed as bad: 0 would newly be delivered" in out


def test_mail_outside_the_time_is_not_looked_at(tmp_path, config):
    with new_store(tmp_path) as store:
        keep(store, mail(HONEST))

    window = ("--since", "2026-01-01", "--until", START.date().isoformat())
    code, out = replay(config, "--model", str(eager(tmp_path)), *window)

    assert code == 0, out
    assert "0 of 0 items" in out


def test_a_model_that_is_not_there_is_said_in_one_line(tmp_path, config):
    new_store(tmp_path).close()

    code, out = replay(config, "--model", str(tmp_path / "nowhere"))

    assert code == 1
    assert "nowhere/manifest.json: no such file" in out
    assert "Traceback" not in out


def test_the_summary_counts_by_what_people_said(tmp_path):
    """Reviewed mail is told apart by which way it would move; what could not be scored anew counts apart."""
    with new_store(tmp_path) as store:
        one = get(store, keep(store, mail(HONEST)))

    def item(label: Label | None, before: Route, after: Route) -> Replayed:
        labelled = replace(one, item=replace(one.item, reviewed=label))
        return Replayed(labelled, Verdict(before, ()), Verdict(after, ()))

    found = summarise([
        item(Label.HAM, Route.DELIVER, Route.HOLD), item(Label.HAM, Route.HOLD, Route.DELIVER),
        item(Label.SPAM, Route.HOLD, Route.QUARANTINE), item(Label.FRAUD, Route.REJECT, Route.DELIVER),
        item(Label.FRAUD, Route.DELIVER, Route.QUARANTINE), item(None, Route.DELIVER, Route.HOLD),
        Replayed(one, fault="its body is gone"),
    ])  # fmt: skip

    assert (found.items, found.unreadable, found.changed) == (7, 1, 6)
    assert (found.reviewed_ham_newly_kept, found.reviewed_ham_newly_delivered) == (1, 1)
    assert (found.reviewed_bad_newly_delivered, found.reviewed_bad_newly_kept) == (1, 1)
