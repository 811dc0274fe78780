"""From verdicts to deeds: the whole table of stage, mode and setting."""

import pytest

from milter.replies import AFTER_QUEUE, BEFORE_QUEUE, Event
from milter.settle import plan
from model.verdict import Reason, Route, Stage, Verdict

D, Q, H, R, U = Route.DELIVER, Route.QUARANTINE, Route.HOLD, Route.REJECT, Route.UNSCORED


def verdicts(*routes: Route) -> list[Verdict]:
    return [Verdict(route, (Reason(f"because-{route}"),)) for route in routes]


@pytest.mark.parametrize("mode", [BEFORE_QUEUE, AFTER_QUEUE])
@pytest.mark.parametrize("unscored", ["tempfail", "hold", "deliver"])
@pytest.mark.parametrize("routes", [(D,), (Q,), (R, R), (U, U), (D, Q, H, R)])
def test_observing_delivers_everything(mode, unscored, routes):
    got = plan(verdicts(*routes), stage=Stage.OBSERVE, mode=mode, on_unscored=unscored)
    assert (got.deliver, got.keep, got.refuse) == (tuple(range(len(routes))), (), None)
    assert got.unscanned is (U in routes)


@pytest.mark.parametrize(
    ("stage", "mode", "routes", "deliver", "keep", "refuse"),
    [
        (Stage.KEEP, BEFORE_QUEUE, (D, D), (0, 1), (), None),
        (Stage.KEEP, BEFORE_QUEUE, (D, Q, H), (0,), (1, 2), None),
        (Stage.KEEP, BEFORE_QUEUE, (R, R), (), (0, 1), None),
        (Stage.REJECT, BEFORE_QUEUE, (R, R), (), (), Event.REJECTED),
        (Stage.REJECT, BEFORE_QUEUE, (R, Q), (), (0, 1), None),
        (Stage.REJECT, BEFORE_QUEUE, (R, D), (1,), (0,), None),
        (Stage.REJECT, AFTER_QUEUE, (R, R), (), (0, 1), None),
    ],
)
def test_stages(stage, mode, routes, deliver, keep, refuse):
    got = plan(verdicts(*routes), stage=stage, mode=mode, on_unscored="tempfail")
    assert (got.deliver, got.keep, got.refuse) == (deliver, keep, refuse)


@pytest.mark.parametrize(
    ("setting", "routes", "deliver", "keep", "refuse", "unscanned"),
    [
        ("tempfail", (U, U), (), (), Event.UNSCORED, False),
        ("tempfail", (U, Q), (), (), Event.UNSCORED, False),
        ("hold", (U, D), (1,), (0,), None, False),
        ("deliver", (U, Q), (0,), (1,), None, True),
        ("deliver", (U, U), (0, 1), (), None, True),
    ],
)
def test_without_a_score_the_setting_decides(setting, routes, deliver, keep, refuse, unscanned):
    got = plan(verdicts(*routes), stage=Stage.KEEP, mode=BEFORE_QUEUE, on_unscored=setting)
    assert (got.deliver, got.keep, got.refuse, got.unscanned) == (deliver, keep, refuse, unscanned)


def by_score(route: Route) -> Verdict:
    return Verdict(route, (Reason(f"score-{route}"), Reason("fact", "is_reply")))


@pytest.mark.parametrize("mode", [BEFORE_QUEUE, AFTER_QUEUE])
@pytest.mark.parametrize("stage", [Stage.KEEP, Stage.REJECT])
def test_with_an_open_breaker_the_model_keeps_and_refuses_nothing(stage, mode):
    """What it would have done stays in the verdict, for headers, log and record; `breaker` says why it was not."""
    wanted = [by_score(Q), by_score(H), by_score(R)]
    for some in (wanted, wanted[2:]):
        got = plan(some, stage=stage, mode=mode, on_unscored="hold", tagging=True)
        everyone = tuple(range(len(some)))
        assert (got.deliver, got.keep, got.refuse, got.tagged) == (everyone, (), None, everyone)
        assert all(v.reasons[0].code == "breaker" and v.route is not D for v in got.verdicts)
        assert all(got.done(at) is D for at in everyone)


def test_with_an_open_breaker_rules_leaks_defects_and_faults_still_act():
    leak, blocked = Verdict(H, (Reason("leak", "payment-card"),)), Verdict(Q, (Reason("block-rule", "x"),))
    defect, unscored = Verdict(H, (Reason("defect", "header-too-long"),)), Verdict(U, (Reason("unscored"),))

    got = plan([leak, blocked, defect, unscored, by_score(Q), *verdicts(D)], stage=Stage.KEEP, mode=BEFORE_QUEUE,
               on_unscored="hold", tagging=True)  # fmt: skip

    assert (got.keep, got.deliver, got.tagged) == ((0, 1, 2, 3), (4, 5), (4,))
    assert plan(verdicts(U), stage=Stage.KEEP, mode=BEFORE_QUEUE, on_unscored="tempfail", tagging=True).refuse


@pytest.mark.parametrize("stage", list(Stage))
def test_a_message_that_cannot_be_relayed_is_held_whatever_the_stage(stage):
    got = plan(verdicts(D, R), stage=stage, mode=AFTER_QUEUE, on_unscored="deliver", fault=Event.BAD_LINE_ENDING)
    assert got.keep == (0, 1) and not got.deliver
    assert {v.route for v in got.verdicts} == {H}
    assert [r.code for r in got.verdicts[0].reasons] == ["bad-line-ending", "because-deliver"]


def test_a_refusal_that_is_not_carried_out_is_a_quarantine_with_its_reasons():
    got = plan(verdicts(R), stage=Stage.KEEP, mode=BEFORE_QUEUE, on_unscored="hold")
    assert got.verdicts[0].route is Q
    assert got.verdicts[0].reasons == verdicts(R)[0].reasons
    assert got.done(0) is Q


def test_what_was_done_is_told_apart_from_what_was_wanted():
    observed = plan(verdicts(Q), stage=Stage.OBSERVE, mode=BEFORE_QUEUE, on_unscored="hold")
    assert observed.done(0) is D and observed.verdicts[0].route is Q
    refused = plan(verdicts(R), stage=Stage.REJECT, mode=BEFORE_QUEUE, on_unscored="hold")
    assert refused.done(0) is R
