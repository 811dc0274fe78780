"""Fitting the head of the text side: logistic regression on what the serving encoder says of each message.

The head is fitted on the very int8 vectors that serve, so quantising cannot part it from what it learnt. Bad against
ham leans on words; the kinds lean on the encoder's meaning and on facts, since words of one kind do not carry over to
another mailbox (the model card has the figures).
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.bundle import MANIFEST, Bundle, BundleError, Golden, write_manifest
from model.facts import BAD as BAD_FACTS
from model.facts import GOOD as GOOD_FACTS
from model.facts import Facts
from model.head import HEAD, OUTPUTS, TextHead, TextInput
from model.labels import BAD
from model.score import Scorer
from training.examples import WRITTEN, Example
from training.settings import HeadSettings

FACTS = (*GOOD_FACTS, *BAD_FACTS)
ABSENT = 10.0
"""Logits below the others at which a kind stands that nothing taught."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedHead:
    """The head, and what each fact says of the kind of bad mail (logits of spam, phishing, fraud)."""

    head: TextHead
    kinds: dict[str, tuple[float, ...]]


class Opinion(Protocol):
    """What a fine-tuned encoder's own head says of vectors of length 1: weights [4, width] and bias [4]."""

    @property
    def weights(self) -> Floats:
        """A row for bad against ham, and one for each kind."""
        ...

    @property
    def bias(self) -> Floats:
        """One number a row."""
        ...


def fit_head(
    given: Sequence[TextInput], examples: Sequence[Example], settings: HeadSettings, tuned: Opinion | None = None
) -> FittedHead:
    """Fit bad against ham on all examples, and the kinds on those whose kind somebody read or wrote.

    `given[i]` is what the head reads of `examples[i]`; both classes have to be there. An encoder that was `tuned` on
    them has its say by a fixed share, and words and facts alone are fitted.
    """
    if tuned is not None:
        plain = settings.model_copy(update={"vector": 0.0, "kind_vector": 0.0})
        return _joined(fit_head(given, examples, plain), tuned, settings)
    vectors = np.stack([g.vector for g in given]).astype(np.float64)
    said = word_table(given, settings.bits)
    weights = np.zeros((OUTPUTS, vectors.shape[1]))
    bias, table = np.array([0.0, *[-ABSENT] * len(BAD)]), np.zeros((1 << settings.bits, OUTPUTS))
    bad, weight = np.array([e.bad for e in examples]), np.array([e.weight for e in examples])
    scale = apart(said, bad, weight, settings.apart)
    side = _logistic(settings.c, columns(vectors * settings.vector, said.multiply(scale)), bad, weight)
    weights[0], table[:, 0] = _parted(side.coef_[0], settings.vector, scale, vectors.shape[1], len(table))[:2]
    bias[0] = side.intercept_[0]
    told = np.array([i for i, e in enumerate(examples) if e.kind is not None], dtype=np.int64)
    present = sorted({BAD.index(e.kind) for e in examples if e.kind is not None})
    if len(present) == 1:
        bias[1 + present[0]] = 0.0
    kinds = np.zeros((len(BAD), len(FACTS)))
    if len(present) > 1:
        rows = [examples[i] for i in told]
        told_columns = columns(vectors[told] * settings.kind_vector, said[told] * settings.kind_words,
                               fact_table([e.facts for e in rows]) * settings.kind_facts)  # fmt: skip
        fitted = _logistic(settings.kind_c, told_columns, [BAD.index(e.kind) for e in rows if e.kind],
                           [_kind_weight(e, settings) for e in rows], class_weight="balanced")  # fmt: skip
        two = len(present) == 2  # then there is one row, and it speaks for the second
        found = np.vstack([-fitted.coef_, fitted.coef_]) / 2 if two else fitted.coef_
        start = np.array([-fitted.intercept_[0], fitted.intercept_[0]]) / 2 if two else fitted.intercept_
        for row, kind in enumerate(present):
            weights[1 + kind], table[:, 1 + kind], kinds[kind] = _parted(
                found[row], settings.kind_vector, settings.kind_words, vectors.shape[1], len(table))  # fmt: skip
            bias[1 + kind] = start[row]
    kinds *= settings.kind_facts
    by_fact = {n: tuple(round(float(x), 4) for x in column) for n, column in zip(FACTS, kinds.T, strict=True)}
    return FittedHead(TextHead.of(weights, bias, table), {n: row for n, row in by_fact.items() if any(row)})


def _joined(fitted: FittedHead, tuned: Opinion, settings: HeadSettings) -> FittedHead:
    head = fitted.head
    taught = np.concatenate(([True], head.bias[1:] > -ABSENT / 2))
    shares = np.array([settings.tuned, *[settings.tuned_kinds] * len(BAD)]) * taught
    weights = head.weights + shares[:, None] * tuned.weights
    bias = head.bias + shares * tuned.bias
    return replace(fitted, head=replace(head, weights=weights.astype(np.float32), bias=bias.astype(np.float32)))


