"""From verdicts and replayed mail to what moves: weights, and thresholds on scores that no fit has seen. Pure.

A verdict weighs one vote of its campaign; a sampled one stands for more, up to a limit; and what one account reported
never outweighs all else.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle import FactWeight, Thresholds, log_odds
from training.settings import SiteSettings
from training.site.features import Features
from training.site.fit import Block, Moved, fit
from training.site.threshold import Matched, matched

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What moved, the thresholds in logits, and how much legitimate mail they rest on."""

    moved: Moved
    hold: Matched
    quarantine: Matched
    legitimate: int


def vote_weights(weight: Sequence[float], by: Sequence[str], heaviest: float, most: float) -> Floats:
    """Return the weight of each verdict: cut at `heaviest`, then one reporter's sum at `most` of the sum of all.

    `by` is the account that reported a message, empty where no report brought it: reviewers are not cut.
    """
    out = np.minimum(np.array(weight, dtype=np.float64), heaviest)
    people = np.array(by)
    limit = most * float(out.sum())
    for person in sorted(set(by) - {""}):
        mine = people == person
        total = float(out[mine].sum())
        if total > limit:
            out[mine] *= limit / total
    return out


def learn(
    given: Features, weight: Floats, stands_for: Floats, groups: Sequence[str], verdicts: int,
    weights: Sequence[FactWeight], thresholds: Thresholds, slope: float, settings: SiteSettings,
) -> Learnt:  # fmt: skip
    """Fit on all rows, and set thresholds on cross-fitted scores of the legitimate ones.

    `weight` [n] in the fit, `stands_for` [n] where shares are counted; `verdicts`: how many campaigns of the rows
    are this site's; `weights` of the facts of `given.names`, and `slope`, are those of the model in place.
    """
    patience = max(1.0, settings.patience / max(1, verdicts))
    strength = slope * np.array([w.weight for w in weights])

    def fitted(rows: NDArray[np.bool_]) -> Moved:
        low, high = np.where(strength > 0, -strength, -np.inf), np.where(strength < 0, -strength, np.inf)
        facts = Block(given.facts[rows], settings.fact_pull * patience, low, high)
        blocks = (facts, Block(given.vectors[rows], settings.vector_pull * patience),
                  Block(given.words[np.flatnonzero(rows)], settings.word_pull * patience))  # fmt: skip
        return fit(given.offset[rows], blocks, given.bad[rows], weight[rows],
                   scale_pull=settings.scale_pull, intercept_pull=settings.intercept_pull)  # fmt: skip

    fold = np.array([zlib.crc32(g.encode("utf-8", "surrogateescape")) % settings.folds for g in groups])
    unseen = np.empty(len(given.offset))
    for part in range(settings.folds):
        out = fold == part
        if out.any():
            moved = fitted(~out)
            columns = (given.facts[out], given.vectors[out], given.words[np.flatnonzero(out)])
            unseen[out] = capped(moved, given.offset[out], columns, settings.cap)
    ham = ~given.bad
    hold, quarantine = (
        matched(given.offset[ham], unseen[ham], stands_for[ham], log_odds(at), least=least)
        for at, least in ((thresholds.kept, settings.least), (thresholds.quarantine, settings.least / 4))
    )
    return Learnt(fitted(np.ones(len(ham), dtype=np.bool_)), hold, quarantine, int(ham.sum()))


def capped(moved: Moved, offset: Floats, columns: tuple[Floats, Floats, Floats], cap: float) -> Floats:
    """Return logits as serving computes them: what text adds is capped."""
    by_fact, by_vector, by_word = (c @ w for c, w in zip(columns, moved.weights, strict=True))
    out: Floats = moved.scale * offset + moved.intercept + by_fact + np.clip(by_vector + by_word, -cap, cap)
    return out
