"""The breaker's decision: tests that agree with counting by hand, and trips that are neither early nor missed."""

import random
from datetime import UTC, datetime
from math import comb

import pytest

from milter.breaker import (
    BASIS,
    HOUR,
    Counts,
    Kind,
    Window,
    comparable,
    judge,
    looks,
    odds_above,
    share_above,
    worst_of,
)
from milter.watch_settings import BreakerSettings

SETTINGS = BreakerSettings()
CALM = [Counts(600, 0, 12)] * 24


def tail(kept: int, messages: int, before: int, messages_before: int, factor: int) -> float:
    total = kept + before
    weights = {x: comb(messages, x) * comb(messages_before, total - x) * factor**x
               for x in range(max(0, total - messages_before), min(messages, total) + 1)}  # fmt: skip
    return sum(w for x, w in weights.items() if x >= kept) / sum(weights.values())


class TestTests:
    @pytest.mark.parametrize(("kept", "messages", "share"), [(12, 30, 0.2), (30, 30, 0.9), (3, 999, 0.001)])
    def test_the_share_is_tested_exactly(self, kept, messages, share):
        exact = sum(comb(messages, k) * share**k * (1 - share) ** (messages - k) for k in range(kept, messages + 1))

        assert share_above(kept, messages, share) == pytest.approx(exact, rel=1e-9)

    def test_a_share_at_or_below_the_limit_proves_nothing(self):
        assert share_above(10, 100, 0.1) == 1.0

    @pytest.mark.parametrize("case", [(12, 30, 4, 50, 3), (5, 60, 0, 40, 2), (40, 50, 30, 60, 1), (7, 7, 1, 90, 4)])
    def test_the_odds_are_tested_exactly(self, case):
        assert odds_above(*case) == pytest.approx(tail(*case), rel=1e-9)

    def test_large_counts_neither_overflow_nor_take_long(self):
        assert odds_above(400_000, 500_000, 10_000, 2_000_000, 3.0) == pytest.approx(0.0, abs=1e-12)
        assert share_above(400_000, 500_000, 0.05) == 0.0

    def test_nothing_kept_in_either_proves_nothing(self):
        assert odds_above(0, 50, 0, 500, 3.0) == 1.0


class TestJudging:
    def test_a_model_that_keeps_everything_trips_as_soon_as_there_is_enough(self):
        least = SETTINGS.least

        assert judge(Counts(least - 1, 0, least - 1), CALM, SETTINGS) is None
        jump = judge(Counts(least, 0, least), CALM, SETTINGS)
        assert jump is not None
        assert (jump.kind, jump.kept, jump.messages) == (Kind.QUARANTINED, least, least)
        assert (jump.kept_before, jump.messages_before) == (12, 600)

    def test_held_mail_is_judged_apart(self):
        """What was quarantined before and is held now burdens people, though no more is kept in all."""
        before = [Counts(600, 0, 180)] * 24

        jump = judge(Counts(300, 90, 0), before, SETTINGS)

        assert jump is not None
        assert jump.kind is Kind.HELD

    @pytest.mark.parametrize("now", [Counts(1000, 0, 20), Counts(1000, 0, 45), Counts(50, 0, 6), Counts(60, 3, 3)])
    def test_a_little_more_than_before_is_no_jump(self, now):
        assert judge(now, CALM, SETTINGS) is None

    def test_nights_are_measured_by_nights(self):
        """By night most mail is bad: that is no jump then, and would be one by day."""
        nights, days = [Counts(90, 0, 60)] * 21, [Counts(1000, 0, 100)] * 21

        assert judge(Counts(90, 0, 60), nights, SETTINGS) is None
        assert judge(Counts(300, 0, 200), days, SETTINGS) is not None
        assert judge(Counts(200, 0, 200), nights, SETTINGS) is not None  # even then all of it is too much

    def test_without_a_past_only_a_majority_trips(self):
        assert judge(Counts(100, 0, 55), [], SETTINGS) is None
        jump = judge(Counts(100, 0, 95), [Counts(5, 0, 1)], SETTINGS)
        assert jump is not None
        assert jump.messages_before == 0

    def test_below_the_floor_nothing_trips(self):
        """From nothing to a few per cent is many times as much, and no bad day."""
        assert judge(Counts(2000, 0, 90), [Counts(5000, 0, 0)], SETTINGS) is None
        assert judge(Counts(2000, 0, 300), [Counts(5000, 0, 0)], SETTINGS) is not None

    def test_chance_alone_does_not_trip(self):
        """A site that keeps five in a hundred, looked at a thousand times under a model that keeps as many."""
        draw = random.Random(7)

        def messages(number: int) -> Counts:
            return Counts(number, 0, sum(draw.random() < 0.05 for _ in range(number)))

        before = [messages(100) for _ in range(168)]

        assert not any(judge(messages(draw.choice((50, 80, 200))), before, SETTINGS) for _ in range(1000))

    def test_the_allowance_is_shared_among_all_looks(self):
        short = BreakerSettings(watch="1h")

        assert looks(SETTINGS) > 5 * looks(short)
        assert looks(short) == 440


