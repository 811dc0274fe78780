"""Leave one collection out: train without it and without near-duplicates of it, test on it.

A random split inside a collection flatters everyone; this is what a filter does on mail of a place that it has never
seen. To be done in minutes the text side is the recipe's head on frozen embeddings of first windows (kept between
runs); facts, fusion and calibration are the recipe's own. The test is a draw by campaign, as many bad messages as
legitimate ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.bundle import TOKENIZER
from model.domains import DomainLists
from model.encode import Encoder
from model.head import TextInput
from model.labels import BAD
from model.text import document_words
from training import calibrate, fusion
from training.calibrate import CalibrationData
from training.corpora import SPLITS, Corpora, Row
from training.evaluation.embeddings import Embedder
from training.evaluation.figures import UNKNOWN, Figure, Floats, Ints, Ranking, bootstrap, numbered, share
from training.evaluation.measure import KEPT_BUDGET
from training.evaluation.report_rows import number, percent
from training.evaluation.report_terminal import columns
from training.evaluation.sets import RefusedError, Sample
from training.examples import Example, decontaminated, of_rows, pick_rows
from training.finetune import base_folder
from training.gather import DataError, Material, Tell, gather
from training.head import fit_head
from training.linear import TfidfBaseline
from training.pools import of_today, shared
from training.reading import Reader
from training.settings import TrainSettings
from training.texts import fit_window_weights, shape

MOST = 1_000
"""Messages of a class that are tested: the interval is then about ± 2 points."""
RECIPE = "facts and text"
TEXT = "text alone (frozen embeddings and words)"
TFIDF = "TF-IDF + LR"
EVEN = 0.5
"""Threshold of F1: even odds, where half of the mail is bad."""


@dataclass(frozen=True, slots=True)
class LeftOutFigures:
    """A method on the collection: `f1` and `false_positives` at the threshold of even odds on calibration mail.

    `f1_by_sender` gives each sender and campaign one vote: one that sends a fifth of a collection decides a fifth of
    the plain figure.
    """

    f1: Figure
    f1_by_sender: Figure
    caught: Figure
    false_positives: Figure
    auc: Figure
    caught_at_budget: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {name: getattr(self, name).to_json() for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One collection, trained without it: how many trained, how many near-duplicates went, and the figures."""

    collection: str
    trained: int
    copies: int
    good: int
    bad: int
    methods: Mapping[str, LeftOutFigures]

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "left_out": self.collection,
            "trained": self.trained,
            "near_duplicates_left_out": self.copies,
            "good": self.good,
            "bad": self.bad,
            "methods": {k: v.to_json() for k, v in self.methods.items()},
        }


def leave_out(
    collection: str,
    settings: TrainSettings,
    corpora: Path,
    tell: Tell,
    *,
    most: int = MOST,
    material: Material | None = None,
) -> LeftOut:
    """Train without `collection` and test on it. Raises RefusedError, CorporaError, WrittenError, DataError."""
    opened = Corpora.open(corpora, settings.cache)
    test = _test(opened, collection, settings, most, tell)
    material = material or gather(settings, corpora, tell)
    rows = [e for e in material.train if e.archive != collection]
    train = decontaminated(rows, test.examples, settings.data.near_duplicate)
    apart = [e for e in material.calibration if e.archive != collection]
    apart = decontaminated(apart, test.examples, settings.data.near_duplicate)
    for name, side in (("ham", False), ("bad", True)):
        if sum(e.bad is side for e in train) < settings.data.smallest_class:
            raise DataError(
                f"without {collection} there are too few {name} messages to train on (data.smallest_class)"
            )
    tell(f"training on {len(train)} messages without {collection}, testing on {len(test.examples)}")
    embedder = Embedder(settings.cache, settings.finetune)
    text = _Text(embedder, train, settings)
    words = TfidfBaseline([e.document.text for e in train], _bad(train), np.array([e.weight for e in train]))
    scores = {
        RECIPE: _recipe(text, train, material.site, settings),
        TEXT: text.logits,
        TFIDF: lambda many: _log_odds(words.p_bad([e.document.text for e in many])),
    }
    methods = {
        name: _figures(test, _even_odds(score, apart, test.examples, settings)) for name, score in scores.items()
    }
    bad = int(test.bad.sum())
    return LeftOut(collection, len(train), len(rows) - len(train), len(test.examples) - bad, bad, methods)


def _test(opened: Corpora, collection: str, settings: TrainSettings, most: int, tell: Tell) -> Sample:
    rows = [r for r in opened.rows if r.archive == collection and not r.synthetic]
    if not rows:
        known = ", ".join(sorted({r.archive for r in opened.rows}))
        raise RefusedError(f"{collection}: no such collection to leave out; there are: {known}")
    every = [r for split in SPLITS for r in pick_rows(rows, split, {}, settings.data.seed)]
    drawn: list[Row] = []
    for bad in (False, True):
        one_each = {r.group: r for r in every if r.bad is bad}
        drawn += list(one_each.values())[:most]
    with Reader(settings.cache, DomainLists.load()) as reader:
        found = of_rows(opened, drawn, reader, tell)
    good, evil = [e for e in found if not e.bad], [e for e in found if e.bad]
    size = min(len(good), len(evil))
    if not size:
        raise RefusedError(f"{collection}: it has no {'bad' if good else 'legitimate'} mail, so there is no F1 of it")
    return Sample.of(collection, [*good[:size], *evil[:size]])


