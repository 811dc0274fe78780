"""From the operator's [policy.NAME] to the policy that decides."""

from milter.settings import PolicySettings, RuleSettings, Settings
from model.bundle import Thresholds
from model.policy import Policy
from model.rules import Rule, after


def policy_of(written: PolicySettings) -> Policy:
    """Return the policy as `model.policy.decide` reads it; a threshold that is not set is never reached."""
    return Policy(
        quarantine_at=written.quarantine_at,
        hold_at=written.hold_at,
        reject_at=written.reject_at,
        on_unscored=written.on_unscored,
        on_leak=written.on_leak,
        leak_at=written.leak_at,
        exempt_recipients=written.exempt_recipients,
        hold_defects=frozenset(written.hold_defects),
        allow=tuple(map(_rule, written.allow)),
        block=tuple(map(_rule, written.block)),
    )


def _rule(written: RuleSettings) -> Rule:
    return Rule(
        address=written.address,
        domain=written.domain,
        network=written.network,
        expires=after(written.expires) if written.expires else None,
        note=written.note,
    )


def with_thresholds(settings: Settings, thresholds: Thresholds) -> Settings:
    """Return settings whose unset thresholds are the model's own; `default` is written out as well."""
    policies = {"default": PolicySettings(), **settings.policy}
    return settings.model_copy(
        update={"policy": {name: _completed(policy, thresholds) for name, policy in policies.items()}}
    )


def _completed(policy: PolicySettings, thresholds: Thresholds) -> PolicySettings:
    own = {"quarantine_at": thresholds.quarantine, "hold_at": thresholds.hold}
    return policy.model_copy(update={key: value for key, value in own.items() if getattr(policy, key) is None})
