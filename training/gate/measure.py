"""From models and mail to evidence: every model scores the same messages, through the code that serves."""

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.bundle import ENCODER, MANIFEST, Bundle, Thresholds
from model.normalise import VERSION
from model.score import Scorer, ScoringFailed, verify
from training.evaluation.figures import Flags, Ints
from training.evaluation.paired import Change, Paired, compare
from training.evaluation.trained import TrainedOn
from training.examples import data_fingerprint
from training.gate.certifying import certify_mail
from training.gate.evidence import Attack, Comparison, Evidence, Proof, Speed
from training.gate.parts import Look
from training.gate.settings import GateSettings
from training.gate.sources import OUTSIDE, SITE, WRITTEN, GateMail
from training.reading import Raw, Reader

Transform = Callable[[bytes, random.Random], bytes | None]
"""An attack on a raw message; None where it does not apply."""
IN_PLACE, SHIPPED = "in-place", "shipped"
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
    """Who is compared, under which policy; `looks` are the decisions so far, on the same reviewed mail."""

    candidate: Bundle
    record: Mapping[str, Any]
    in_place: Bundle
    shipped: Bundle
    policy: GateSettings
    operating: Operating = field(default_factory=Operating)
    looks: Sequence[Look] = ()


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
    candidate = judges[trial.candidate.path]
    others = {IN_PLACE: trial.in_place}
    if trial.shipped.path != trial.in_place.path:
        others[SHIPPED] = trial.shipped
    rivals = {name: judges[bundle.path] for name, bundle in others.items()}
    trained = TrainedOn.open(trial.candidate.path)
    own, seen = _unseen(mail, trained)
    tell(f"comparing on {len(own)} messages")
    mine = candidate.keeps(own)
    comparisons = [_comparison(name, bundle, own, mine, rivals[name].keeps(own)) for name, bundle in others.items()]
    tell("attacking bad mail")
    by_attack, attacked = _attacks(own, attacks, reader, candidate, rivals, policy.attack_messages)
    tell("measuring speed")
    speed, *speeds = _speeds(own, [judge.scorer for judge in (candidate, *rivals.values())])
    sources = {name: [m for m in own if m.source == name] for name in dict.fromkeys(m.source for m in own)}
    return Evidence(
        proof=_proof(trial, candidate.scorer, trained),
        normaliser=VERSION,
        comparisons=tuple(comparisons),
        certified=certify_mail(own, mine, policy, trial.looks, trial.candidate.version),
        attacks=by_attack,
        attacked=attacked,
        speed=speed,
        speeds=dict(zip(others, speeds, strict=True)),
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
    learnt = trial.record.get("site") or {}
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
        parity_of=str(learnt.get("base", "")),
        same_encoder=not learnt or learnt.get("encoder") == trial.candidate.files.get(ENCODER),
        learnt_from=str(learnt.get("snapshot", "")),
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


def _attacks(
    mail: Sequence[GateMail], attacks: Mapping[str, Transform], reader: Reader, candidate: _Judge,
    others: Mapping[str, _Judge], most: int,
) -> tuple[tuple[Attack, ...], dict[str, Change]]:  # fmt: skip
    """Attack a drawn sample of bad mail and read the result anew, as the gateway would."""
    bad = [m for m in mail if m.example.bad]
    random.Random(SEED).shuffle(bad)  # noqa: S311 - a sample, no secret
    found: list[Attack] = []
    told: list[tuple[str, Flags]] = []  # by message: its sender, and who keeps it
    for name, attack in attacks.items():
        raws = [(m, attack(m.raw(), random.Random(f"{SEED}:{m.example.key}"))) for m in bad[:most]]  # noqa: S311
        meant = [(m, data) for m, data in raws if data is not None]
        seen = reader.read(Raw(data, m.declared) for m, data in meant)
        rows = [(m.sender, np.array([judge.kept(s.document, s.facts) for judge in (candidate, *others.values())]))
                for (m, _), s in zip(meant, seen, strict=True) if not s.fault]  # fmt: skip
        if rows:
            caught = np.mean([kept for _, kept in rows], axis=0)
            found.append(Attack(name, float(caught[0]), dict(zip(others, map(float, caught[1:]), strict=True)),
                                _changes(rows, others), len(rows)))  # fmt: skip
            told += rows
    return tuple(found), _changes(told, others) if told else {}


def _changes(rows: Sequence[tuple[str, Flags]], others: Iterable[str]) -> dict[str, Change]:
    kept = np.stack([kept for _, kept in rows])
    bad, senders = np.ones(len(rows), dtype=np.int64), [sender for sender, _ in rows]
    return {name: compare(bad, kept[:, 0], kept[:, at], senders).caught for at, name in enumerate(others, 1)}


def _speeds(mail: Sequence[GateMail], scorers: Sequence[Scorer]) -> list[Speed]:
    """Time all models in turn on the same messages, so that a busy moment meets them all."""
    some = list(mail)
    random.Random(SEED).shuffle(some)  # noqa: S311 - a sample, no secret
    times: list[list[float]] = [[] for _ in scorers]
    for one in some[:TIMED]:
        best = [float("inf")] * len(scorers)
        for _ in range(REPEATS):
            for at, scorer in enumerate(scorers):
                begun = time.perf_counter()
                try:
                    scorer.score(one.example.document, one.example.facts)
                except ScoringFailed:
                    continue
                best[at] = min(best[at], (time.perf_counter() - begun) * 1000)
        for mine, shortest in zip(times, best, strict=True):
            mine.append(shortest)
    return [_speed(found) for found in times]


def _speed(found: Sequence[float]) -> Speed:
    if not found:
        return Speed(0.0, 0.0, 0)
    return Speed(float(np.median(found)), float(np.quantile(found, 0.99, method="lower")), len(found))
