"""All figures of one set, from what the methods said of its messages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.labels import LABELS, Label
from training.evaluation.calibration_error import reliability
from training.evaluation.certificate import certify
from training.evaluation.figures import (
    Figure,
    Flags,
    Floats,
    Ints,
    Ranking,
    bootstrap,
    class_figures,
    confusion,
    macro_f1,
    share,
)
from training.evaluation.methods import GATEPOST, Scored, Told
from training.evaluation.paired import auc_difference, compare
from training.evaluation.report import Curve, Legitimate, MethodFigures, Part, SetReport
from training.evaluation.sets import Sample
from training.evaluation.thresholds import band, recall_at, supported, table
from training.examples import WRITTEN, Example

KEPT_BUDGET = 0.02
"""`caught at 2 % kept`: share of bad mail over the threshold that 2 % of the set's own legitimate mail reaches."""


def measure(
    sample: Sample, own: Scored, others: Mapping[str, Told], *, hold: float, quarantine: float, assumed: float,
    prior: float, current: Scored | None = None,
) -> SetReport:  # fmt: skip
    """Measure a set. `others`: baselines by name; `current`: the model in place, to compare with.

    Probabilities were told at the prior `assumed`; the calibration error is told at `prior`.
    """
    bad, groups, weight = sample.bad, sample.groups, sample.weight
    kinds = _kinds(sample, own)
    return SetReport(
        name=sample.name,
        taken=sample.taken,
        good=int((bad == 0).sum()),
        bad=int(bad.sum()),
        good_senders=len({g for g, b in zip(groups, bad, strict=True) if not b}),
        bad_senders=len({g for g, b in zip(groups, bad, strict=True) if b}),
        methods={name: _method(sample, told) for name, told in {GATEPOST: own, **others}.items()},
        classes={
            str(LABELS[c]): class_figures(kinds.truth, kinds.told, c, kinds.groups, kinds.weight)
            for c in kinds.present
        },
        macro_f1=macro_f1(kinds.truth, kinds.told, kinds.present, kinds.groups, kinds.weight),
        confusion=confusion(kinds.truth, kinds.told, len(LABELS)),
        parts=_parts(sample, own),
        legitimate=legitimate_slices({sample.name: _every}, [(sample, own)], made_up=True)[0],
        recall_at=_recall_at(sample, own.score),
        steps=table(own.score, bad, groups, weight, (hold, quarantine)),
        band=band(own.score, bad, groups, weight, hold, quarantine),
        reliability=reliability(own.score, bad, prior=prior, assumed=assumed, weight=weight),
        against=compare(bad, own.kept, current.kept, groups, weight) if current else None,
        auc_against=auc_difference(bad, own.score, current.score, groups, weight) if current else None,
    )


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The messages whose kind is told, with truth and told class as positions in LABELS."""

    truth: Ints
    told: Ints
    weight: Floats
    groups: list[str]
    present: list[int]


def _kinds(sample: Sample, own: Scored) -> _Kinds:
    known = np.array([not e.bad or e.kind is not None for e in sample.examples], dtype=np.bool_)
    truth = np.array([LABELS.index(e.kind or Label.HAM) for e in sample.examples], dtype=np.int64)[known]
    groups = [g for g, k in zip(sample.groups, known, strict=True) if k]
    return _Kinds(truth, own.label[known], sample.weight[known], groups, sorted(set(truth.tolist())))


def _method(sample: Sample, told: Told) -> MethodFigures:
    bad, groups, weight = sample.bad, np.asarray(sample.groups, dtype=np.str_), sample.weight
    ranking = Ranking.of(bad, told.score)

    def side(value: int) -> tuple[Flags, list[str], Floats]:
        at = bad == value
        return told.kept[at], groups[at].tolist(), weight[at]

    return MethodFigures(
        bootstrap(ranking.auc, sample.groups, weight),
        bootstrap(lambda w: ranking.caught_at(w, KEPT_BUDGET), sample.groups, weight),
        share(*side(1)),
        share(*side(0)),
        _curve(ranking, weight),
    )


def _curve(ranking: Ranking, weight: Floats) -> Curve:
    kept, caught = ranking.rates(weight)
    if not len(kept) or np.isnan(kept[0]) or np.isnan(caught[0]):
        return ()
    corners: list[tuple[float, float]] = []
    for x, y in zip(kept[::-1].tolist(), caught[::-1].tolist(), strict=True):  # the strictest threshold first
        if corners and corners[-1][0] == x:
            corners.pop()
        if not corners or y > corners[-1][1]:
            corners.append((x, y))
    return tuple(corners if corners[-1][0] == 1.0 else [*corners, (1.0, 1.0)])


def _recall_at(sample: Sample, score: Floats) -> dict[float, Figure]:
    """Recall at the false-positive rates that the set's legitimate senders could certify."""
    bad = sample.bad
    if bad.all() or not bad.any():
        return {}
    good = len({g for g, b in zip(sample.groups, bad, strict=True) if not b})
    return recall_at(Ranking.of(bad, score), supported(good), sample.groups, sample.weight)


