"""The lookout over days and restarts: real database, clocks that tests move, workers' counts as they hand them up."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from kept_mail import Clock, store_settings
from sqlalchemy import update

from milter.baseline import Baseline, before_changes, digest
from milter.crew import Generation
from milter.lookout import Lookout
from milter.metrics import Totals
from milter.settings import Settings
from milter.supervisor import Supervisor
from model.mail import Direction
from quarantine import tallies, trips
from quarantine.errors import StoreError
from quarantine.migrate import migrate
from quarantine.schema import epochs
from quarantine.store import Store
from quarantine.tallies import Epoch

IN = {Direction.INBOUND}
HERE, THERE = "mx1-aaaaaaaa", "mx2-bbbbbbbb"
LISTENER = {"name": "in", "listen": "127.0.0.1:1", "mode": "before-queue", "direction": "inbound",
            "next_hop": "127.0.0.1:2"}  # fmt: skip


class Gateway:
    """What is left of a gateway for its lookout: settings, a log, and workers to be told."""

    def __init__(self, folder: Path, clock: Clock | None = None, name: str = HERE, **breaker) -> None:
        self.clock = clock or Clock()
        self.notes: list[tuple[str, dict]] = []
        self.told: list[frozenset[str]] = []
        self.totals = Totals()
        made = Settings.model_validate({"listener": [LISTENER], "model": {"breaker": breaker}})
        self.settings = made.model_copy(update={"quarantine": store_settings(folder)})
        migrate(self.settings.quarantine)
        self.it = Lookout(name, lambda: self.settings, self._note, self.told.append, self.totals, clock=self.clock,
                          ticks=lambda: self.clock().timestamp())  # fmt: skip
        self.tagging = self.it.open()
        self.number = 0

    def _note(self, level: str, name: str, **values: object) -> None:
        self.notes.append((name, values))

    def serve(self, model: str) -> frozenset[str]:
        self.number += 1
        self.tagging = self.it.serving(self.number, model, self.settings)
        self.turn()
        return self.tagging

    def mail(self, delivered: int, quarantined: int = 0, held: int = 0, direction: str = "inbound",
             generation: int = 0) -> None:  # fmt: skip
        counts = [(direction, "verdict", value, n) for value, n in enumerate((delivered, held, quarantined)) if n]
        self.it.heard(generation or self.number, counts)

    def turn(self) -> None:
        self.it._look()
        self.it._in_store(last=False)

    def hours(self, number: int, delivered: int, quarantined: int = 0) -> None:
        for _ in range(number):
            self.mail(delivered, quarantined)
            self.turn()
            self.clock.forward(hours=1)

    def events(self, name: str) -> list[dict]:
        return [values for found, values in self.notes if found == name]

    def close(self) -> None:
        self.it._in_store(last=True)
        self.it._shut()


@pytest.fixture
def site(tmp_path):
    """A site with a calm day behind it, under model one."""
    it = Gateway(tmp_path)
    it.serve("one")
    it.hours(24, 98, 2)
    yield it
    it.close()


def test_a_bad_model_trips_and_workers_and_operator_are_told(site, tmp_path):
    site.serve("two")
    site.mail(0, 60)
    site.turn()

    assert site.told == [frozenset(IN)]
    [event] = site.events("breaker-tripped")
    assert "model two quarantined 60 of 60 inbound messages" in event["why"]
    assert "rollback" in event["next"]
    assert b'gatepost_breaker_open{direction="inbound"} 1.0' in site.totals.render()
    with Store.open(store_settings(tmp_path)) as store:
        [trip] = trips.tripped(store, only_open=True)
    assert (trip.model, trip.kept, trip.messages, trip.messages_before) == ("two", 60, 60, 300)
    assert site.it.state()["breaker"][0]["direction"] == "inbound"


def test_a_model_that_turns_on_proven_senders_trips_though_all_mail_hardly_shows_it(site):
    site.it.heard(1, [("inbound", "proven", 0, 600)])
    site.serve("two")
    site.mail(160, 40)
    site.it.heard(2, [("inbound", "proven", 0, 30), ("inbound", "proven", 2, 30)])
    site.turn()

    [event] = site.events("breaker-tripped")
    assert "quarantined 30 of 60 inbound messages from proven and known senders" in event["why"]


def test_without_a_change_a_wave_of_spam_trips_nothing(site):
    site.hours(3, 0, 300)

    assert site.told == []


def test_after_the_watch_a_jump_is_the_mails_doing(site):
    site.serve("two")
    site.clock.forward(days=3, minutes=1)
    site.mail(0, 300)
    site.turn()

    assert site.told == []


def test_the_other_direction_is_left_alone(site):
    site.serve("two")
    site.mail(100, direction="outbound")
    site.mail(0, 60)
    site.turn()

    assert site.told == [frozenset(IN)]


def test_what_the_old_workers_finish_is_not_the_new_models_doing(site):
    site.serve("two")
    site.mail(0, 300, generation=1)
    site.turn()

    assert site.told == []


def test_it_outlasts_a_restart_and_ends_with_another_model(site, tmp_path):
    site.serve("two")
    site.mail(0, 60)
    site.turn()
    site.close()

    again = Gateway(tmp_path, site.clock)
    assert again.tagging == IN
    assert again.serve("two") == IN
    assert again.events("breaker-tripped") == []
    assert again.serve("one") == frozenset()
    again.mail(98, 2)
    again.turn()
    [cleared] = again.events("breaker-cleared")
    assert (cleared["by"], cleared["reason"]) == ("gatepost", "one serves")
    with Store.open(store_settings(tmp_path)) as store:
        [trip] = trips.tripped(store)
    assert (trip.cleared_by, trip.reason) == ("gatepost", "one serves")
    again.close()


def test_a_restart_in_the_middle_does_not_forget_what_was_counted(site, tmp_path):
    site.serve("two")
    site.mail(0, 30)
    site.close()

    again = Gateway(tmp_path, site.clock)
    again.serve("two")
    again.mail(0, 25)
    again.turn()
    assert again.told == [frozenset(IN)]
    again.close()


def test_a_window_is_in_the_order_of_time_after_a_restart(site, tmp_path):
    """Workers count before the lookout's first turn; what was counted before the restart is older all the same."""
    site.serve("two")
    site.mail(40)
    site.clock.forward(hours=3)
    site.close()

    again = Gateway(tmp_path, site.clock)
    again.it.serving(1, "two", again.settings)
    again.number = 1
    again.mail(10)
    again.turn()
    window = again.it._windows[Direction.INBOUND, "verdict"]
    assert window.reach(site.clock().timestamp()) >= timedelta(hours=3)

    site.clock.forward(minutes=30)
    again.mail(95)
    assert window.counts(site.clock().timestamp()).messages == 105, "what is oldest goes first"
    again.close()


