"""Measuring a bundle through the code that serves, beside two baselines in the same run.

Only mail that the model was not trained on is measured: `dev` and the later part of `site` of the outside
collections, and the written pairs that were kept back. TF-IDF with logistic regression is trained here on the very
messages that trained the bundle; `facts alone` is the bundle with its text silenced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.domains import DomainLists
from model.labels import LABELS, Label
from model.score import Scorer, ScoringFailed, fact_logits
from training.corpora import Corpora
from training.examples import WRITTEN, Example, of_rows, pick_rows
from training.gather import Material, Tell, gather
from training.linear import TfidfBaseline, identity_accuracy
from training.metrics import (
    ClassFigures,
    Figure,
    auc,
    by_group,
    caught_at,
    class_figures,
    confusion,
    wilson,
)
from training.reading import Reader
from training.settings import TrainSettings

KEPT_BUDGET = 0.02
"""`caught at 2 % kept`: share of bad mail over the threshold that 2 % of the set's own legitimate mail reaches."""
SITE = "site"
HOUSEHOLD = "household"
MADE_UP = " (made up)"
"""Suffix of the part of a set that is templates and placeholders; never in a headline."""
IDENTITY_PER_SET = 150
IDENTITY_LEAST = 60

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RefusedError(Exception):
    """A set that must not be measured, or does not exist; the text says why and which exist."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a method says of each message of a set: score of badness, and whether it would be kept back."""

    score: Floats
    kept: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """One method on one set: ranking, and what happens at its own threshold."""

    auc: Figure
    caught_at_budget: Figure
    caught: Figure
    false_positives: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {name: getattr(self, name).to_json() for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class SetReport:
    """All figures of one set. `classes` and `confusion` are over messages whose kind is told."""

    name: str
    good: int
    bad: int
    methods: Mapping[str, MethodFigures]
    classes: Mapping[str, ClassFigures]
    confusion: list[list[int]]
    by_language: Mapping[str, tuple[Figure, Figure]]
    by_windows: Mapping[str, Figure]

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "set": self.name,
            "good": self.good,
            "bad": self.bad,
            "methods": {k: v.to_json() for k, v in self.methods.items()},
            "classes": {k: v.to_json() for k, v in self.classes.items()},
            "confusion": {"labels": [str(label) for label in LABELS], "rows_true_columns_told": self.confusion},
            "by_language": {
                k: {"caught": c.to_json(), "false_positives": f.to_json()} for k, (c, f) in self.by_language.items()
            },
            "false_positives_by_windows": {k: v.to_json() for k, v in self.by_windows.items()},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation: which model, which sets, and what the data themselves give away."""

    model: str
    threshold: float
    sets: tuple[SetReport, ...]
    identity: Mapping[str, tuple[float, float, int]]
    unknown_pieces: Mapping[str, tuple[float, float, int]]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "model": self.model,
            "threshold": self.threshold,
            "sets": [s.to_json() for s in self.sets],
            "identity": {
                k: {"balanced_accuracy": round(a, 4), "guessing": round(g, 4), "n": n}
                for k, (a, g, n) in self.identity.items()
            },
            "word_pieces": {
                k: {"unknown_share": round(u, 5), "pieces_per_word": round(p, 3), "n": n}
                for k, (u, p, n) in self.unknown_pieces.items()
            },
            "notes": list(self.notes),
        }


def evaluate(
    bundle: Bundle,
    record: Mapping[str, Any],
    settings: TrainSettings,
    corpora: Path | None,
    tell: Tell,
    *,
    wanted: Sequence[str] = (),
    material: Material | None = None,
) -> Report:
    """Measure `bundle` on the wanted sets (all, if none is named). `record`: its manifest's `training` table.

    `material` spares a second reading right after training. Raises RefusedError, CorporaError, WrittenError.
    """
    _refuse_train(wanted)
    if material is None:
        material = gather(settings, corpora, tell)
    every = dict(_sets(record, settings, material, corpora, tell, wanted))
    if missing := [name for name in wanted if name not in every]:
        raise RefusedError(f"{missing[0]}: no such set to measure; there are: {', '.join(every) or 'none'}")
    sets = {name: examples for name, examples in every.items() if not wanted or name in wanted}
    scorer = Scorer(bundle)
    baseline = _baseline(material)
    reports = []
    for name, examples in sets.items():
        tell(f"measuring {name}: {len(examples)} messages")
        reports.append(measure(name, examples, scorer, baseline))
    everything = [*material.train, *(e for examples in sets.values() for e in examples)]
    return Report(
        bundle.version,
        bundle.thresholds.kept,
        tuple(reports),
        _identity(everything, settings.data.seed),
        _pieces(everything, scorer),
        material.notes,
    )


def _refuse_train(wanted: Iterable[str]) -> None:
    if "train" in wanted:
        raise RefusedError(
            "train: the model was trained on this split, so figures on it would say nothing; "
            "measure on the sets of dev, on site, or on the written pairs that were kept back"
        )


def _sets(
    record: Mapping[str, Any],
    settings: TrainSettings,
    material: Material,
    corpora: Path | None,
    tell: Tell,
    wanted: Sequence[str],
) -> Iterable[tuple[str, list[Example]]]:
    """Yield the sets by name, made-up messages apart: headline sets first."""
    parts: dict[str, list[Example]] = {}
    for example in material.dev:
        name = example.archive + (MADE_UP if example.synthetic else "")
        parts.setdefault(name, []).append(example)
    if corpora is not None and (not wanted or SITE in wanted):  # the largest: read only where it is asked for
        parts[SITE] = _late_site(settings, corpora, tell)
    held = set(record.get("held_out_pairs", ()))
    every = (*material.held, *material.calibration, *material.train)
    own = [e for e in every if e.archive == WRITTEN and e.group in held]
    if own:
        parts[WRITTEN] = own
    for name in sorted(parts, key=lambda n: (n != HOUSEHOLD, n != WRITTEN, n != SITE, n)):
        yield name, parts[name]


def _late_site(settings: TrainSettings, corpora: Path, tell: Tell) -> list[Example]:
    """Read the part of the site's stream that set no weight."""
    opened = Corpora.open(corpora, settings.cache)
    late = [
        r
        for r in pick_rows(opened.rows, "site", {}, settings.data.seed)
        if r.year is not None and r.year > settings.fusion.last_site_year
    ]
    with Reader(settings.cache, DomainLists.load()) as reader:
        return of_rows(opened, late, reader, tell)


def _baseline(material: Material) -> TfidfBaseline:
    train = material.train
    return TfidfBaseline(
        [e.document.text for e in train], np.array([int(e.bad) for e in train]), np.array([e.weight for e in train])
    )


def measure(name: str, examples: Sequence[Example], scorer: Scorer, baseline: TfidfBaseline) -> SetReport:
    """Score one set with every method. What cannot be scored counts as ham, as it would be delivered or deferred."""
    threshold = scorer.bundle.thresholds.kept
    p_bad, alone, told, windows = _scores(examples, scorer)
    text = baseline.p_bad([e.document.text for e in examples])
    bad = np.array([int(e.bad) for e in examples])
    groups = [f"{e.archive}:{e.group}" for e in examples]
    methods = {
        "gatepost": _figures(bad, Told(p_bad, p_bad >= threshold), groups),
        "facts alone": _figures(bad, Told(alone, alone >= threshold), groups),
        "TF-IDF + LR": _figures(bad, Told(text, text >= 0.5), groups),
    }
    known = np.array([not e.bad or e.kind is not None for e in examples])
    truth = np.array([LABELS.index(e.kind or Label.HAM) for e in examples])
    kinds = [g for g, k in zip(groups, known, strict=True) if k]
    present = sorted(set(truth[known].tolist()))
    return SetReport(
        name,
        int((bad == 0).sum()),
        int(bad.sum()),
        methods,
        {str(LABELS[c]): class_figures(truth[known], told[known], c, kinds) for c in present},
        confusion(truth[known], told[known], len(LABELS)),
        _by_language(examples, bad, p_bad >= threshold),
        {
            f"{low}+ windows" if low == 3 else f"{low} window(s)": _share(
                (p_bad >= threshold)[(bad == 0) & (np.minimum(windows, 3) == low)]
            )
            for low in (1, 2, 3)
        },
    )


def _scores(examples: Sequence[Example], scorer: Scorer) -> tuple[Floats, Floats, Ints, Ints]:
    """Return p_bad, p_bad by facts alone, told class and number of windows of each message."""
    calibration = scorer.bundle.calibration
    p_bad, alone, told, windows = [], [], [], []
    for example in examples:
        raw = scorer.bundle.fusion.bias + sum(fact_logits(scorer.bundle.fusion, example.facts).values())
        alone.append(1 / (1 + np.exp(-(calibration.slope * raw + calibration.intercept))))
        try:
            score = scorer.score(example.document, example.facts)
        except ScoringFailed:
            p_bad.append(0.0)
            told.append(LABELS.index(Label.HAM))
            windows.append(1)
            continue
        p_bad.append(score.p_bad)
        told.append(LABELS.index(score.label))
        windows.append(score.windows)
    return np.array(p_bad), np.array(alone), np.array(told, dtype=np.int64), np.array(windows, dtype=np.int64)


def _figures(bad: Ints, told: Told, groups: Sequence[str]) -> MethodFigures:
    return MethodFigures(
        by_group(lambda at: auc(bad[at], told.score[at]), groups),
        by_group(lambda at: caught_at(bad[at], told.score[at], KEPT_BUDGET), groups),
        _share(told.kept[bad == 1]),
        _share(told.kept[bad == 0]),
    )


def _share(kept: NDArray[np.bool_]) -> Figure:
    return wilson(int(kept.sum()), len(kept))


def _by_language(examples: Sequence[Example], bad: Ints, kept: NDArray[np.bool_]) -> dict[str, tuple[Figure, Figure]]:
    languages = np.array([e.lang or "unknown" for e in examples])
    return {
        str(lang): (_share(kept[(languages == lang) & (bad == 1)]), _share(kept[(languages == lang) & (bad == 0)]))
        for lang in sorted(set(languages.tolist()))
    }


def _identity(examples: Sequence[Example], seed: int) -> dict[str, tuple[float, float, int]]:
    """Tell within each class how well a linear model finds out a message's collection."""
    out = {}
    for name, side in (("ham", False), ("bad", True)):
        by_set: dict[str, list[Example]] = {}
        for example in examples:
            if example.bad is side and not example.synthetic:
                by_set.setdefault(example.archive, []).append(example)
        rows = [e for found in by_set.values() if len(found) >= IDENTITY_LEAST for e in found[:IDENTITY_PER_SET]]
        if len({e.archive for e in rows}) > 1:
            accuracy, guess = identity_accuracy(
                [e.document.text for e in rows], [e.archive for e in rows], [e.group for e in rows], seed
            )
            out[name] = (accuracy, guess, len(rows))
    return out


def _pieces(examples: Sequence[Example], scorer: Scorer) -> dict[str, tuple[float, float, int]]:
    """Per language: share of unknown word pieces, pieces a word (an English base cuts other languages small), n."""
    by_lang: dict[str, list[str]] = {}
    for example in examples:
        if example.lang and example.lang != "und":
            by_lang.setdefault(example.lang, []).append(example.document.text[:4000])
    out = {}
    for lang, texts in sorted(by_lang.items()):
        if len(texts) >= 10:
            some = texts[:200]
            words = sum(len(t.split()) for t in some)
            pieces = sum(len(scorer.encoder.tokens(t)) for t in some)
            out[lang] = (
                float(np.mean([scorer.encoder.unknown_share(t) for t in some])),
                pieces / max(1, words),
                len(some),
            )
    return out