def _parts(sample: Sample, own: Scored) -> dict[str, dict[str, Part]]:
    found = {
        "language": _by(sample, own, [e.lang or "unknown" for e in sample.examples]),
        "year": _by(sample, own, [str(e.year or "unknown") for e in sample.examples]),
        "length": _by(sample, own, [_length(n) for n in own.windows]),
    }
    if all(e.archive == WRITTEN for e in sample.examples):
        found["held out by"] = _by(sample, own, [_reason(e) for e in sample.examples])
        found["sector"] = _by(sample, own, [e.sector or "none" for e in sample.examples])
        twins = _twins(sample.examples)
        found["honest twins and their bad ones"] = _by(sample, own, ["in a pair" if t else "alone" for t in twins])
    else:
        found["sender"] = _by(sample, own, [_listed(e) for e in sample.examples])
    return found


def _length(windows: int) -> str:
    return "3+ windows" if windows >= 3 else f"{windows} window{'s' if windows > 1 else ''}"


def _reason(example: Example) -> str:
    return example.held or "calibrated on"


def _listed(example: Example) -> str:
    known = example.facts.sender_known
    return "unknown whether in a list" if known is None else ("in a list" if known else "in no list")


def _twins(examples: Sequence[Example]) -> list[bool]:
    """Tell for each message whether its pair holds honest and bad mail alike."""
    sides: dict[str, set[bool]] = {}
    for example in examples:
        sides.setdefault(example.group, set()).add(example.bad)
    return [len(sides[e.group]) == 2 for e in examples]


def _by(sample: Sample, own: Scored, names: Sequence[str]) -> dict[str, Part]:
    name, groups = np.asarray(names, dtype=np.str_), np.asarray(sample.groups, dtype=np.str_)

    def part(at: Flags) -> Part:
        sides = [at & (sample.bad == side) for side in (1, 0)]
        return Part(*(share(own.kept[s], groups[s].tolist(), sample.weight[s]) for s in sides))

    return {str(one): part(name == one) for one in sorted(set(names))}


def _every(_: Example) -> bool:
    return True


def legitimate_slices(
    slices: Mapping[str, Callable[[Example], bool]],
    measured: Iterable[tuple[Sample, Scored]],
    *,
    made_up: bool = False,
) -> tuple[Legitimate, ...]:
    """Measure each kind of legitimate mail over all sets; made-up messages are left out unless asked for."""
    pairs = [(s, t) for s, t in measured if made_up or not s.made_up]
    return tuple(_legitimate(name, wanted, pairs) for name, wanted in slices.items())


def _legitimate(name: str, wanted: Callable[[Example], bool], pairs: Sequence[tuple[Sample, Scored]]) -> Legitimate:
    held: list[bool] = []
    quarantined: list[bool] = []
    weight: list[float] = []
    groups: list[str] = []
    for sample, told in pairs:
        for n, example in enumerate(sample.examples):
            if not example.bad and wanted(example):
                held.append(bool(told.held[n]))
                quarantined.append(bool(told.quarantined[n]))
                weight.append(float(sample.weight[n]))
                groups.append(sample.groups[n])
    one, other, share_of = np.array(held, dtype=np.bool_), np.array(quarantined, dtype=np.bool_), np.array(weight)
    return Legitimate(
        name,
        share(one, groups, share_of),
        share(other, groups, share_of),
        share(one | other, groups, share_of),
        certify(one | other, groups),
    )