def test_a_reload_changes_the_window(site):
    site.serve("two")
    site.mail(100)
    site.clock.forward(hours=2)
    model = site.settings.model
    few = model.model_copy(update={"breaker": model.breaker.model_copy(update={"least": 10})})
    site.settings = site.settings.model_copy(update={"model": few})
    site.serve("two")
    site.mail(0, 25)
    site.turn()

    assert site.told == [frozenset(IN)], "the hundred of two hours ago were needed no more"


def test_a_fault_while_a_change_is_taken_in_begins_no_second_epoch(site, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Baseline, "read", lambda *_: (_ for _ in ()).throw(StoreError("the disk failed")))
        site.number += 1
        site.it.serving(site.number, "two", site.settings)
        for _ in range(3):
            with pytest.raises(StoreError):
                site.turn()

    site.mail(0, 60)
    site.turn()
    site.turn()
    assert site.told == [frozenset(IN)], "it is watched once the disk is back"
    with Store.open(store_settings(tmp_path)) as store:
        assert [epoch.model for epoch in tallies.history(store, HERE)] == ["one", "two"]


def test_a_trip_that_another_model_overtakes_tags_nobody(site):
    """The lookout tells from its thread; when the supervisor gets to it, what it told may be over."""

    async def overtaken() -> frozenset[str]:
        it = Supervisor(site.settings, lambda: site.settings)
        it._loop = asyncio.get_running_loop()
        it._current = Generation(1, site.settings, {}, "")
        it._background._lookout = site.it
        site.it._tell = it._tag_soon
        site.serve("two")
        site.mail(0, 60)
        site.turn()
        assert site.it.tagging == IN
        it._tag(site.serve("three"))
        await asyncio.sleep(0.01)
        await it._shadow.stop()
        return it._current.tagging

    assert asyncio.run(overtaken()) == frozenset()


