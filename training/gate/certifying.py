"""Which legitimate mail certifies a candidate, and what it proves. Pure.

Only mail that was not chosen by its score proves anything: delivered mail that was sampled, imported mail, outside
collections. Written mail proves nothing of any site's: honest twins of bad mail are far harder, and nobody sent them.
"""

from collections.abc import Sequence

from training.evaluation.certificate import CONFIDENCE, Certificate, trials_for, upper_bound
from training.evaluation.figures import Flags
from training.gate.evidence import NOTHING, Certified
from training.gate.parts import Look, part_of, turn
from training.gate.settings import GateSettings
from training.gate.sources import OUTSIDE, SITE, GateMail


def certify_mail(
    mail: Sequence[GateMail], kept: Flags, policy: GateSettings, looks: Sequence[Look], candidate: str
) -> Certified:
    """Certify on this site's mail if any of it may; else on outside collections; else on nothing.

    A site's mail is never eked out with others': that would prove its rate by mail that it does not get. Each further
    candidate on the same part costs confidence (Bonferroni).
    """
    real = [(m, bool(k)) for m, k in zip(mail, kept, strict=True) if m.certifies and not m.example.bad]
    source = next((name for name in (SITE, OUTSIDE) if any(m.source == name for m, _ in real)), NOTHING)
    mine = [(m, k) for m, k in real if m.source == source]
    parts = parts_for(len({m.sender for m, _ in mine}), policy) if source == SITE else 1
    part, seen = turn(looks, candidate, parts)
    used = [(m, k) for m, k in mine if part_of(m.sender, parts) == part]
    senders, wrong = {m.sender for m, _ in used}, {m.sender for m, k in used if k}
    confidence = 1 - (1 - CONFIDENCE) / seen
    bound = upper_bound(len(wrong), len(senders), confidence) if senders else 1.0
    return Certified(Certificate(len(senders), len(wrong), len(used), bound, confidence), source, part, parts, seen)


def parts_for(senders: int, policy: GateSettings) -> int:
    """Return the most parts, up to the setting, of which each would certify the budget if nothing were wrong."""
    return max(1, min(policy.parts, senders // trials_for(policy.false_positive_budget)))
