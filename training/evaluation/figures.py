"""Figures with their uncertainty: every share carries n, the number of senders, and a 95 % interval.

Messages of one sender, and near-duplicates, are one piece of evidence and not many: a bootstrap draws whole groups.
All arrays are numpy, one element a message; `bad` is 1 for anything that is not ham; `weight` is 1 / (the chance that
the sampling took the message), 1 where all mail was taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.certificate import upper_bound

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

Z95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
RESAMPLES = 400
"""Bootstrap draws: enough for the second digit of a 95 % bound, and done in a second."""
UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval, and the messages and senders it rests on (0: could not be told)."""

    value: float
    low: float
    high: float
    n: int
    senders: int = 0

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain JSON data; a value that cannot be told is null."""
        known = {"value": self.value, "low": self.low, "high": self.high}
        return {
            **{k: None if np.isnan(v) else round(float(v), 4) for k, v in known.items()},
            "n": self.n,
            "senders": self.senders,
        }

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return self.n > 0 and not np.isnan(self.value)

    def __str__(self) -> str:
        if not self.known:
            return f"– (n={self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


NOTHING = Figure(UNKNOWN, UNKNOWN, UNKNOWN, 0)


def wilson(hits: float, n: int) -> Figure:
    """Share hits/n with Wilson's score interval (1927), which holds for small n and shares near 0 or 1."""
    if n == 0:
        return NOTHING
    share = hits / n
    centre = share + Z95**2 / (2 * n)
    spread = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    scale = 1 + Z95**2 / n
    return Figure(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale), n)


def numbered(groups: Sequence[str]) -> tuple[Ints, int]:
    """Return each message's group as a number from 0, and how many groups there are."""
    _, index = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    return index.astype(np.int64).reshape(-1), int(index.max()) + 1 if len(groups) else 0


