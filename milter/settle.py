"""From verdicts to deeds: which recipients' copies are delivered, which are kept, or what the client hears instead.

Pure. Policy says what should happen to each recipient; the listener's stage says how far that may be carried
out, its mode whether anything may be refused, and `on_unscored` what becomes of a message without a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from milter.replies import BEFORE_QUEUE, Event
from model.reasons import BREAKER, BY_SCORE
from model.verdict import Reason, Route, Stage, Verdict

KEEPING = frozenset({Route.QUARANTINE, Route.HOLD, Route.REJECT})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with one message. Indexes are into the envelope's recipients and into `verdicts`.

    With `refuse` nothing else is done. `unscanned`: a delivered copy went out without a score. `tagged`: those of
    `deliver` that the model would have kept, had the breaker not tripped.
    """

    verdicts: tuple[Verdict, ...]
    deliver: tuple[int, ...] = ()
    keep: tuple[int, ...] = ()
    refuse: Event | None = None
    unscanned: bool = False
    tagged: tuple[int, ...] = ()

    def done(self, at: int) -> Route:
        """Return the route that is carried out for recipient `at`."""
        if self.refuse is not None:
            return Route.REJECT if self.refuse is Event.REJECTED else Route.UNSCORED
        return Route.DELIVER if at in self.deliver else self.verdicts[at].route


def plan(verdicts: Sequence[Verdict], *, stage: Stage, mode: str, on_unscored: str,
         fault: Event | None = None, tagging: bool = False) -> Plan:
    """Decide for all recipients of a message at once. `tagging`: what the model alone would keep is delivered.

    `fault` is something wrong with the message that keeps it from being relayed (line ends, a loop, size): it is
    held whatever the stage, and comes here only where it may not be refused (`replies.holds`).
    """
    if fault is not None:
        held = tuple(_held(verdict, fault) for verdict in verdicts)
        return Plan(held, keep=tuple(range(len(held))))
    wanted = tuple(verdicts)
    unscored = any(v.route is Route.UNSCORED for v in wanted)
    if stage is Stage.OBSERVE:
        return Plan(wanted, deliver=tuple(range(len(wanted))), unscanned=unscored)
    if unscored and on_unscored == "tempfail":
        return Plan(wanted, refuse=Event.UNSCORED)
    tagged = tuple(at for at, verdict in enumerate(wanted) if tagging and by_score(verdict))
    if not tagged and stage is Stage.REJECT and mode == BEFORE_QUEUE and all(v.route is Route.REJECT for v in wanted):
        return Plan(wanted, refuse=Event.REJECTED)
    carried = tuple(_carried(v, on_unscored) for v in wanted)
    carried = tuple(_told(verdict) if at in tagged else verdict for at, verdict in enumerate(carried))
    keep = tuple(at for at, verdict in enumerate(carried) if verdict.route in KEEPING and at not in tagged)
    deliver = tuple(at for at in range(len(carried)) if at not in keep)
    unscanned = any(carried[at].route is Route.UNSCORED for at in deliver)
    return Plan(carried, deliver, keep, unscanned=unscanned, tagged=tagged)


def by_score(verdict: Verdict) -> bool:
    """Tell whether it is the model that wants to keep a copy, and no rule, leak, defect or fault."""
    return verdict.route in KEEPING and bool(verdict.reasons) and verdict.reasons[0].code in BY_SCORE


def _told(verdict: Verdict) -> Verdict:
    return replace(verdict, reasons=(Reason(BREAKER), *verdict.reasons))


def _held(verdict: Verdict, fault: Event) -> Verdict:
    return replace(verdict, route=Route.HOLD, reasons=(Reason(fault.value), *verdict.reasons))


def _carried(verdict: Verdict, on_unscored: str) -> Verdict:
    """A refusal that not all recipients share, or that may not be given, is a quarantine."""
    if verdict.route is Route.REJECT:
        return replace(verdict, route=Route.QUARANTINE)
    if verdict.route is Route.UNSCORED and on_unscored == "hold":
        return replace(verdict, route=Route.HOLD)
    return verdict
