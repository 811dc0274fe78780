"""Figures with their uncertainty: every share carries n and a 95 % interval.

Shares of independent messages get Wilson's interval. Figures over messages that come in campaigns (AUC, F1) get
a bootstrap that draws whole groups, since near-duplicates are one piece of evidence and not many.
All arrays are numpy, one element a message; `bad` is 1 for anything that is not ham.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Z95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
RESAMPLES = 400
"""Bootstrap draws: enough for the second digit of a 95 % bound, and done in a second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval and the number of messages it rests on (0: could not be told)."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain JSON data; a value that cannot be told is null."""
        known = {"value": self.value, "low": self.low, "high": self.high}
        return {**{k: None if np.isnan(v) else round(float(v), 4) for k, v in known.items()}, "n": self.n}

    def __str__(self) -> str:
        if np.isnan(self.value):
            return f"– (n={self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


UNKNOWN = float("nan")


def wilson(hits: int, n: int) -> Figure:
    """Share hits/n with Wilson's score interval, which holds for small n and shares near 0 or 1."""
    if n == 0:
        return Figure(UNKNOWN, UNKNOWN, UNKNOWN, 0)
    share = hits / n
    centre = share + Z95**2 / (2 * n)
    spread = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    scale = 1 + Z95**2 / n
    return Figure(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale), n)


def by_group(
    measure: Callable[[Ints], float], groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> Figure:
    """Bootstrap a figure by whole groups. `measure` gets message positions, with repeats, and may return NaN."""
    if not groups:
        return Figure(UNKNOWN, UNKNOWN, UNKNOWN, 0)
    places: dict[str, list[int]] = {}
    for at, group in enumerate(groups):
        places.setdefault(group, []).append(at)
    blocks = [np.array(at, dtype=np.int64) for at in places.values()]
    value = measure(np.arange(len(groups), dtype=np.int64))
    draw = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        picked = draw.integers(0, len(blocks), len(blocks))
        values.append(measure(np.concatenate([blocks[i] for i in picked])))
    told = np.array([v for v in values if not np.isnan(v)])
    if not len(told):
        return Figure(value, UNKNOWN, UNKNOWN, len(groups))
    low, high = np.quantile(told, [0.025, 0.975])
    return Figure(value, float(low), float(high), len(groups))


def auc(bad: Ints, scores: Floats) -> float:
    """Chance that a bad message scores above a good one, ties counted half; NaN without both."""
    positive, negative = int(bad.sum()), int(len(bad) - bad.sum())
    if not positive or not negative:
        return UNKNOWN
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]  # mean rank of each tie
    return float((ranks[bad == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def threshold_for(good_scores: Floats, budget: float) -> float:
    """Lowest threshold that at most `budget` of the good messages reach (score ≥ threshold counts as kept back).

    With no good message there is no threshold that could be vouched for: infinity.
    """
    if not len(good_scores):
        return float("inf")
    ordered = np.sort(good_scores)[::-1]
    allowed = int(np.floor(budget * len(ordered)))
    return float(np.nextafter(ordered[allowed], np.inf)) if allowed < len(ordered) else float(ordered[-1])


def caught_at(bad: Ints, scores: Floats, budget: float) -> float:
    """Share of bad mail at or above the threshold at which at most `budget` of the good mail is kept back."""
    if not bad.any() or bad.all():
        return UNKNOWN
    return float((scores[bad == 1] >= threshold_for(scores[bad == 0], budget)).mean())


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class."""

    precision: Figure
    recall: Figure
    f1: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {name: getattr(self, name).to_json() for name in ("precision", "recall", "f1")}


def class_figures(truth: Ints, told: Ints, label: int, groups: Sequence[str]) -> ClassFigures:
    """Figures of class number `label`: Wilson for precision and recall, bootstrap by group for F1."""
    hits = int(((truth == label) & (told == label)).sum())
    precision = wilson(hits, int((told == label).sum()))
    recall = wilson(hits, int((truth == label).sum()))

    def f1(at: Ints) -> float:
        both = int(((truth[at] == label) & (told[at] == label)).sum())
        total = int((truth[at] == label).sum() + (told[at] == label).sum())
        return 2 * both / total if total else UNKNOWN

    return ClassFigures(precision, recall, by_group(f1, groups))


def confusion(truth: Ints, told: Ints, classes: int) -> list[list[int]]:
    """Counts with one row a true class and one column a told class."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth, told), 1)
    return [[int(n) for n in row] for row in table]


def no_error_bound(n: int) -> float:
    """Error rate that no error in n independent trials leaves possible at 95 % confidence: 1 − .05^(1/n)."""
    return float(1 - 0.05 ** (1 / n)) if n else 1.0
