"""What probabilities mean at a site: its share of bad mail and its likelihood ratios, found from a few verdicts."""

import numpy as np
import pytest

from model.bundle import Calibration, log_odds
from training.site.calibrate import SiteCalibration, as_it_was, at_site
from training.site.settings import SiteSettings

SHIPPED = Calibration(0.9, 0.2, -0.1, 1.0, 0.5)


def site(n: int, *, prior: float, scale: float, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shipped logits and truth of a site whose ratios are scale × shipped + shift."""
    draw = np.random.default_rng(seed)
    ratio = draw.normal(size=n) * 3
    chance = 1 / (1 + np.exp(-(scale * ratio + shift + log_odds(prior))))
    return ratio + log_odds(SHIPPED.prior), draw.random(n) < chance


def test_no_verdicts_leave_the_shipped_calibration() -> None:
    found = at_site(SHIPPED, np.empty(0), np.empty(0, dtype=bool), np.empty(0), SiteSettings())

    assert found == SiteCalibration(0.5, 1.0, 0.0, 0.0)
    assert found.of(SHIPPED) == SHIPPED


def test_many_verdicts_find_the_site() -> None:
    logits, bad = site(20_000, prior=0.4, scale=0.7, shift=0.8)

    found = at_site(SHIPPED, logits, bad, np.ones(len(bad)), SiteSettings())

    told = found.scale * logits + found.shift + log_odds(found.prior)
    truth = 0.7 * logits + 0.8 + log_odds(0.4)
    assert found.scale == pytest.approx(0.7, abs=0.05)
    assert np.abs(told - truth).mean() < 0.1
    assert found.prior == pytest.approx(bad.mean(), abs=0.001)


def test_few_verdicts_move_less_than_many_and_a_firm_belief_less_than_a_loose_one() -> None:
    def scale(n: int, belief: float) -> float:
        logits, bad = site(n, prior=0.5, scale=0.2, shift=0.0)
        settings = SiteSettings(told_scale=belief)
        return at_site(SHIPPED, logits, bad, np.ones(len(bad)), settings).scale

    assert scale(2000, 0.25) < scale(10, 0.25)
    assert scale(10, 1.0) < scale(10, 0.25) < scale(10, 0.05) < 1


def test_the_sampling_is_undone_by_its_weights() -> None:
    """All kept mail is reviewed, of delivered mail one in ten: the share of bad mail is that of all mail."""
    logits, bad = site(6000, prior=0.3, scale=1.0, shift=0.0)
    seen = (logits > 0) | (np.random.default_rng(1).random(len(bad)) < 0.1)
    weight = np.where(logits > 0, 1.0, 10.0)[seen]

    found = at_site(SHIPPED, logits[seen], bad[seen], weight, SiteSettings())

    assert found.prior == pytest.approx(bad.mean(), abs=0.03)
    assert found.evidence < seen.sum()


def test_the_calibration_of_a_site_tells_its_logits() -> None:
    found = SiteCalibration(0.2, 0.8, 0.3, 100.0)
    raw = np.array([-2.0, 0.0, 3.0])
    shipped = SHIPPED.slope * raw + SHIPPED.intercept - log_odds(SHIPPED.prior)
    there = found.of(SHIPPED)

    assert there.slope * raw + there.intercept == pytest.approx(0.8 * shipped + 0.3 + log_odds(0.2))


def test_a_weight_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="positive number"):
        at_site(SHIPPED, np.zeros(2), np.array([True, False]), np.array([1.0, 0.0]), SiteSettings())


def test_logits_move_as_the_calibration_does() -> None:
    found = SiteCalibration(0.2, 0.8, 0.3, 100.0)
    raw = np.array([-2.0, 0.0, 3.0])
    there = found.of(SHIPPED)

    assert found.logits(SHIPPED.slope * raw + SHIPPED.intercept, SHIPPED.prior) == pytest.approx(
        there.slope * raw + there.intercept)  # fmt: skip
    assert as_it_was(SHIPPED).logits(raw, SHIPPED.prior) == pytest.approx(raw)
