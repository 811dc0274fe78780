"""The text side of a site's fit, in as many columns as there are messages.

Words and vectors have a quarter of a million columns and a ridge; the weights that a ridge finds are sums of rows
(representer theorem; Kimeldorf and Wahba 1970), so a few thousand messages need a few thousand numbers. The result
is the same, and takes seconds in place of minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DENSE = 6_000
"""Messages above which the columns stay as they are: a square of so many takes 0.3 GB."""
_RIDGE = 1e-6  # equal messages make the square singular


@dataclass(frozen=True, slots=True)
class TextSide:
    """`columns` [n, k], whose weights have a ridge of 1; `weights` turns those into the vector's and the words'."""

    columns: Any
    weights: Callable[[Floats], tuple[Floats, Floats]]


def text_side(vectors: Floats, words: Any, vector_pull: float, word_pull: float) -> TextSide:
    """Return the columns of messages. `vectors` [n, width]; `words` CSR [n, 2^bits]; pulls are the ridges of each."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.sparse import csr_matrix, hstack

    by_vector, by_word = 1 / np.sqrt(vector_pull), 1 / np.sqrt(word_pull)
    plain = hstack([csr_matrix(vectors * by_vector), words * by_word]).tocsr()
    width = vectors.shape[1]

    def apart(found: Floats) -> tuple[Floats, Floats]:
        return found[:width] * by_vector, found[width:] * by_word

    if len(vectors) > DENSE:
        return TextSide(plain, apart)
    square = np.asarray((plain @ plain.T).toarray())
    square[np.diag_indices_from(square)] += _RIDGE
    root = cholesky(square, lower=True, overwrite_a=True)

    def through(found: Floats) -> tuple[Floats, Floats]:
        return apart(plain.T @ solve_triangular(root, found, lower=True, trans="T"))

    return TextSide(root, through)
