"""Which mail may set the few numbers of a fusion, and how much each collection counts.

A collection is `archive` or, more exactly, `archive/source`; with its class it has a share: `modern_ham:good`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.examples import WRITTEN, Example


def of_today(examples: Iterable[Example], first_year: int) -> list[Example]:
    """Return real mail whose facts can be judged by today's lists: not written, not made up, not too old.

    Without a year it counts as of today, as `model.facts` takes it.
    """
    return [e for e in examples
            if e.archive != WRITTEN and not e.synthetic and (e.year is None or e.year >= first_year)]  # fmt: skip


def shared(pool: Sequence[Example], shares: Mapping[str, float]) -> tuple[list[Example], list[float]]:
    """Return the examples of collections that have a share, each with its part of it; the mean weight is 1.

    The most exact name counts: with `a/b:good` and `a:good`, mail of source `b` has a share of its own.
    """
    names = [_name(e, shares) for e in pool]
    counts = Counter(names)
    rows = [(e, shares[name] / counts[name]) for e, name in zip(pool, names, strict=True) if name]
    total = sum(weight for _, weight in rows) or 1.0
    return [e for e, _ in rows], [weight * len(rows) / total for _, weight in rows]


def _name(example: Example, shares: Mapping[str, float]) -> str:
    side = "bad" if example.bad else "good"
    names = (f"{example.archive}/{example.source}:{side}", f"{example.archive}:{side}")
    return next((name for name in names if name in shares), "")


def votes(examples: Sequence[Example], written: float | None = None) -> NDArray[np.float64]:
    """One vote a sender and class, spread over his messages [n]; mail that names no sender votes by its group.

    A threshold is a promise about senders: one that sends a thousand alike messages is one piece of evidence.
    Written mail, whose facts somebody declared, has at most the share `written` of the votes of its class where there
    is other mail.
    """
    names = [(e.bad, e.sender or f"{e.archive}:{e.group}") for e in examples]
    counts = Counter(names)
    given = np.array([1 / counts[name] for name in names], dtype=np.float64)
    if written is None:
        return given
    declared = np.array([e.archive == WRITTEN for e in examples], dtype=np.bool_)
    for side in (False, True):
        mine = np.array([e.bad is side for e in examples], dtype=np.bool_)
        own, other = float(given[mine & declared].sum()), float(given[mine & ~declared].sum())
        if other > 0 and own > written * (own + other):
            given[mine & declared] *= written / (1 - written) * other / own
    return given
