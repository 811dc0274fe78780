"""Confident learning: which labels look wrong (Northcutt, Jiang and Chuang 2021, "Confident Learning"). Pure.

A label is suspected if another class is confidently likely: its out-of-fold probability is at least the average that
messages so labelled have for their own class (section 3.1, the confident joint). That average is high where a class
is easy and low where it is hard, so no threshold has to be chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 2  # ham, bad


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A label that looks wrong. `at`: position; `p`: probability of the other class, out of fold; `usual`: the
    average that messages labelled as that class have for it. `margin`: how much likelier the other class is.
    """

    at: int
    p: float
    usual: float
    margin: float


def thresholds(
    p_bad: NDArray[np.float64], bad: NDArray[np.bool_], weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return for ham and for bad the mean probability of the own class over messages so labelled.

    Raises ValueError where a class has no message, or none of any weight.
    """
    votes = np.ones(len(bad)) if weight is None else weight
    if not votes[bad].sum() or not votes[~bad].sum():
        raise ValueError("labels of one class only")
    return (
        float(np.average(1 - p_bad[~bad], weights=votes[~bad])),
        float(np.average(p_bad[bad], weights=votes[bad])),
    )


def suspicions(
    p_bad: Sequence[float] | NDArray[np.float64], bad: Sequence[bool] | NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
) -> list[Suspicion]:  # fmt: skip
    """Return the suspected labels, the surest first. `p_bad` [n] is out of fold, `bad` [n] as labelled.

    `weight` [n] is what each counts for in the averages: else many labels of one account decide what is usual.
    """
    p, given = np.asarray(p_bad, dtype=np.float64), np.asarray(bad, dtype=np.bool_)
    usual = thresholds(p, given, weight)
    found = []
    for at in range(len(p)):
        other = 0 if given[at] else 1
        chance = (1 - p[at], p[at])
        own = 1 - other
        confident = chance[other] >= usual[other] and not (chance[own] >= usual[own] and chance[own] >= chance[other])
        if confident:
            found.append(Suspicion(at, float(chance[other]), usual[other], float(chance[other] - chance[own])))
    return sorted(found, key=lambda s: (-s.margin, s.at))
