"""The statistics of an evaluation, against values worked out by hand."""

from math import comb

import numpy as np
import pytest

from training.evaluation.calibration_error import at_prior, moved, reliability
from training.evaluation.certificate import certificate, certify, lower_bound, trials_for, upper_bound
from training.evaluation.figures import (
    Ranking,
    bootstrap,
    class_figures,
    confusion,
    macro_f1,
    share,
    threshold_for,
    wilson,
)
from training.evaluation.paired import auc_difference, compare, mcnemar, non_inferior
from training.evaluation.thresholds import band, recall_at, supported, table


def flags(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


def ints(text: str) -> np.ndarray:
    return np.array([int(c) for c in text])


def test_no_error_proves_what_the_rule_of_the_design_says() -> None:
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05**0.01)
    assert trials_for(0.001) == 2995
    assert trials_for(0.0001) == 29956
    assert upper_bound(0, 2995) <= 0.001 < upper_bound(0, 2994)


def test_the_bound_with_errors_is_clopper_and_pearsons() -> None:
    """One error in ten: (1−p)^10 + 10 p (1−p)^9 = .05 has the root .39416; in general the bound is what leaves so few
    errors a chance of .05.
    """
    assert upper_bound(1, 10) == pytest.approx(0.39416, abs=1e-5)
    p = upper_bound(3, 200)
    assert sum(comb(200, k) * p**k * (1 - p) ** (200 - k) for k in range(4)) == pytest.approx(0.05)
    assert upper_bound(10, 10) == 1.0
    assert lower_bound(10, 10) == pytest.approx(0.05**0.1)
    assert lower_bound(1, 10) == pytest.approx(1 - 0.95**0.1)


def test_more_errors_than_trials_are_no_count() -> None:
    with pytest.raises(ValueError, match="3 errors in 2 trials"):
        upper_bound(3, 2)


def test_a_sender_is_one_trial_however_much_it_sends() -> None:
    found = certify(flags("1100000"), ["a", "a", "a", "b", "b", "c", "d"])

    assert (found.senders, found.errors, found.messages) == (4, 1, 7)
    assert found.bound == pytest.approx(upper_bound(1, 4))
    assert certificate(0, 0).bound == 1.0


def test_auc_by_hand_with_ties_and_weights() -> None:
    """Bad .9 and .5 against good .5 and .1: three and a half of four pairs; weights count as copies."""
    ranking = Ranking.of(ints("1100"), np.array([0.9, 0.5, 0.5, 0.1]))

    assert ranking.auc(np.ones(4)) == pytest.approx(3.5 / 4)
    assert ranking.auc(np.array([1, 3, 1, 1.0])) == pytest.approx((2 + 3 * 1.5) / 8)
    assert np.isnan(ranking.auc(np.array([1, 1, 0, 0.0])))


def test_caught_at_a_budget_by_hand() -> None:
    """Ten good at 0…9: a tenth may be reached, so the threshold lies above 8; one of two bad is over it."""
    scores = np.array([*range(10), 8.5, 3.0])
    bad = np.array([0] * 10 + [1] * 2)
    ranking = Ranking.of(bad, scores)

    assert ranking.caught_at(np.ones(12), 0.1) == 0.5
    assert ranking.caught_at(np.ones(12), 0.0) == 0.0
    assert ranking.caught_at(np.ones(12), 1.0) == 1.0
    assert 8 < threshold_for(scores[:10], 0.1) <= 8.0001
    assert threshold_for(np.empty(0), 0.1) == float("inf")


def test_a_weight_of_sampling_counts_a_message_that_often() -> None:
    hit = flags("10")

    assert share(hit, ["a", "b"], np.array([1.0, 9.0])).value == pytest.approx(0.1)
    assert share(hit, ["a", "b"]).value == 0.5


def test_wilsons_interval_by_hand() -> None:
    """5 of 10: .2366 to .7634."""
    found = wilson(5, 10)

    assert (found.low, found.high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_nothing_hit_is_as_sure_as_the_senders_are_many() -> None:
    """A hundred messages of two senders prove no more than two trials; a hundred senders prove much more."""
    few = share(np.zeros(100, dtype=bool), ["a"] * 50 + ["b"] * 50)
    many = share(np.zeros(100, dtype=bool), [str(n) for n in range(100)])

    assert few.high == pytest.approx(1 - 0.025**0.5)
    assert many.high == pytest.approx(1 - 0.025**0.01)
    assert (few.n, few.senders, many.senders) == (100, 2, 100)


def test_a_bootstrap_draws_whole_senders_with_their_weight() -> None:
    """Two senders, one wholly hit: a draw is 0, 1/2 or 1, so the interval is everything; one sender has none."""

    def rate(w: np.ndarray) -> float:
        return float((w * flags("1100")).sum() / w.sum())

    two = bootstrap(rate, ["a", "a", "b", "b"])
    one = bootstrap(rate, ["a"] * 4)
    heavy = bootstrap(rate, ["a", "a", "b", "b"], np.array([3.0, 3.0, 1.0, 1.0]))

    assert (two.value, two.low, two.high, two.senders) == (0.5, 0.0, 1.0, 2)
    assert (one.low, one.high) == (0.5, 0.5)
    assert heavy.value == 0.75


def test_class_figures_and_confusion_by_hand() -> None:
    """Truth 0 0 1 1 1, told 0 1 1 1 0: class 1 has precision 2/3, recall 2/3, F1 2/3."""
    truth, told = ints("00111"), ints("01110")
    found = class_figures(truth, told, 1, list("abcde"))

    assert (found.precision.value, found.recall.value, found.f1.value) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert confusion(truth, told, 2) == [[1, 1], [1, 2]]
    assert macro_f1(truth, told, (0, 1), list("abcde")).value == pytest.approx((0.5 + 2 / 3) / 2)


def test_probabilities_move_with_the_prior() -> None:
    """Even odds told at a prior of one half are .1 where a tenth is bad."""
    assert moved(np.array([0.5, 0.9]), 0.5, 0.1) == pytest.approx([0.1, 0.5])
    assert at_prior(ints("110"), 0.2) == pytest.approx([0.1, 0.1, 0.8])


def test_calibration_error_by_hand() -> None:
    """Forty messages told .2, a quarter of them bad, forty told .8, all bad: two bins, off by .05 and .2."""
    p = np.array([0.2] * 40 + [0.8] * 40)
    bad = np.array([1] * 10 + [0] * 30 + [1] * 40)
    found = reliability(p, bad, prior=50 / 80)

    assert found.error == pytest.approx(0.5 * abs(0.25 - moved(np.array([0.2]), 0.5, 50 / 80)[0])
                                        + 0.5 * abs(1 - moved(np.array([0.8]), 0.5, 50 / 80)[0]))  # fmt: skip
    same = reliability(p, bad, prior=50 / 80, assumed=50 / 80)
    assert same.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.2)
    assert sum(b.share for b in same.bins) == pytest.approx(1)
    assert sum(b.n for b in same.bins) == 80