def with_head(bundle: Bundle, head: TextHead, out: Path, *, version: str = "") -> Bundle:
    """Write a copy of a bundle with another head to `out`, which must not exist; neither torch nor onnx is needed.

    The golden scores are computed anew. Raises BundleError for a bundle whose head is inside its encoder's file, or
    has another width or number of buckets; OSError.
    """
    if HEAD not in bundle.files:
        raise BundleError(f"{bundle.path}: its head is inside the encoder's file; train the model again")
    before = TextHead.load(bundle.path / HEAD)
    if (before.weights.shape, before.table.shape) != (head.weights.shape, head.table.shape):
        raise BundleError(f"{bundle.path}: its head has weights {before.weights.shape} and words "
                          f"{before.table.shape}, the new one {head.weights.shape} and {head.table.shape}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.mkdir()
    try:
        for name in bundle.files:
            shutil.copyfile(bundle.path / name, out / name)
        shutil.copyfile(bundle.path / MANIFEST, out / MANIFEST)
        head.save(out / HEAD)
        made = replace(bundle, path=out, version=version or bundle.version)
        write_manifest(made)
        write_manifest(replace(made, goldens=_scored(Scorer(Bundle.open(out)), bundle.goldens)))
        return Bundle.open(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _scored(scorer: Scorer, goldens: Sequence[Golden]) -> tuple[Golden, ...]:
    return tuple(golden_of(scorer, g.document, Facts(**g.facts), g.facts) for g in goldens)


def golden_of(scorer: Scorer, document: Any, facts: Facts, known: Any) -> Golden:
    """Return a document with the scores that the bundle gives it."""
    score = scorer.score(document, facts)
    p = min(max(score.p_bad, 1e-15), 1 - 1e-15)
    return Golden(document, known, round(float(np.log(p / (1 - p))), 5),
                  {k: round(v, 6) for k, v in score.probabilities.items()})  # fmt: skip


def word_table(given: Sequence[TextInput], bits: int) -> Any:
    """Return the hashed words of messages as a sparse matrix (CSR) [n, 2^bits]."""
    from scipy.sparse import csr_matrix

    ends = np.concatenate(([0], np.cumsum([len(g.words.buckets) for g in given])))
    values = np.concatenate([g.words.values for g in given]).astype(np.float64)
    return csr_matrix((values, np.concatenate([g.words.buckets for g in given]), ends), shape=(len(given), 1 << bits))


def fact_table(facts: Sequence[Facts]) -> Floats:
    """Return facts as [n, len(FACTS)]: ½ true, −½ false, 0 unknown."""
    rows = [[0.0 if (v := getattr(f, name)) is None else float(v) - 0.5 for name in FACTS] for f in facts]
    return np.array(rows, dtype=np.float64).reshape(len(facts), len(FACTS))


def _kind_weight(example: Example, settings: HeadSettings) -> float:
    return example.weight if example.archive == WRITTEN else example.weight * settings.kind_collections


def columns(*parts: Any) -> Any:
    """Join blocks of features, dense or sparse, to one sparse matrix (CSR)."""
    from scipy.sparse import csr_matrix, hstack

    return hstack([csr_matrix(part) for part in parts]).tocsr()


def apart(said: Any, bad: NDArray[np.bool_], weight: Floats, power: float) -> Floats:
    """Return how well each bucket of words [n, 2^bits] tells bad from ham by itself [2^bits], to a power.

    |log ratio| of the weighted shares of messages that have it, each with a message more (Wang and Manning 2012,
    "Baselines and bigrams"); a tenth is added so that no word is mute. 1 everywhere for a power of 0.
    """
    there = said.copy()
    there.data = np.ones_like(there.data)
    in_bad, in_ham = (np.asarray(there.T @ (weight * side)).ravel() + 1 for side in (bad, ~bad))
    return np.asarray((np.abs(np.log((in_bad / in_bad.sum()) / (in_ham / in_ham.sum()))) + 0.1) ** power)


def _parted(
    row: Floats, vector: float, word: float | Floats, width: int, buckets: int
) -> tuple[Floats, Floats, Floats]:
    """Part a row of coefficients into the encoder's, the words' and the facts', the first two for plain features."""
    return row[:width] * vector, row[width : width + buckets] * word, row[width + buckets :]


def _logistic(
    c: float, columns: Any, target: Sequence[int] | NDArray[np.bool_], weight: Sequence[float] | Floats,
    **options: Any,
) -> Any:  # fmt: skip
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=1000, **options).fit(columns, target, sample_weight=weight)
