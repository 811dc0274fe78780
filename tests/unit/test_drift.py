"""Drift: the index by hand, its noise by simulation, and alarms that come once."""

import math
import random
from datetime import timedelta

import pytest
from kept_mail import Clock, new_store

from milter.drift import EDGES, SCORE, band, chi_squared, drift, observed
from milter.drift_report import reports
from milter.drift_watch import DriftWatch
from milter.metrics import Totals
from milter.watch_settings import DriftSettings
from model.facts import Facts
from model.labels import Label
from model.mail import Direction
from model.screen import Screening
from model.verdict import Reason, Route, Score, Verdict
from quarantine import alarms, tallies
from quarantine.tallies import Cell

IN = Direction.INBOUND
HERE = "mx1-aaaaaaaa"


class TestIndex:
    def test_it_is_the_sum_that_the_literature_writes(self):
        """Half a message in each band: shares 300.5/1001 and 600.5/1001, and the rest."""
        p, q = 300.5 / 1001, 600.5 / 1001

        found = drift("x", {0: 300, 1: 700}, {0: 600, 1: 400}, 0.01)

        by_hand = (q - p) * math.log(q / p) + ((1 - q) - (1 - p)) * math.log((1 - q) / (1 - p))
        assert found.psi == pytest.approx(by_hand)
        assert found.beyond == pytest.approx(by_hand - 0.002)
        assert (found.value, found.share_before, found.share_now) == (0, 0.3, 0.6)
        assert found.alarming(0.25) and not found.over(0.25)

    def test_the_same_shares_are_no_drift_whatever_the_numbers(self):
        found = drift("x", {0: 300, 1: 700}, {0: 3000, 1: 7000}, 0.01)

        assert found.psi < 0.001
        assert not found.alarming(0.01)

    def test_a_value_that_was_never_seen_is_finite(self):
        assert drift("x", {0: 1000}, {1: 1000}, 0.01).alarming(0.25)

    def test_one_value_in_both_is_nothing(self):
        found = drift("x", {1: 1000}, {1: 5}, 0.01)

        assert (found.psi, found.chance) == (0.0, 0.0)
        assert not found.alarming(0.25)

    @pytest.mark.parametrize(("bands", "n", "m"), [(3, 1000, 1000), (18, 2000, 1000), (18, 5000, 20000)])
    def test_chance_alone_stays_below_its_quantile_as_often_as_it_says(self, bands, n, m):
        """2,000 pairs of samples of one distribution: about 5 % of them are above the 95 % quantile."""
        draw = random.Random(bands)
        weights = [draw.uniform(0.5, 3.0) for _ in range(bands)]

        def sample(size: int) -> dict[int, int]:
            """Binned normal approximations to multinomial counts, quick enough to draw thousands."""
            total = sum(weights)
            return {v: max(0, round(draw.gauss(size * w / total, math.sqrt(size * w / total))))
                    for v, w in enumerate(weights)}  # fmt: skip

        found = [drift("x", sample(n), sample(m), 0.05) for _ in range(2000)]

        above = sum(one.psi >= one.chance for one in found) / len(found)
        assert 0.02 < above < 0.085
        assert abs(sum(one.beyond for one in found) / len(found)) < 0.5 * sum(one.psi for one in found) / len(found)

    @pytest.mark.parametrize(
        ("p", "degrees", "tabled"),
        [(0.95, 1, 3.841), (0.99, 2, 9.210), (0.999, 17, 40.790), (0.95, 17, 27.587), (0.99999, 17, 54.0)],
    )
    def test_quantiles_are_those_of_the_tables(self, p, degrees, tabled):
        assert chi_squared(p, degrees) == pytest.approx(tabled, rel=0.01)

    def test_bands_of_the_score_are_read_by_people(self):
        assert band(SCORE, 0) == "0 to 0.001"
        assert band(SCORE, len(EDGES)) == "0.999 to 1"
        assert band("is_reply", 2) == "true"


