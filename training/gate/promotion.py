"""Switching models: prove, decide, record, move the pointer, see that the running gateway follows.

    promote    add → decide → record → point → follow; a refusal is recorded and moves nothing
    rollback   prove → record → point → follow

The decision is on record before the pointer moves, so nothing ever serves that no line speaks of; a process that
dies in between leaves the old model in place. If the running gateway refuses the new model, the pointer goes back.
Whoever calls gives the clock, the account and `at`, which hears the name of every step that was completed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from model.bundle import DEFAULT, Bundle, BundleError
from model.score import Scorer, verify
from model.shelf import SHIPPED, Shelf, ShelfError
from training.gate import lineage
from training.gate.decision import Decision
from training.gate.evidence import Evidence
from training.gate.lineage import SWITCHES, Action, Chain, LineageError, Record
from training.gate.parts import Look


class Follow(StrEnum):
    """What the running gateway did about the pointer."""

    FOLLOWED = "followed"
    REFUSED = "refused"
    NOBODY = "nobody"  # no gateway answers
    LATE = "late"  # it answers, and did not load the model in time


@dataclass(frozen=True, slots=True)
class Followed:
    """The running gateway's answer, with a sentence for people."""

    state: Follow
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Hands:
    """What a switch needs of the outside. `prepare` may refuse the folder (ShelfError) before anything moves."""

    by: str
    now: Callable[[], datetime]
    follow: Callable[[Bundle], Followed]
    prepare: Callable[[Path], None] = lambda _: None
    at: Callable[[str], None] = lambda _: None


Judge = Callable[[Bundle, Bundle, Bundle, Chain], tuple[Decision, Evidence]]
"""From candidate, model in place, shipped model and the lineage to a decision."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `serving` is the version that the pointer names at the end; `warnings` are for people."""

    action: Action
    before: str
    after: str
    serving: str
    decision: Decision | None = None
    followed: Followed | None = None
    warnings: tuple[str, ...] = ()

    @property
    def switched(self) -> bool:
        """Whether the model that was asked for is the current one now."""
        return self.serving == self.after and self.action is not Action.REFUSE


