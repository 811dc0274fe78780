"""How much a person's verdict on a message is worth, as a sum of four parts, each from 0 to 1. Pure.

Uncertainty is that of Lewis and Gale 1994 as entropy; disagreement is query by committee (Seung et al. 1992) of two
members; novelty keeps both from asking about one campaign for ever.
"""

import math
from dataclasses import dataclass

from training.triage.settings import ValueSettings


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a message nobody has judged. Probabilities are of bad mail.

    `model`: the calibrated score. `words`: of the linear layer, None while too few labels teach it. `nearest`: the
    greatest cosine with a reviewed message, 0 without one. `draft`: whether a draft says bad, None without a draft;
    `confidence` is the draft's own, from 0 to 1.
    """

    model: float
    words: float | None
    nearest: float
    draft: bool | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Worth:
    """The parts, each in [0, 1], and their weighted sum."""

    uncertainty: float
    disagreement: float
    novelty: float
    draft: float
    total: float

    @property
    def why(self) -> str:
        """Say in a few words what makes it worth asking, the greatest first."""
        named = {
            "the model is unsure": self.uncertainty,
            "words and model disagree": self.disagreement,
            "unlike what was reviewed": self.novelty,
            "the draft contradicts the model": self.draft,
        }
        told = [f"{name} ({part:.0%})" for name, part in sorted(named.items(), key=lambda n: -n[1]) if part >= 0.3]
        return ", ".join(told) or "nothing stands out"


def worth(signs: Signs, weights: ValueSettings) -> Worth:
    """Return what a verdict is worth. Parts that cannot be told are 0."""
    uncertainty = entropy(signs.model)
    disagreement = 0.0 if signs.words is None else abs(signs.words - signs.model)
    novelty = 1.0 - min(max(signs.nearest, 0.0), 1.0)
    draft = 0.0 if signs.draft is None else signs.confidence * abs(float(signs.draft) - signs.model)
    total = (
        weights.uncertainty * uncertainty
        + weights.disagreement * disagreement
        + weights.novelty * novelty
        + weights.draft * draft
    )
    return Worth(uncertainty, disagreement, novelty, draft, total)


def entropy(p: float) -> float:
    """Entropy in bits of a coin that falls so with probability `p`: 1 at one half, 0 at 0 and 1."""
    if not 0 < p < 1:
        return 0.0
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)
