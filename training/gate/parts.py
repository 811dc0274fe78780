"""Which reviewed mail the gate keeps for itself, and which part of it certifies this time.

A site's training must leave out whatever `for_gate` names; the gate finds training mail by its fingerprints all the
same. Both depend on names alone, so more mail never moves a message from one side to the other.
"""

import hashlib

SHARE = 0.3
"""Share of the near-duplicate groups of reviewed mail that the gate keeps: never trained, never calibrated on."""


def for_gate(group: str, share: float = SHARE) -> bool:
    """Tell whether a group of the data store is the gate's."""
    return drawn(f"gate:{group}") < share


def part_of(sender: str, parts: int) -> int:
    """Return the part, from 0, that a sender's mail belongs to: a sender is never in two."""
    return int(drawn(f"part:{sender}") * parts)


def drawn(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64