Score = Callable[[Sequence[Example]], Floats]
"""From messages to log odds of bad."""


class _Text:
    """The recipe's head on frozen embeddings."""

    def __init__(self, embedder: Embedder, train: Sequence[Example], settings: TrainSettings) -> None:
        self._embedder = embedder
        self._bits = settings.head.bits
        weights = fit_window_weights(train, settings.finetune)
        tokenizer = Path(base_folder(settings.finetune.base)) / TOKENIZER
        self._encoder = Encoder(tokenizer, weights.astype(np.float32), shape(settings.finetune))
        self._head = fit_head(self._inputs(train), train, settings.head).head

    def _inputs(self, examples: Sequence[Example]) -> list[TextInput]:
        vectors = self._embedder.of([e.document for e in examples])
        return [TextInput(vector, document_words(self._encoder, e.document, self._bits), 1)
                for e, vector in zip(examples, vectors, strict=True)]  # fmt: skip

    def logits(self, examples: Sequence[Example]) -> Floats:
        return np.array([float(self._head.logits(given)[0]) for given in self._inputs(examples)])


def _recipe(text: _Text, train: Sequence[Example], site: Sequence[Example], settings: TrainSettings) -> Score:
    """Fit the weights of the facts as the recipe does, and return what fuses them with the text."""
    rows, weight = shared(of_today((*site, *train), settings.fusion.first_year), settings.fusion.shares)
    if min(sum(e.bad for e in rows), sum(not e.bad for e in rows)) < settings.data.smallest_class:
        fitted = fusion.equal(settings.fusion)
    else:
        fitted = fusion.fit(
            [e.facts for e in rows], [e.bad for e in rows], weight, settings.fusion, settings.data.seed
        )

    def fused(examples: Sequence[Example]) -> Floats:
        f = settings.fusion
        return fusion.raw_logits(
            fitted, [e.facts for e in examples], text.logits(examples), f.text_weight, f.text_cap
        )

    return fused


def _even_odds(score: Score, apart: Sequence[Example], test: Sequence[Example], settings: TrainSettings) -> Floats:
    """Return probabilities of the test by a line fitted on calibration mail, where half of the mail is bad."""
    n = len(apart)
    data = CalibrationData(
        raw=score(apart),
        windows=np.ones(n, dtype=np.int64),
        bad=_bad(apart).astype(np.bool_),
        weight=np.ones(n),
        kind_logits=np.zeros((n, len(BAD))),
        kind=np.full(n, -1),
    )
    line = calibrate.platt(data, settings.calibration)
    odds: Floats = np.clip(line.slope * score(test) + line.intercept, -60, 60)
    return 1 / (1 + np.exp(-odds))


def _figures(test: Sample, p: Floats) -> LeftOutFigures:
    bad, groups = test.bad, np.asarray(test.groups, dtype=np.str_)
    kept = p >= EVEN
    ranking = Ranking.of(bad, p)
    index, _ = numbered(test.groups)

    def f1(w: Floats) -> float:
        total = float((w * bad).sum() + (w * kept).sum())
        return 2 * float((w * bad * kept).sum()) / total if total else UNKNOWN

    return LeftOutFigures(
        f1=bootstrap(f1, test.groups),
        f1_by_sender=bootstrap(f1, test.groups, 1 / np.bincount(index)[index]),
        caught=share(kept[bad == 1], groups[bad == 1].tolist()),
        false_positives=share(kept[bad == 0], groups[bad == 0].tolist()),
        auc=bootstrap(ranking.auc, test.groups),
        caught_at_budget=bootstrap(lambda w: ranking.caught_at(w, KEPT_BUDGET), test.groups),
    )


def _bad(examples: Sequence[Example]) -> Ints:
    return np.array([int(e.bad) for e in examples], dtype=np.int64)


def _log_odds(p: Floats) -> Floats:
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def render(found: LeftOut) -> str:
    """Return the figures as text."""
    rows = [("method", "F1", "F1, one vote a sender", "caught", "legitimate kept", "AUC", "caught at 2 % kept")]
    rows += [
        (
            name,
            number(m.f1),
            number(m.f1_by_sender),
            percent(m.caught),
            percent(m.false_positives),
            number(m.auc),
            percent(m.caught_at_budget),
        )
        for name, m in found.methods.items()
    ]
    head = (
        f"== {found.collection}: {found.good} legitimate, {found.bad} bad; trained on {found.trained} messages "
        f"without it, {found.copies} near-duplicates left out"
    )
    return f"{head}\n{columns(rows)}"
