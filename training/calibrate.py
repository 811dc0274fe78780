"""From fused logits to probabilities and thresholds, on mail that neither trained nor is measured.

A logit is a log likelihood ratio plus the log odds of a prior. A site's first verdicts move prior, scale and shift of
the shipped calibration (`at_site`), long before they could move a weight.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration, Thresholds, log_odds
from training.settings import CalibrationSettings

Floats = NDArray[np.float64]

_LEAST_SCALE = 0.05
"""A score that falls with badness would be a broken model, whatever a few verdicts say."""
SMALLEST = 20
"""Fewer calibration messages of either class, and the scores stay as they are."""


@dataclass(frozen=True, slots=True)
class CalibrationData:
    """One element a message: fused logit, windows (0: no text), bad, weight, kind logits [n, 3], kind or -1."""

    raw: Floats
    windows: NDArray[np.int64]
    bad: NDArray[np.bool_]
    weight: Floats
    kind_logits: Floats
    kind: NDArray[np.int64]


def platt(data: CalibrationData, settings: CalibrationSettings) -> Calibration:
    """Fit slope, intercept, and the temperature of the kinds.

    There is no term for the number of windows. Once the greatest of them spoke for a message, and was larger by
    chance where there are many; their mean is not, and a thief who pads his letter would buy a lower score.
    """
    if min(int(data.bad.sum()), int((~data.bad).sum())) < SMALLEST:
        return Calibration(1.0, 0.0, 0.0, 1.0, settings.prior)
    columns = np.stack([data.raw, np.ones_like(data.raw)], axis=1)
    line = _logistic(columns, data.bad, _share(data, settings.prior))
    slope = max(_LEAST_SCALE, float(line[0]))
    return Calibration(round(slope, 4), round(float(line[1]), 4), 0.0, _temperature(data), settings.prior)


def _share(data: CalibrationData, prior: float) -> Floats:
    """Weights that make the share of bad mail `prior`, with the sum kept at n."""
    share = data.weight.astype(np.float64).copy()
    for side, part in ((data.bad, prior), (~data.bad, 1 - prior)):
        share[side] *= part * len(share) / share[side].sum()
    return share


def _logistic(columns: Floats, bad: NDArray[np.bool_], share: Floats) -> Floats:
    """Weighted logistic regression by Newton's method, with a ridge of a thousandth."""
    theta = np.zeros(columns.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta, -30, 30)))
        gradient = columns.T @ (share * (p - bad)) + 1e-3 * theta
        hessian = (columns * (share * p * (1 - p))[:, None]).T @ columns + 1e-3 * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step
        if float(np.abs(step).max()) < 1e-8:
            break
    return theta


def _temperature(data: CalibrationData) -> float:
    """Temperature of the kinds with the least log loss on a grid; 1 where too few kinds are told."""
    told = data.kind >= 0
    if told.sum() < SMALLEST:
        return 1.0

    def loss(temperature: float) -> float:
        logits = data.kind_logits[told] / temperature
        top = logits.max(axis=1, keepdims=True)
        log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        return -float(log_p[np.arange(len(log_p)), data.kind[told]].mean())

    grid = [0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0]
    return min(grid, key=loss)


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """What a site's verdicts say: its share of bad mail, and how its likelihood ratios differ from the shipped ones.

    ratio = `scale` × shipped ratio + `shift`. `evidence` is the number of equally weighed verdicts that the sample is
    worth (Kish's effective sample size).
    """

    prior: float
    scale: float
    shift: float
    evidence: float

    def of(self, shipped: Calibration) -> Calibration:
        """Return the shipped calibration as it is at this site."""
        ratio = shipped.intercept - log_odds(shipped.prior)
        return replace(
            shipped,
            slope=self.scale * shipped.slope,
            intercept=self.scale * ratio + self.shift + log_odds(self.prior),
            per_log2_window=self.scale * shipped.per_log2_window,
            prior=self.prior,
        )


def at_site(shipped: Calibration, logits: Floats, bad: NDArray[np.bool_], weight: Floats,
            settings: CalibrationSettings) -> SiteCalibration:  # fmt: skip
    """Re-estimate prior, scale and shift from a site's verdicts, shrunk to the shipped values.

    `logits`: the shipped model's calibrated logits [n]; `weight`: 1/p of the sampling that brought each verdict in,
    so that together they stand for all of the site's mail. Scale and shift have normal priors around 1 and 0
    (`settings.site_scale`, `settings.site_shift`: standard deviations); the share of bad mail one of a verdict each.
    Without verdicts everything stays as shipped. Raises ValueError for weights that are not positive.
    """
    if not len(logits):
        return SiteCalibration(shipped.prior, 1.0, 0.0, 0.0)
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError("a verdict's weight is one over the chance that it was sampled: a positive number")
    evidence = float(weight.sum() ** 2 / (weight**2).sum())
    share = weight * evidence / weight.sum()
    prior = float((share[bad].sum() + 1) / (evidence + 2))
    ratio = logits - log_odds(shipped.prior)
    theta = np.array([1.0, 0.0])
    pull = np.array([1 / settings.site_scale**2, 1 / settings.site_shift**2])
    columns = np.stack([ratio, np.ones_like(ratio)], axis=1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta + log_odds(prior), -30, 30)))
        gradient = columns.T @ (share * (p - bad)) + pull * (theta - [1.0, 0.0])
        hessian = (columns * (share * p * (1 - p))[:, None]).T @ columns + np.diag(pull)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 0.5 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return SiteCalibration(prior, max(_LEAST_SCALE, float(theta[0])), float(theta[1]), evidence)


def p_bad(data: CalibrationData, fitted: Calibration) -> Floats:
    """Calibrated probability of bad for each message."""
    return p_of(data.raw, data.windows, fitted)


def p_of(raw: Floats, windows: NDArray[np.int64], fitted: Calibration) -> Floats:
    """Calibrated probability of bad for fused logits and numbers of windows (0: no text), both [n]."""
    logit = fitted.slope * raw + fitted.intercept + fitted.per_log2_window * np.log2(np.maximum(windows, 1))
    result: Floats = 1 / (1 + np.exp(-np.clip(logit, -60, 60)))
    return result


def thresholds(told: Floats, bad: NDArray[np.bool_], weight: Floats, settings: CalibrationSettings) -> Thresholds:
    """Probabilities that at most the budgeted share of legitimate calibration mail (by weight) reaches.

    Between the two lies the review band: mail that is held for a person, since it may well be legitimate.
    """
    good, share = told[~bad], weight[~bad]
    if len(good) < SMALLEST:
        return Thresholds(quarantine=0.99, hold=0.9)
    hold = max(0.5, _at(good, share, settings.hold_budget))
    quarantine = max(hold, _at(good, share, settings.quarantine_budget))
    return Thresholds(round(quarantine, 4), round(hold, 4))


def _at(scores: Floats, share: Floats, budget: float) -> float:
    order = np.argsort(-scores)
    over = np.cumsum(share[order]) / share.sum()
    first = int(np.searchsorted(over, budget, side="right"))
    return min(0.9999, float(scores[order[first]]) + 1e-4)
