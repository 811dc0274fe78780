"""The linear end of the text side: from what a message says to four logits.

It is a file of its own in a bundle, so that a site can fit it again without torch: it adds a product with the
encoder's mean and a sum over hashed words, each with a weight for bad against ham and one for each kind.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.labels import BAD
from model.lexical import Words

HEAD = "text_head.npz"
SITE_HEAD = "site_head.npz"
"""What a site's own verdicts add to the head, in a bundle that was trained from them."""
OUTPUTS = 1 + len(BAD)
"""Bad against ham, then one logit a kind."""
STEPS = 127
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextInput:
    """What the text side reads of a message.

    `vector`: float32[width], mean over its windows of the encoder's unit vectors; `words`: its hashed words;
    `windows`: how many windows were read. Of a text so long that most of it may be there to dilute the rest,
    `opening` is what it begins with, and `vouches` (0 to 1) how much counts of what it says for itself.
    """

    vector: Floats
    words: Words
    windows: int
    opening: "TextInput | None" = None
    vouches: float = 1.0


@dataclass(frozen=True, slots=True)
class TextHead:
    """Weights of the text side.

    `weights` float32[4, width] and `bias` float32[4] for the encoder's mean; `table` int8[2^bits, 4] for hashed
    words, in units of `steps` float32[4].
    """

    weights: Floats
    bias: Floats
    table: NDArray[np.int8]
    steps: Floats

    def __post_init__(self) -> None:
        rows = len(self.table)
        shapes = (self.weights.shape[:1], self.bias.shape, self.table.shape[1:], self.steps.shape)
        if self.weights.ndim != 2 or any(shape != (OUTPUTS,) for shape in shapes):
            raise ValueError(f"a head needs {OUTPUTS} outputs, found {', '.join(map(str, shapes))}")
        if rows < 2 or rows & (rows - 1):
            raise ValueError(f"the table of words has {rows} rows, expected a power of two")
        if not all(np.isfinite(part).all() for part in (self.weights, self.bias, self.steps)):
            raise ValueError("a weight is not finite")

    @classmethod
    def of(cls, weights: NDArray[np.float64], bias: NDArray[np.float64], table: NDArray[np.float64]) -> Self:
        """Make a head of plain numbers; `table` [2^bits, 4] is rounded to 8 bits an output."""
        steps = np.maximum(np.abs(table).max(axis=0), 1e-9) / STEPS
        return cls(weights.astype(np.float32), bias.astype(np.float32),
                   np.round(table / steps).astype(np.int8), steps.astype(np.float32))

    @property
    def bits(self) -> int:
        """How many bits of a hash choose a word's bucket."""
        return len(self.table).bit_length() - 1

    def logits(self, given: TextInput) -> Floats:
        """Return float32[4]: bad against ham, and the three kinds.

        A long text is as bad as its opening, at the least, and vouches for itself the less the more goes unread.
        """
        out = self._logits(given)
        if given.opening is not None:
            out[0] = max(out[0], self._logits(given.opening)[0])
            out[0] *= given.vouches if out[0] < 0 else 1.0
        return out

    def _logits(self, given: TextInput) -> Floats:
        said = given.words.values @ self.table[given.words.buckets]
        with np.errstate(all="ignore"):  # what is not finite is found by who scores
            out: Floats = (self.weights @ given.vector + self.bias + said * self.steps).astype(np.float32)
        return out

    def save(self, path: Path) -> None:
        """Write the head; the same weights give the same bytes. Raises OSError."""
        np.savez_compressed(path, weights=self.weights, bias=self.bias, table=self.table, steps=self.steps)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a head. Raises OSError, KeyError or ValueError where the file is none."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["weights"], stored["bias"], stored["table"], stored["steps"])
