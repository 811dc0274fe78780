"""`gatepost quarantine review` in a real (pseudo) terminal: keys, resuming, Ctrl-C, nothing left half done."""

import os
import re
import subprocess
import sys

import pytest
from kept_mail import RAW, Clock, Spec, keep, kept, mail, new_store, store_settings, write_config
from pty_terminal import Terminal
from release_sink import release_sink

from model.labels import Label
from model.verdict import Route
from quarantine import moves
from quarantine.item import Action, State
from quarantine.search import get, history
from quarantine.store import Store, utc_now


def review(folder, *args, **size):
    return Terminal(folder / "config.toml", "quarantine", "review", *args, **size)


@pytest.fixture
def items(tmp_path):
    """Three undecided items, oldest first: quarantined, held, quarantined."""
    write_config(tmp_path)
    clock = Clock(utc_now())
    clock.forward(hours=-9)
    found = []
    with new_store(tmp_path, clock) as store:
        for subject, route in (("First", Route.QUARANTINE), ("Second", Route.HOLD), ("Third", Route.QUARANTINE)):
            found.append(keep(store, mail(RAW, f"{subject.lower()}@here.example"), subject=subject, route=route))
            clock.forward(hours=1)
    return found


def state(folder, item):
    with Store.open(store_settings(folder)) as store:
        return get(store, item).item


def test_a_label_stays_on_the_item_and_an_action_goes_on(tmp_path, items):
    screen = review(tmp_path)
    assert "First" in screen.until("3 waiting")
    assert "First" in screen.press("p", "labelled phishing; it stays quarantined until you act")
    assert "Second" in screen.press("x", f"{items[0]}: rejected")
    assert "Third" in screen.press("k", f"{items[1]}: kept in the quarantine")
    screen.press("q", "Good.  1 labelled, 2 decided, 2 waiting.")

    assert screen.end() == 0
    assert (state(tmp_path, items[0]).state, state(tmp_path, items[0]).reviewed) == (State.REJECTED, Label.PHISHING)
    assert (state(tmp_path, items[1]).state, state(tmp_path, items[1]).reviewed) == (State.QUARANTINED, None)
    assert state(tmp_path, items[2]).state is State.QUARANTINED


@pytest.mark.parametrize(
    ("key", "label"), [("h", Label.HAM), ("s", Label.SPAM), ("f", Label.FRAUD), ("P", Label.PHISHING)]
)
def test_one_key_a_label(tmp_path, items, key, label):
    screen = review(tmp_path)
    screen.until("waiting")
    screen.press(key, f"labelled {label}")
    screen.press("q", "Good.")
    screen.end()

    assert state(tmp_path, items[0]).reviewed is label


def test_it_goes_on_where_it_stopped_and_begins_again_at_the_end(tmp_path, items):
    first = review(tmp_path)
    first.until("First")
    first.press("n", "Second")
    first.press("q", "Good.")
    first.end()

    second = review(tmp_path)
    second.until("Second")
    second.press(" ", "Third")
    second.press("\r", "That was the last one; 3 looked at and undecided. The next review begins again.")
    second.end()

    third = review(tmp_path)
    third.until("First")
    third.press("nn", "Third")
    third.press("q", "Good.")
    third.end()

    fourth = review(tmp_path, "--restart")
    fourth.until("First")
    fourth.press("q", "Good.")
    fourth.end()


def test_ctrl_c_stops_with_everything_in_place(tmp_path, items):
    screen = review(tmp_path)
    screen.until("First")
    screen.press("s", "labelled spam")
    screen.press("n", "Second")
    screen.press("\x03", "Stopped.  1 labelled, 0 decided, 3 waiting.")

    assert screen.end() == 130
    assert state(tmp_path, items[0]).reviewed is Label.SPAM
    again = review(tmp_path)
    again.until("Second")
    again.press("q", "Good.")
    again.end()


def test_ctrl_c_at_a_question_does_nothing(tmp_path, items):
    screen = review(tmp_path)
    screen.until("First")
    screen.press("d", "Delete for good?")
    screen.press("\x03", "Stopped.")

    assert screen.end() == 130
    assert state(tmp_path, items[0]).state is State.QUARANTINED


def test_undo_takes_the_last_label_back_and_returns_to_its_item(tmp_path, items):
    screen = review(tmp_path)
    screen.until("First")
    screen.press("s", "labelled spam")
    screen.press("p", "labelled phishing")
    screen.press("n", "Second")
    assert "First" in screen.press("u", f"{items[0]}: label taken back; it is spam again")
    screen.press("u", f"{items[0]}: label taken back")
    screen.press("u", "there is no label of this sitting to undo")
    screen.press("q", "Good.")
    screen.end()

    assert state(tmp_path, items[0]).reviewed is None
    with Store.open(store_settings(tmp_path)) as store:
        assert [(r.action, r.label) for r in history(store, items[0])] == [
            (Action.LABEL, Label.SPAM), (Action.LABEL, Label.PHISHING),
            (Action.UNLABEL, Label.SPAM), (Action.UNLABEL, None),
        ]  # fmt: skip


