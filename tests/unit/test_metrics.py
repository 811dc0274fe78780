"""Figures and their intervals, against values worked out by hand or by brute force."""

import math

import numpy as np
import pytest

from training.metrics import (
    auc,
    by_group,
    caught_at,
    class_figures,
    confusion,
    no_error_bound,
    threshold_for,
    wilson,
)


def test_wilson_matches_the_published_formula() -> None:
    """10 of 20: the interval is symmetric about one half, and is Newcombe's .299 to .701."""
    figure = wilson(10, 20)

    assert figure.value == 0.5
    assert (round(figure.low, 3), round(figure.high, 3)) == (0.299, 0.701)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (0, 1)])
def test_wilson_stays_within_0_and_1_at_the_edges(hits: int, n: int) -> None:
    figure = wilson(hits, n)

    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    assert figure.high - figure.low > 0


def test_nothing_measured_is_no_figure() -> None:
    """A share of no messages is unknown, and JSON says null rather than NaN."""
    assert wilson(0, 0).to_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_auc_equals_counting_pairs() -> None:
    draw = np.random.default_rng(3)
    bad = draw.integers(0, 2, 60)
    scores = np.round(draw.normal(size=60) + bad, 1)  # rounding makes ties
    pairs = [(a > b) + (a == b) / 2 for a in scores[bad == 1] for b in scores[bad == 0]]

    assert auc(bad, scores) == pytest.approx(np.mean(pairs))


def test_auc_of_one_class_is_unknown() -> None:
    assert math.isnan(auc(np.ones(4, dtype=np.int64), np.arange(4.0)))


@pytest.mark.parametrize("budget", [0.0, 0.01, 0.02, 0.1, 0.5])
def test_threshold_keeps_its_budget(budget: float) -> None:
    """At most the budgeted share of good mail reaches the threshold, and one more would pass it."""
    good = np.random.default_rng(5).random(203)

    kept = (good >= threshold_for(good, budget)).sum()

    assert kept <= budget * len(good) < kept + 1


def test_threshold_with_ties_never_passes_the_budget() -> None:
    good = np.array([0.9] * 10 + [0.1] * 90)

    assert (good >= threshold_for(good, 0.05)).mean() <= 0.05


def test_caught_at_a_budget_of_good_mail() -> None:
    bad = np.array([0] * 100 + [1] * 4)
    scores = np.concatenate([np.arange(100) / 100, [0.2, 0.975, 0.985, 1.5]])

    assert caught_at(bad, scores, 0.02) == 0.75  # two of 100 good ones may stay above: the line lies just over .97


def test_class_figures_count_hits() -> None:
    truth = np.array([0, 0, 1, 1, 1, 2])
    told = np.array([0, 1, 1, 1, 0, 1])

    figures = class_figures(truth, told, 1, [str(i) for i in range(6)])

    assert figures.precision.value == 0.5
    assert figures.recall.value == pytest.approx(2 / 3)
    assert figures.f1.value == pytest.approx(4 / 7)
    assert confusion(truth, told, 3) == [[1, 1, 0], [1, 2, 0], [0, 1, 0]]


def test_bootstrap_draws_whole_groups() -> None:
    """One campaign of a hundred copies is one piece of evidence: the interval is as wide as for few messages."""
    values = np.array([1.0] * 100 + [0.0, 0.0, 1.0, 0.0])
    one_campaign = ["campaign"] * 100 + ["a", "b", "c", "d"]

    grouped = by_group(lambda at: float(values[at].mean()), one_campaign)
    single = by_group(lambda at: float(values[at].mean()), [str(i) for i in range(104)])

    assert grouped.high - grouped.low > 5 * (single.high - single.low)


def test_what_no_error_proves() -> None:
    """The certificate of the rules of evidence: 2,995 clean senders for a tenth of a percent."""
    assert no_error_bound(2995) == pytest.approx(0.001, rel=1e-3)
    assert no_error_bound(0) == 1.0
