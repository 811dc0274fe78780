"""Where the new model keeps mail: as much legitimate mail as the old one did, on the very same messages.

A few hundred verdicts hold a few dozen legitimate messages, too few to find a threshold for a budget of some
thousandths. What they and the replayed legitimate mail can tell is what the old threshold kept of them; the new one
is set to keep no more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matched:
    """A threshold in logits, and the share of legitimate mail (by weight) that is kept there and was kept before."""

    logit: float
    share: float
    before: float


def matched(old: Floats, new: Floats, weight: Floats, threshold: float, *, least: float) -> Matched:
    """Return the lowest threshold for `new` that keeps no more legitimate mail than `old` does at `threshold`.

    `old` and `new`: logits of the same legitimate messages [n], `new` by models that did not see them (cross-fitted).
    `least`: share that is allowed even if the old model kept none of this mail: none of few proves little. Raises
    ValueError without any message.
    """
    if not len(old):
        raise ValueError("no legitimate message to set a threshold on")
    total = float(weight.sum())
    before = float(weight[old >= threshold].sum()) / total
    order = np.argsort(-new, kind="stable")
    over = np.cumsum(weight[order]) / total
    first = int(np.searchsorted(over, max(before, least) + 1e-12, side="right"))
    if first >= len(order):
        return Matched(float(new.min()), 1.0, before)
    logit = float(np.nextafter(new[order[first]], np.inf))
    return Matched(logit, float(weight[new >= logit].sum()) / total, before)
