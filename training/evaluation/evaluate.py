"""One evaluation from end to end: sets, methods, figures.

Only mail that the model was not trained on is measured, by the name of its split and by its content. Baselines are
trained here on the very messages that trained the bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model.bundle import Bundle, BundleError
from model.score import Scorer
from training.evaluation.measure import legitimate_slices, measure
from training.evaluation.methods import BASELINES, Baseline, Scored, baselines, scored
from training.evaluation.report import AttackFigures, Report, SetReport, Speed
from training.evaluation.sets import RefusedError, Sample, refuse_train, samples, slices, without_copies
from training.evaluation.trained import TrainedOn
from training.examples import Example, data_fingerprint
from training.gather import Material, Tell, gather
from training.linear import identity_accuracy
from training.settings import TrainSettings

__all__ = ["Asked", "RefusedError", "evaluate"]

IDENTITY_PER_SET = 150
IDENTITY_LEAST = 60
PIECES_LEAST, PIECES_MOST = 10, 200
PRIOR = 0.5
"""Share of bad mail at which the calibration error is told, unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to evaluate: sets by name (empty: all), baselines by name, the model to compare with, the prior.

    `robustness`: bad messages to attack (0: none). `further`: samples beside the collections, a data store's.
    """

    sets: tuple[str, ...] = ()
    baselines: tuple[str, ...] = BASELINES
    against: Bundle | None = None
    prior: float = PRIOR
    robustness: int = 0
    further: tuple[Sample, ...] = field(default_factory=tuple)


def evaluate(
    bundle: Bundle,
    record: Mapping[str, Any],
    settings: TrainSettings,
    corpora: Path | None,
    tell: Tell,
    asked: Asked | None = None,
    *,
    material: Material | None = None,
) -> Report:
    """Measure `bundle`. `record`: its manifest's `training` table; `material` spares a second reading.

    Raises RefusedError, BundleError, CorporaError, WrittenError, DataError.
    """
    asked = asked or Asked()
    refuse_train(asked.sets)
    just_trained = material is not None
    if material is None:
        material = gather(settings, corpora, tell)
    notes = list(material.notes)
    trained = _trained(bundle, asked.against, material, notes)
    found = _samples(record, settings, material, corpora, tell, asked, by_content=trained is not None)
    if not found:
        notes.append(_nothing(just_trained))
    measured = _clean(found, trained, notes)
    scorer = Scorer(bundle)
    if asked.baselines:
        tell("training the baselines")
    rivals = baselines(bundle, material, settings, asked.baselines)
    reports, told = _measured(bundle, scorer, measured, rivals, asked, tell, notes)
    everything = [*material.train, *(e for s in measured for e in s.examples)]
    return Report(
        model=bundle.version,
        hold=bundle.thresholds.kept,
        quarantine=bundle.thresholds.quarantine,
        sets=reports,
        legitimate=tuple(one for one in legitimate_slices(slices(settings), told) if one.kept.n),
        speed=_speed([own for _, own in told]),
        identity=_identity(everything, settings.data.seed),
        pieces=_pieces(everything, scorer),
        notes=tuple(notes),
        against=asked.against.version if asked.against else "",
        robustness=_attacked(scorer, settings, corpora, asked, measured, tell),
    )


def _samples(
    record: Mapping[str, Any],
    settings: TrainSettings,
    material: Material,
    corpora: Path | None,
    tell: Tell,
    asked: Asked,
    *,
    by_content: bool,
) -> dict[str, Sample]:
    """Return what is asked for, by name; `by_content`: the model says by content what trained it."""
    found: dict[str, Sample] = {}
    if asked.sets or not asked.further:  # a data set alone is measured alone
        found = samples(record, settings, material, corpora, tell, asked.sets, by_content=by_content)
    found.update({s.name: s for s in asked.further})
    return found


def _nothing(just_trained: bool) -> str:
    """Return the note for a model that was just trained and cannot be measured. Raises RefusedError for another."""
    if just_trained:
        return "nothing was measured: there are no collections, and nothing of the written set was held out"
    raise RefusedError(
        "nothing to measure: there are no collections, and nothing of the written set was held out of this "
        "model's training; give --corpora, or a data set"
    )


def _measured(
    bundle: Bundle,
    scorer: Scorer,
    measured: Sequence[Sample],
    rivals: Mapping[str, Baseline],
    asked: Asked,
    tell: Tell,
    notes: list[str],
) -> tuple[tuple[SetReport, ...], list[tuple[Sample, Scored]]]:
    """Score and measure each sample; `notes` says what could not be scored. Raises BundleError if most could not."""
    current = Scorer(asked.against) if asked.against else None
    reports: list[SetReport] = []
    told: list[tuple[Sample, Scored]] = []
    for sample in measured:
        tell(f"measuring {sample.name}: {len(sample.examples)} messages")
        own = scored(scorer, sample.examples)
        if own.failed * 2 > len(sample.examples):
            raise BundleError(
                f"{bundle.path}: {own.failed} of {len(sample.examples)} messages of {sample.name} could not be "
                "scored: there is nothing to measure; restore the bundle from its source"
            )
        if own.failed:
            notes.append(f"{sample.name}: {own.failed} messages could not be scored and count as delivered")
        told.append((sample, own))
        reports.append(
            measure(
                sample,
                own,
                {name: rival.tell(sample.examples) for name, rival in rivals.items()},
                hold=bundle.thresholds.kept,
                quarantine=bundle.thresholds.quarantine,
                assumed=bundle.calibration.prior,
                prior=asked.prior,
                current=scored(current, sample.examples) if current else None,
            )
        )
    return tuple(reports), told


def _trained(bundle: Bundle, against: Bundle | None, material: Material, notes: list[str]) -> TrainedOn | None:
    """Return the mail that trained either bundle, as far as can be told; `notes` says where it cannot."""
    at_hand = [*material.train, *material.calibration]
    same = data_fingerprint(at_hand)
    if same != bundle.data_fingerprint:
        notes.append(
            f"the baselines are trained on the {len(material.train)} messages at hand, which are not exactly those "
            "that trained the model"
        )
    rows = []
    for one in (bundle, against):
        if one is None:
            continue
        known = TrainedOn.open(one.path)
        if known is None and one.data_fingerprint == same:
            known = TrainedOn.of(e.document.text for e in at_hand)
        if known is not None:
            rows.append(known.rows)
            continue
        notes.append(
            f"model {one.version} carries no fingerprints of its training mail, and that mail is not at hand: "
            "copies of it in the sets were not looked for"
        )
        if one is bundle:
            return None
    return TrainedOn(np.concatenate(rows))


def _clean(found: Mapping[str, Sample], trained: TrainedOn | None, notes: list[str]) -> list[Sample]:
    """Leave out copies of training mail, and say in `notes` how many. Raises RefusedError."""
    if trained is None:
        return list(found.values())
    out = []
    for sample in found.values():
        kept, copies = without_copies(sample, trained)
        if copies:
            notes.append(f"{sample.name}: {copies} messages are near-duplicates of training mail and are left out")
        out.append(kept)
    return out


def _attacked(
    scorer: Scorer,
    settings: TrainSettings,
    corpora: Path | None,
    asked: Asked,
    measured: Sequence[Sample],
    tell: Tell,
) -> tuple[AttackFigures, ...]:
    if not asked.robustness:
        return ()
    from training.evaluation.robustness import material_for, robustness

    messages = material_for(settings, corpora, measured, asked.robustness, tell)
    return robustness(scorer, messages, seed=settings.data.seed, tell=tell)


def _speed(told: Sequence[Scored]) -> Speed:
    ms = np.concatenate([t.ms for t in told]) if told else np.empty(0)
    p50, p99 = np.quantile(ms, [0.5, 0.99]) if len(ms) else (float("nan"), float("nan"))
    return Speed(float(p50), float(p99), len(ms), sum(t.failed for t in told))


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
        if len(texts) >= PIECES_LEAST:
            some = texts[:PIECES_MOST]
            words = sum(len(t.split()) for t in some)
            pieces = sum(len(scorer.encoder.tokens(t)) for t in some)
            unknown = float(np.mean([scorer.encoder.unknown_share(t) for t in some]))
            out[lang] = (unknown, pieces / max(1, words), len(some))
    return out
