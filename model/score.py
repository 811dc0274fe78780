"""The classifier at work: a text read by encoder and head, fused with facts, calibrated."""

import math
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import ENCODER, TOKENIZER, WEIGHTS, Bundle, BundleError, Fusion
from model.encode import Encoder
from model.facts import Facts
from model.head import HEAD, SITE_HEAD, TextHead, TextInput
from model.labels import BAD, Label
from model.normalise import Document
from model.text import EMBEDDING, TextReader
from model.verdict import Score


class ScoringFailed(Exception):
    """The model gave no usable number for a message (NaN, infinity, or a fault of the runtime)."""


class Scorer:
    """A bundle ready to score. Use from one thread at a time."""

    def __init__(self, bundle: Bundle) -> None:
        """Load encoder, tokenizer and head. Raises BundleError if one cannot be loaded."""
        self.bundle = bundle
        try:
            weights = np.load(bundle.path / WEIGHTS, allow_pickle=False).astype(np.float32)
            self.reader = TextReader(bundle.path / ENCODER, bundle.path / TOKENIZER, weights, bundle.shape)
            self.head = TextHead.load(bundle.path / HEAD) if HEAD in bundle.files else None
            self.site = TextHead.load(bundle.path / SITE_HEAD) if SITE_HEAD in bundle.files else None
        except Exception as error:
            raise BundleError(f"{bundle.path}: cannot be loaded: {error}: "
                              "restore the bundle from its source") from error
        if weights.shape != (self.encoder.vocabulary,):
            raise BundleError(f"{bundle.path / WEIGHTS}: {weights.shape} weights for a vocabulary of "
                              f"{self.encoder.vocabulary}: restore the bundle from its source")
        if self.site and (self.head is None or self.site.table.shape != self.head.table.shape):
            raise BundleError(f"{bundle.path / SITE_HEAD}: does not fit {HEAD}: restore the bundle from its source")
        if self.head and EMBEDDING not in self.reader.outputs:
            raise BundleError(f"{bundle.path / ENCODER}: no output {EMBEDDING!r}, which {HEAD} needs: "
                              "restore the bundle from its source")

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.bundle.version

    @property
    def encoder(self) -> Encoder:
        """The tokenizer, and how it cuts documents."""
        return self.reader.encoder

    def embed(self, document: Document) -> TextInput:
        """Return what the head weighs: the encoder's mean over windows, float32[width], and the hashed words.

        Raises ScoringFailed for a bundle of the first format, which has no such output, and where the runtime fails.
        """
        if self.head is None:
            raise ScoringFailed(f"{self.bundle.path}: made before heads had a file of their own; train it again")
        try:
            return self.reader.embed(document, self.head.bits)
        except Exception as error:
            raise ScoringFailed(f"the runtime failed: {error}") from error

    def text(self, document: Document) -> tuple[NDArray[np.float32], int]:
        """Return the text's logits, float32[4] (bad against ham, the three kinds), and how many windows were read.

        Raises ScoringFailed where the model gives no finite number.
        """
        logits, _, windows = self._said(document)
        return logits, windows

    def _said(self, document: Document) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, int]:
        """Return the text's logits, what the site's own head adds to them, if there is one, and the windows read."""
        if self.head is None:
            logits, windows = self._worst(document)
            site = None
        else:
            given = self.embed(document)
            logits, windows = self.head.logits(given), given.windows
            site = self.site.logits(given) if self.site else None
        if not np.isfinite(logits).all() or (site is not None and not np.isfinite(site).all()):
            raise ScoringFailed("the encoder gave a number that is not finite")
        return logits, site, windows

    def _worst(self, document: Document) -> tuple[NDArray[np.float32], int]:
        """Bundles of the first format end in logits, and the most suspicious window speaks for the message."""
        windows = self.encoder.encode(document).ids
        try:
            rows = np.stack([self.reader.run("logits", ids) for ids in windows])
        except Exception as error:
            raise ScoringFailed(f"the runtime failed: {error}") from error
        return rows[int(np.nan_to_num(rows[:, 0], nan=np.inf).argmax())], len(windows)

    def score(self, document: Document, facts: Facts) -> Score:
        """Return calibrated probabilities. Raises ScoringFailed where the model gives no finite number."""
        logits, site, windows = self._said(document)
        return fuse(self.bundle, logits, facts, windows, site)


def fuse(bundle: Bundle, logits: NDArray[np.float32], facts: Facts, windows: int,
         site: NDArray[np.float32] | None = None) -> Score:
    """Join text and facts into a `Score`. `logits`: float32[4] of the text; `site`: the same of a site's own head."""
    calibration, fusion = bundle.calibration, bundle.fusion
    slope = calibration.slope
    text = slope * float(np.clip(fusion.text_weight * float(logits[0]), -fusion.text_cap, fusion.text_cap))
    by_fact = {name: slope * value for name, value in fact_logits(fusion, facts).items()}
    bias = slope * fusion.bias + calibration.intercept + calibration.per_log2_window * math.log2(windows)
    added = np.zeros(len(logits)) if site is None else site.astype(np.float64)
    own = float(np.clip(added[0], -fusion.site_cap, fusion.site_cap))
    logit = bias + text + own + sum(by_fact.values())
    if not math.isfinite(logit):
        raise ScoringFailed("the fused score is not finite")
    p_bad = 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))
    kinds = _softmax((logits[1:] + added[1:] + kind_logits(fusion, facts)) / calibration.kind_temperature)
    probabilities = {Label.HAM: 1.0 - p_bad, **{k: p_bad * float(p) for k, p in zip(BAD, kinds, strict=True)}}
    return Score(probabilities, bundle.version, text, bias, by_fact, windows, own)


def fact_logits(fusion: Fusion, facts: Facts) -> dict[str, float]:
    """Return each known fact's contribution in raw logits, by name."""
    given = {}
    for name, term in fusion.facts.items():
        value = getattr(facts, name)
        if value is not None and term.weight:
            given[name] = term.weight * (float(value) - term.centre)
    return given


def kind_logits(fusion: Fusion, facts: Facts) -> NDArray[np.float64]:
    """Return what the known facts say of the kind of bad mail: float64[3], to be added to the text's logits."""
    total = np.zeros(len(BAD))
    for name, weights in fusion.kinds.items():
        value = getattr(facts, name)
        if value is not None:
            total += np.array(weights) * (float(value) - 0.5)
    return total


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
