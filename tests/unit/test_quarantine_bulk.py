"""Releasing by version of the model: only what its score kept, shown first, nobody's decision overridden."""

import pytest
from click.testing import CliRunner
from kept_mail import RAW, Clock, keep, mail, new_store, write_config
from release_sink import release_sink

from gatepost.cli import main
from model import reasons
from model.labels import Label
from model.verdict import Reason, Route
from quarantine import moves
from quarantine.correspondents import signature
from quarantine.item import State
from quarantine.search import get, history
from quarantine.store import utc_now

SCORED = (Reason(reasons.SCORE_QUARANTINE, "p_bad 0.9300, threshold 0.8"),)
BULK = ("--model", "2026.1", "--since", "2d")


@pytest.fixture
def store(tmp_path):
    write_config(tmp_path)
    clock = Clock(utc_now())
    clock.forward(hours=-1)
    with new_store(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def run(tmp_path):
    def call(*args, stdin=None):
        place = {"GATEPOST_CONFIG": str(tmp_path / "config.toml"), "COLUMNS": "100"}
        return CliRunner().invoke(main, ["quarantine", "release", *args], input=stdin, env=place)

    return call


def to_release(store):
    held = keep(store, reasons=(Reason(reasons.SCORE_HOLD),), route=Route.HOLD)
    return [held, keep(store, mail(RAW, "second@here.example"), reasons=SCORED)]


def not_to_release(store):
    """By a rule, outbound, called bad, decided, and too old."""
    called, decided = keep(store, reasons=SCORED), keep(store, reasons=SCORED)
    moves.label(store, called, Label.SPAM, by="mona")
    moves.reject(store, decided, by="mona", reason="bad")
    found = [called, decided, keep(store, reasons=(Reason(reasons.BLOCK_RULE),))]
    found.append(keep(store, mail(RAW, direction="outbound"), reasons=SCORED))
    store.clock.forward(days=-3)
    found.append(keep(store, reasons=SCORED))
    store.clock.forward(days=3)
    return found


def test_a_dry_run_lists_and_sends_nothing(store, run):
    wanted, others = to_release(store), not_to_release(store)

    done = run(*BULK, "--dry-run")

    assert done.exit_code == 0
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == sorted(wanted)
    assert done.stderr == "2 to release\n"
    assert not [item for item in (*wanted, *others) if get(store, item).item.state is State.RELEASED]


def test_what_the_version_kept_is_released_and_nothing_else(store, run, tmp_path):
    wanted, others = to_release(store), not_to_release(store)
    states = [get(store, item).item.state for item in others]
    with release_sink() as (address, sink):
        write_config(tmp_path, address)
        done = run(*BULK, "--reason", "version 2026.1 was wrong", stdin="y\n")

    assert done.exit_code == 0, done.output
    assert "Release 2 items kept by model 2026.1?" in done.output
    assert [get(store, item).item.state for item in wanted] == [State.RELEASED] * 2
    assert [get(store, item).item.state for item in others] == states
    assert len(sink.received) == 2
    assert all(one.data.endswith(RAW) for one in sink.received)
    assert history(store, wanted[0])[0].reason == "version 2026.1 was wrong"
    assert signature(store)[0] == 0, "a release by version makes no sender known"


def test_saying_no_sends_nothing_and_another_version_has_nothing(store, run):
    wanted = to_release(store)

    assert run(*BULK, "--reason", "why", stdin="n\n").exit_code == 1
    assert run("--model", "2026.2", "--since", "2d", "--reason", "why").output == "Nothing fits.\n"
    assert State.RELEASED not in {get(store, item).item.state for item in wanted}


def test_a_release_port_that_refuses_ends_it_and_everything_stays(store, run, tmp_path):
    items = [keep(store, reasons=SCORED) for _ in range(5)]
    with release_sink("450 4.2.0 later") as (address, sink):
        write_config(tmp_path, address)
        done = run(*BULK, "--reason", "why", "--yes")

    assert done.exit_code == 1
    assert "3 failures in a row: stopped, 2 not tried" in done.stderr
    assert {get(store, item).item.state for item in items} == {State.QUARANTINED}
    assert sink.received == []


@pytest.mark.parametrize(("args", "words"), [
    ((), "name the items, or give --model and --since"),
    (("--model", "2026.1"), "needs both --model and --since"),
    (("--since", "2d"), "needs both --model and --since"),
    (("abcd", *BULK), "--model chooses the items itself"),
    (BULK, "--model needs --reason"),
    (("abcd", "--dry-run"), "--model chooses the items itself"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(store, run, args, words):
    done = run(*args)

    assert done.exit_code == 2
    assert words in done.stderr
