"""What a model was trained on, as fingerprints of the texts, so that no set can hold it under another name.

A bundle carries one row of 64 bytes a training or calibration message: the lowest byte of each of 64 MinHash values
of its word shingles (b-bit minwise hashing, Li and König 2010). A copy is told at an estimated Jaccard index of .75:
equal texts always, of true indexes of .8 seven in eight; a stranger (index .4) one time in a hundred million. No text
can be read out of it, but whoever holds a message can tell whether it, or one nearly like it, was among them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle import BundleError
from training.dedup import shingles

FILE = "trained.npy"
"""Name of the file within a bundle."""
HASHES = 64
ENOUGH = 48
"""Equal bytes of 64 from which two texts are near-duplicates."""
_PRIME = np.uint64((1 << 31) - 1)

Signatures = NDArray[np.uint8]


def signatures(texts: Iterable[str]) -> Signatures:
    """Return uint8 [messages with any text, HASHES]."""
    rows = [row for text in texts if (row := _signature(text)) is not None]
    return np.array(rows, dtype=np.uint8).reshape(-1, HASHES)


def _signature(text: str) -> Signatures | None:
    found = shingles(text)
    if not len(found):
        return None
    values = (found.astype(np.uint64) % _PRIME)[None, :]
    minima = ((_A[:, None] * values + _B[:, None]) % _PRIME).min(axis=1)
    result: Signatures = (minima & np.uint64(0xFF)).astype(np.uint8)
    return result


def _permutations() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    draw = np.random.default_rng(64)  # part of the format: another seed would find nothing
    return (
        draw.integers(1, int(_PRIME), HASHES, dtype=np.uint64),
        draw.integers(0, int(_PRIME), HASHES, dtype=np.uint64),
    )


_A, _B = _permutations()


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """Fingerprints of the mail that made a model: uint8 [n, HASHES]."""

    rows: Signatures

    @classmethod
    def open(cls, bundle: Path) -> "TrainedOn | None":
        """Read a bundle's fingerprints; None where it carries none. Raises BundleError if they are damaged."""
        path = bundle / FILE
        if not path.exists():
            return None
        try:
            rows = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BundleError(f"{path}: {error}: restore the bundle from its source") from error
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != HASHES:
            raise BundleError(
                f"{path}: expected uint8 [n, {HASHES}], found {rows.dtype} {list(rows.shape)}: "
                "restore the bundle from its source"
            )
        return cls(rows)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TrainedOn":
        """Fingerprint training texts."""
        return cls(signatures(texts))

    def write(self, bundle: Path) -> None:
        """Write the fingerprints into a bundle's folder, in an order that says nothing of the training's."""
        order = np.lexsort(self.rows.T[::-1])
        np.save(bundle / FILE, self.rows[order], allow_pickle=False)

    def near(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for each text whether it is a near-duplicate of any that trained. Empty texts never are."""
        out = np.zeros(len(texts), dtype=np.bool_)
        for at, text in enumerate(texts):
            own = _signature(text)
            if own is not None and len(self.rows):
                out[at] = bool(((self.rows == own).sum(axis=1) >= ENOUGH).any())
        return out
