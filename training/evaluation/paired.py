"""Two models on the same messages: what one keeps that the other does not, and whether it is no worse.

Pairing takes out what both find hard. Intervals are by bootstrap over senders (Efron and Tibshirani 1993), the
test of the changed verdicts is McNemar's in its exact form (1947), once over messages and once over senders.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.certificate import lower_bound, upper_bound
from training.evaluation.figures import NOTHING, Figure, Flags, Floats, Ints, Ranking, bootstrap, numbered

RESAMPLES = 2_000
FEW = 10
"""Fewer senders with changed verdicts, and a bootstrap hardly sees the change: exact bounds are used."""


@dataclass(frozen=True, slots=True)
class Change:
    """Kept share of one side of the mail: candidate − current, in shares of 1, with what changed.

    `gained` and `lost` are messages that only the candidate, only the current model keeps. `p_messages` and
    `p_senders` are McNemar's two-sided p; over senders, one counts by the sign of its own net change.
    """

    difference: Figure
    gained: int
    lost: int
    p_messages: float
    p_senders: float

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "difference": self.difference.to_json(),
            "only_candidate_keeps": self.gained,
            "only_current_keeps": self.lost,
            "mcnemar_p": round(self.p_messages, 5),
            "mcnemar_p_by_sender": round(self.p_senders, 5),
        }


@dataclass(frozen=True, slots=True)
class Paired:
    """A candidate against the current model on the same mail: bad mail caught, legitimate mail kept back."""

    caught: Change
    false_positives: Change

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {"caught": self.caught.to_json(), "false_positives": self.false_positives.to_json()}


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a candidate is shown to be no worse than the margins allow; `reasons` says why not."""

    holds: bool
    reasons: tuple[str, ...]


def compare(
    bad: Ints,
    candidate: Flags,
    current: Flags,
    senders: Sequence[str],
    weight: Floats | None = None,
    *,
    seed: int = 0,
) -> Paired:
    """Compare what two models keep of the same messages (bool arrays, one element a message)."""
    own = np.ones(len(bad)) if weight is None else weight
    who = np.asarray(senders, dtype=np.str_)
    sides = []
    for side in (1, 0):
        at = bad == side
        sides.append(_change(candidate[at], current[at], who[at].tolist(), own[at], seed))
    return Paired(*sides)


def _change(candidate: Flags, current: Flags, senders: Sequence[str], weight: Floats, seed: int) -> Change:
    if not len(candidate):
        return Change(NOTHING, 0, 0, 1.0, 1.0)
    index, count = numbered(senders)
    step = candidate.astype(np.float64) - current.astype(np.float64)
    net, total = np.bincount(index, weight * step, count), np.bincount(index, weight, count)
    up, down = int((net > 0).sum()), int((net < 0).sum())
    value = float(net.sum() / total.sum())
    if up + down < FEW:
        low = lower_bound(up, count, 0.975) - upper_bound(down, count, 0.975)
        high = upper_bound(up, count, 0.975) - lower_bound(down, count, 0.975)
        low, high = min(low, value), max(high, value)
    else:
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        low, high = np.quantile((drawn @ net) / (drawn @ total), [0.025, 0.975])
    gained, lost = int((step > 0).sum()), int((step < 0).sum())
    return Change(
        Figure(value, float(low), float(high), len(candidate), count),
        gained,
        lost,
        mcnemar(gained, lost),
        mcnemar(up, down),
    )


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p of McNemar's test: `one` and `other` pairs changed this way and that."""
    n = one + other
    if n == 0:
        return 1.0
    log_half = n * math.log(0.5)
    tail = math.fsum(
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + log_half)
        for k in range(min(one, other) + 1)
    )
    return min(1.0, 2 * tail)


def auc_difference(bad: Ints, candidate: Floats, current: Floats, senders: Sequence[str],
                   weight: Floats | None = None) -> Figure:  # fmt: skip
    """AUC of the candidate's scores less that of the current ones, with a paired bootstrap by sender."""
    one, other = Ranking.of(bad, candidate), Ranking.of(bad, current)
    return bootstrap(lambda w: one.auc(w) - other.auc(w), senders, weight)


def non_inferior(found: Paired, *, caught_margin: float, false_positive_margin: float) -> NonInferiority:
    """Tell whether the candidate catches at most `caught_margin` less and keeps back at most the other margin more.

    Both bounds of the 95 % intervals must be within: each is then wrong in one of forty samples. Where one side has
    no mail, nothing is shown.
    """
    reasons = []
    caught, kept = found.caught.difference, found.false_positives.difference
    if not caught.known:
        reasons.append("no bad mail to compare on")
    elif not caught.low > -caught_margin:
        reasons.append(
            f"bad mail caught may fall by {-caught.low:.2%} (95 % bound, n={caught.n}, {caught.senders} senders); "
            f"at most {caught_margin:.2%} is allowed"
        )
    if not kept.known:
        reasons.append("no legitimate mail to compare on")
    elif not kept.high < false_positive_margin:
        reasons.append(
            f"legitimate mail kept back may rise by {kept.high:.2%} (95 % bound, n={kept.n}, {kept.senders} "
            f"senders); at most {false_positive_margin:.2%} is allowed"
        )
    return NonInferiority(not reasons, tuple(reasons))
