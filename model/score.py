"""The classifier at work: windows through the int8 encoder, fused with facts, calibrated.

One ONNX session with one thread: workers are processes, and more threads a message were slower than one.
"""

import math
from dataclasses import fields
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.bundle import ENCODER, TOKENIZER, WEIGHTS, Bundle, BundleError, Fusion
from model.encode import Encoder, Ids
from model.facts import Facts
from model.labels import BAD, Label
from model.normalise import Document
from model.verdict import Score

SLOW_FUSIONS = ("SkipLayerNormFusion",)
"""What the runtime would join into kernels that take longer than the parts: this one 0.26 ms against 0.04 ms."""


class ScoringFailed(Exception):
    """The model gave no usable number for a message (NaN, infinity, or a fault of the runtime)."""


class Scorer:
    """A bundle ready to score. Use from one thread at a time."""

    def __init__(self, bundle: Bundle) -> None:
        """Load encoder and tokenizer. Raises BundleError if either cannot be loaded."""
        self.bundle = bundle
        try:
            weights = np.load(bundle.path / WEIGHTS, allow_pickle=False).astype(np.float32)
            self.encoder = Encoder(bundle.path / TOKENIZER, weights, bundle.shape)
            self._session = _session(bundle)
            self._masked = any(given.name == "attention_mask" for given in self._session.get_inputs())
        except Exception as error:
            raise BundleError(f"{bundle.path}: cannot be loaded: {error}: "
                              "restore the bundle from its source") from error
        if weights.shape != (self.encoder.vocabulary,):
            raise BundleError(f"{bundle.path / WEIGHTS}: {weights.shape} weights for a vocabulary of "
                              f"{self.encoder.vocabulary}: restore the bundle from its source")

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.bundle.version

    def logits(self, ids: Ids) -> NDArray[np.float32]:
        """Run one window (1-D ids) through the encoder: float32[4], bad against ham and the three kinds."""
        feed = {"input_ids": ids[None, :]}
        if self._masked:
            feed["attention_mask"] = np.ones((1, len(ids)), dtype=np.int64)
        output: NDArray[np.float32] = self._session.run(["logits"], feed)[0][0]
        return output

    def score(self, document: Document, facts: Facts) -> Score:
        """Return calibrated probabilities. Raises ScoringFailed where the model gives no finite number."""
        windows = self.encoder.encode(document)
        try:
            rows = np.stack([self.logits(ids) for ids in windows.ids])
        except Exception as error:
            raise ScoringFailed(f"the runtime failed: {error}") from error
        if not np.isfinite(rows).all():
            raise ScoringFailed("the encoder gave a number that is not finite")
        # the most suspicious window speaks for the message: a mean could be diluted by padding
        worst = rows[int(np.argmax(rows[:, 0]))]
        return fuse(self.bundle, worst, facts, len(windows.ids))


def fuse(bundle: Bundle, logits: NDArray[np.float32], facts: Facts, windows: int) -> Score:
    """Join text and facts into a `Score`. `logits`: float32[4] of the deciding window."""
    calibration, fusion = bundle.calibration, bundle.fusion
    slope = calibration.slope
    text = slope * float(np.clip(fusion.text_weight * float(logits[0]), -fusion.text_cap, fusion.text_cap))
    by_fact = {name: slope * value for name, value in fact_logits(fusion, facts).items()}
    bias = slope * fusion.bias + calibration.intercept + calibration.per_log2_window * math.log2(windows)
    logit = bias + text + sum(by_fact.values())
    if not math.isfinite(logit):
        raise ScoringFailed("the fused score is not finite")
    p_bad = 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))
    kinds = _softmax(logits[1:].astype(np.float64) / calibration.kind_temperature)
    probabilities = {Label.HAM: 1.0 - p_bad, **{k: p_bad * float(p) for k, p in zip(BAD, kinds, strict=True)}}
    return Score(probabilities, bundle.version, text, bias, by_fact, windows)


def fact_logits(fusion: Fusion, facts: Facts) -> dict[str, float]:
    """Return each known fact's contribution in raw logits, by name."""
    given = {}
    for name, term in fusion.facts.items():
        value = getattr(facts, name)
        if value is not None and term.weight:
            given[name] = term.weight * (float(value) - term.centre)
    return given


def verify(scorer: Scorer, *, most: int = 0) -> float:
    """Score the golden inputs and return the greatest difference in logits of bad mail.

    Raises BundleError where it passes the bundle's tolerance: then this machine's runtime computes another model
    than the one that was measured. With `most` only so many are scored, spread over all of them: a processor that
    computes differently does so in every product, and whoever starts waits for each.
    """
    worst = 0.0
    goldens = list(enumerate(scorer.bundle.goldens, 1))
    for number, golden in goldens[:: -(-len(goldens) // most)] if most and goldens else goldens:
        known = {f.name for f in fields(Facts)}
        values: dict[str, Any] = {k: v for k, v in golden.facts.items() if k in known}
        try:
            score = scorer.score(golden.document, Facts(**values))
        except ScoringFailed as error:
            raise BundleError(f"{scorer.bundle.path}: golden input {number}: {error}") from error
        difference = abs(_logit(score.p_bad) - golden.logit)
        worst = max(worst, difference)
        if not difference <= scorer.bundle.golden_tolerance:
            raise BundleError(
                f"{scorer.bundle.path}: golden input {number} scores {_logit(score.p_bad):.3f}, the manifest says "
                f"{golden.logit:.3f} (logits, tolerance {scorer.bundle.golden_tolerance}): this machine computes the "
                "model differently; do not serve it here, report the CPU and the version of onnxruntime")
    return worst


def _logit(p: float) -> float:
    p = min(max(p, 1e-15), 1 - 1e-15)
    return math.log(p / (1 - p))


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(x - x.max())
    result: NDArray[np.float64] = e / e.sum()
    return result


def _session(bundle: Bundle) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(bundle.path / ENCODER), options, providers=["CPUExecutionProvider"],
                                        disabled_optimizers=list(SLOW_FUSIONS))
