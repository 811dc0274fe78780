"""What the gateway tells about its work: one record a message, and the two ears that hear of it.

Sessions know only the protocols `Events` and `Metrics`; log lines and counters are made in `milter.events` and
`milter.metrics`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from model.labels import Label
from model.mail import Direction
from model.verdict import Route


class Undone(StrEnum):
    """A copy that went nowhere: the client heard 4xx and will come again, or the next hop's 5xx."""

    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RecipientRecord:
    """What became of one recipient's copy. `reasons` are codes, the deciding one first.

    `route` is what was done, `wanted` what policy would have done if the listener's stage had let it.
    """

    address: str
    route: Route | Undone
    reasons: tuple[str, ...] = ()
    wanted: Route | None = None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """Everything about one finished transaction that may be logged; no text of the message but its id.

    `ms` is the time by stage (receive, extract, score, deliver, total ...) in milliseconds; `reply` is what the
    client heard; `queued_as` is the next hop's id; `queue_id` the upstream's; `fault` names our own failure.
    """

    listener: str
    direction: Direction
    mode: str
    trace: str
    sender: str
    recipients: tuple[RecipientRecord, ...]
    reply: str
    size: int
    queue_id: str = ""
    message_id: str = ""
    label: Label | None = None
    p_bad: float | None = None
    model: str = ""
    queued_as: str = ""
    fault: str = ""
    ms: Mapping[str, float] = field(default_factory=dict)


class Events(Protocol):
    """Hears what an operator should read: one log line each."""

    def message(self, record: MessageRecord) -> None:
        """A transaction has been answered."""

    def next_hop_down(self, listener: str, address: str, error: str) -> None:
        """The next hop refused a connection, hung up or was silent too long."""

    def session_fault(self, listener: str, peer: str, error: BaseException) -> None:
        """Our own code failed in a session; the peer heard 451."""


class Metrics(Protocol):
    """Hears what is counted."""

    def message(self, record: MessageRecord) -> None:
        """Count a finished transaction by listener, route and label, and its time by stage."""

    def fault(self, kind: str) -> None:
        """Count a fault of ours by kind."""

    def next_hop_failure(self, listener: str) -> None:
        """Count a next hop that failed."""

    def session_opened(self, listener: str) -> None:
        """A client connected."""

    def session_closed(self, listener: str) -> None:
        """A client's connection ended."""
