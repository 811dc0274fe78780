"""From the operator's [policy.NAME] to the policy that decides."""

from milter.settings import PolicySettings, RuleSettings
from model.bundle import Thresholds
from model.mail import Direction
from model.policy import Policy
from model.rules import Rule, after


def policy_of(written: PolicySettings, own: Thresholds | None = None) -> Policy:
    """Return the policy as `model.policy.decide` reads it.

    A threshold that is not set is the model's `own`; without one it is never reached. For outbound listeners
    `own` is None: the model's thresholds are measured on inbound mail.
    """
    quarantine_at, hold_at = written.quarantine_at, written.hold_at
    if own is not None:
        quarantine_at = own.quarantine if quarantine_at is None else quarantine_at
        hold_at = own.hold if hold_at is None else hold_at
    return Policy(
        quarantine_at=quarantine_at,
        hold_at=hold_at,
        reject_at=written.reject_at,
        on_unscored=written.on_unscored,
        on_leak=written.on_leak,
        leak_at=written.leak_at,
        exempt_recipients=written.exempt_recipients,
        hold_defects=frozenset(written.hold_defects),
        allow=tuple(map(_rule, written.allow)),
        block=tuple(map(_rule, written.block)),
    )


def own_thresholds(thresholds: Thresholds | None, direction: Direction) -> Thresholds | None:
    """Return what fills in for unset thresholds in mail of that direction."""
    return thresholds if direction is Direction.INBOUND else None


def _rule(written: RuleSettings) -> Rule:
    return Rule(
        address=written.address,
        domain=written.domain,
        network=written.network,
        expires=after(written.expires) if written.expires else None,
        note=written.note,
    )
