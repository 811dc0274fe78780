"""Near-duplicates across sets: what is in the measured mail must not be in the training mail.

Two messages are near-duplicates if the sets of their word shingles overlap by a Jaccard index of at least .8.
MinHash with banding finds the candidates, and the exact index of the shingle hashes decides.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE = 4
"""Words in a shingle: long enough that common phrases do not join strangers, short enough for brief mail."""
BANDS, ROWS = 32, 4
"""A pair at Jaccard .8 shares a band with probability 1 − (1 − .8⁴)³² > .9999999; at .3 with .23."""
SKETCH = 2048
"""Most shingles that a stored sketch keeps; the error of a Jaccard index of .8 by it is .009."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Thai, Lao, Burmese, Khmer, kana, Han."""
_PRIME = np.uint64((1 << 31) - 1)

Shingles = NDArray[np.uint32]


def shingles(text: str) -> Shingles:
    """Sorted hashes of the word shingles of a text; a text of fewer words is one shingle.

    Scripts that put no spaces between words give a word for each character.
    """
    words = (text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)).lower().split()
    if not words:
        return np.empty(0, dtype=np.uint32)
    count = max(1, len(words) - SHINGLE + 1)
    found = {zlib.crc32(" ".join(words[i : i + SHINGLE]).encode()) for i in range(count)}
    return np.array(sorted(found), dtype=np.uint32)


def jaccard(one: Shingles, other: Shingles) -> float:
    """Overlap of two shingle sets; two empty texts are equal."""
    if not len(one) and not len(other):
        return 1.0
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def sketch(found: Shingles) -> Shingles:
    """Return the `SKETCH` smallest of the hashes, sorted: all of a usual mail, and a fair sample of a long one."""
    return found[:SKETCH]


def overlap(one: Shingles, other: Shingles) -> float:
    """Jaccard index of two texts by their sketches (Broder 1997, bottom-k); exact while both are whole."""
    if not len(one) and not len(other):
        return 1.0
    either = np.union1d(one, other)
    if len(either) > SKETCH and SKETCH in (len(one), len(other)):
        either = either[:SKETCH]
    common = np.intersect1d(one, other, assume_unique=True)
    return int(np.isin(common, either, assume_unique=True).sum()) / len(either)


def band_keys(found: Shingles, seed: int = 0) -> list[bytes]:
    """Return the keys under which near-duplicates of a text meet; none for an empty text."""
    if not len(found):
        return []
    return [band.to_bytes(2) + minima for band, minima in _keys(_signature(found, *_permutations(seed)))]


def _signature(found: Shingles, a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """MinHash over BANDS × ROWS permutations (a·x + b mod a Mersenne prime)."""
    values = (found.astype(np.uint64) % _PRIME)[None, :]
    minima: NDArray[np.uint64] = ((a[:, None] * values + b[:, None]) % _PRIME).min(axis=1)
    return minima


@dataclass(frozen=True, slots=True)
class _Index:
    """Shingle sets of the texts to keep clear of, with their positions by band."""

    sets: list[Shingles]
    bands: dict[tuple[int, bytes], list[int]]


def _permutations(seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    draw = np.random.default_rng(seed)
    a = draw.integers(1, int(_PRIME), BANDS * ROWS, dtype=np.uint64)
    return a, draw.integers(0, int(_PRIME), BANDS * ROWS, dtype=np.uint64)


def _keys(signature: NDArray[np.uint64]) -> list[tuple[int, bytes]]:
    return [(band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]


def near_duplicates(
    texts: Sequence[str], of: Iterable[str], *, threshold: float = 0.8, seed: int = 0
) -> NDArray[np.bool_]:
    """Tell for each of `texts` whether it is a near-duplicate of any text of `of`. Empty texts never are."""
    a, b = _permutations(seed)
    index = _Index([], {})
    for text in of:
        found = shingles(text)
        if len(found):
            for key in _keys(_signature(found, a, b)):
                index.bands.setdefault(key, []).append(len(index.sets))
            index.sets.append(found)
    return np.array([_is_near(shingles(text), index, a, b, threshold) for text in texts], dtype=np.bool_)


def _is_near(found: Shingles, index: _Index, a: NDArray[np.uint64], b: NDArray[np.uint64], threshold: float) -> bool:
    if not len(found):
        return False
    candidates = {at for key in _keys(_signature(found, a, b)) for at in index.bands.get(key, ())}
    return any(jaccard(found, index.sets[at]) >= threshold for at in candidates)
