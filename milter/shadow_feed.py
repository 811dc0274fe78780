"""From a worker to the shadow process: what a candidate needs to score a message, over a socket that never blocks.

The queue is the socket's buffer (a few hundred kilobytes): what does not fit is left out and counted, so that a
candidate that is slow, dead or stuck costs the mail's way one failed `send`. Messages are compressed JSON.
"""

import json
import socket
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from milter.aftermath import Settled
from model.facts import Facts
from model.mail import Direction
from model.normalise import Document
from model.reasons import BY_SCORE, CLEAN, EXEMPT_RECIPIENT, NULL_SENDER
from model.verdict import Route

MOST_RECIPIENTS = 50
LARGEST = 1 << 20
"""Octets of a packed message at most; the socket's buffer is smaller."""
SEVERITY = (Route.DELIVER, Route.UNSCORED, Route.HOLD, Route.QUARANTINE, Route.REJECT)
_SCORED = BY_SCORE | {CLEAN, EXEMPT_RECIPIENT, NULL_SENDER}
"""Deciding reasons under which another score may lead elsewhere; under all others a rule decided."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient: where policy sent it, and whether the score decided that."""

    recipient: str
    route: Route
    by_score: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the model that serves saw it."""

    document: Document
    facts: Facts
    model: str
    p_bad: float
    direction: Direction
    listener: str
    sender: str
    copies: tuple[Copy, ...]
    message: str

    @property
    def route(self) -> Route:
        """The route of the recipient that it is worst for."""
        return worst([copy.route for copy in self.copies])


def worst(routes: Sequence[Route]) -> Route:
    """Return the most severe route."""
    return max(routes, key=SEVERITY.index)


def pack(settled: Settled, message: str) -> bytes | None:
    """Return a message for the shadow process; None for one that was not scored."""
    screening = settled.screening
    if screening.score is None or screening.document is None or screening.facts is None:
        return None
    recipients = settled.mail.envelope.recipients
    data = {
        "document": asdict(screening.document), "facts": asdict(screening.facts), "model": screening.score.model,
        "p_bad": screening.score.p_bad, "direction": settled.mail.direction, "listener": settled.listener,
        "sender": settled.mail.envelope.sender, "message": message,
        "copies": [
            (to.address, verdict.route, bool(verdict.reasons) and verdict.reasons[0].code in _SCORED)
            for to, verdict in list(zip(recipients, settled.wanted, strict=True))[:MOST_RECIPIENTS]
        ],
    }  # fmt: skip
    return zlib.compress(json.dumps(data).encode(), 1)


def unpack(data: bytes) -> Seen:
    """Undo `pack`. Raises ValueError, KeyError or TypeError on anything else."""
    found: dict[str, Any] = json.loads(zlib.decompress(data))
    document = found["document"]
    known = {field.name for field in fields(Facts)}
    return Seen(
        Document(document["subject"], tuple(document["fact_tokens"]), document["body"], tuple(document["hosts"]),
                 document["version"]),
        Facts(**{name: value for name, value in found["facts"].items() if name in known}),
        found["model"], float(found["p_bad"]), Direction(found["direction"]), found["listener"], found["sender"],
        tuple(Copy(recipient, Route(route), bool(scored)) for recipient, route, scored in found["copies"]),
        found["message"],
    )  # fmt: skip


class Feed:
    """A worker's end of the line. `send` returns whether the message went out."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end

    def send(self, settled: Settled, message: str) -> bool:
        """Hand a message on, or leave it out where there is no room."""
        data = pack(settled, message)
        if data is None:
            return True
        try:
            self._end.send(data)
        except OSError:  # full, too large for the buffer, or nobody is there
            return False
        return True
