"""From what the operator wrote to the policy that decides."""

from datetime import UTC, date, datetime
from ipaddress import IPv4Network

from milter.policies import own_thresholds, policy_of
from milter.settings import PolicySettings, RuleSettings
from model.bundle import Thresholds
from model.mail import Direction
from model.policy import Policy


def test_an_empty_table_is_the_policy_without_thresholds():
    defects = frozenset(PolicySettings().hold_defects)

    assert policy_of(PolicySettings()) == Policy(quarantine_at=None, hold_defects=defects)


def test_everything_written_arrives():
    """No key of [policy.NAME] is read and then forgotten."""
    written = PolicySettings(
        quarantine_at=0.9, hold_at=0.7, reject_at=0.99, on_unscored="hold", on_leak="deliver", leak_at=0.5,
        exempt_recipients=("help@",), hold_defects=("from-multiple",),
        allow=(RuleSettings(domain="partner.example", expires=date(2027, 1, 31), note="why"),),
        block=(RuleSettings(network=IPv4Network("192.0.2.0/24")),),
    )  # fmt: skip

    policy = policy_of(written)

    simple = set(PolicySettings.model_fields) - {"allow", "block", "hold_defects"}
    assert {key: getattr(policy, key) for key in simple} == {key: getattr(written, key) for key in simple}
    assert policy.hold_defects == {"from-multiple"}
    assert (policy.allow[0].domain, policy.allow[0].note) == ("partner.example", "why")
    assert policy.block[0].network == IPv4Network("192.0.2.0/24")


def test_a_rule_counts_on_its_last_day():
    (rule,) = policy_of(PolicySettings(allow=(RuleSettings(domain="a.example", expires=date(2027, 1, 31)),))).allow

    assert not rule.expired(datetime(2027, 1, 31, 23, 59, tzinfo=UTC))
    assert rule.expired(datetime(2027, 2, 1, tzinfo=UTC))


class TestThresholds:
    OWN = Thresholds(quarantine=0.8, hold=0.6)

    def test_what_is_not_set_is_the_models_own(self):
        """Refusing is never the model's own idea."""
        policy = policy_of(PolicySettings(), self.OWN)

        assert (policy.quarantine_at, policy.hold_at, policy.reject_at) == (0.8, 0.6, None)

    def test_what_is_set_stays(self):
        policy = policy_of(PolicySettings(quarantine_at=0.5), self.OWN)

        assert (policy.quarantine_at, policy.hold_at) == (0.5, 0.6)

    def test_a_model_that_never_holds(self):
        assert policy_of(PolicySettings(), Thresholds(quarantine=0.8)).hold_at is None

    def test_outbound_mail_is_kept_by_score_only_where_the_operator_says_so(self):
        assert own_thresholds(self.OWN, Direction.INBOUND) is self.OWN
        assert own_thresholds(self.OWN, Direction.OUTBOUND) is None
