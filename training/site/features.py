"""What the site's fit sees of a message: the model's own score as an offset, facts, and what the text side read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import log_odds
from model.head import TextInput
from model.labels import BAD
from model.score import Scorer, ScoringFailed, fuse, kind_logits
from training.examples import Example
from training.head import word_table
from training.site.kinds import UNKNOWN

Floats = NDArray[np.float64]
_SURE = 1e-9


@dataclass(frozen=True, slots=True)
class Features:
    """One row a message. `offset`: calibrated logits of the model in place [n]; `facts` [n, k] value − centre, 0 for
    unknown, in the order of `names`; `vectors` [n, width]; `words` sparse [n, 2^bits]; `bad` [n].

    `kinds` [n, 3]: logits of the kinds of the model in place, before its temperature; `kind` [n]: what was said, a
    position in `model.labels.BAD`, or UNKNOWN.
    """

    names: tuple[str, ...]
    offset: Floats
    facts: Floats
    vectors: Floats
    words: Any
    bad: NDArray[np.bool_]
    kinds: Floats
    kind: NDArray[np.int64]

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
    said = [head.logits(g) for g in given]
    offset = [_logit(fuse(scorer.bundle, logits, e.facts, g.windows).p_bad)
              for logits, g, e in zip(said, given, examples, strict=True)]  # fmt: skip
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
        np.array([logits[1:] + kind_logits(fusion, e.facts) for logits, e in zip(said, examples, strict=True)]),
        np.array([BAD.index(e.kind) if e.bad and e.kind else UNKNOWN for e in examples], dtype=np.int64),
    )


def _logit(p: float) -> float:
    return log_odds(min(max(p, _SURE), 1 - _SURE))
