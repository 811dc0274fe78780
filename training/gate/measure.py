"""From models and mail to evidence: every model scores the same messages, through the code that serves."""

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.bundle import MANIFEST, Bundle, Thresholds
from model.normalise import VERSION
from model.score import Scorer, ScoringFailed, verify
from training.evaluation.certificate import Certificate, upper_bound
from training.evaluation.figures import Flags, Ints
from training.evaluation.paired import Paired, compare
from training.evaluation.trained import TrainedOn
from training.examples import data_fingerprint
from training.gate.evidence import Attack, Certified, Comparison, Evidence, Proof, Speed
from training.gate.parts import part_of
from training.gate.settings import GateSettings
from training.gate.sources import OUTSIDE, SITE, WRITTEN, GateMail
from training.reading import Raw, Reader

Transform = Callable[[bytes, random.Random], bytes | None]
"""An attack on a raw message; None where it does not apply."""
TIMED = 40
"""Messages on which speed is measured; each twice, the shorter counts: others use the machine too."""
REPEATS = 2
SEED = 7


@dataclass(frozen=True, slots=True)
class Operating:
    """From where on mail is kept: the operator's thresholds, or the model's own where none is set."""

    quarantine_at: float | None = None
    hold_at: float | None = None

    def kept_from(self, own: Thresholds) -> float:
        """Return the least probability of bad mail at which a message is kept in any way."""
        quarantine = own.quarantine if self.quarantine_at is None else self.quarantine_at
        hold = own.hold if self.hold_at is None else self.hold_at
        return quarantine if hold is None else min(quarantine, hold)


@dataclass(frozen=True, slots=True)
class Trial:
    """Who is compared, under which policy: `part` of the reviewed mail certifies, `looks` candidates saw it."""

    candidate: Bundle
    record: Mapping[str, Any]
    in_place: Bundle
    shipped: Bundle
    policy: GateSettings
    operating: Operating = field(default_factory=Operating)
    part: int = 0
    looks: int = 1


@dataclass(frozen=True, slots=True)
class _Judge:
    """A model ready to say what it would keep."""

    scorer: Scorer
    threshold: float

    def keeps(self, mail: Iterable[GateMail]) -> Flags:
        return np.array([self.kept(m.example.document, m.example.facts) for m in mail], dtype=np.bool_)

    def kept(self, document: Any, facts: Any) -> bool:
        """Tell whether a message would be kept. What cannot be scored would be delivered or deferred."""
        try:
            return self.scorer.score(document, facts).p_bad >= self.threshold
        except ScoringFailed:
            return False


def read_record(bundle: Bundle) -> Mapping[str, Any]:
    """Return the manifest's `training` table; empty where it has none."""
    record = json.loads((bundle.path / MANIFEST).read_text(encoding="utf-8")).get("training")
    return record if isinstance(record, dict) else {}