def test_going_back_to_the_old_model_is_measured_by_the_time_before_both(site):
    """The bad model's own mail must not become the measure of what comes after it."""
    site.serve("two")
    site.hours(2, 0, 300)
    site.serve("one")
    site.mail(98, 2)
    site.turn()
    assert site.told == [frozenset(IN)]

    site.serve("three")
    site.mail(0, 60)
    site.turn()

    assert site.told == [frozenset(IN)] * 2


def test_who_clears_it_accepts_the_new_level(site, tmp_path):
    site.serve("two")
    site.mail(0, 60)
    site.turn()
    with Store.open(store_settings(tmp_path)) as store:
        assert trips.clear(store, HERE, by="ida", reason="a new customer", at=site.clock.now) == 1
    site.turn()
    assert site.told == [frozenset(IN), frozenset()]
    assert site.events("breaker-cleared") == [{"direction": "inbound", "by": "ida", "reason": "a new customer"}]

    site.hours(2, 0, 300)
    assert len(site.told) == 2
    site.close()
    again = Gateway(tmp_path, site.clock)
    again.serve("two")
    again.hours(2, 0, 300)
    assert again.told == []
    again.close()


def test_another_policy_is_a_change_and_a_plain_reload_is_none(site, tmp_path):
    site.serve("one")
    site.mail(0, 60)
    site.turn()
    assert site.told == []

    strict = site.settings.model_validate({"listener": [LISTENER], "policy": {"default": {"quarantine_at": 0.01}}})
    assert digest(strict) != digest(site.settings)
    site.settings = strict.model_copy(update={"quarantine": site.settings.quarantine})
    site.clock.forward(hours=2)
    site.serve("one")
    site.mail(0, 600)
    site.turn()
    assert site.told == [frozenset(IN)]

    site.settings = site.settings.model_copy(update={"policy": {}})
    site.serve("one")
    [cleared] = site.events("breaker-cleared")
    with Store.open(store_settings(tmp_path)) as store:
        [trip] = trips.tripped(store)
    assert trip.reason == cleared["reason"] == "another policy"


def test_where_it_may_not_act_it_only_says_so(tmp_path):
    site = Gateway(tmp_path, act=False)
    site.serve("one")
    site.hours(6, 98, 2)
    site.serve("two")
    site.mail(0, 60)
    site.turn()

    assert site.told == [frozenset()]
    assert site.events("breaker-tripped")[0]["done"] == "nothing"
    assert b'gatepost_breaker_open{direction="inbound"} 1.0' in site.totals.render()
    site.close()


def test_the_first_model_of_a_new_site_is_no_change(tmp_path):
    site = Gateway(tmp_path)
    site.serve("one")
    site.mail(0, 300)
    site.turn()

    assert site.told == []
    site.close()


def test_a_trip_counts_before_it_can_be_written(site, tmp_path):
    site.serve("two")
    site.mail(0, 60)
    key = tmp_path / "q.key"
    hidden = key.rename(tmp_path / "elsewhere")
    site.it._shut()
    site.it._look()
    assert site.told == [frozenset(IN)]
    with pytest.raises(Exception, match="key"):
        site.it._in_store(last=False)

    hidden.rename(key)
    site.turn()
    with Store.open(store_settings(tmp_path)) as store:
        assert len(trips.tripped(store, only_open=True)) == 1


