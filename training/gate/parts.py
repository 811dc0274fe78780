"""Which reviewed mail the gate keeps for itself, and which part of it certifies this time.

A site's training must leave out whatever `for_gate` names; the gate finds training mail by its fingerprints all the
same. Both depend on names alone, so more mail never moves a message from one side to the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

SHARE = 0.3
"""Share of the near-duplicate groups of reviewed mail that the gate keeps: never trained, never calibrated on."""


def for_gate(group: str, share: float = SHARE) -> bool:
    """Tell whether a group of the data store is the gate's."""
    return drawn(f"gate:{group}") < share


def part_of(sender: str, parts: int) -> int:
    """Return the part, from 0, that a sender's mail belongs to: a sender is never in two."""
    return int(drawn(f"part:{sender}") * parts)


@dataclass(frozen=True, slots=True)
class Look:
    """A candidate that was held against one of `parts` of the reviewed mail, and whether it then served."""

    version: str
    parts: int
    switched: bool


def turn(looks: Sequence[Look], candidate: str, parts: int) -> tuple[int, int]:
    """Return which of `parts` certifies a candidate, from 0, and how many candidates will have seen that part then.

    The part moves on with every switch that the gate decided. A candidate that is tried again is no further look;
    one that was tried when there were more parts, or fewer, may have seen any of today's.
    """
    at, seen = 0, [{candidate} for _ in range(parts)]
    for look in looks:
        for part in seen if look.parts != parts else (seen[at],):
            part.add(look.version)
        at = (at + 1) % parts if look.switched else at
    return at, len(seen[at])


def drawn(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64
