"""What the site's fit sees of a message: the model's own score as an offset, facts, and what the text side read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import log_odds
from model.head import TextInput
from model.score import Scorer, ScoringFailed, fuse
from training.examples import Example
from training.head import word_table

Floats = NDArray[np.float64]
_SURE = 1e-9


@dataclass(frozen=True, slots=True)
class Features:
    """One row a message. `offset`: calibrated logits of the model in place [n]; `facts` [n, k] value − centre, 0 for
    unknown, in the order of `names`; `vectors` [n, width]; `words` sparse [n, 2^bits]; `bad` [n].
    """

    names: tuple[str, ...]
    offset: Floats
    facts: Floats
    vectors: Floats
    words: Any
    bad: NDArray[np.bool_]

    @property
    def blocks(self) -> tuple[Any, ...]:
        """Columns in the order in which they are fitted."""
        return self.facts, self.vectors, self.words


def features(scorer: Scorer, examples: Sequence[Example]) -> Features:
    """Read examples with a scorer whose bundle has a head of its own. Raises ScoringFailed."""
    head, fusion = scorer.head, scorer.bundle.fusion
    if head is None:
        raise ScoringFailed(f"{scorer.bundle.path}: made before heads had a file of their own; train it again")
    names = tuple(n for n, term in fusion.facts.items() if term.weight)
    given: list[TextInput] = [scorer.embed(e.document) for e in examples]
    offset = [_logit(fuse(scorer.bundle, head.logits(g), e.facts, g.windows).p_bad)
              for g, e in zip(given, examples, strict=True)]  # fmt: skip
    rows = [
        [0.0 if (value := getattr(e.facts, n)) is None else float(value) - fusion.facts[n].centre for n in names]
        for e in examples
    ]
    return Features(
        names,
        np.array(offset),
        np.array(rows, dtype=np.float64).reshape(len(examples), len(names)),
        np.stack([g.vector for g in given]).astype(np.float64),
        word_table(given, head.bits),
        np.array([e.bad for e in examples], dtype=np.bool_),
    )


def _logit(p: float) -> float:
    return log_odds(min(max(p, _SURE), 1 - _SURE))