def test_counts_of_a_hundred_days_ago_are_forgotten_with_their_epochs(site, tmp_path):
    site.serve("two")
    site.mail(1)
    site.it._in_store(last=True)
    with Store.open(store_settings(tmp_path)) as store:
        assert tallies.expire(store, site.clock.now) > 0
        assert [epoch.model for epoch in tallies.history(store, HERE)] == ["two"]


@pytest.fixture
def pair(site, tmp_path):
    """Two gateways on one database, both with a calm day behind them under model one."""
    other = Gateway(tmp_path, site.clock, THERE)
    other.serve("one")
    other.hours(24, 98, 2)
    yield site, other
    other.close()


class TestTwoGatewaysOnOneDatabase:
    def test_a_model_that_one_promotes_is_no_change_at_the_other(self, pair, tmp_path):
        here, there = pair
        here.serve("two")
        there.hours(1, 0, 300)  # a wave of spam, under the model that it had
        assert there.told == []

        again = Gateway(tmp_path, here.clock, THERE)
        again.serve("one")
        again.hours(1, 0, 300)
        assert again.told == [], "a restart found the other's model, and took its own for another one"
        again.close()

    def test_each_is_measured_by_its_own_mail(self, pair):
        """Where most mail is bad, keeping most of it is no jump; the other's calm mail must not say it is one."""
        here, there = pair
        there.hours(24, 40, 60)
        here.hours(24, 98, 2)
        for one in pair:
            one.serve("two")
            one.mail(20, 40)
            one.turn()

        assert here.told == [frozenset(IN)]
        assert there.told == []

    def test_a_trip_is_open_where_it_tripped_and_stays_so_whatever_the_other_does(self, pair, tmp_path):
        here, there = pair
        here.serve("two")
        here.mail(0, 60)
        here.turn()
        there.turn()
        assert there.it.state()["breaker"] == []

        there.serve("three")
        here.turn()
        assert here.it.state()["breaker"], "another's promotion has cleared it"
        with Store.open(store_settings(tmp_path)) as store:
            assert [trip.gateway for trip in trips.tripped(store, only_open=True)] == [HERE]
            assert trips.clear(store, THERE, by="ida", reason="?", at=here.clock.now) == 0
        assert Gateway(tmp_path, here.clock, THERE).tagging == frozenset()
        assert Gateway(tmp_path, here.clock, HERE).tagging == IN

    def test_the_epoch_that_lasts_at_each_outlives_the_counts(self, pair, tmp_path):
        with Store.open(store_settings(tmp_path)) as store:
            tallies.expire(store, pair[0].clock.forward(days=400))
            assert [len(tallies.history(store, name)) for name in (HERE, THERE)] == [1, 1]
            assert tallies.gateways(store) == [HERE, THERE]

    def test_the_first_gateway_takes_over_what_was_counted_before_gateways_had_names(self, site, tmp_path):
        site.close()
        with site.it._opened().writing() as connection:
            connection.execute(update(epochs).values(gateway=""))

        first, second = (Gateway(tmp_path, site.clock, name) for name in (HERE, THERE))
        first.serve("two")
        second.serve("two")
        for one in (first, second):
            one.mail(20, 40)
            one.turn()
            one.close()

        assert first.told == [frozenset(IN)], "its history was lost"
        assert second.told == [], "that was not its history"


@pytest.mark.parametrize(
    ("hours", "accepted", "before"),
    [((0,), (), 0), ((0, 100), (), 1), ((0, 100, 120), (), 1), ((0, 100, 200), (), 2), ((0, 100, 120), (2,), 2),
     ((0, 100, 120, 150), (), 1), ((0, 2, 3), (), 1)],
)  # fmt: skip
def test_changes_within_a_watch_share_what_was_before_the_first(hours, accepted, before):
    start = Clock().now
    found = [Epoch(number, start + timedelta(hours=at), "m", "", HERE) for number, at in enumerate(hours, 1)]

    assert before_changes(found, frozenset(accepted), timedelta(days=3)) == before
