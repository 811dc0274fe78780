"""Where the new model keeps mail: as much legitimate mail as the old one did, on the very same messages.

A few hundred verdicts hold a few dozen legitimate messages, too few to find a threshold for a budget of some
thousandths: the one or two at its edge would decide, and one wrong verdict moves them. So a message counts by how far
it is from the threshold, not by the side on which it falls. All legitimate mail then has its say, little by little,
and what both models keep surely, such as bad mail that was called legitimate, counts alike for both and moves
nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_REACH = 60.0
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Matched:
    """A threshold in logits, and the share of legitimate mail (by weight) that is kept there and was kept before."""

    logit: float
    share: float
    before: float


def matched(old: Floats, new: Floats, weight: Floats, threshold: float, *, soft: float, scale: float) -> Matched:
    """Return the threshold for `new` that keeps as much legitimate mail as `old` does at `threshold`.

    `old` and `new`: logits of the same legitimate messages [n], `new` by models that did not see them (cross-fitted).
    A message is kept by degrees, as a sigmoid of its distance in units of `soft` logits of the old model; `scale` is
    by how much the new one's are wider. Raises ValueError without any message.
    """
    if not len(old):
        raise ValueError("no legitimate message to set a threshold on")
    wanted = _kept(old, weight, threshold, soft)
    low, high = float(new.min()) - _REACH, float(new.max()) + _REACH
    for _ in range(_STEPS):  # what is kept falls steadily with the threshold
        middle = (low + high) / 2
        low, high = (middle, high) if _kept(new, weight, middle, soft * scale) > wanted else (low, middle)
    total = float(weight.sum())
    return Matched(high, float(weight[new >= high].sum()) / total, float(weight[old >= threshold].sum()) / total)


def _kept(logits: Floats, weight: Floats, threshold: float, soft: float) -> float:
    return float(weight @ (1 / (1 + np.exp(np.clip((threshold - logits) / soft, -_REACH, _REACH)))))
