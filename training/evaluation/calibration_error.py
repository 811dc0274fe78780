"""Expected calibration error with adaptive bins, at a stated share of bad mail.

A probability only means something for a share of bad mail (prior): probabilities are moved to the prior asked for by
the odds (Saerens et al. 2002), and messages weigh so that the sample has that very share. Bins hold equal weight
(Nguyen and O'Connor 2015), since nearly all scores lie near 0 or 1.
"""

from dataclasses import dataclass

import numpy as np

from training.evaluation.figures import Floats, Ints

BINS = 15
"""Most bins; with little mail fewer, so that each holds `PER_BIN` messages."""
PER_BIN = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """Mean probability told, share of bad mail found, share of the weight, messages."""

    told: float
    found: float
    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins in order of probability, the expected calibration error over them, and the prior it holds for."""

    bins: tuple[Bin, ...]
    error: float
    prior: float

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "expected_calibration_error": None if np.isnan(self.error) else round(self.error, 4),
            "prior": self.prior,
            "bins": [
                {"told": round(b.told, 4), "found": round(b.found, 4), "share": round(b.share, 4), "n": b.n}
                for b in self.bins
            ],
        }


def moved(p: Floats, assumed: float, prior: float) -> Floats:
    """Return probabilities that assumed one share of bad mail as they are under another."""
    odds = prior / (1 - prior) * (1 - assumed) / assumed
    result: Floats = p * odds / (p * odds + (1 - p))
    return result


def at_prior(bad: Ints, prior: float, weight: Floats | None = None) -> Floats:
    """Weights, summing to 1, that make `prior` the share of bad mail. Both classes must be there."""
    own = (np.ones(len(bad)) if weight is None else weight).astype(np.float64)
    out = np.empty(len(bad))
    for side, part in ((1, prior), (0, 1 - prior)):
        at = bad == side
        out[at] = own[at] / own[at].sum() * part
    return out


def reliability(
    p: Floats, bad: Ints, *, prior: float, assumed: float = 0.5, weight: Floats | None = None
) -> Reliability:
    """Measure `p` (told at the prior `assumed`) at `prior`. NaN error, and no bins, without both classes."""
    if not len(bad) or bad.all() or not bad.any():
        return Reliability((), float("nan"), prior)
    told, share = moved(p, assumed, prior), at_prior(bad, prior, weight)
    count = max(1, min(BINS, len(bad) // PER_BIN))
    # equal scores stay together: which of them comes first says nothing
    _, level = np.unique(told, return_inverse=True)
    of_level = np.bincount(level, share)
    middle = np.cumsum(of_level) - of_level / 2
    place = np.minimum((middle * count).astype(np.int64), count - 1)[level]
    bins = []
    for at in range(count):
        inside = place == at
        total = float(share[inside].sum())
        if total:
            bins.append(
                Bin(
                    float((told[inside] * share[inside]).sum() / total),
                    float((bad[inside] * share[inside]).sum() / total),
                    total,
                    int(inside.sum()),
                )
            )
    return Reliability(tuple(bins), float(sum(b.share * abs(b.told - b.found) for b in bins)), prior)
