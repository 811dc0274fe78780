"""Words as hashed features: word pieces, pairs of neighbouring pieces, and letters of scripts without spaces.

An encoder of 22 million weights forgets the words for the theme; a linear layer over the words themselves does not
(hashing of features: Weinberger et al. 2009). It reads far more of a text than the encoder can (`model.encode`).
Chinese, Japanese and Korean, whose letters an English vocabulary lacks, come in as single characters and pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Buckets = NDArray[np.int64]
Values = NDArray[np.float32]
Codes = NDArray[np.uint64]

HEAD_CHARS = 4_000
TAIL_CHARS = 1_000
"""Characters at either end of a text in which letters of scripts without spaces are looked for."""
_FIRST_IDEOGRAPH = 0x2E80
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiplying by it spreads neighbouring codes (Knuth, volume 3, 6.4)."""
_PAIR = np.uint64(1 << 20)
_LETTER = np.uint64(1 << 40)
_LETTERS = np.uint64(1 << 50)


@dataclass(frozen=True, slots=True)
class Words:
    """Hashed words of a message: `buckets` int64[k], each once and ascending; `values` float32[k] of length 1."""

    buckets: Buckets
    values: Values


def words(passages: Sequence[Ids], text: str, bits: int, unknown: int, *, counted: bool = False) -> Words:
    """Hash the words of a message into 2^`bits` buckets.

    `passages`: token ids, in which neighbours make pairs; `text`: what they were cut from; `unknown`: the id of
    pieces that the vocabulary lacks, which say nothing. A value is 1 before scaling, however often a word is said;
    if `counted`, 1 + ln(count).
    """
    found = [part for ids in passages for part in _pieces(ids, unknown)]
    if not text.isascii():
        found.extend(_letters(text))
    codes = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    hashed = (codes * _SPREAD) >> np.uint64(64 - bits)
    buckets, counts = np.unique(hashed.astype(np.int64), return_counts=True)
    values = 1.0 + np.log(counts) if counted else np.ones(len(buckets))
    length = float(np.sqrt(values @ values)) or 1.0
    return Words(buckets, (values / length).astype(np.float32))


def _pieces(ids: Ids, unknown: int) -> tuple[Codes, Codes]:
    known = ids != unknown
    codes = ids.astype(np.uint64)
    pairs = (codes[:-1] * _PAIR + codes[1:]) * np.uint64(2)
    return codes[known] * np.uint64(2) + np.uint64(1), pairs[known[:-1] & known[1:]]


def _letters(text: str) -> tuple[Codes, Codes]:
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    mine = codes >= _FIRST_IDEOGRAPH
    pairs = (codes[:-1] << np.uint64(21)) + codes[1:] + _LETTERS
    return codes[mine] + _LETTER, pairs[mine[:-1] & mine[1:]]
