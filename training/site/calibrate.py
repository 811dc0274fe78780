"""What a probability means at a site: its own share of bad mail, and how far to believe the score there. Pure.

A logit is a log likelihood ratio plus the log odds of a prior. Prior, scale and shift follow a site's first verdicts,
long before these could move a weight; routes do not, since thresholds move along.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration, log_odds
from training.site.settings import SiteSettings

Floats = NDArray[np.float64]

_LEAST_SCALE = 0.05
"""A score that falls with badness would be a broken model, whatever a few verdicts say."""


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """What a site's verdicts say: its share of bad mail, and how its likelihood ratios differ from the shipped ones.

    ratio = `scale` × shipped ratio + `shift`. `evidence` is the number of equally weighed verdicts that the sample is
    worth (Kish's effective sample size).
    """

    prior: float
    scale: float
    shift: float
    evidence: float

    def logits(self, shipped: Floats, prior: float) -> Floats:
        """Return what logits of the shipped calibration, which assumes `prior`, are at this site."""
        moved: Floats = self.scale * (shipped - log_odds(prior)) + self.shift + log_odds(self.prior)
        return moved

    def of(self, shipped: Calibration) -> Calibration:
        """Return the shipped calibration as it is at this site."""
        ratio = shipped.intercept - log_odds(shipped.prior)
        return replace(
            shipped,
            slope=self.scale * shipped.slope,
            intercept=self.scale * ratio + self.shift + log_odds(self.prior),
            per_log2_window=self.scale * shipped.per_log2_window,
            prior=self.prior,
        )


def as_it_was(shipped: Calibration) -> SiteCalibration:
    """Return what changes nothing."""
    return SiteCalibration(shipped.prior, 1.0, 0.0, 0.0)


def at_site(shipped: Calibration, logits: Floats, bad: NDArray[np.bool_], weight: Floats,
            settings: SiteSettings) -> SiteCalibration:  # fmt: skip
    """Re-estimate prior, scale and shift from a site's verdicts, shrunk to the shipped values.

    `logits`: the shipped model's calibrated logits [n]; `weight`: 1/p of the sampling that brought each verdict in,
    so that together they stand for all of the site's mail. Scale and shift have normal priors around 1 and 0
    (`settings.told_scale`, `settings.told_shift`: standard deviations); the share of bad mail one of a verdict each.
    Without verdicts everything stays as shipped. Raises ValueError for weights that are not positive.
    """
    if not len(logits):
        return as_it_was(shipped)
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError("a verdict's weight is one over the chance that it was sampled: a positive number")
    evidence = float(weight.sum() ** 2 / (weight**2).sum())
    share = weight * evidence / weight.sum()
    prior = float((share[bad].sum() + 1) / (evidence + 2))
    ratio = logits - log_odds(shipped.prior)
    theta = np.array([1.0, 0.0])
    pull = np.array([1 / settings.told_scale**2, 1 / settings.told_shift**2])
    columns = np.stack([ratio, np.ones_like(ratio)], axis=1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta + log_odds(prior), -30, 30)))
        gradient = columns.T @ (share * (p - bad)) + pull * (theta - [1.0, 0.0])
        hessian = (columns * (share * p * (1 - p))[:, None]).T @ columns + np.diag(pull)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 0.5 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return SiteCalibration(prior, max(_LEAST_SCALE, float(theta[0])), float(theta[1]), evidence)
