"""The decision whether a candidate may serve: pure, one named check for each demand, all of them always made."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from training.evaluation.certificate import Certificate, senders_for
from training.evaluation.figures import Figure
from training.evaluation.paired import Change
from training.gate.evidence import NOTHING, Comparison, Evidence, Proof, Speed
from training.gate.parts import SHARE
from training.gate.settings import GateSettings

NOISE_MS = 2.0
"""Differences of less than this are the machine's, not the model's."""
OVERLAP = 0.02
"""Share of the gate's mail that may resemble training mail by chance (footers, quoted text); it is left out."""
SURE = 0.05
"""McNemar's p, by sender, below which one source of mail alone shows a candidate to be worse."""


@dataclass(frozen=True, slots=True)
class Check:
    """One demand: what was measured, what was allowed, and a sentence for people.

    `waived`: it was not shown, and passes because the operator's settings do without.
    """

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str
    waived: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "passed": self.passed, "figure": _rounded(self.figure),
                "limit": _rounded(self.limit), "detail": self.detail, "waived": self.waived}  # fmt: skip


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
    for other, theirs in evidence.speeds.items():
        yield from _speed(evidence.speed, theirs, other, policy)


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
    if proof.learnt_from:
        n = sum(evidence.counts.get("site", (0, 0)))
        told = (f"it learnt from verdicts (snapshot {proof.learnt_from}), and of those that the gate kept {n} are "
                "here to measure it on")  # fmt: skip
        lost = "" if n else ": [dataset] path names another data store than the one it learnt from, or an empty one"
        yield Check("site-mail", n > 0, n, 1, told + lost)
    yield _parity(proof, policy)


def _parity(proof: Proof, policy: GateSettings) -> Check:
    share = proof.parity
    if share is None:
        return Check("parity", False, None, policy.parity, "not recorded: train it again with this release")
    told = f"int8 gave the label of fp32 on {share:.2%} of {proof.parity_n} messages"
    if proof.parity_of:
        told += f" when {proof.parity_of} was made, " + (
            "whose encoder this is, unchanged; its own head beside was not measured" if proof.same_encoder else
            "and this is not its encoder any more")  # fmt: skip
    return Check("parity", share >= policy.parity and proof.same_encoder, share, policy.parity, told)


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
    """The operator's budget, proved on real mail that set no threshold; or waived by settings, and said to be."""
    found, budget = evidence.certified, policy.false_positive_budget
    proved = found.certificate
    within = proved.errors <= proved.senders * budget
    detail = "no legitimate mail was reviewed that was not chosen by its score" if found.source == NOTHING else (
        f"{proved.errors} of {proved.senders} legitimate senders had mail kept back (part {found.part + 1} of "
        f"{found.parts} of {found.source} mail, candidate {found.looks} on it): at most {proved.bound:.2%} at "
        f"{proved.confidence:.1%} confidence")  # fmt: skip
    if proved.bound <= budget:
        return Check("certificate", True, proved.bound, budget, detail)
    if not within:
        return Check("certificate", False, proved.bound, budget, f"{detail}; that is more than {budget:.2%} of them")
    detail = f"NOT CERTIFIED: {detail}; {_missing(proved, budget)}"
    if policy.uncertified:
        detail += ". gate.uncertified does without"
        return Check("certificate", True, proved.bound, budget, detail, waived=True)
    return Check("certificate", False, proved.bound, budget,
                 f"{detail}. Or do without: gate.uncertified = true, or --force --reason TEXT")  # fmt: skip


def _missing(proved: Certificate, budget: float) -> str:
    """Say how much more mail would certify the budget, and where it comes from quickest."""
    more = senders_for(proved.errors, budget, proved.confidence) - proved.senders
    return (f"{budget:.2%} needs {more} more legitimate senders without an error; the gate keeps three in ten, so "
            f"about {math.ceil(more / SHARE)} in all. Quickest: known legitimate mail, imported (gatepost dataset "
            "add FOLDER --label ham); else review delivered mail")  # fmt: skip


def _attacks(evidence: Evidence, policy: GateSettings) -> Iterator[Check]:
    """No attack may pay more than the margin, and over all of them the 95 % bound must be within the wider."""
    if not evidence.attacks:
        none_wanted = policy.attack_messages == 0
        yield Check("attacks", none_wanted, None, None, "left out: gate.attack_messages is 0" if none_wanted else
                    "no bad mail that could be attacked", waived=none_wanted)  # fmt: skip
    for other, change in evidence.attacked.items():
        bound, limit = change.difference, -max(policy.caught_margin, policy.attack_margin)
        yield Check(f"attacked-against-{other}", bound.known and bound.low > limit, bound.low, limit,
                    _told("attacked bad mail caught", bound, f"the {other} model", ()))  # fmt: skip
    for one in evidence.attacks:
        loss = max(theirs - one.candidate for theirs in one.others.values())
        worse = [f"; it is worse than {other}" for other, change in one.paired.items() if _worse(change, -1)]
        others = ", ".join(f"{other} {theirs:.1%}" for other, theirs in one.others.items())
        yield Check(f"attack-{one.name.replace(',', '').replace(' ', '-')}",
                    loss <= policy.attack_margin + 1e-9 and not worse, loss, policy.attack_margin, "".join(
                    [f"catches {one.candidate:.1%} of attacked bad mail, {others} (n={one.n})", *worse]))  # fmt: skip


def _speed(candidate: Speed, theirs: Speed, other: str, policy: GateSettings) -> Iterator[Check]:
    for name, mine, base in (("median", candidate.median, theirs.median),
                             ("slowest", candidate.slowest, theirs.slowest)):  # fmt: skip
        limit = max(base * policy.slower, base + NOISE_MS)
        if name == "slowest":
            limit = min(limit, policy.slowest_ms)
        yield Check(f"{name}-against-{other}", mine <= limit, mine, limit,
                    f"{mine:.1f} ms a message, the {other} model {base:.1f} ms (n={candidate.n})")  # fmt: skip
