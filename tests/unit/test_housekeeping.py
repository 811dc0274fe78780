"""The supervisor's housekeeping thread: it does what is due, says so, and is never in the way of a stop."""

import time
from datetime import timedelta

import pytest
from kept_mail import RAW, Clock, keep, mail, new_store, store_settings
from release_sink import release_sink

from milter.housekeeping import Housekeeper
from milter.settings import Settings
from model.mail import Direction
from model.verdict import Route
from quarantine import shadows
from quarantine.item import State
from quarantine.retention import Report
from quarantine.search import get
from quarantine.shadows import Shadowed


class Log(list):
    def __call__(self, level, name, /, **values):
        self.append((level, name, values))


def keeper(folder, log, clock, release_to="127.0.0.1:9", **more):
    quarantine = store_settings(folder, release_to=release_to, hold_fate="release", hold_deadline="1d")
    return Housekeeper(lambda: Settings(quarantine=quarantine), log, clock=clock, **more)


def test_held_mail_is_released_at_its_deadline_through_the_release_port(tmp_path):
    clock, log = Clock(), Log()
    with new_store(tmp_path, clock, hold_deadline="1d") as store, release_sink() as (address, sink):
        item = keep(store, mail(RAW), route=Route.HOLD)
        clock.forward(days=1)

        keeper(tmp_path, log, clock, address).once()

        header, _, rest = sink.received[0].data.partition(b"\r\n")
        assert rest == RAW
        assert b"; by housekeeping; at 2026-03-02T12:00:00Z" in header
        assert get(store, item).item.state is State.RELEASED
    assert log == [("info", "housekeeping", {"fates": 1})]


def test_a_release_port_that_is_down_is_a_warning_and_the_mail_stays_held(tmp_path):
    clock, log = Clock(), Log()
    with new_store(tmp_path, clock, hold_deadline="1d") as store:
        item = keep(store, route=Route.HOLD)
        clock.forward(days=1)

        keeper(tmp_path, log, clock).once()

        assert get(store, item).item.state is State.HELD
    assert log == [("warning", "housekeeping", {"failed": 1})]


def test_scores_of_a_candidate_go_in_time_though_it_shadows_no_more(tmp_path):
    clock, log = Clock(), Log()
    with new_store(tmp_path, clock) as store:
        shadows.add(store, [Shadowed(clock.now - timedelta(days=day), "next-1", "one", Direction.INBOUND, "in",
                                     Route.DELIVER, Route.HOLD, 0.1, 0.9) for day in (29, 31)])  # fmt: skip

        keeper(tmp_path, log, clock).once()

        assert [row.at for row in shadows.changed(store, "next-1", limit=9)] == [clock.now - timedelta(days=29)]


def test_nothing_due_is_nothing_said(tmp_path):
    clock, log = Clock(), Log()
    new_store(tmp_path, clock).close()

    assert keeper(tmp_path, log, clock).once() == Report()
    assert log == []


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_database_that_fails_is_said_and_the_next_pass_comes(tmp_path, damage):
    log = Log()
    if damage == "damaged":
        new_store(tmp_path).close()
        (tmp_path / "q.db").write_bytes(b"x" * 9999)
    thread = keeper(tmp_path, log, Clock(), interval=0.01)
    thread.start()
    end = time.monotonic() + 20
    while len(log) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    thread.stop(10)

    assert len(log) >= 2
    assert {(level, name) for level, name, _ in log} == {("error", "housekeeping-failed")}
    assert "q.db" in log[0][2]["error"]


def test_once_stopped_it_sends_nothing_more(tmp_path):
    clock, log = Clock(), Log()
    with new_store(tmp_path, clock, hold_deadline="1d") as store, release_sink() as (address, sink):
        item = keep(store, route=Route.HOLD)
        clock.forward(days=1)
        thread = keeper(tmp_path, log, clock, address)
        thread.stop()

        thread.once()

        assert sink.received == []
        assert get(store, item).item.state is State.HELD


def test_a_stop_before_the_start_is_no_fault(tmp_path):
    keeper(tmp_path, Log(), Clock()).stop(1)