class TestWorstHours:
    def test_small_hours_are_joined_before_they_count(self):
        hours = [Counts(2, 0, 2), *[Counts(100, 0, 1)] * 10]

        assert worst_of(hours, Kind.QUARANTINED, 500) == Counts(502, 0, 7)

    def test_too_few_is_none(self):
        assert worst_of([Counts(499, 0, 1)], Kind.HELD, 500) is None


MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = {MONDAY + number * HOUR: Counts(100, 0, number % 24) for number in range(7 * 24)}


class TestComparable:
    def test_the_same_hours_of_every_day_with_one_on_either_side(self):
        at = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)

        found = comparable(WEEK, at - HOUR, at, 50)

        assert {counts.quarantined for counts in found} == {8, 9, 10, 11}
        assert len(found) == 4 * 7

    def test_around_midnight(self):
        at = datetime(2026, 3, 9, 0, 10, tzinfo=UTC)

        assert {counts.quarantined for counts in comparable(WEEK, at - HOUR, at, 50)} == {22, 23, 0, 1}

    def test_a_window_of_a_day_takes_every_hour(self):
        at = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)

        assert len(comparable(WEEK, at - 30 * HOUR, at, 50)) == 7 * 24

    def test_where_those_hours_hold_too_little_every_hour_is_taken(self):
        at = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)

        assert len(comparable(WEEK, at, at, 100 * 3 * 7 // BASIS + 1)) == 7 * 24


class TestWindow:
    def test_what_is_older_than_the_window_goes(self):
        window = Window(3600.0, 0)
        window.add(Counts(10, 1, 2), 0.0)
        window.add(Counts(5, 0, 1), 1800.0)

        assert window.counts(1800.0) == Counts(15, 1, 3)
        assert window.counts(4000.0) == Counts(5, 0, 1)
        assert window.counts(9000.0) == Counts()
        assert window.reach(9000.0).total_seconds() == 0

    def test_it_reaches_back_until_it_has_enough(self):
        """At a small site an hour holds too little to judge by."""
        window = Window(3600.0, 100)
        for number in range(10):
            window.add(Counts(20), number * 3600.0)

        assert window.counts(9 * 3600.0).messages == 100
        assert window.reach(9 * 3600.0).total_seconds() == 4 * 3600

    def test_it_does_not_grow_while_nobody_looks(self):
        """Nothing is watched for months where no model is changed, and mail comes every minute."""
        window = Window(3600.0, 100)
        for minute in range(7 * 24 * 60):
            window.add(Counts(1), minute * 60.0)

        assert len(window._slots) == 100
        assert window.counts(7 * 86400.0 - 60.0).messages == 100

    def test_a_look_is_due_when_a_tenth_is_new(self):
        window = Window(3600.0, 0)
        window.add(Counts(100), 0.0)

        assert window.due(0.0)
        window.add(Counts(9), 1.0)
        assert not window.due(1.0)
        window.add(Counts(3), 2.0)
        assert window.due(2.0)
        assert not window.due(3.0)
