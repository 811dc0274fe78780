"""From fused logits to probabilities and thresholds, on mail that neither trained nor is measured.

A logit is a log likelihood ratio plus the log odds of a prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration, Thresholds
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