@dataclass(frozen=True, slots=True)
class _Switch:
    shelf: Shelf
    hands: Hands
    before: str
    notes: list[str] = field(default_factory=list)

    def record(self, action: Action, after: str, reason: str = "", decision: Decision | None = None,
               data: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        checks = tuple(check.to_json() for check in decision.checks) if decision else ()
        before = after if action is Action.RETURN else self.before
        after = self.before if action is Action.RETURN else after
        lineage.append(self.shelf.root, Record(self.hands.now(), self.hands.by, action, before, after, reason,
                                               checks, data))  # fmt: skip
        self.hands.at(f"recorded-{action}")

    def move(self, target: Bundle, back: str | None) -> tuple[str, Followed]:
        """Point to a bundle, wait for the gateway, and point back if it refuses. Returns what is current then."""
        self.shelf.point(_name(target))
        self.hands.at("pointed")
        answer = self.hands.follow(target)
        self.hands.at("followed")
        if answer.state is not Follow.REFUSED:
            return target.version, answer
        self.shelf.point(back)
        self.record(Action.RETURN, target.version, f"the running gateway refused it: {answer.detail}")
        return self.before, answer


def promote(shelf: Shelf, wanted: str, judge: Judge, hands: Hands, *, force: str = "") -> Outcome:
    """Run the gate on a bundle (a folder, or a stored version) and let it serve if it passes, or by `force`.

    `force` is the operator's reason. Raises ShelfError, LineageError or BundleError; nothing serves anew then.
    """
    with shelf.locked():
        chain = _trusted(shelf)
        back, in_place = _in_place(shelf)
        candidate = _candidate(shelf, wanted)
        hands.at("added")
        if candidate.version == in_place.version:
            raise ShelfError(f"{candidate.version} is the current model already; nothing to do")
        hands.prepare(candidate.path)
        decision, evidence = judge(candidate, in_place, Bundle.open(DEFAULT), chain)
        hands.at("decided")
        switch = _Switch(shelf, hands, in_place.version)
        data = _data(evidence, candidate)
        start = Outcome(Action.REFUSE, in_place.version, candidate.version, in_place.version, decision)
        if not decision.passed and not force:
            switch.record(Action.REFUSE, candidate.version, "", decision, data)
            return start
        action = Action.PROMOTE if decision.passed else Action.FORCE
        switch.record(action, candidate.version, force, decision, data)
        serving, answer = switch.move(candidate, back)
        return replace(start, action=action, serving=serving, followed=answer)


def rollback(shelf: Shelf, hands: Hands, *, to: str = "", reason: str = "") -> Outcome:
    """Let the model serve that served before, or one that served at some time (`to`).

    A damaged lineage or a lost key keeps nobody from going back: it is said in the warnings. Raises ShelfError,
    LineageError (there is nothing to go back to) or BundleError (the target cannot serve here).
    """
    with shelf.locked():
        chain, warnings = _doubtful(shelf)
        back = shelf.current
        before = back or Bundle.open(DEFAULT).version
        target = Bundle.open(shelf.folder_of(_target(shelf, chain, before, to)))
        if _name(target) == back:
            raise ShelfError(f"{target.version} is the current model already; nothing to do")
        verify(Scorer(target))
        hands.prepare(target.path)
        switch = _Switch(shelf, hands, before)
        try:
            switch.record(Action.ROLLBACK, target.version, reason)
        except LineageError as error:
            warnings.append(f"this rollback is not on record: {error}")
        serving, answer = switch.move(target, back)
        return Outcome(Action.ROLLBACK, before, target.version, serving, None, answer, tuple(warnings))


def _trusted(shelf: Shelf) -> Chain:
    chain = lineage.read(shelf.root)
    if chain.fault is not None:
        path = shelf.root / lineage.FILE
        raise LineageError(f"{path}, line {chain.fault.line}: {chain.fault.why}. Find out who changed it; then move "
                           f"{lineage.FILE}, {lineage.PRIVATE} and {lineage.PUBLIC} aside to begin a new lineage")
    return chain


def _doubtful(shelf: Shelf) -> tuple[Chain, list[str]]:
    try:
        chain = lineage.read(shelf.root)
    except LineageError as error:
        return Chain((), None), [str(error)]
    fault = chain.fault
    return chain, [f"{shelf.root / lineage.FILE}, line {fault.line}: {fault.why}"] if fault else []


def _in_place(shelf: Shelf) -> tuple[str | None, Bundle]:
    """Return what the pointer names and the bundle that serves. Raises ShelfError where it is damaged."""
    version = shelf.current
    try:
        return version, Bundle.open(shelf.serving)
    except BundleError as error:
        raise ShelfError(f"the model in place cannot be compared with: {error}; "
                         f"gatepost model rollback --to VERSION (or --to {SHIPPED}) first") from None


def _candidate(shelf: Shelf, wanted: str) -> Bundle:
    path = Path(wanted)
    if not path.is_dir():
        if "/" in wanted:
            raise ShelfError(f"{wanted}: no such folder; give the folder of a bundle, or a version of the store")
        return Bundle.open(shelf.folder_of(wanted))
    inside = path.resolve().parent == shelf.path_of("x").parent.resolve()
    if path.resolve() == DEFAULT.resolve():
        return Bundle.open(DEFAULT)
    return Bundle.open(shelf.path_of(path.resolve().name)) if inside else shelf.add(path)


def _target(shelf: Shelf, chain: Chain, current: str, to: str) -> str:
    if not to:
        previous = chain.previous(current)
        if previous is None:
            raise LineageError(f"{shelf.root / lineage.FILE}: does not say what served before {current}; "
                               f"name it with --to VERSION, or --to {SHIPPED}")
        return previous
    served = {version for r in chain.records if r.action in SWITCHES for version in (r.before, r.after)}
    if to != SHIPPED and chain.records and to not in served and shelf.folder_of(to) != DEFAULT:
        raise ShelfError(f"{to}: never served, so there is no going back to it; gatepost model promote {to} "
                         "lets it serve if it passes the gate")
    return to


def _name(bundle: Bundle) -> str | None:
    """Return what the pointer has to name: nothing for the shipped bundle."""
    return None if bundle.path.resolve() == DEFAULT.resolve() else bundle.version


def _data(evidence: Evidence, candidate: Bundle) -> dict[str, Any]:
    certified = evidence.certified
    return {
        "candidate_data": candidate.data_fingerprint,
        "gate_data": dict(evidence.data),
        "messages": {name: {"legitimate": good, "bad": bad} for name, (good, bad) in evidence.counts.items()},
        "part": certified.part,
        "parts": certified.parts,
        "looks": certified.looks,
        "certificate": {"source": certified.source, **certified.certificate.to_json()},
    }


def looks_of(chain: Chain) -> tuple[Look, ...]:
    """Return the gate's decisions so far: each was a look at reviewed mail."""
    return tuple(
        Look(r.after, int((r.data or {}).get("parts", 0)), r.action is not Action.REFUSE)
        for r in chain.records
        if r.action in (Action.PROMOTE, Action.FORCE, Action.REFUSE)
    )