def test_calibration_error_needs_both_classes() -> None:
    assert np.isnan(reliability(np.array([0.5] * 30), np.ones(30, dtype=int), prior=0.5).error)


def test_mcnemars_exact_p_by_hand() -> None:
    """1 against 5: 2 · (1 + 6) / 64; equal numbers say nothing."""
    assert mcnemar(1, 5) == pytest.approx(14 / 64)
    assert mcnemar(0, 10) == pytest.approx(2 / 1024)
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_a_pair_of_models_is_compared_on_each_side() -> None:
    """Of four bad, the candidate gains two and loses one; of four good, it keeps one more."""
    bad = ints("11110000")
    found = compare(bad, flags("11100001"), flags("10010000"), list("abcdefgh"))

    assert found.caught.difference.value == 0.25
    assert (found.caught.gained, found.caught.lost) == (2, 1)
    assert found.caught.p_messages == 1.0
    assert found.false_positives.difference.value == 0.25
    assert found.false_positives.difference.n == 4


def test_equal_verdicts_on_little_mail_prove_little() -> None:
    """No change in 20 senders still allows 17 % (one side of 97.5 %); in 400, .9 %."""
    for senders, shown in ((20, False), (400, True)):
        bad = np.array([1] * senders + [0] * senders)
        kept = bad == 1
        found = compare(bad, kept, kept, [str(n) for n in range(2 * senders)])

        assert found.caught.difference.low == pytest.approx(-(1 - 0.025 ** (1 / senders)))
        told = non_inferior(found, caught_margin=0.01, false_positive_margin=0.01)
        assert told.holds is shown
        assert len(told.reasons) == (0 if shown else 2)


def test_one_senders_change_is_one_change() -> None:
    """Fifty messages of one sender change together: messages say p < .001, senders say nothing."""
    bad = np.ones(100, dtype=int)
    senders = ["one"] * 50 + [str(n) for n in range(50)]
    found = compare(bad, flags("0" * 50 + "1" * 50), flags("1" * 100), senders).caught

    assert found.p_messages < 0.001
    assert found.p_senders == 1.0


def test_many_changes_are_bounded_by_the_bootstrap() -> None:
    bad = np.ones(200, dtype=int)
    before = np.arange(200) < 100
    found = compare(bad, np.arange(200) < 140, before, [str(n) for n in range(200)]).caught.difference

    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.145, abs=0.015)
    assert found.high == pytest.approx(0.255, abs=0.015)


def test_nothing_to_compare_on_shows_nothing() -> None:
    found = compare(np.ones(3, dtype=int), flags("111"), flags("111"), list("abc"))

    told = non_inferior(found, caught_margin=1.0, false_positive_margin=1.0)

    assert told.reasons == ("no legitimate mail to compare on",)


def test_auc_difference_is_of_the_same_draw() -> None:
    bad, scores = ints("1010"), np.array([0.9, 0.1, 0.8, 0.2])

    same = auc_difference(bad, scores, scores, list("abcd"))

    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_the_threshold_table_holds_the_models_own() -> None:
    p, bad = np.array([0.97, 0.2, 0.96, 0.1]), ints("1100")
    steps = {s.threshold: s for s in table(p, bad, list("abcd"), np.ones(4), (0.965, 0.5))}

    assert steps[0.965].caught.value == 0.5
    assert steps[0.965].kept_ham.value == 0.0
    assert steps[0.95].kept_ham.value == 0.5
    assert list(steps) == sorted(steps)


def test_only_rates_that_the_senders_can_certify_are_told() -> None:
    assert supported(28) == ()
    assert supported(29) == (0.1,)
    assert supported(300) == (0.1, 0.05, 0.02, 0.01)
    found = recall_at(Ranking.of(ints("1010"), np.array([0.9, 0.1, 0.8, 0.2])), (0.1,), list("abcd"), np.ones(4))
    assert found[0.1].value == 1.0


def test_the_review_band_parts_all_mail() -> None:
    """p .1 .4 .6 .9 with a band from .3 to .7: two go to a person, of the other two one bad is missed."""
    found = band(np.array([0.1, 0.4, 0.6, 0.9]), ints("1001"), list("abcd"), np.ones(4), 0.3, 0.7)

    assert found.automatic.value == 0.5
    assert found.to_person.value == 0.5
    assert found.wrong.value == 0.5
    assert found.missed.value == 0.5
    assert found.kept_ham.value == 0.0
    assert found.ham_in_band.value == 1.0
