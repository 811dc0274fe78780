"""From what is known of a message to a route: the only place that compares thresholds.

The first rule of this order that applies decides, and its reason stands first in the verdict:

1. block rule                          quarantine
2. allow rule                          deliver, unless 3 applies
3. leak found (outbound)               hold, if the policy says so
4. not scored                          unscored: the listener's setting says what becomes of it
5. defect that the policy holds        hold
6. p_bad from a threshold on           reject, quarantine or hold; but deliver where the recipient is exempt or
                                       the sender is null, for such mail is never kept by score alone
7. else                                deliver
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from model import reasons
from model.labels import Label
from model.mail import Direction, Mail
from model.rules import Rule, allows, blocks
from model.screen import Screening
from model.verdict import Reason, Route, Score, Verdict

_FACTS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator wants of one direction. Thresholds are probabilities of being bad; None is never.

    `label_at` replaces `quarantine_at` for a message whose most probable class it names. `on_leak` is hold or
    deliver; a finding counts from `leak_at` on. `on_unscored` (tempfail, hold, deliver) is carried out by the
    listener. `exempt_recipients` are whole addresses, or "local@" at any domain. Raises ValueError for
    thresholds outside 0 to 1 or for an unknown choice.
    """

    quarantine_at: float | None
    hold_at: float | None = None
    reject_at: float | None = None
    label_at: tuple[tuple[Label, float], ...] = ()
    on_unscored: str = "tempfail"
    on_leak: str = "hold"
    leak_at: float = 0.8
    exempt_recipients: tuple[str, ...] = ("postmaster@", "abuse@")
    hold_defects: frozenset[str] = frozenset()
    allow: tuple[Rule, ...] = ()
    block: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        given = (self.quarantine_at, self.hold_at, self.reject_at, self.leak_at, *(at for _, at in self.label_at))
        if not all(at is None or 0 <= at <= 1 for at in given):
            raise ValueError("a threshold is a probability from 0 to 1")
        if self.on_unscored not in ("tempfail", "hold", "deliver") or self.on_leak not in ("hold", "deliver"):
            raise ValueError("on_unscored is tempfail, hold or deliver; on_leak is hold or deliver")


@dataclass(frozen=True, slots=True)
class _Case:
    """What one decision looks at."""

    screening: Screening
    mail: Mail
    recipient: str
    policy: Policy
    now: datetime

    @property
    def score(self) -> Score | None:
        """The score, if there is one that can be compared."""
        score = self.screening.score
        return score if score is not None and math.isfinite(score.p_bad) else None


_Decision = tuple[Route, list[Reason]]


def decide(screening: Screening, mail: Mail, recipient: str, policy: Policy, now: datetime) -> Verdict:
    """Return what policy wants for one recipient's copy. Pure; `now` is aware and is only compared with expiries."""
    case = _Case(screening, mail, recipient, policy, now)
    for rule in _ORDER:
        decision = rule(case)
        if decision:
            break
    else:
        decision = (Route.DELIVER, [Reason(reasons.CLEAN, _told(case.score))])
    route, why = decision
    why += [reason for reason in _remarks(case) if reason not in why]
    score = case.score
    return Verdict(route, tuple(why), score.label if score else None, score.p_bad if score else None)


def _blocked(case: _Case) -> _Decision | None:
    for rule in case.policy.block:
        if not rule.expired(case.now) and blocks(rule, case.mail.envelope, case.screening.extracted):
            return Route.QUARANTINE, [Reason(reasons.BLOCK_RULE, str(rule))]
    return None


def _allowed(case: _Case) -> _Decision | None:
    seen = case.screening
    if case.policy.on_leak == "hold" and (any(_leaks(case)) or _leaks_unknown(case)):
        return None
    for rule in case.policy.allow:
        if not rule.expired(case.now) and allows(rule, case.mail.envelope, seen.extracted, seen.facts):
            return Route.DELIVER, [Reason(reasons.ALLOW_RULE, str(rule))]
    return None


def _leaking(case: _Case) -> _Decision | None:
    found = list(_leaks(case))
    return (Route.HOLD, found) if found and case.policy.on_leak == "hold" else None


