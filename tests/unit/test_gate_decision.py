"""The gate's decision: each demand alone can refuse a candidate, and says with which figure."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from gate_evidence import evidence, paired

from training.evaluation.certificate import certificate
from training.gate.decision import decide_promotion
from training.gate.evidence import Attack, Certified, Comparison, Speed
from training.gate.lineage import Action, Chain, Record
from training.gate.promotion import turn
from training.gate.settings import GateSettings

POLICY = GateSettings()
FINE = evidence()


def against(name: str, pooled, **by_source) -> tuple[Comparison, ...]:
    return (Comparison(name, "v1", pooled, by_source),)


def certified(senders: int, errors: int, *, source: str = "site", fresh: bool = False) -> Certified:
    return Certified(certificate(senders, errors), source, fresh, 0, 3, 1)


def test_a_candidate_that_shows_everything_passes():
    decision = decide_promotion(FINE, POLICY)

    assert decision.passed
    assert decision.failed == ()
    assert [check.name for check in decision.checks] == [
        "normaliser", "training-record", "gate-mail", "golden", "parity",
        "caught-against-in-place", "false-positives-against-in-place",
        "caught-against-shipped", "false-positives-against-shipped",
        "certificate", "attack-homoglyph", "speed-median", "speed-slowest",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"normaliser": 3}, ["normaliser"]),
        ({"proof": replace(FINE.proof, recorded=False)}, ["training-record"]),
        ({"proof": replace(FINE.proof, disjoint=False)}, ["training-record"]),
        ({"trained_on": 40}, ["gate-mail"]),
        ({"proof": replace(FINE.proof, golden=0.2)}, ["golden"]),
        ({"proof": replace(FINE.proof, parity=0.9)}, ["parity"]),
        ({"proof": replace(FINE.proof, parity=None, parity_n=0)}, ["parity"]),
        ({"comparisons": against("in-place", paired(newly_missed=40))}, ["caught-against-in-place"]),
        ({"comparisons": against("shipped", paired(newly_missed=40))}, ["caught-against-shipped"]),
        ({"comparisons": against("shipped", paired(newly_kept=20))}, ["false-positives-against-shipped"]),
        ({"comparisons": against("in-place", paired(), site=paired(40, 40, newly_kept=8))},
         ["false-positives-against-in-place"]),
        ({"comparisons": against("in-place", paired(20, 20))},
         ["caught-against-in-place", "false-positives-against-in-place"]),
        ({"comparisons": against("in-place", paired(0, 400))}, ["false-positives-against-in-place"]),
        ({"certified": certified(200, 3)}, ["certificate"]),
        ({"certified": certified(60, 0)}, ["certificate"]),
        ({"certified": certified(200, 0, source="written")}, ["certificate"]),
        ({"certified": certified(0, 0)}, ["certificate"]),
        ({"attacks": (Attack("padding", 0.8, 0.9, 60),)}, ["attack-padding"]),
        ({"attacks": ()}, ["attacks"]),
        ({"speed": Speed(14.0, 20.0, 40)}, ["speed-median"]),
        ({"speed": Speed(10.0, 40.0, 40)}, ["speed-slowest"]),
        ({"speed": Speed(100.0, 160.0, 40), "speed_in_place": Speed(100.0, 155.0, 40)}, ["speed-slowest"]),
    ],
)  # fmt: skip
def test_each_demand_alone_refuses(change, failed):
    decision = decide_promotion(evidence(**change), POLICY)

    assert not decision.passed
    assert [check.name for check in decision.failed] == failed


def test_too_little_mail_says_how_much_is_needed_and_what_to_do():
    detail = decide_promotion(evidence(certified=certified(60, 0)), POLICY).failed[0].detail

    assert "0 of 60 legitimate senders" in detail
    assert "149 senders without an error are needed" in detail
    assert "--force --reason TEXT" in detail


def test_a_fresh_site_rests_on_the_written_guard_set_and_is_told_so():
    fresh = evidence(certified=certified(60, 0, source="written", fresh=True))
    decision = decide_promotion(fresh, POLICY)

    assert decision.passed
    detail = next(check.detail for check in decision.checks if check.name == "certificate")
    assert "nothing is certified for this site's mail" in detail
    hard = replace(fresh, certified=certified(60, 3, source="written", fresh=True))
    assert decide_promotion(hard, POLICY).passed, "honest twins are hard: they are compared, not held to a budget"
    outside = replace(fresh, certified=certified(60, 3, source="outside", fresh=True))
    assert not decide_promotion(outside, POLICY).passed


def test_attacks_may_be_left_out_by_setting_alone():
    none = evidence(attacks=())

    assert decide_promotion(none, GateSettings(attack_messages=0)).passed
    assert not decide_promotion(none, POLICY).passed


def test_checks_are_plain_json_without_nan():
    nothing = evidence(comparisons=against("in-place", paired(0, 0)))

    for check in decide_promotion(nothing, POLICY).checks:
        figure = check.to_json()["figure"]
        assert figure is None or not math.isnan(figure)


def test_the_part_moves_on_with_each_switch_and_each_other_candidate_is_a_look():
    def record(action: Action, after: str) -> Record:
        return Record(datetime(2026, 1, 1, tzinfo=UTC), "ida", action, "A", after)

    refused = [record(Action.REFUSE, "B"), record(Action.REFUSE, "C"), record(Action.REFUSE, "B")]
    assert turn(Chain((), None), "D") == (0, 1)
    assert turn(Chain(tuple(refused), None), "D") == (0, 3)
    assert turn(Chain(tuple(refused), None), "C") == (0, 2)
    assert turn(Chain((*refused, record(Action.PROMOTE, "C")), None), "D") == (1, 1)
    assert turn(Chain((*refused, record(Action.ROLLBACK, "A")), None), "D") == (0, 3)