def without_record(bundle: Bundle, record: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the written pairs that a bundle without fingerprints of its training mail says it kept clear of.

    None where it carries them: then the gate's own choice is used, and what trained is found by content.
    """
    if TrainedOn.open(bundle.path) is not None:
        return None
    return [str(pair) for pair in record.get("held_out_pairs", ())]


def gather_evidence(
    trial: Trial, mail: Sequence[GateMail], attacks: Mapping[str, Transform], reader: Reader,
    tell: Callable[[str], None] = lambda _: None,
) -> Evidence:  # fmt: skip
    """Measure everything that the decision needs. Raises BundleError where a model cannot be loaded."""
    policy = trial.policy
    judges = {b.path: _Judge(Scorer(b), trial.operating.kept_from(b.thresholds))
              for b in (trial.candidate, trial.in_place, trial.shipped)}  # fmt: skip
    candidate, in_place, shipped = (judges[b.path] for b in (trial.candidate, trial.in_place, trial.shipped))
    trained = TrainedOn.open(trial.candidate.path)
    own, seen = _unseen(mail, trained)
    tell(f"comparing on {len(own)} messages")
    mine = candidate.keeps(own)
    comparisons = [_comparison("in-place", trial.in_place, own, mine, in_place.keeps(own))]
    if shipped is not in_place:
        comparisons.append(_comparison("shipped", trial.shipped, own, mine, shipped.keeps(own)))
    tell("attacking bad mail")
    attacked = _attacks(own, attacks, reader, candidate, in_place, policy.attack_messages)
    tell("measuring speed")
    speed, speed_in_place = _speeds(own, candidate.scorer, in_place.scorer)
    sources = {name: [m for m in own if m.source == name] for name in dict.fromkeys(m.source for m in own)}
    return Evidence(
        proof=_proof(trial, candidate.scorer, trained),
        normaliser=VERSION,
        comparisons=tuple(comparisons),
        certified=_certified(trial, own, mine),
        attacks=attacked,
        speed=speed,
        speed_in_place=speed_in_place,
        trained_on=seen,
        data={name: data_fingerprint(m.example for m in some) for name, some in sources.items()},
        counts={name: (sum(not m.example.bad for m in some), sum(m.example.bad for m in some))
                for name, some in sources.items()},
    )  # fmt: skip


def _unseen(mail: Sequence[GateMail], trained: TrainedOn | None) -> tuple[list[GateMail], int]:
    if trained is None:
        return list(mail), 0
    seen = trained.near([m.example.document.text for m in mail])
    return [m for m, known in zip(mail, seen, strict=True) if not known], int(seen.sum())


def _proof(trial: Trial, scorer: Scorer, trained: TrainedOn | None) -> Proof:
    parity = trial.record.get("parity") or {}
    n = int(parity.get("n", 0))
    return Proof(
        version=trial.candidate.version,
        normaliser=VERSION,  # a bundle of another one does not open
        recorded="settings" in trial.record,
        disjoint=trained is not None or bool(trial.record.get("held_out_pairs")),
        parity=int(parity["same"]) / n if n else None,
        parity_n=n,
        golden=verify(scorer),
        golden_tolerance=trial.candidate.golden_tolerance,
    )


def _bad(mail: Sequence[GateMail]) -> Ints:
    return np.array([int(m.example.bad) for m in mail], dtype=np.int64)


def _comparison(against: str, other: Bundle, mail: Sequence[GateMail], mine: Flags, theirs: Flags) -> Comparison:
    def paired(at: Sequence[int]) -> Paired:
        some = [mail[i] for i in at]
        index = np.array(at, dtype=np.int64)
        weight = np.array([m.weight for m in some])
        return compare(_bad(some), mine[index], theirs[index], [m.sender for m in some], weight)

    by_source = {name: [i for i, m in enumerate(mail) if m.source == name] for name in (WRITTEN, SITE, OUTSIDE)}
    return Comparison(against, other.version, paired(range(len(mail))),
                      {name: paired(at) for name, at in by_source.items() if at})  # fmt: skip


def _certified(trial: Trial, mail: Sequence[GateMail], mine: Flags) -> Certified:
    """Certify on this site's mail if any was reviewed, with labelled collections if they were given."""
    parts = trial.policy.parts
    real = [(m, kept) for m, kept in zip(mail, mine, strict=True) if m.certifies and not m.example.bad]
    ours = [(m, kept) for m, kept in real if m.source == SITE and part_of(m.sender, parts) == trial.part % parts]
    given = [(m, kept) for m, kept in real if m.source == OUTSIDE]
    fresh = not any(m.source == SITE for m in mail)
    used = [*ours, *given] or ([(m, kept) for m, kept in real if m.source == WRITTEN] if fresh else [])
    names = [name for name, some in ((SITE, ours), (OUTSIDE, given)) if some]
    senders = {m.sender for m, _ in used}
    wrong = {m.sender for m, kept in used if kept}
    confidence = 1 - 0.05 / trial.looks  # each further look at the same mail costs (Bonferroni)
    bound = upper_bound(len(wrong), len(senders), confidence) if senders else 1.0
    proved = Certificate(len(senders), len(wrong), len(used), bound, confidence)
    source = "+".join(names) or (WRITTEN if fresh else SITE)
    return Certified(proved, source, fresh, trial.part % parts, parts, trial.looks)


def _attacks(
    mail: Sequence[GateMail], attacks: Mapping[str, Transform], reader: Reader, candidate: _Judge, in_place: _Judge,
    most: int,
) -> tuple[Attack, ...]:  # fmt: skip
    """Attack a drawn sample of bad mail and read the result anew, as the gateway would."""
    bad = [m for m in mail if m.example.bad]
    random.Random(SEED).shuffle(bad)  # noqa: S311 - a sample, no secret
    found = []
    for name, attack in attacks.items():
        raws = [(m, attack(m.raw(), random.Random(f"{SEED}:{m.example.key}"))) for m in bad[:most]]  # noqa: S311
        seen = reader.read(Raw(data, m.declared) for m, data in raws if data is not None)
        told = [(candidate.kept(s.document, s.facts), in_place.kept(s.document, s.facts))
                for s in seen if not s.fault]  # fmt: skip
        if told:
            mine, theirs = zip(*told, strict=True)
            found.append(Attack(name, sum(mine) / len(told), sum(theirs) / len(told), len(told)))
    return tuple(found)


def _speeds(mail: Sequence[GateMail], candidate: Scorer, in_place: Scorer) -> tuple[Speed, Speed]:
    """Time both models in turn on the same messages, so that a busy moment meets both."""
    some = list(mail)
    random.Random(SEED).shuffle(some)  # noqa: S311 - a sample, no secret
    times: list[list[float]] = [[], []]
    for one in some[:TIMED]:
        best = [float("inf"), float("inf")]
        for _ in range(REPEATS):
            for at, scorer in enumerate((candidate, in_place)):
                begun = time.perf_counter()
                try:
                    scorer.score(one.example.document, one.example.facts)
                except ScoringFailed:
                    continue
                best[at] = min(best[at], (time.perf_counter() - begun) * 1000)
        for at in (0, 1):
            times[at].append(best[at])
    mine, theirs = (_speed(found) for found in times)
    return mine, theirs


def _speed(found: Sequence[float]) -> Speed:
    if not found:
        return Speed(0.0, 0.0, 0)
    return Speed(float(np.median(found)), float(np.quantile(found, 0.99, method="lower")), len(found))