def bootstrap(
    measure: Callable[[Floats], float],
    groups: Sequence[str],
    weight: Floats | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """Bootstrap a figure by whole groups. `measure` gets a weight for each message (0: not drawn); NaN is left out.

    The weight of a message in a draw is its own weight times how often its group was drawn.
    """
    if not len(groups):
        return NOTHING
    own = np.ones(len(groups)) if weight is None else weight
    index, count = numbered(groups)
    value = measure(own)
    draw = np.random.default_rng(seed)
    chances = np.full(count, 1 / count)
    values = np.array([measure(own * draw.multinomial(count, chances)[index]) for _ in range(resamples)])
    told = values[~np.isnan(values)]
    if not len(told) or np.isnan(value):
        return Figure(value, UNKNOWN, UNKNOWN, len(groups), count)
    low, high = np.quantile(told, [0.025, 0.975])
    return Figure(value, float(low), float(high), len(groups), count)


def share(hit: Flags, senders: Sequence[str], weight: Floats | None = None) -> Figure:
    """Weighted share of messages that were hit: the wider of Wilson's interval and the bootstrap by sender.

    Where none or all were hit a bootstrap knows no doubt: the bound is then what as many senders can prove.
    """
    if not len(hit):
        return NOTHING
    own = np.ones(len(hit)) if weight is None else weight
    index, count = numbered(senders)
    hits, total = np.bincount(index, own * hit, count), np.bincount(index, own, count)
    value = float(hits.sum() / total.sum())
    if value in (0.0, 1.0):
        slack = upper_bound(0, count, 0.975)
        return Figure(value, max(0.0, value - slack), min(1.0, value + slack), len(hit), count)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    low, high = np.quantile((drawn @ hits) / (drawn @ total), [0.025, 0.975])
    plain = wilson(value * len(hit), len(hit))
    return Figure(value, min(float(low), plain.low), max(float(high), plain.high), len(hit), count)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores put in order once, so that many draws of weights can be measured on them.

    `place` is each message's position among the distinct scores, lowest first.
    """

    bad: Ints
    place: Ints
    scores: Floats

    @classmethod
    def of(cls, bad: Ints, scores: Floats) -> "Ranking":
        """Order the messages of a set."""
        distinct, place = np.unique(scores, return_inverse=True)
        return cls(bad, place.astype(np.int64).reshape(-1), distinct)

    def _sides(self, weight: Floats) -> tuple[Floats, Floats]:
        """Weight of good and of bad mail at each distinct score, lowest first."""
        n = len(self.scores)
        good = np.bincount(self.place, weight * (self.bad == 0), n).astype(np.float64)
        return good, np.bincount(self.place, weight * (self.bad == 1), n).astype(np.float64)

    def auc(self, weight: Floats) -> float:
        """Chance that a bad message scores above a good one, ties counted half; NaN without both."""
        good, evil = self._sides(weight)
        below = np.cumsum(good) - good
        pairs = good.sum() * evil.sum()
        return float((evil * (below + good / 2)).sum() / pairs) if pairs else UNKNOWN

    def rates(self, weight: Floats) -> tuple[Floats, Floats]:
        """Share of good and of bad mail at or above each distinct score, lowest first; NaN where a side is empty."""
        good, evil = self._sides(weight)
        with np.errstate(invalid="ignore"):
            return (good[::-1].cumsum()[::-1] / good.sum(), evil[::-1].cumsum()[::-1] / evil.sum())

    def caught_at(self, weight: Floats, budget: float) -> float:
        """Share of bad mail over the lowest threshold that at most `budget` of the good mail reaches."""
        kept, caught = self.rates(weight)
        if np.isnan(kept[0]) or np.isnan(caught[0]):
            return UNKNOWN
        within = np.flatnonzero(kept <= budget + 1e-12)
        return float(caught[within[0]]) if len(within) else 0.0


def threshold_for(good_scores: Floats, budget: float) -> float:
    """Lowest threshold that at most `budget` of the good messages reach (score ≥ threshold counts as kept back).

    With no good message there is no threshold that could be vouched for: infinity.
    """
    if not len(good_scores):
        return float("inf")
    ordered = np.sort(good_scores)[::-1]
    allowed = int(np.floor(budget * len(ordered) + 1e-9))
    return float(np.nextafter(ordered[allowed], np.inf)) if allowed < len(ordered) else float(ordered[-1])


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class."""

    precision: Figure
    recall: Figure
    f1: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {name: getattr(self, name).to_json() for name in ("precision", "recall", "f1")}


def class_figures(
    truth: Ints, told: Ints, label: int, senders: Sequence[str], weight: Floats | None = None
) -> ClassFigures:
    """Figures of class number `label`, each with the interval of `share` or of the bootstrap by sender."""
    own = np.ones(len(truth)) if weight is None else weight
    is_it, said = truth == label, told == label
    who = np.asarray(senders, dtype=np.str_)

    def f1(w: Floats) -> float:
        total = float((w * is_it).sum() + (w * said).sum())
        return 2 * float((w * (is_it & said)).sum()) / total if total else UNKNOWN

    return ClassFigures(
        share(is_it[said], who[said].tolist(), own[said]),
        share(said[is_it], who[is_it].tolist(), own[is_it]),
        bootstrap(f1, senders, own),
    )


def macro_f1(truth: Ints, told: Ints, labels: Sequence[int], senders: Sequence[str],
             weight: Floats | None = None) -> Figure:  # fmt: skip
    """Mean F1 over `labels`, bootstrapped by sender; a class that a draw does not hold is left out of its mean."""
    pairs = [(truth == label, told == label) for label in labels]

    def mean(w: Floats) -> float:
        found = [2 * float((w * (a & b)).sum()) / total for a, b in pairs
                 if (w * a).sum() and (total := float((w * a).sum() + (w * b).sum()))]  # fmt: skip
        return float(np.mean(found)) if found else UNKNOWN

    return bootstrap(mean, senders, weight)


def confusion(truth: Ints, told: Ints, classes: int) -> list[list[int]]:
    """Counts with one row a true class and one column a told class."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth, told), 1)
    return [[int(n) for n in row] for row in table]
