"""Calibration: probabilities mean what they say, thresholds keep their budget, and long mail is not punished."""

import numpy as np
import pytest

from model.bundle import Calibration
from training.calibrate import CalibrationData, p_bad, platt, thresholds
from training.settings import CalibrationSettings


def data(n: int, *, slope: float = 2.0, shift: float = -1.0, long_is_bad: bool | None = None,
         seed: int = 0) -> CalibrationData:  # fmt: skip
    """Messages whose true log odds are slope × raw + shift."""
    draw = np.random.default_rng(seed)
    raw = draw.normal(size=n) * 1.5
    odds = slope * raw + shift
    bad = draw.random(n) < 1 / (1 + np.exp(-odds))
    windows = draw.integers(1, 5, n)
    if long_is_bad is not None:
        long = draw.random(n) < np.where(bad == long_is_bad, 0.7, 0.2)
        windows = np.where(long, np.maximum(windows, 3), 1)
    kind_logits = draw.normal(size=(n, 3)) * 3
    kind = np.where(bad, kind_logits.argmax(axis=1), -1)
    flip = draw.random(n) < 0.3
    kind[bad & flip] = draw.integers(0, 3, int((bad & flip).sum()))
    return CalibrationData(raw, windows, bad, np.ones(n), kind_logits, kind)


def test_a_known_line_is_found_again() -> None:
    known = data(20_000)
    prior = float(known.bad.mean())

    fitted = platt(known, CalibrationSettings(prior=prior))

    assert fitted.slope == pytest.approx(2.0, rel=0.1)
    assert fitted.intercept == pytest.approx(-1.0, abs=0.15)


def test_a_probability_is_the_share_that_is_bad() -> None:
    known = data(20_000)
    told = p_bad(known, platt(known, CalibrationSettings(prior=float(known.bad.mean()))))

    for low in np.arange(0, 1, 0.2):
        inside = (told >= low) & (told < low + 0.2)
        assert known.bad[inside].mean() == pytest.approx(told[inside].mean(), abs=0.05)


@pytest.mark.parametrize("long_is_bad", [True, False])
def test_length_is_given_no_weight(long_is_bad: bool) -> None:
    """Neither where long mail happens to be bad in the data nor where it is good: padding must not pay."""
    assert platt(data(2000, long_is_bad=long_is_bad), CalibrationSettings()).per_log2_window == 0.0


def test_overconfident_kinds_get_a_temperature_above_one() -> None:
    assert platt(data(2000), CalibrationSettings()).kind_temperature > 1.0


def test_too_few_messages_leave_the_scores_alone() -> None:
    fitted = platt(data(20), CalibrationSettings())

    assert (fitted.slope, fitted.intercept, fitted.per_log2_window, fitted.kind_temperature) == (1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("budget", [0.005, 0.02, 0.1])
def test_thresholds_keep_their_budget(budget: float) -> None:
    known = data(5000)
    told = p_bad(known, platt(known, CalibrationSettings()))
    settings = CalibrationSettings(quarantine_budget=budget / 2, hold_budget=budget)

    found = thresholds(told, known.bad, known.weight, settings)

    assert (told[~known.bad] >= found.quarantine).mean() <= budget / 2
    assert (told[~known.bad] >= found.kept).mean() <= budget
    assert found.hold is not None and found.hold <= found.quarantine


SHIPPED = Calibration(0.9, 0.2, -0.1, 1.0, 0.5)


def test_another_prior_moves_all_logits_by_its_odds_and_back() -> None:
    moved = SHIPPED.at_prior(0.1)

    assert moved.intercept - SHIPPED.intercept == pytest.approx(np.log(0.1 / 0.9))
    assert (moved.slope, moved.per_log2_window, moved.prior) == (SHIPPED.slope, SHIPPED.per_log2_window, 0.1)
    assert moved.at_prior(0.5).intercept == pytest.approx(SHIPPED.intercept)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 2.0])
def test_a_prior_that_is_no_share_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        SHIPPED.at_prior(prior)
