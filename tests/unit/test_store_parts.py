"""A snapshot parts by time and group: nothing that trains is newer than what tests, and no campaign is torn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels import Label
from model.mail import Direction
from training.store.advice import shortcomings
from training.store.entry import Entry, LabelSource, Origin
from training.store.examples import weights
from training.store.parts import parts

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, group: str = "", day: int | None = 0, *, bad: bool = False, weight: float = 1.0) -> Entry:
    digest = sha256(str(number).encode()).hexdigest()
    return Entry(
        digest=digest, label=Label.SPAM if bad else Label.HAM, bad=bad, label_source=LabelSource.REVIEW,
        reviewer="mona", labelled=START, sender="a@b.example", sender_domain="b.example", group=group or digest[:16],
        collection="c", provenance="", licence="", reporter="", direction=Direction.INBOUND, origin=Origin.KEPT,
        sample_weight=weight, received=None if day is None else START + timedelta(days=day), added=START, lang="en",
        size=1,
    )  # fmt: skip


def test_the_newest_tests_the_next_calibrates_the_oldest_trains():
    mail = [entry(n, day=n) for n in range(20)]

    done = parts(reversed(mail), calibration=0.25, test=0.25)

    assert {e.received for e in done.test} == {START + timedelta(days=n) for n in range(15, 20)}
    assert {e.received for e in done.calibration} == {START + timedelta(days=n) for n in range(10, 15)}
    assert len(done.train) == 10


def test_a_campaign_goes_where_its_newest_message_goes():
    mail = [entry(n, day=n) for n in range(9)] + [entry(100, "g", 0), entry(101, "g", 9)]

    done = parts(mail, calibration=0, test=0.2)

    assert [e.group for e in done.test] == ["g", "g"]


def test_mail_without_a_time_trains():
    mail = [entry(n, day=None) for n in range(6)] + [entry(n, day=n) for n in range(10, 14)]

    done = parts(mail, calibration=0.1, test=0.8)

    assert all(e.received is None for e in done.train)
    assert len(done.train) == 6


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2), (0.0, 1.0)])
def test_impossible_shares(shares):
    with pytest.raises(ValueError, match="shares"):
        parts([], calibration=shares[0], test=shares[1])


MAIL = st.lists(st.tuples(st.integers(0, 12), st.one_of(st.none(), st.integers(0, 30))), max_size=60)


@settings(max_examples=150, deadline=None)
@given(MAIL, st.randoms(use_true_random=False))
def test_whatever_the_mail_each_is_once_groups_are_whole_and_time_is_kept(spec, chance):
    mail = [entry(n, f"g{group}", day) for n, (group, day) in enumerate(spec)]
    shuffled = chance.sample(mail, len(mail))

    done = parts(mail)

    assert parts(shuffled) == done
    sides = (done.train, done.calibration, done.test)
    assert sorted(e.digest for side in sides for e in side) == sorted(e.digest for e in mail)
    groups = [{e.group for e in side} for side in sides]
    assert not (groups[0] & groups[1] or groups[1] & groups[2] or groups[0] & groups[2])
    tested = [max(e.received for e in done.test if e.group == g and e.received) for g in groups[2]]
    trained = [e.received for e in (*done.train, *done.calibration) if e.received]
    assert not tested or not trained or min(tested) >= max(trained)


def test_what_a_set_cannot_teach_is_said():
    one_sender = shortcomings([entry(n) for n in range(12)])
    assert "there is no bad mail in it: a model needs both, or other data beside it" in one_sender
    assert "12 of 12 ham are from b.example: a model would learn the sender" in one_sender
    assert one_sender[-1].startswith("all of it was kept by the gateway")
    assert "only 3 distinct messages of bad mail in it" in shortcomings([entry(n, bad=True) for n in range(3)])
    mail = [entry(n, bad=n % 2 == 0) for n in range(40)]
    good = [replace(e, sender_domain=f"d{n}.example", origin=Origin.SAMPLED) for n, e in enumerate(mail)]
    assert shortcomings(good) == []
    ruled = [replace(e, label_source=LabelSource.RULE) for e in good]
    assert shortcomings(ruled) == ["no person has looked at any of it: every label is a bulk rule's"]


def test_a_campaign_has_one_vote_in_a_class():
    mail = [entry(n, "g", bad=True) for n in range(4)] + [entry(9, "g"), entry(10)]

    assert weights(mail, most=10) == [0.25] * 4 + [1.0, 1.0]


def test_a_sampled_message_stands_for_others_but_not_for_too_many():
    mail = [entry(1, weight=5.0), entry(2, weight=1000.0), entry(3, "g", weight=20.0), entry(4, "g")]

    assert weights(mail, most=10) == [5.0, 10.0, 5.0, 0.5]
