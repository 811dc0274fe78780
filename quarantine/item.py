"""A kept mail for one recipient, its states, and the one table of legal moves.

An item is a message and a recipient. Rule 1: a state changes only by a row of `MOVES`. Rule 2: it changes in one
UPDATE that names the state it comes from, so that of two people at once only one succeeds.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.labels import Label
from model.mail import Direction
from model.verdict import Route


class State(StrEnum):
    """Where an item stands."""

    PENDING = "pending"  # written, but the client has not heard 250 yet
    QUARANTINED = "quarantined"  # believed bad; a person may release it
    HELD = "held"  # a person must decide before the deadline
    RELEASING = "releasing"  # handed to the release port; stays so if we died before its reply
    RELEASED = "released"
    REJECTED = "rejected"
    DELETED = "deleted"
    EXPIRED = "expired"
    SAMPLED = "sampled"  # a copy of delivered mail, drawn for review: its recipient has it already
    TAGGED = "tagged"  # delivered with headers only, since the breaker had tripped; nothing but its row is here


class Action(StrEnum):
    """What was done to an item, by the gateway, by housekeeping or by a person."""

    CONFIRM = "confirm"
    RELEASE = "release"
    RESUME = "resume"
    SENT = "sent"
    RETURN = "return"
    REJECT = "reject"
    DELETE = "delete"
    KEEP = "keep"
    EXPIRE = "expire"
    LABEL = "label"
    UNLABEL = "unlabel"


@dataclass(frozen=True, slots=True)
class Move:
    """One legal step."""

    before: State
    action: Action
    after: State


MOVES: tuple[Move, ...] = (
    Move(State.PENDING, Action.CONFIRM, State.QUARANTINED),
    Move(State.PENDING, Action.CONFIRM, State.HELD),
    Move(State.QUARANTINED, Action.RELEASE, State.RELEASING),
    Move(State.HELD, Action.RELEASE, State.RELEASING),
    Move(State.REJECTED, Action.RELEASE, State.RELEASING),
    Move(State.RELEASING, Action.RESUME, State.RELEASING),
    Move(State.RELEASING, Action.SENT, State.RELEASED),
    Move(State.RELEASING, Action.RETURN, State.QUARANTINED),
    Move(State.RELEASING, Action.RETURN, State.HELD),
    Move(State.RELEASING, Action.RETURN, State.REJECTED),
    Move(State.QUARANTINED, Action.REJECT, State.REJECTED),
    Move(State.HELD, Action.REJECT, State.REJECTED),
    Move(State.QUARANTINED, Action.DELETE, State.DELETED),
    Move(State.HELD, Action.DELETE, State.DELETED),
    Move(State.RELEASED, Action.DELETE, State.DELETED),
    Move(State.REJECTED, Action.DELETE, State.DELETED),
    Move(State.HELD, Action.KEEP, State.QUARANTINED),
    Move(State.QUARANTINED, Action.EXPIRE, State.EXPIRED),
    Move(State.SAMPLED, Action.DELETE, State.DELETED),
    Move(State.SAMPLED, Action.EXPIRE, State.EXPIRED),
    Move(State.TAGGED, Action.DELETE, State.DELETED),
)

UNDECIDED = (State.QUARANTINED, State.HELD)
REVIEWABLE = (*UNDECIDED, State.SAMPLED)
"""What a person may be shown to judge: a sample can only be labelled."""

KEPT_AS: dict[Route, State] = {
    Route.QUARANTINE: State.QUARANTINED,
    Route.REJECT: State.QUARANTINED,  # believed worse than bad, on a listener that may not refuse
    Route.HOLD: State.HELD,
    Route.UNSCORED: State.HELD,
}


def sources(action: Action, after: State) -> tuple[State, ...]:
    """Return the states from which `action` may lead to `after`."""
    return tuple(m.before for m in MOVES if m.action is action and m.after is after)


def allowed(state: State) -> tuple[Action, ...]:
    """Return the actions that are legal in a state, each once, in the order of the table."""
    return tuple(dict.fromkeys(m.action for m in MOVES if m.before is state))


@dataclass(frozen=True, slots=True)
class QuarantineItem:
    """One row of the quarantine: the columns in clear. Times are aware UTC; `size` is in octets.

    `reason` is the code of the deciding reason, `label` and `p_bad` are the model's, `reviewed` a person's.
    `before` is the state to return to if a release fails; `attempt` counts releases. `body` tells whether the
    message itself is still there. `drawn` is the probability with which delivered mail was drawn; None for kept mail.
    """

    id: str
    message: str
    state: State
    direction: Direction
    listener: str
    kept_at: datetime
    changed_at: datetime
    sender: str
    recipient: str
    size: int
    route: Route
    reason: str
    label: Label | None
    p_bad: float | None
    model: str
    reviewed: Label | None
    deadline: datetime | None
    before: State | None
    attempt: int
    body: bool
    drawn: float | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody did, and when and why. `label` is a verdict, `action` a deed: either may stand alone."""

    item: str
    at: datetime
    by: str
    action: Action
    label: Label | None = None
    reason: str = ""
    before: State | None = None
    after: State | None = None
