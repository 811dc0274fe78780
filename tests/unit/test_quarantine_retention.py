"""Housekeeping: stale tickets, deadlines and fates, and retention by age and state."""

import os
import sqlite3
from datetime import timedelta

import pytest
from kept_mail import RAW, keep, kept, mail, new_store
from sqlalchemy import text

from model.verdict import Route
from quarantine import moves
from quarantine.errors import StoreError
from quarantine.item import Action, State
from quarantine.release import NotSent, release
from quarantine.retention import BY, Report, housekeep
from quarantine.search import Filter, body, find, get, history


class Answer:
    code, text = 250, "250 Ok"


def send(_envelope, chunks):
    list(chunks)
    return Answer


def table(store, name):
    with store.reading() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {name}")).scalar()  # noqa: S608 - a name of ours


def test_nothing_is_due_in_a_fresh_store(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        keep(store)
        keep(store, route=Route.HOLD)

        assert housekeep(store, clock.forward(minutes=1)) == Report()


def test_a_ticket_whose_client_never_heard_a_reply_is_dropped_in_time(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        one = mail(RAW, "a@here.example", "b@here.example")
        ticket = store.keep(one, kept(one), pending=True)
        young = housekeep(store, clock.forward(minutes=59))
        old = housekeep(store, clock.forward(minutes=2))

        assert (young.cancelled, old.cancelled) == (0, 2)
        assert [table(store, t) for t in ("items", "messages", "bodies")] == [0, 0, 0]
        with pytest.raises(StoreError, match="not pending"):
            store.confirm(ticket)


@pytest.mark.parametrize(
    ("fate", "state"),
    [("keep", State.QUARANTINED), ("reject", State.REJECTED), ("delete", State.DELETED), ("release", State.RELEASED)],
)
def test_held_mail_meets_its_fate_at_the_deadline(tmp_path, clock, fate, state):
    with new_store(tmp_path, clock, hold_fate=fate, hold_deadline="2d") as store:
        item = keep(store, route=Route.HOLD)
        housekeep(store, clock.forward(days=1, hours=23), send)
        assert get(store, item).item.state is State.HELD

        assert housekeep(store, clock.forward(hours=2), send).fates == 1

        assert get(store, item).item.state is state
        assert history(store, item)[0].by == BY
        assert "deadline" in history(store, item)[0].reason


def test_the_fate_of_inbound_mail_is_not_that_of_a_leak(tmp_path, clock):
    with new_store(tmp_path, clock, hold_fate="release", hold_deadline="1d") as store:
        leak = keep(store, mail(RAW, "x@out.example", direction="outbound"), route=Route.HOLD)

        housekeep(store, clock.forward(days=2), send)

        assert get(store, leak).item.state is State.QUARANTINED


@pytest.mark.parametrize("port", [None, lambda *_: (_ for _ in ()).throw(NotSent("down"))])
def test_a_release_that_fails_is_tried_again_an_hour_later(tmp_path, clock, port):
    with new_store(tmp_path, clock, hold_fate="release", hold_deadline="1d") as store:
        item = keep(store, route=Route.HOLD)
        report = housekeep(store, clock.forward(days=1), port)

        assert (report.fates, report.failed) == (0, 1)
        assert get(store, item).item.deadline == clock.now + timedelta(hours=1)
        assert housekeep(store, clock.forward(minutes=59), send).fates == 0
        assert housekeep(store, clock.forward(minutes=1), send).fates == 1
        assert get(store, item).item.state is State.RELEASED


def test_a_damaged_body_does_not_stop_the_fates_of_others(tmp_path, clock):
    with new_store(tmp_path, clock, hold_fate="release", hold_deadline="1d") as store:
        bad = keep(store, route=Route.HOLD)
        with store.writing() as connection:
            connection.execute(text("UPDATE bodies SET data = zeroblob(9)"))
        good = keep(store, route=Route.HOLD)

        report = housekeep(store, clock.forward(days=1), send)

        assert (report.fates, report.failed) == (1, 1)
        assert get(store, good).item.state is State.RELEASED
        assert get(store, bad).item.state is State.HELD


def test_undecided_mail_expires_and_its_body_and_text_go(tmp_path, clock):
    with new_store(tmp_path, clock, retention={"quarantined": "30d"}) as store:
        item = keep(store)
        housekeep(store, clock.forward(days=30))
        assert get(store, item).item.body

        report = housekeep(store, clock.forward(hours=1))

        found = get(store, item)
        assert (report.expired, report.bodies) == (1, 1)
        assert (found.item.state, found.item.body) == (State.EXPIRED, False)
        assert (found.message.text, found.message.files, found.message.links) == ("", (), ())
        assert found.message.subject == "The offer"
        assert table(store, "bodies") == 0
        assert history(store, item)[-1].action is Action.EXPIRE
        with pytest.raises(StoreError, match="gone"):
            b"".join(body(store, found.item.message))
        with pytest.raises(StoreError, match="gone"):
            release(store, item, send, by="mona")


def decide(store, item, state):
    match state:
        case "released":
            release(store, item, send, by="mona")
        case "rejected":
            moves.reject(store, item, by="mona", reason="bad")
        case "deleted":
            moves.remove(store, item, by="mona")


@pytest.mark.parametrize(("state", "days"), [("released", 14), ("rejected", 30), ("deleted", 0)])
def test_a_body_stays_as_long_as_its_state_says(tmp_path, clock, state, days):
    with new_store(tmp_path, clock) as store:
        item = keep(store)
        decide(store, item, state)
        if days:
            assert housekeep(store, clock.forward(days=days, seconds=-1)).bodies == 0
            clock.forward(seconds=1)

        assert housekeep(store, clock.now).bodies == 1
        assert not get(store, item).item.body


def test_a_body_stays_for_the_recipient_who_still_needs_it(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        one = mail(RAW, "a@here.example", "b@here.example")
        first, second = store.keep(one, kept(one), pending=False).items
        moves.remove(store, first, by="mona")
        housekeep(store, clock.forward(days=1))

        assert b"".join(body(store, get(store, second).item.message)) == RAW

        moves.remove(store, second, by="mona")
        assert housekeep(store, clock.forward(days=1)).bodies == 1


def test_what_may_be_on_its_way_is_never_tidied_away(tmp_path, clock):
    with new_store(tmp_path, clock, hold_fate="delete") as store:
        item = keep(store)

        def lost(_envelope, chunks):
            list(chunks)
            raise OSError

        release(store, item, lost, by="mona")
        housekeep(store, clock.forward(days=2000), send)

        assert get(store, item).item.state is State.RELEASING
        assert get(store, item).item.body


def test_rows_and_their_record_of_actions_go_in_the_end(tmp_path, clock):
    with new_store(tmp_path, clock, retention={"rows": "90d"}) as store:
        item = keep(store)
        moves.remove(store, item, by="mona")
        housekeep(store, clock.forward(days=89))
        assert get(store, item).item.state is State.DELETED

        assert housekeep(store, clock.forward(days=2)).rows == 1
        assert list(find(store, Filter())) == []
        assert [table(store, t) for t in ("items", "messages", "reviews")] == [0, 0, 0]


def checkpoint(folder):
    connection = sqlite3.connect(folder / "q.db")
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()


def test_the_file_shrinks_again(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        for _ in range(5):
            moves.remove(store, keep(store, mail(os.urandom(900_000))), by="mona")
        checkpoint(tmp_path)
        before = (tmp_path / "q.db").stat().st_size

        housekeep(store, clock.forward(days=1))

        checkpoint(tmp_path)
        assert before > 4_500_000
        assert (tmp_path / "q.db").stat().st_size < 500_000


def test_more_than_a_batch_is_done_in_one_go(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        for _ in range(230):
            keep(store)

        report = housekeep(store, clock.forward(days=31))

        assert (report.expired, report.bodies) == (230, 230)
