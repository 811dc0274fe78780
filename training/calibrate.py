"""From fused logits to probabilities and thresholds, on mail that neither trained nor is measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration, Thresholds
from training.settings import CalibrationSettings

Floats = NDArray[np.float64]

SMALLEST = 20
"""Fewer calibration messages of either class, and the scores stay as they are."""


@dataclass(frozen=True, slots=True)
class CalibrationData:
    """One element a message: fused logit, windows, bad or not, weight, kind logits [n, 3], kind or -1."""

    raw: Floats
    windows: NDArray[np.int64]
    bad: NDArray[np.bool_]
    weight: Floats
    kind_logits: Floats
    kind: NDArray[np.int64]


def platt(data: CalibrationData, settings: CalibrationSettings) -> Calibration:
    """Fit slope, intercept, the term for the number of windows, and the temperature of the kinds.

    The window term stays only where it is told apart from 0 at two standard errors.
    """
    if min(int(data.bad.sum()), int((~data.bad).sum())) < SMALLEST:
        return Calibration(1.0, 0.0, 0.0, 1.0)
    ones, log_windows = np.ones_like(data.raw), np.log2(data.windows)
    share = _share(data, settings.prior)
    full, errors = _logistic(np.stack([data.raw, ones, log_windows], axis=1), data.bad, share)
    if np.isnan(errors[2]) or abs(full[2]) < 2 * errors[2]:
        full, _ = _logistic(np.stack([data.raw, ones], axis=1), data.bad, share)
    per_window = float(full[2]) if len(full) > 2 else 0.0
    slope = max(0.05, float(full[0]))  # a fused score that falls with badness would be a broken model
    return Calibration(round(slope, 4), round(float(full[1]), 4), round(per_window, 4), _temperature(data))


def _share(data: CalibrationData, prior: float) -> Floats:
    """Weights that make the share of bad mail `prior`, with the sum kept at n so that errors mean something."""
    share = data.weight.astype(np.float64).copy()
    for side, part in ((data.bad, prior), (~data.bad, 1 - prior)):
        share[side] *= part * len(share) / share[side].sum()
    return share


def _logistic(columns: Floats, bad: NDArray[np.bool_], share: Floats) -> tuple[Floats, Floats]:
    """Weighted logistic regression by Newton's method, with a ridge of a thousandth; returns estimates and errors."""
    theta = np.zeros(columns.shape[1])
    hessian = np.eye(len(theta))
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta, -30, 30)))
        gradient = columns.T @ (share * (p - bad)) + 1e-3 * theta
        hessian = (columns * (share * p * (1 - p))[:, None]).T @ columns + 1e-3 * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step
        if np.abs(step).max() < 1e-8:
            break
    return theta, np.sqrt(np.diag(np.linalg.inv(hessian)))


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


def thresholds(p_bad: Floats, bad: NDArray[np.bool_], weight: Floats, settings: CalibrationSettings) -> Thresholds:
    """Probabilities that at most the budgeted share of legitimate calibration mail (by weight) reaches."""
    good, share = p_bad[~bad], weight[~bad]
    if len(good) < SMALLEST:
        return Thresholds(0.9, 0.99)
    quarantine = max(0.5, _at(good, share, settings.quarantine_budget))
    return Thresholds(round(quarantine, 4), round(max(quarantine, _at(good, share, settings.hold_budget)), 4))


def _at(scores: Floats, share: Floats, budget: float) -> float:
    order = np.argsort(-scores)
    over = np.cumsum(share[order]) / share.sum()
    first = int(np.searchsorted(over, budget, side="right"))
    return min(0.9999, float(scores[order[first]]) + 1e-4)
