"""The reviewed messages most like a message, by the cosine of their hashed words. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BLOCK = 256


def cosines(rows: Any, others: Any) -> Floats:
    """Return the cosines [n, m] of rows of length 1 (CSR, as `model.lexical.words` gives them); empty rows have 0."""
    return np.asarray((rows @ others.T).toarray(), dtype=np.float64)


def nearest(rows: Any, others: Any, most: int) -> list[list[tuple[int, float]]]:
    """Return for each of `rows` at most `most` positions in `others` with cosines above 0, the nearest first."""
    found: list[list[tuple[int, float]]] = []
    for start in range(0, rows.shape[0], _BLOCK):
        for line in cosines(rows[start : start + _BLOCK], others):
            order = np.argsort(-line, kind="stable")[:most]
            found.append([(int(at), float(line[at])) for at in order if line[at] > 0])
    return found
