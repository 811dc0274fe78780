"""Drafts into labels by one explicit rule: the teacher is sure enough, and the model in place says the same.

Two that are wrong alike make a wrong label: the rule stands in the history of every label that it gave.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from training.store.entry import EVERYTHING, Entry, Filter, LabelSource
from training.store.labelling import give
from training.store.store import DataStore
from training.teacher.drafting import author


@dataclass(frozen=True, slots=True)
class Proposal:
    """A teacher's draft that stands on a message."""

    entry: Entry
    confidence: float
    reason: str


class Ruled(StrEnum):
    """What the rule makes of a draft."""

    ACCEPTED = "accepted"
    DIFFERS = "the model says otherwise"
    UNSCORED = "the model could not score it"
    UNSURE = "the teacher is not sure enough"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rule's word on one draft; `model` is the model's label, empty where it was not asked."""

    proposal: Proposal
    ruled: Ruled
    model: str = ""


def proposals(store: DataStore, wanted: Filter) -> list[Proposal]:
    """Return the drafts of teachers that stand, of any teacher. A report's draft has no confidence and is none."""
    newest = {change.digest: change for change in store.history() if change.source is LabelSource.DRAFT}
    teacher = author("")
    return [
        Proposal(entry, change.confidence, change.reason)
        for entry in store.entries(wanted)
        if (change := newest.get(entry.digest)) is not None and change.confidence is not None
        and change.by.startswith(teacher) and entry.reviewer == change.by and entry.name == change.after
    ]  # fmt: skip


def rule_text(model: str, at_least: float) -> str:
    """The rule, as it is recorded with every label."""
    return f"rule: the teacher's draft at confidence {at_least:g} or more, and model {model} gives the same label"


def judge(found: Sequence[Proposal], label_of: Callable[[Entry], str], at_least: float) -> Iterator[Ruling]:
    """Yield the rule's word on each draft. `label_of` is the model's label, empty where it has none."""
    for one in found:
        if one.confidence < at_least:
            yield Ruling(one, Ruled.UNSURE)
            continue
        said = label_of(one.entry)
        agreed = Ruled.ACCEPTED if said == one.entry.name else Ruled.DIFFERS if said else Ruled.UNSCORED
        yield Ruling(one, agreed, said)


def accept(store: DataStore, rulings: Sequence[Ruling], rule: str, by: str) -> int:
    """Make labels of what the rule accepts, in one transaction; return how many.

    A draft that no longer stands, since a person was faster, is left alone.
    """
    standing = {one.entry.digest: one.entry.name for one in proposals(store, EVERYTHING)}
    wanted = {r.proposal.entry.digest: r.proposal.entry.name for r in rulings if r.ruled is Ruled.ACCEPTED}
    given = {digest: name for digest, name in wanted.items() if standing.get(digest) == name}
    return give(store, given, source=LabelSource.RULE, by=by, reason=rule) if given else 0
