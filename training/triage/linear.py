"""A logistic regression over hashed words that knows this site's labels only, judged out of fold. Pure.

Campaigns are never split between folds: a mislabelled campaign would confirm itself. A campaign has one vote.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.head import columns
from training.triage.settings import LinearSettings

Floats = NDArray[np.float64]


def enough(bad: Sequence[bool], groups: Sequence[str], settings: LinearSettings) -> bool:
    """Whether there are campaigns enough of either class."""
    return all(len({g for b, g in zip(bad, groups, strict=True) if b is side}) >= settings.fewest
               for side in (True, False))  # fmt: skip


def with_score(words: Any, p: Floats, settings: LinearSettings) -> Any:
    """Return the words [n, 2^bits] with the model's scaled logit beside them, as CSR. `p` [n]: of bad mail."""
    sure = np.clip(p, 1e-6, 1 - 1e-6)
    return columns(words, (settings.score_scale * np.log(sure / (1 - sure)))[:, None])


def out_of_fold(table: Any, bad: Sequence[bool], groups: Sequence[str], settings: LinearSettings) -> Floats:
    """Return for each row [n] the probability of bad mail by a fit that has not seen its campaign.

    Raises ValueError where there are too few campaigns (`enough`).
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if not enough(bad, groups, settings):
        raise ValueError("too few campaigns of either class")
    target = np.array(bad, dtype=np.int64)
    found = np.empty(len(target))
    folds = min(settings.folds, settings.fewest)
    parts = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    for learn, judge in parts.split(np.zeros(len(target)), target, groups):
        names = [groups[n] for n in learn]
        found[judge] = fitted(table[learn], target[learn], names, settings).predict_proba(table[judge])[:, 1]
    return found


def predicted(
    table: Any, bad: Sequence[bool], groups: Sequence[str], others: Any, settings: LinearSettings
) -> Floats:
    """Fit on all rows of `table` and return the probability of bad mail of each row of `others`."""
    found: Floats = fitted(table, np.array(bad, dtype=np.int64), groups, settings).predict_proba(others)[:, 1]
    return found


def fitted(table: Any, target: NDArray[np.int64], groups: Sequence[str], settings: LinearSettings) -> Any:
    """Return the fitted regression; both classes weigh the same, and a campaign one vote within its class."""
    from sklearn.linear_model import LogisticRegression

    sizes = Counter(zip(groups, target, strict=True))
    weight = [1.0 / sizes[key] for key in zip(groups, target, strict=True)]
    regression = LogisticRegression(C=settings.c, max_iter=1000, class_weight="balanced")
    return regression.fit(table, target, sample_weight=weight)
