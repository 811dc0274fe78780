"""From verdicts and replayed mail to what moves: weights, and thresholds on scores that no fit has seen. Pure.

It is fitted twice: the first time to find verdicts that all other mail speaks against, the second time without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration, FactWeight, Thresholds, log_odds
from training.site.calibrate import SiteCalibration, as_it_was, at_site
from training.site.features import Features
from training.site.fit import Block, Moved, fit
from training.site.kinds import Kinds, fit_kinds
from training.site.settings import SiteSettings
from training.site.text import TextSide, text_side
from training.site.threshold import Matched, matched
from training.site.votes import Doubt, Votes, doubts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What moved, the thresholds in logits, how much legitimate mail they rest on, and what was left out.

    `told`: what probabilities mean here; thresholds and logits are those before that.
    """

    moved: Moved
    hold: Matched
    quarantine: Matched
    legitimate: int
    doubted: tuple[Doubt, ...]
    kinds: Kinds
    told: SiteCalibration


@dataclass(frozen=True, slots=True)
class _Fitting:
    """All that the fits of one run have in common."""

    given: Features
    text: TextSide
    votes: Votes
    strength: Floats
    patience: float
    settings: SiteSettings

    def fitted(self, rows: Flags) -> Moved:
        """Fit on some rows; the weights are those of facts and of the text's columns."""
        low = np.where(self.strength > 0, -self.strength, -np.inf)
        high = np.where(self.strength < 0, -self.strength, np.inf)
        facts = Block(self.given.facts[rows], self.settings.fact_pull * self.patience, low, high)
        text = Block(self.text.columns[np.flatnonzero(rows)], self.patience)
        return fit(
            self.given.offset[rows], (facts, text), self.given.bad[rows], self.votes.weight[rows],
            scale_pull=self.settings.scale_pull, intercept_pull=self.settings.intercept_pull,
        )  # fmt: skip

    def unseen(self, use: Flags) -> Floats:
        """Return logits of all rows [n], each by a fit on those rows of `use` that are in other parts."""
        fold = self.votes.folds(self.settings.folds)
        out = np.empty(len(fold))
        for part in np.unique(fold):
            rows = fold == part
            moved = self.fitted(use & ~rows)
            by_fact, by_text = moved.weights
            said = np.asarray(self.text.columns[np.flatnonzero(rows)] @ by_text)
            out[rows] = _joined(moved, self.given.offset[rows], self.given.facts[rows] @ by_fact, said,
                                self.settings.cap)  # fmt: skip
        return out


def learn(
    given: Features, votes: Votes, weights: Sequence[FactWeight], thresholds: Thresholds, calibration: Calibration,
    settings: SiteSettings,
) -> Learnt:  # fmt: skip
    """Fit on all rows that are believed, and set thresholds on cross-fitted scores of the legitimate ones.

    `weights` of the facts of `given.names`, `thresholds` and `calibration` are those of the model in place.
    """
    patience = max(1.0, settings.patience / max(1, votes.campaigns))
    text = text_side(given.vectors, given.words, settings.vector_pull, settings.word_pull)
    strength = calibration.slope * np.array([w.weight for w in weights])
    fitting = _Fitting(given, text, votes, strength, patience, settings)
    every = np.ones(len(given.bad), dtype=np.bool_)
    unseen = fitting.unseen(every)
    left_out = doubts(1 / (1 + np.exp(-unseen)), given.bad, votes, settings)
    believed = every.copy()
    believed[[d.at for d in left_out]] = False
    if left_out:
        unseen = fitting.unseen(believed)
    moved = fitting.fitted(believed)
    ham = ~given.bad & believed
    hold, quarantine = (
        matched(given.offset[ham], unseen[ham], votes.stands_for[ham], log_odds(at), soft=settings.soft,
                scale=moved.scale)
        for at in (thresholds.kept, thresholds.quarantine)
    )  # fmt: skip
    by_fact, by_text = moved.weights
    whole = Moved(moved.scale, moved.intercept, (by_fact, *text.weights(by_text)))
    own = believed & (np.arange(len(believed)) < votes.own)
    kinds = fit_kinds(given.kinds, given.vectors, given.kind, np.where(own, votes.weight, 0.0),
                      calibration.kind_temperature, settings)  # fmt: skip
    told = _told(calibration, unseen, given.bad, believed, votes, settings)
    return Learnt(whole, hold, quarantine, int(ham.sum()), tuple(left_out), kinds, told)


def _told(
    calibration: Calibration, unseen: Floats, bad: Flags, believed: Flags, votes: Votes, settings: SiteSettings
) -> SiteCalibration:  # fmt: skip
    """Set what probabilities mean by cross-fitted scores of mail that stands for all of this site's."""
    drawn = np.flatnonzero(believed[: votes.own] & (votes.sample > 0))
    found = at_site(calibration, unseen[drawn], bad[drawn], votes.sample[drawn], settings)
    both = bool(bad[drawn].any() and not bad[drawn].all())
    return found if both and found.evidence >= settings.told_fewest else as_it_was(calibration)


def capped(moved: Moved, offset: Floats, columns: tuple[Floats, Floats, Floats], cap: float) -> Floats:
    """Return logits as serving computes them: what text adds is capped."""
    by_fact, by_vector, by_word = (c @ w for c, w in zip(columns, moved.weights, strict=True))
    return _joined(moved, offset, by_fact, by_vector + by_word, cap)


def _joined(moved: Moved, offset: Floats, by_fact: Floats, by_text: Floats, cap: float) -> Floats:
    out: Floats = moved.scale * offset + moved.intercept + by_fact + np.clip(by_text, -cap, cap)
    return out