def _unscored(case: _Case) -> _Decision | None:
    if case.score is not None:
        return None
    return Route.UNSCORED, [Reason(reasons.UNSCORED, case.screening.fault or "no-score")]


def _defective(case: _Case) -> _Decision | None:
    extracted = case.screening.extracted
    codes = {defect.code for defect in extracted.defects} if extracted else set()
    held = sorted(codes & case.policy.hold_defects)
    return (Route.HOLD, [Reason(reasons.DEFECT, code) for code in held]) if held else None


def _bad(case: _Case) -> _Decision | None:
    score, policy = case.score, case.policy
    if score is None:
        return None
    quarantine_at = dict(policy.label_at).get(score.label, policy.quarantine_at)
    for route, code, at in (
        (Route.REJECT, reasons.SCORE_REJECT, policy.reject_at),
        (Route.QUARANTINE, reasons.SCORE_QUARANTINE, quarantine_at),
        (Route.HOLD, reasons.SCORE_HOLD, policy.hold_at),
    ):
        if at is not None and score.p_bad >= at:
            why = [Reason(code, f"{_told(score)}, threshold {at:g}"), *_weighty(score)]
            exempt = _exempt(case)
            return (Route.DELIVER, [exempt, *why]) if exempt else (route, why)
    return None


_ORDER: tuple[Callable[[_Case], _Decision | None], ...] = (_blocked, _allowed, _leaking, _unscored, _defective, _bad)


def _exempt(case: _Case) -> Reason | None:
    """RFC 5321 section 4.5.1: postmaster is always to be reached; section 4.5.5: the null sender reports."""
    if not case.mail.envelope.sender and case.mail.direction is Direction.INBOUND:
        return Reason(reasons.NULL_SENDER)
    recipient = case.recipient.lower()
    local = recipient.rpartition("@")[0] or recipient  # RCPT TO:<postmaster> needs no domain
    for entry in map(str.lower, case.policy.exempt_recipients):
        if recipient == entry or (entry.endswith("@") and local == entry[:-1]):
            return Reason(reasons.EXEMPT_RECIPIENT, entry)
    return None


def _leaks(case: _Case) -> Iterator[Reason]:
    if case.mail.direction is Direction.OUTBOUND:
        for finding in case.screening.findings:
            if finding.confidence >= case.policy.leak_at:
                yield Reason(reasons.LEAK, f"{finding.detector}: {finding.masked}")


def _leaks_unknown(case: _Case) -> bool:
    """Whether outbound mail could not be searched for leaks: to allow a sender is not to let these through unseen."""
    seen = case.screening
    return case.mail.direction is Direction.OUTBOUND and (seen.extracted is None or seen.fault == "internal-error")


def _remarks(case: _Case) -> Iterator[Reason]:
    """Yield what an operator should see though it did not decide."""
    envelope, seen = case.mail.envelope, case.screening
    for rule in case.policy.block:
        if rule.expired(case.now) and blocks(rule, envelope, seen.extracted):
            yield Reason(reasons.RULE_EXPIRED, f"block {rule}")
    for rule in case.policy.allow:
        if rule.expired(case.now) and allows(rule, envelope, seen.extracted, seen.facts):
            yield Reason(reasons.RULE_EXPIRED, f"allow {rule}")
    yield from _leaks(case)
    if case.mail.direction is Direction.OUTBOUND:
        for finding in seen.findings:
            if finding.confidence < case.policy.leak_at:
                yield Reason(reasons.LEAK_POSSIBLE, f"{finding.detector}: {finding.masked}")


def _weighty(score: Score) -> list[Reason]:
    """Name the facts that spoke loudest against the message."""
    against = sorted((item for item in score.fact_logits.items() if item[1] > 0), key=lambda item: -item[1])
    return [Reason(reasons.FACT, f"{name} {logit:+.2f}") for name, logit in against[:_FACTS_NAMED]]


def _told(score: Score | None) -> str:
    return f"p_bad {score.p_bad:.4f}" if score else ""