class TestObserved:
    def test_a_message_counts_once_under_verdict_score_and_every_fact(self):
        score = Score({Label.HAM: 0.4, Label.SPAM: 0.6, Label.PHISHING: 0.0, Label.FRAUD: 0.0}, "1")
        kept = Verdict(Route.QUARANTINE, (Reason("score-quarantine"),))
        wanted = [Verdict(Route.DELIVER, (Reason("clean"),)), kept]

        found = dict(observed(Screening(score=score, facts=Facts(is_reply=True, hidden_text=False)), wanted))

        assert (found["verdict"], found[SCORE]) == (2, 9)
        assert (found["is_reply"], found["hidden_text"], found["authenticated"]) == (2, 1, 0)

    @pytest.mark.parametrize(
        ("route", "code", "value"),
        [(Route.HOLD, "score-hold", 1), (Route.REJECT, "score-reject", 2), (Route.QUARANTINE, "block-rule", 0),
         (Route.HOLD, "leak", 0), (Route.DELIVER, "null-sender", 0)],
    )  # fmt: skip
    def test_only_what_the_model_keeps_counts_as_kept(self, route, code, value):
        score = Score(dict.fromkeys(Label, 0.25), "1")

        assert ("verdict", value) in observed(Screening(score=score), [Verdict(route, (Reason(code),))])

    @pytest.mark.parametrize(
        ("facts", "counts"),
        [(Facts(known_correspondent=True), True), (Facts(authenticated=True, sender_known=True), True),
         (Facts(authenticated=True, sender_known=False), False), (Facts(sender_known=True), False), (Facts(), False)],
    )  # fmt: skip
    def test_proven_senders_are_counted_apart(self, facts, counts):
        score = Score(dict.fromkeys(Label, 0.25), "1")

        found = dict(observed(Screening(score=score, facts=facts), [Verdict(Route.HOLD, (Reason("score-hold"),))]))

        assert found.get("proven") == (1 if counts else None)

    def test_a_message_without_a_score_counts_nowhere(self):
        assert list(observed(Screening(fault="deadline"), [Verdict(Route.UNSCORED, ())])) == []


@pytest.fixture
def site(tmp_path):
    clock = Clock()
    with new_store(tmp_path, clock) as store:
        yield Site(store, clock)


