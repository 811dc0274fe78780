"""What verdicts may change: a penalised step away from the model in place, never a new model.

The shipped score is the offset of a logistic regression. Prior and scale move first, since they cost the least;
weights of facts and words leave what they were only where verdicts insist, each block with a pull of its own. With no
verdicts the result is the model in place, exactly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 200


@dataclass(frozen=True, slots=True)
class Block:
    """Columns that share a pull: a matrix [n, k] (dense, or scipy's CSR) and the strength of its ridge.

    `low` and `high` bound the weights [k], where reason fixes a sign.
    """

    columns: Any
    pull: float
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What the fit changed: logit = scale × offset + intercept + Σ columns · weights."""

    scale: float
    intercept: float
    weights: tuple[Floats, ...]

    def logits(self, offset: Floats, blocks: tuple[Any, ...]) -> Floats:
        """Return logits [n] of messages with these offsets [n] and block columns."""
        total = self.scale * offset + self.intercept
        for columns, weights in zip(blocks, self.weights, strict=True):
            total = total + columns @ weights
        return np.asarray(total, dtype=np.float64)


def fit(
    offset: Floats,
    blocks: tuple[Block, ...],
    bad: NDArray[np.bool_],
    weight: Floats,
    *,
    scale_pull: float,
    intercept_pull: float,
) -> Moved:
    """Fit by L-BFGS. `offset`: logits of the model in place [n]; `weight`: of each message [n].

    Raises ValueError where there is no message at all.
    """
    from scipy.optimize import minimize
    from scipy.sparse import csr_matrix, hstack

    if not len(offset):
        raise ValueError("no message to fit on")
    whole = hstack([csr_matrix(b.columns) for b in blocks]).tocsr() if blocks else csr_matrix((len(offset), 0))
    whole.eliminate_zeros()
    used = np.flatnonzero(whole.getnnz(axis=0))  # the others stay at 0, which is where their pull wants them
    table = whole[:, used]
    pull = np.concatenate([np.full(b.columns.shape[1], b.pull) for b in blocks] or [np.empty(0)])[used]
    target = np.where(bad, 1.0, -1.0)

    def loss(theta: Floats) -> tuple[float, Floats]:
        scale, intercept, weights = theta[0], theta[1], theta[2:]
        margin = target * (scale * offset + intercept + table @ weights)
        slope = -target * weight * _sigmoid(-margin)
        value = float((weight * np.logaddexp(0, -margin)).sum())
        value += (float(pull @ weights**2) + scale_pull * (scale - 1) ** 2 + intercept_pull * intercept**2) / 2
        gradient = np.concatenate(
            (
                [float(slope @ offset) + scale_pull * (scale - 1), float(slope.sum()) + intercept_pull * intercept],
                table.T @ slope + pull * weights,
            )
        )
        return value, gradient

    start = np.zeros(2 + table.shape[1])
    start[0] = 1.0
    limits = [limit for block in blocks for limit in _bounds(block)]
    bounds = [(0.1, 10.0), (-10.0, 10.0), *(limits[at] for at in used)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x
    ends = np.cumsum([b.columns.shape[1] for b in blocks])[:-1]
    weights = np.zeros(whole.shape[1])
    weights[used] = found[2:]
    return Moved(float(found[0]), float(found[1]), tuple(np.split(weights, ends)) if blocks else ())


def _table(blocks: tuple[Block, ...], rows: int) -> Any:
    """Join the blocks, dense if all of them are."""
    from scipy.sparse import csr_matrix, hstack, issparse

    if any(issparse(b.columns) for b in blocks):
        return hstack([csr_matrix(b.columns) for b in blocks]).tocsr()
    return np.hstack([np.empty((rows, 0)), *(b.columns for b in blocks)])


def _bounds(block: Block) -> list[tuple[float | None, float | None]]:
    width = block.columns.shape[1]
    low = [None] * width if block.low is None else [float(x) for x in block.low]
    high = [None] * width if block.high is None else [float(x) for x in block.high]
    return list(zip(low, high, strict=True))


def _sigmoid(x: Floats) -> Floats:
    out: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -60, 60)))
    return out
