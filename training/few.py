"""A filter from a few dozen verdicts on mail of a new place, where the shipped model is a stranger.

One small ridge over four things: what a model trained elsewhere thinks, the facts, the encoder's meaning and the
words. With 32 examples the first two decide, with 256 the last; the scales say how readily each is believed. Measured
by tests/bench/few_shot.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.facts import Facts
from model.head import TextInput
from training.head import columns, fact_table, word_table

FEW = 32
"""Examples up to which words are believed least."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scales:
    """How readily each part is believed: a factor on its columns before a ridge of strength 1/`c`.

    Words are believed the more readily the more examples there are: at 32 their scale is `words`, then it grows with
    the root of the number, up to `most_words`. Mean F1 at 32 examples of spamassassin / enron_spam over six draws:
    words at 1 .91 / .92, at 3 .87 / .92; without opinion and facts .65 / .93; the words alone .17 / .65. Weighted F1
    at 1,000 of enron_spam without an opinion: .978 at 3, .984 at 6; the vectors alone .960.
    """

    vector: float = 3.0
    words: float = 1.0
    most_words: float = 6.0
    opinion: float = 0.3
    facts: float = 0.5
    c: float = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Messages as the filter sees them: text, facts, and the logits [n] of a model that was trained elsewhere.

    Without such a model `opinion` is all zeros.
    """

    texts: Sequence[TextInput]
    facts: Sequence[Facts]
    opinion: Floats

    def at(self, places: Sequence[int] | NDArray[np.int64]) -> "Seen":
        """Return the messages at these places."""
        return Seen([self.texts[i] for i in places], [self.facts[i] for i in places],
                    self.opinion[np.asarray(places, dtype=np.int64)])  # fmt: skip


class FewShot:
    """The fitted filter."""

    def __init__(self, seen: Seen, bad: NDArray[np.bool_], bits: int, scales: Scales | None = None) -> None:
        """Fit on labelled messages; both classes weigh the same. Raises ValueError where one is empty."""
        from sklearn.linear_model import LogisticRegression

        if bad.all() or not bad.any():
            raise ValueError(f"all {len(bad)} messages are {'bad' if bad.all() else 'ham'}; label one of the other")
        self._bits = bits
        given = scales or Scales()
        grown = given.words * max(1.0, (len(bad) / FEW) ** 0.5)
        self._scales = replace(given, words=max(given.words, min(given.most_words, grown)))
        fitted = LogisticRegression(C=self._scales.c, max_iter=1000, class_weight="balanced")
        self._model: Any = fitted.fit(self._columns(seen), bad)

    def _columns(self, seen: Seen) -> Any:
        s = self._scales
        vectors = np.stack([given.vector for given in seen.texts]) * s.vector
        return columns(vectors, word_table(seen.texts, self._bits) * s.words, seen.opinion[:, None] * s.opinion,
                       fact_table(seen.facts) * s.facts)  # fmt: skip

    def logits(self, seen: Seen) -> Floats:
        """Return log odds of bad [n] at even classes."""
        return np.asarray(self._model.decision_function(self._columns(seen)), dtype=np.float64)