def test_deleting_and_releasing_ask_first(tmp_path, items):
    with release_sink() as (address, sink):
        config = tmp_path / "config.toml"
        config.write_text(config.read_text().replace("127.0.0.1:9", address, 1))
        screen = review(tmp_path)
        screen.until("First")
        screen.press("r", "Release to first@here.example?")
        assert "First" in screen.press("n", "nothing was done")
        screen.press("r", "Release to")
        screen.press("y", f"{items[0]}: released (250 2.0.0 Ok")
        screen.press("d", "Delete for good?")
        assert "Third" in screen.press("y", f"{items[1]}: deleted")
        screen.press("q", "Good.")
        screen.end()

        assert len(sink.received) == 1
    assert [state(tmp_path, i).state for i in items] == [State.RELEASED, State.DELETED, State.QUARANTINED]


def test_a_release_that_fails_stays_on_the_item(tmp_path, items):
    screen = review(tmp_path, columns=120)
    screen.until("First")
    screen.press("r", "Release to")
    assert "First" in screen.press("y", f"{items[0]}: not released, quarantined (cannot connect")
    screen.press("q", "Good.")
    screen.end()


def test_what_somebody_else_decided_meanwhile_is_said(tmp_path, items):
    screen = review(tmp_path)
    screen.until("First")
    with Store.open(store_settings(tmp_path)) as store:
        moves.reject(store, items[0], by="otto", reason="faster")
    screen.press("x", f"item {items[0]} is rejected: reject is not possible")
    screen.press("q", "Good.")
    screen.end()


def test_help_fits_and_arrow_keys_are_no_commands(tmp_path, items):
    screen = review(tmp_path)
    screen.until("First")
    text = screen.press("?", "Any key goes back.")
    assert max(len(line) for line in text.split("\r\n")) < 80
    assert len(text.split("\r\n")) <= 24
    screen.press("q", "waiting")
    screen.press("\x1b[D", "no such key; ? for help")  # its last octet is a D
    screen.press("q", "Good.")
    screen.end()

    assert state(tmp_path, items[0]).state is State.QUARANTINED


@pytest.mark.parametrize(("columns", "lines", "last"), [(80, 24, "q quit"), (120, 40, "[q]uit"), (44, 14, "n u ? q")])
def test_the_screen_is_never_overrun_and_never_obeyed(tmp_path, items, columns, lines, last):
    evil = "支払い\x1b]52;c;x\x07\x1b[31m\u202e" * 30
    with Store.open(store_settings(tmp_path), clock=lambda: Clock().now) as store:
        keep(store, mail(RAW, "x" * 200 + "@here.example"), subject=evil, text=(evil + "\n") * 99)
    screen = review(tmp_path, columns=columns, lines=lines)

    drawn = screen.until(last).split("\r\n")

    assert len(drawn) == lines
    assert all(sum(2 if ord(c) > 0x2E80 else 1 for c in line) <= columns for line in drawn)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", "".join(drawn))
    screen.press("q", "Good.")
    screen.end()


def test_filters_narrow_the_queue(tmp_path, items):
    screen = review(tmp_path, "--state", "held")
    assert "Second" in screen.until("1 waiting")
    screen.press("n", "That was the last one")
    screen.end()


def test_samples_are_gone_through_apart_and_only_labelled(tmp_path, items):
    with Store.open(store_settings(tmp_path)) as store:
        one = mail(RAW, "drawn@here.example")
        copy = kept(one, Spec(route=Route.DELIVER, subject="Drawn"))[0]
        drawn = store.sample(one, copy, drawn=0.01).items[0]
    screen = review(tmp_path, "--sampled")
    assert "Drawn" in screen.until("1 waiting")
    screen.press("r", "a sample: it was delivered. Label it")
    screen.press("s", "labelled spam")
    screen.press("n", "That was the last one; 1 samples.")
    screen.end()

    assert (state(tmp_path, drawn).state, state(tmp_path, drawn).reviewed) == (State.SAMPLED, Label.SPAM)


def test_an_empty_queue_says_so(tmp_path, items):
    with Store.open(store_settings(tmp_path)) as store:
        for item in items:
            moves.reject(store, item, by="mona", reason="bad")
    screen = review(tmp_path)
    screen.until("Nothing waits for a decision.")
    screen.end()


def test_without_a_terminal_it_says_what_to_use_instead(tmp_path, items):
    done = subprocess.run(
        [sys.executable, "-c", "from gatepost.cli import main; main()", "quarantine", "review"],
        env={**os.environ, "GATEPOST_CONFIG": str(tmp_path / "config.toml")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 2
    assert "review needs a terminal" in done.stderr


def test_a_terminal_that_cannot_be_cleared_is_told_so(tmp_path, items):
    screen = review(tmp_path, term="dumb")
    screen.until("$TERM says that this one cannot")

    assert screen.child.wait(20) == 2
    os.close(screen.inner)
    os.close(screen.fd)
