"""The decision whether a candidate may serve: pure, one named check for each demand, all of them always made."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from training.evaluation.certificate import trials_for
from training.evaluation.figures import Figure
from training.evaluation.paired import Change
from training.gate.evidence import Comparison, Evidence, Speed
from training.gate.settings import GateSettings

NOISE_MS = 2.0
"""Differences of less than this are the machine's, not the model's."""
OVERLAP = 0.02
"""Share of the gate's mail that may resemble training mail by chance (footers, quoted text); it is left out."""
SURE = 0.05
"""McNemar's p, by sender, below which one source of mail alone shows a candidate to be worse."""


@dataclass(frozen=True, slots=True)
class Check:
    """One demand: what was measured, what was allowed, and a sentence for people."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "passed": self.passed, "figure": _rounded(self.figure),
                "limit": _rounded(self.limit), "detail": self.detail}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether every check passed, and all of them."""

    passed: bool
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 6)


def decide_promotion(evidence: Evidence, policy: GateSettings) -> Decision:
    """Return the decision over everything that is known of a candidate."""
    checks = tuple(_checks(evidence, policy))
    return Decision(all(check.passed for check in checks), checks)


def _checks(evidence: Evidence, policy: GateSettings) -> Iterator[Check]:
    yield from _proof(evidence, policy)
    for comparison in evidence.comparisons:
        yield from _compared(comparison, policy)
    yield _certificate(evidence, policy)
    yield from _attacks(evidence, policy)
    yield from _speed(evidence.speed, evidence.speed_in_place, policy)


def _proof(evidence: Evidence, policy: GateSettings) -> Iterator[Check]:
    proof = evidence.proof
    yield Check("normaliser", proof.normaliser == evidence.normaliser, proof.normaliser, evidence.normaliser,
                f"trained for normaliser {proof.normaliser}, this Gatepost has {evidence.normaliser}")  # fmt: skip
    yield Check("training-record", proof.recorded and proof.disjoint, None, None,
                "the manifest says how it was trained and on which mail" if proof.recorded and proof.disjoint else
                "the manifest does not say how it was trained and on which mail, so nothing can be measured "
                "honestly: train it again with this release")  # fmt: skip
    total = evidence.trained_on + sum(sum(pair) for pair in evidence.counts.values())
    overlap = evidence.trained_on / total if total else 0.0
    yield Check("gate-mail", overlap <= OVERLAP, overlap, OVERLAP,
                f"{evidence.trained_on} of {total} messages of the gate's mail, or near copies, trained or "
                "calibrated the candidate; they are left out")  # fmt: skip
    yield Check("golden", proof.golden <= proof.golden_tolerance, proof.golden, proof.golden_tolerance,
                f"golden scores on this machine differ by at most {proof.golden:.4f} logits")  # fmt: skip
    share = proof.parity
    told = "not recorded: train it again with this release" if share is None else (
        f"int8 gave the label of fp32 on {share:.2%} of {proof.parity_n} messages")  # fmt: skip
    yield Check("parity", share is not None and share >= policy.parity, share, policy.parity, told)


def _compared(comparison: Comparison, policy: GateSettings) -> Iterator[Check]:
    """Non-inferior over all mail by the 95 % bound; and no single source of mail may show it to be worse."""
    pooled = comparison.pooled
    bad, good = pooled.caught.difference, pooled.false_positives.difference
    who = f"{comparison.against} ({comparison.version})"
    sources = comparison.by_source.items()
    worse = tuple(f"on {name} mail it is worse" for name, one in sources if _worse(one.caught, -1))
    limit = -policy.caught_margin
    yield Check(f"caught-against-{comparison.against}", bad.known and bad.low > limit and not worse,
                bad.low if bad.known else None, limit, _told("bad mail caught", bad, who, worse))  # fmt: skip
    worse = tuple(f"on {name} mail it is worse" for name, one in sources if _worse(one.false_positives, 1))
    limit = policy.false_positive_margin
    yield Check(f"false-positives-against-{comparison.against}", good.known and good.high < limit and not worse,
                good.high if good.known else None, limit,
                _told("legitimate mail kept back", good, who, worse))  # fmt: skip


def _worse(change: Change, sign: int) -> bool:
    return change.difference.known and sign * change.difference.value > 0 and change.p_senders < SURE


def _told(what: str, figure: Figure, who: str, reasons: tuple[str, ...]) -> str:
    if not figure.known:
        return f"{what}: no mail to compare on"
    said = (f"{what}: {figure.value:+.2%} against {who}, 95 % {figure.low:+.2%} to {figure.high:+.2%} "
            f"(n={figure.n}, {figure.senders} senders)")  # fmt: skip
    return "; ".join((said, *reasons))


def _certificate(evidence: Evidence, policy: GateSettings) -> Check:
    """The operator's budget, proved on mail that set no threshold; a site without any verdict proves nothing yet."""
    found, budget = evidence.certified, policy.false_positive_budget
    proved = found.certificate
    needed = trials_for(budget, proved.confidence)
    detail = (f"{proved.errors} of {proved.senders} legitimate senders had mail kept back (part {found.part + 1} of "
              f"{found.parts} of {found.source} mail, candidate {found.looks} on it): at most {proved.bound:.2%} at "
              f"{proved.confidence:.1%} confidence")  # fmt: skip
    if proved.bound <= budget and found.source != "written":
        return Check("certificate", True, proved.bound, budget, detail)
    # written mail is honest twins of bad mail, far harder than a site's own: its share is compared, not budgeted
    if found.fresh and (found.source == "written" or proved.errors <= proved.senders * budget):
        return Check("certificate", True, proved.bound, budget,
                     f"{detail}; nothing is certified for this site's mail: no mail of it was reviewed yet, and the "
                     "switch rests on the comparison over written mail alone")  # fmt: skip
    if proved.errors <= proved.senders * budget:
        detail += (f"; too little mail to certify {budget:.2%}: {needed} senders without an error are needed. Review "
                   f"more delivered mail, raise gate.false_positive_budget, or --force --reason TEXT")  # fmt: skip
    return Check("certificate", False, proved.bound, budget, detail)


def _attacks(evidence: Evidence, policy: GateSettings) -> Iterator[Check]:
    if not evidence.attacks:
        none_wanted = policy.attack_messages == 0
        yield Check("attacks", none_wanted, None, None, "left out: gate.attack_messages is 0" if none_wanted else
                    "no bad mail that could be attacked")  # fmt: skip
    for one in evidence.attacks:
        loss = one.in_place - one.candidate
        name = f"attack-{one.name.replace(',', '').replace(' ', '-')}"
        yield Check(name, loss <= policy.attack_margin + 1e-9, loss, policy.attack_margin,
                    f"catches {one.candidate:.1%} of attacked bad mail, the model in place {one.in_place:.1%} "
                    f"(n={one.n})")  # fmt: skip


def _speed(candidate: Speed, in_place: Speed, policy: GateSettings) -> Iterator[Check]:
    for name, mine, theirs in (("median", candidate.median, in_place.median),
                               ("slowest", candidate.slowest, in_place.slowest)):  # fmt: skip
        limit = max(theirs * policy.slower, theirs + NOISE_MS)
        if name == "slowest":
            limit = min(limit, policy.slowest_ms)
        yield Check(f"speed-{name}", mine <= limit, mine, limit,
                    f"{mine:.1f} ms a message, the model in place {theirs:.1f} ms (n={candidate.n})")  # fmt: skip


