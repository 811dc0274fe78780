"""Which kind of bad mail it is, as this site's reviewers call it: an intercept a kind, and the vector's weights.

Both are ridges around what the model in place says, so that a few verdicts shift the kinds together and many tell
them apart. Whether mail is bad at all is not touched. Macro F1 of the three kinds on one collector's mail that
somebody read, after 20, 50, 100 and 200 verdicts (.63 before): .63, .66, .67 and .67 by intercepts alone, .69, .71,
.74 and .76 with the vector.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.labels import BAD
from training.site.settings import SiteSettings

Floats = NDArray[np.float64]
UNKNOWN = -1
"""In place of a kind's number, where nobody told."""
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is added to the logits of the kinds: `bias` [3], `weights` [3, width]; `told`: verdicts they rest on."""

    bias: Floats
    weights: Floats
    told: int


def fit_kinds(
    start: Floats, vectors: Floats, kinds: NDArray[np.int64], weight: Floats, temperature: float,
    settings: SiteSettings,
) -> Kinds:  # fmt: skip
    """Fit on the verdicts that tell a kind. `start` [n, 3]: logits of the model in place, divided by `temperature`
    when it serves; `vectors` [n, width]; `kinds` [n]: position in `model.labels.BAD`, or UNKNOWN.

    Nothing moves where too few tell a kind, or all the same one.
    """
    from scipy.optimize import minimize

    width = vectors.shape[1]
    rows = np.flatnonzero((kinds != UNKNOWN) & (weight > 0))
    if len(rows) < settings.kind_fewest or len(set(kinds[rows])) == 1:
        return Kinds(np.zeros(len(BAD)), np.zeros((len(BAD), width)), 0)
    target, votes = np.eye(len(BAD))[kinds[rows]], weight[rows]
    table, before = vectors[rows], start[rows] / temperature

    def loss(theta: Floats) -> tuple[float, Floats]:
        bias, weights = theta[: len(BAD)], theta[len(BAD) :].reshape(width, len(BAD))
        logits = before + bias + table @ weights
        top = logits.max(axis=1, keepdims=True)
        chance = np.exp(logits - top)
        total = chance.sum(axis=1, keepdims=True)
        wrong = (chance / total - target) * votes[:, None]
        value = float(votes @ (np.log(total) + top - (logits * target).sum(axis=1, keepdims=True))[:, 0])
        value += (settings.kind_pull * float(bias @ bias) + settings.kind_vector_pull * float((weights**2).sum())) / 2
        by_bias = wrong.sum(axis=0) + settings.kind_pull * bias
        by_weight = table.T @ wrong + settings.kind_vector_pull * weights
        return value, np.concatenate((by_bias, by_weight.ravel()))

    found = minimize(loss, np.zeros(len(BAD) * (1 + width)), jac=True, method="L-BFGS-B",
                     options={"maxiter": _STEPS}).x * temperature  # fmt: skip
    return Kinds(found[: len(BAD)], found[len(BAD) :].reshape(width, len(BAD)).T, len(rows))
