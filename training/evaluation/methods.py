"""Whoever tells good mail from bad: the bundle as it serves, and baselines trained on the very same messages.

A baseline's threshold is set where the bundle's was: at the same budget, on legitimate mail that was kept back to
calibrate. What a model cannot score counts as ham, as it would be delivered or deferred.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from model.bundle import Bundle
from model.labels import LABELS, Label
from model.score import Scorer, ScoringFailed, fact_logits
from training.evaluation.embeddings import Embedder
from training.evaluation.figures import Flags, Floats, Ints, threshold_for
from training.examples import Example
from training.gather import Material
from training.linear import TfidfBaseline
from training.settings import TrainSettings

GATEPOST = "gatepost"
FACTS = "facts alone"
TFIDF = "TF-IDF + LR"
FROZEN = "frozen embeddings + LR"
BASELINES = (FACTS, TFIDF, FROZEN)


@dataclass(frozen=True, slots=True)
class Told:
    """What a method says of each message: score of badness, and whether it would be held or quarantined."""

    score: Floats
    held: Flags
    quarantined: Flags

    @property
    def kept(self) -> Flags:
        """Kept in one way or the other."""
        return self.held | self.quarantined


@dataclass(frozen=True, slots=True)
class Scored(Told):
    """What a bundle says, further: the told class (position in LABELS), windows, milliseconds in the scorer."""

    label: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    windows: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    ms: Floats = field(default_factory=lambda: np.empty(0))
    failed: int = 0


class Baseline(Protocol):
    """A method to beat."""

    def tell(self, examples: Sequence[Example]) -> Told:
        """Score messages."""
        ...


def scored(scorer: Scorer, examples: Sequence[Example]) -> Scored:
    """Score messages with a bundle, through the code that serves."""
    p_bad, label, windows, ms, failed = [], [], [], [], 0
    for example in examples:
        start = time.perf_counter()
        try:
            score = scorer.score(example.document, example.facts)
        except ScoringFailed:
            p_bad.append(0.0)
            label.append(LABELS.index(Label.HAM))
            windows.append(1)
            failed += 1
        else:
            p_bad.append(score.p_bad)
            label.append(LABELS.index(score.label))
            windows.append(score.windows)
        ms.append(1000 * (time.perf_counter() - start))
    p, at = np.array(p_bad), scorer.bundle.thresholds
    quarantined = p >= at.quarantine
    return Scored(
        p,
        (p >= at.kept) & ~quarantined,
        quarantined,
        np.array(label, dtype=np.int64),
        np.array(windows, dtype=np.int64),
        np.array(ms),
        failed,
    )


class FactsAlone:
    """The bundle with its text silenced."""

    def __init__(self, bundle: Bundle, calibration: Sequence[Example], budget: float) -> None:
        self._bundle = bundle
        self._threshold = _threshold(self._logits, calibration, budget)

    def _logits(self, examples: Sequence[Example]) -> Floats:
        fusion = self._bundle.fusion
        return np.array([fusion.bias + sum(fact_logits(fusion, e.facts).values()) for e in examples])

    def tell(self, examples: Sequence[Example]) -> Told:
        """Score messages by their facts."""
        return _at(self._logits(examples), self._threshold)


class Tfidf:
    """TF-IDF of words and word pairs with logistic regression."""

    def __init__(self, train: Sequence[Example], calibration: Sequence[Example], budget: float) -> None:
        self._model = TfidfBaseline(
            [e.document.text for e in train],
            np.array([int(e.bad) for e in train]),
            np.array([e.weight for e in train]),
        )
        self._threshold = _threshold(self._p, calibration, budget)

    def _p(self, examples: Sequence[Example]) -> Floats:
        return self._model.p_bad([e.document.text for e in examples])

    def tell(self, examples: Sequence[Example]) -> Told:
        """Score messages by their words."""
        return _at(self._p(examples), self._threshold)


class Frozen:
    """The untouched base encoder's mean of the first window, with logistic regression."""

    def __init__(
        self, embedder: Embedder, train: Sequence[Example], calibration: Sequence[Example], budget: float
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self._embedder = embedder
        self._model = LogisticRegression(max_iter=1000).fit(
            embedder.of([e.document for e in train]),
            np.array([int(e.bad) for e in train]),
            sample_weight=np.array([e.weight for e in train]),
        )
        self._threshold = _threshold(self._p, calibration, budget)

    def _p(self, examples: Sequence[Example]) -> Floats:
        if not len(examples):
            return np.empty(0)
        told = self._model.predict_proba(self._embedder.of([e.document for e in examples]))
        return np.asarray(told[:, 1], dtype=np.float64)

    def tell(self, examples: Sequence[Example]) -> Told:
        """Score messages by their embedding."""
        return _at(self._p(examples), self._threshold)


class _Logits(Protocol):
    def __call__(self, examples: Sequence[Example]) -> Floats:
        """Score messages."""
        ...


def _threshold(score: _Logits, calibration: Sequence[Example], budget: float) -> float:
    good = [e for e in calibration if not e.bad]
    return threshold_for(score(good), budget) if good else float("inf")


def _at(score: Floats, threshold: float) -> Told:
    return Told(score, np.zeros(len(score), dtype=np.bool_), score >= threshold)


def baselines(
    bundle: Bundle, material: Material, settings: TrainSettings, names: Sequence[str] = BASELINES
) -> Mapping[str, Baseline]:
    """Train the named baselines on what trained the bundle."""
    budget, calibration = settings.calibration.hold_budget, material.calibration
    made: dict[str, Baseline] = {}
    if FACTS in names:
        made[FACTS] = FactsAlone(bundle, calibration, budget)
    if TFIDF in names:
        made[TFIDF] = Tfidf(material.train, calibration, budget)
    if FROZEN in names:
        made[FROZEN] = Frozen(Embedder(settings.cache, settings.finetune), material.train, calibration, budget)
    return made
