"""The gate's decision: each demand alone can refuse a candidate, and says with which figure."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from gate_evidence import attack, evidence, paired

from training.evaluation.certificate import certificate
from training.gate.decision import decide_promotion
from training.gate.evidence import NOTHING, Certified, Comparison, Speed
from training.gate.lineage import Action, Chain, Record
from training.gate.parts import Look, turn
from training.gate.promotion import looks_of
from training.gate.settings import GateSettings

POLICY = GateSettings()
FINE = evidence()


def against(name: str, pooled, **by_source) -> tuple[Comparison, ...]:
    return (Comparison(name, "v1", pooled, by_source),)


def certified(senders: int, errors: int, source: str = "site") -> Certified:
    return Certified(certificate(senders, errors), source, 0, 3, 1)


def learnt(**changes):
    return replace(FINE.proof, parity_of="v1", learnt_from="june", **changes)


def test_a_candidate_that_shows_everything_passes():
    decision = decide_promotion(FINE, POLICY)

    assert decision.passed
    assert decision.failed == ()
    assert [check.name for check in decision.checks] == [
        "normaliser", "training-record", "gate-mail", "golden", "parity",
        "caught-against-in-place", "false-positives-against-in-place",
        "caught-against-shipped", "false-positives-against-shipped",
        "certificate", "attacked-against-in-place", "attacked-against-shipped", "attack-homoglyph",
        "median-against-in-place", "slowest-against-in-place", "median-against-shipped", "slowest-against-shipped",
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
        ({"certified": certified(60, 0, "outside")}, ["certificate"]),
        ({"certified": certified(0, 0, NOTHING)}, ["certificate"]),
        ({"proof": learnt(), "counts": {"written": (200, 200)}}, ["site-mail"]),
        ({"proof": learnt(same_encoder=False)}, ["parity"]),
        ({"attacks": (attack("padding", newly_missed=3),)}, ["attack-padding"]),
        ({"attacks": (attack("padding", newly_missed=8, n=600),)}, ["attack-padding"]),
        ({"attacked": {"shipped": paired(newly_missed=40).caught}}, ["attacked-against-shipped"]),
        ({"attacks": ()}, ["attacks"]),
        ({"speed": Speed(14.0, 20.0, 40)}, ["median-against-in-place", "median-against-shipped"]),
        ({"speed": Speed(10.0, 40.0, 40), "speeds": {"shipped": Speed(10.0, 20.0, 40)}}, ["slowest-against-shipped"]),
        ({"speed": Speed(100.0, 160.0, 40), "speeds": {"in-place": Speed(100.0, 155.0, 40)}},
         ["slowest-against-in-place"]),
    ],
)  # fmt: skip
def test_each_demand_alone_refuses(change, failed):
    decision = decide_promotion(evidence(**change), POLICY)

    assert not decision.passed
    assert [check.name for check in decision.failed] == failed


def test_too_little_mail_says_how_much_is_needed_and_what_to_do():
    detail = decide_promotion(evidence(certified=certified(60, 0)), POLICY).failed[0].detail

    assert "0 of 60 legitimate senders" in detail
    assert "NOT CERTIFIED" in detail
    assert "89 more legitimate senders without an error; the gate keeps three in ten, so about 297 in all" in detail
    assert "gatepost dataset add" in detail
    assert "--force --reason TEXT" in detail


def test_a_site_without_reviewed_mail_certifies_nothing_unless_its_operator_does_without():
    """And where the little that there is speaks against the candidate, no setting helps."""
    fresh = evidence(certified=certified(0, 0, NOTHING))
    waives = GateSettings(uncertified=True)

    assert [check.name for check in decide_promotion(fresh, POLICY).failed] == ["certificate"]
    decision = decide_promotion(fresh, waives)
    assert decision.passed
    (check,) = (check for check in decision.checks if check.waived)
    assert check.name == "certificate"
    assert check.detail.startswith("NOT CERTIFIED: no legitimate mail was reviewed that was not chosen by its score")
    assert check.to_json()["waived"]
    assert not decide_promotion(evidence(certified=certified(60, 3)), waives).passed


def test_what_verdicts_made_says_whose_parity_it_has():
    decision = decide_promotion(evidence(proof=learnt()), POLICY)

    assert decision.passed
    said = {check.name: check.detail for check in decision.checks}
    assert "v1 was made, whose encoder this is, unchanged; its own head beside was not measured" in said["parity"]
    assert "snapshot june" in said["site-mail"]


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
    def look(version: str, *, switched: bool = False, parts: int = 3) -> Look:
        return Look(version, parts, switched)

    refused = [look("B"), look("C"), look("B")]
    assert turn([], "D", 3) == (0, 1)
    assert turn(refused, "D", 3) == (0, 3)
    assert turn(refused, "C", 3) == (0, 2)
    assert turn([*refused, look("C", switched=True)], "D", 3) == (1, 1)
    around = [*refused, *(look(version, switched=True) for version in "CEF")]
    assert turn(around, "D", 3) == (0, 3), "after three switches it is the first part's turn again, which B and C saw"
    assert turn(around, "D", 1) == (0, 5), "one part has been seen by all"
    assert turn([*around, look("G", parts=2)], "D", 3) == (0, 4), "cut otherwise, it may have seen any part"


def test_decisions_on_record_are_looks_and_going_back_is_none():
    def record(action: Action, after: str) -> Record:
        return Record(datetime(2026, 1, 1, tzinfo=UTC), "ida", action, "A", after, data={"parts": 3})

    chain = Chain((record(Action.REFUSE, "B"), record(Action.FORCE, "B"), record(Action.ROLLBACK, "A")), None)
    assert looks_of(chain) == (Look("B", 3, False), Look("B", 3, True))
