"""Fitting the fusion: one weight a fact, its sign fixed by reason, all weights shrunk towards one another.

Flexible models of facts learn where the mail was collected. Here a fact may only do what its meaning says (a known
sender never makes mail worse), its silent side is fixed by reason too, and a weight leaves the common mean only where
the data insist.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle import FactWeight
from model.facts import BAD, BOTH_SPEAK, FALSE_SPEAKS, GOOD, MUTE, Facts
from training.settings import FusionSettings

NAMES = (*GOOD, *BAD)
SIGNS = np.array([-1.0] * len(GOOD) + [1.0] * len(BAD))
CENTRES = np.array([0.5 if name in BOTH_SPEAK else 1.0 if name in FALSE_SPEAKS else 0.0 for name in NAMES])
"""Value of each fact that says nothing: half way where both speak, else the silent one. Unknown says as little."""
RARE = 15
"""A fact that speaks in fewer messages keeps the common weight, or the stated one."""

Floats = NDArray[np.float64]


def values(facts: Sequence[Facts]) -> Floats:
    """Facts as [n, len(NAMES)]: 1 true, 0 false, NaN unknown."""
    table = [[np.nan if (v := getattr(f, name)) is None else float(v) for name in NAMES] for f in facts]
    return np.array(table, dtype=np.float64).reshape(len(facts), len(NAMES))


def equally_missing(table: Floats, bad: NDArray[np.bool_], draw: np.random.Generator) -> Floats:
    """Hide known values so that every fact is unknown equally often in both classes.

    Where mail was collected decides which headers survive, and must not tell the class.
    """
    out = table.copy()
    for column in range(table.shape[1]):
        missing = {side: float(np.isnan(table[bad == side, column]).mean()) for side in (False, True)}
        for side in (False, True):
            gap = missing[not side] - missing[side]
            if gap > 0 and missing[side] < 1:
                hide = (bad == side) & (draw.random(len(table)) < gap / (1 - missing[side]))
                out[hide, column] = np.nan
    return out


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights by fact, bias, and the common mean they were shrunk towards."""

    facts: dict[str, FactWeight]
    bias: float
    mean: float


def equal(settings: FusionSettings) -> Fitted:
    """Return equal weights, for want of mail whose facts can be trusted: one logit a fact, but what is stated."""
    weight = min(1.0, settings.heaviest)
    return Fitted(_terms(np.full(len(NAMES), weight), settings), 0.0, weight)


def fit(
    facts: Sequence[Facts], bad: Sequence[bool], weight: Sequence[float], settings: FusionSettings, seed: int
) -> Fitted:
    """Fit by penalised logistic regression with both classes weighing the same.

    Each weight is pulled to the common mean, and the mean to one logit, by `settings.shrink`.
    """
    from scipy.optimize import minimize

    draw = np.random.default_rng(seed)
    side = np.array(bad, dtype=np.bool_)
    table = equally_missing(values(facts), side, draw)
    table[draw.random(table.shape) < settings.drop] = np.nan
    signed = np.nan_to_num((table - CENTRES) * SIGNS)
    share = _balanced(side, np.array(weight, dtype=np.float64))
    told = (signed != 0).sum(axis=0) >= RARE
    target = np.where(side, 1.0, -1.0)
    pull = settings.shrink / len(bad)

    def loss(theta: Floats) -> tuple[float, Floats]:
        mean, bias, own = theta[0], theta[1], theta[2:]
        w = np.where(told, own, mean)
        margin = target * (signed @ w + bias)
        slope = -target * share / (1 + np.exp(margin))
        back = signed.T @ slope
        apart = np.where(told, own - mean, 0.0)
        grad_own = np.where(told, back + pull * apart, 0.0)
        grad_mean = float(back[~told].sum() - pull * apart.sum() + pull * (mean - 1))
        value = float((share * np.logaddexp(0, -margin)).sum() + pull / 2 * ((apart**2).sum() + (mean - 1) ** 2))
        return value, np.concatenate(([grad_mean, float(slope.sum())], grad_own))

    start = np.concatenate(([1.0, 0.0], np.full(len(NAMES), 1.0)))
    bounds = [(0, settings.heaviest), (-5, 5), *[(0, settings.heaviest)] * len(NAMES)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    mean, bias = float(found[0]), float(found[1])
    return Fitted(_terms(np.where(told, found[2:], mean), settings), round(bias, 4), mean)


def _terms(weights: Floats, settings: FusionSettings) -> dict[str, FactWeight]:
    """Return signed weights; what never counts has none, what no collection shows has the stated one."""
    own = [0.0 if n in MUTE else settings.stated.get(n, float(w)) for n, w in zip(NAMES, weights, strict=True)]
    return {
        n: FactWeight(round(float(s) * min(w, settings.heaviest), 4), float(c))
        for n, s, w, c in zip(NAMES, SIGNS, own, CENTRES, strict=True)
    }


def _balanced(bad: NDArray[np.bool_], weight: Floats) -> Floats:
    share = weight.copy()
    for side in (False, True):
        share[bad == side] /= 2 * max(1e-9, float(share[bad == side].sum()))
    return share


def raw_logits(fitted: Fitted, facts: Sequence[Facts], text: Floats, text_weight: float, text_cap: float) -> Floats:
    """Fused logits [n] before calibration, as serving computes them. `text`: bad-against-ham logits [n]."""
    table = values(facts)
    terms = [fitted.facts[name] for name in NAMES]
    weights = np.array([t.weight for t in terms])
    centres = np.array([t.centre for t in terms])
    side: Floats = np.nan_to_num((table - centres) * weights).sum(axis=1)
    return fitted.bias + np.clip(text_weight * text, -text_cap, text_cap) + side