class Site:
    """Counts of whole days, as the lookout writes them."""

    def __init__(self, store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.settings = DriftSettings(days=3, least=100)
        self.notes: list[tuple[str, dict]] = []
        self.totals = Totals()
        self.watch = DriftWatch(lambda: self.settings, self._note, self.totals)
        self.epoch = tallies.begin(store, HERE, "one", "policy", clock.now)

    def _note(self, level: str, name: str, **values: object) -> None:
        self.notes.append((name, values))

    def days(self, number: int, bad: int, messages: int = 200, direction: Direction = IN) -> None:
        for _ in range(number):
            day = self.clock.now.replace(hour=0, minute=0)
            counts = {(SCORE, 0): messages - bad, (SCORE, 17): bad, ("is_reply", 2): 50, ("is_reply", 1): 150}
            tallies.add(self.store, {Cell(self.epoch.id, day, direction, name, value): n
                                     for (name, value), n in counts.items() if n})  # fmt: skip
            self.clock.forward(days=1)
            self.watch.turn(self.store, self.epoch, self.clock.now)

    def report(self):
        [found] = reports(self.store, HERE, self.settings, self.clock.now)
        return found


class TestAlarms:
    def test_an_alarm_comes_once_and_ends_once(self, site):
        site.days(9, bad=20)
        assert site.notes == []
        site.days(6, bad=150)
        [(name, values)] = site.notes
        assert (name, values["of"], values["grew"], values["model"]) == ("drift", SCORE, "0.999 to 1", "one")
        assert values["now"] > values["before"] == 0.1
        assert b'gatepost_drift_alarm{direction="inbound",name="score"} 1.0' in site.totals.render()
        assert b'gatepost_drift_psi{direction="inbound",name="is_reply"} 0.0' in site.totals.render()
        assert [alarm["name"] for alarm in site.watch.told] == [SCORE]

        site.days(6, bad=20)
        assert [name for name, _ in site.notes] == ["drift", "drift-over"]
        assert b"gatepost_drift_alarm{" not in site.totals.render()

    def test_a_restart_does_not_tell_it_again(self, site):
        site.days(6, bad=20)
        site.days(4, bad=150)
        site.notes.clear()

        DriftWatch(lambda: site.settings, site._note, site.totals).turn(site.store, site.epoch, site.clock.now)

        assert site.notes == []

    def test_another_model_has_another_reference(self, site):
        site.days(6, bad=20)
        site.days(4, bad=150)
        site.epoch = tallies.begin(site.store, HERE, "two", "policy", site.clock.now)
        site.days(10, bad=150)

        assert [name for name, _ in site.notes] == ["drift", "drift-over"]
        assert alarms.lasting(site.store) == []

    def test_the_metrics_forget_the_drift_of_a_model_that_serves_no_more(self, site):
        site.days(10, bad=20)
        assert b"gatepost_drift_psi{" in site.totals.render()
        site.epoch = tallies.begin(site.store, HERE, "two", "policy", site.clock.now)
        site.days(1, bad=20)

        assert b"gatepost_drift_psi{" not in site.totals.render()

    def test_another_policy_keeps_the_reference(self, site):
        site.days(6, bad=20)
        site.epoch = tallies.begin(site.store, HERE, "one", "another", site.clock.now)
        site.days(4, bad=150)

        assert [name for name, _ in site.notes] == ["drift"]

    def test_what_is_waited_for_is_said(self, site):
        site.days(2, bad=20)
        assert "400 messages on 2 days so far, 100 on 3 are needed" in site.report().waits
        site.days(2, bad=20)
        assert "3 whole days after 2026-03-03" in site.report().waits
        site.days(2, bad=20)
        assert site.report().waits == ""
        site.clock.forward(days=2)
        site.days(1, bad=1, messages=20)
        assert "20 messages in the last 3 days are too few" in site.report().waits

    def test_directions_are_apart(self, site):
        site.days(6, bad=20)
        site.clock.forward(days=-6)
        site.days(6, bad=150, direction=Direction.OUTBOUND)

        found = {report.direction: report for report in reports(site.store, HERE, site.settings, site.clock.now)}
        assert set(found) == set(Direction)
        every = [one for report in found.values() for one in report.drifts]
        assert {(one.psi, one.reference, one.recent) for one in every} == {(0.0, 600, 600)}
        assert site.notes == []

    def test_gateways_on_one_database_do_not_end_each_others_alarms(self, site):
        site.days(6, bad=20)
        site.days(4, bad=150)
        other = DriftWatch(lambda: site.settings, site._note, Totals())

        other.turn(site.store, tallies.begin(site.store, "mx2-bbbbbbbb", "two", "policy", site.clock.now),
                   site.clock.now)  # fmt: skip

        assert [name for name, _ in site.notes] == ["drift"]
        assert other.told == ()
        assert [alarm.gateway for alarm in alarms.lasting(site.store)] == [HERE]
        assert site.report().waits == "", "the other's epoch has hidden the reference"

    def test_the_alarm_of_a_gateway_that_is_no_more_ends(self, site):
        site.days(6, bad=20)
        site.days(4, bad=150)
        other = DriftWatch(lambda: site.settings, site._note, Totals())
        epoch = tallies.begin(site.store, "mx2-bbbbbbbb", "one", "policy", site.clock.now)

        other.turn(site.store, epoch, site.clock.forward(days=25))
        assert len(alarms.lasting(site.store)) == 1
        other.turn(site.store, epoch, site.clock.forward(days=10))
        assert alarms.lasting(site.store) == []

    def test_old_counts_are_forgotten(self, site):
        site.settings = DriftSettings(days=3, least=100, keep="30d")
        site.days(6, bad=20)
        site.clock.forward(days=40)
        site.watch.turn(site.store, site.epoch, site.clock.now)

        assert tallies.read(site.store, [site.epoch.id]) == {}
        assert site.epoch.at < site.clock.now - timedelta(days=30)
