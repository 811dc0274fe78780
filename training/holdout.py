"""Which part of the written set is never trained on: whole authors, sectors, languages and senders.

A random split of written mail flatters: the same hand, the same trade and the same sender stand on both sides. Here
whatever is held out is held out whole, with everything that is joined to it.
"""

import hashlib
from collections.abc import Sequence
from email.utils import parseaddr

from training.settings import HeldOut
from training.written import Written


def reasons(messages: Sequence[Written], settings: HeldOut) -> dict[str, str]:
    """Return why a pair is held out, by its group's name; pairs that may be trained on are not in it.

    A pair goes with any message of it. Pairs that share a sender's domain go together.
    """
    held: dict[str, str] = {}
    for message in messages:
        if reason := _named(message, settings):
            held.setdefault(message.group, reason)
    families = _families(messages)
    for family in families:
        if not any(group in held for group in family) and _draw(min(family)) < settings.senders:
            held.update(dict.fromkeys(family, "sender"))
    for family in families:
        if any(group in held for group in family):
            held.update({group: held.get(group, "sender") for group in family})
    return held


def _named(message: Written, settings: HeldOut) -> str:
    if message.author in settings.authors:
        return f"author {message.author}"
    if message.lang in settings.languages:
        return f"language {message.lang}"
    return f"sector {message.sector}" if message.sector in settings.sectors else ""


def _families(messages: Sequence[Written]) -> list[list[str]]:
    """Join pairs that share the domain of a sender, and return their names in families."""
    parent = {m.group: m.group for m in messages}

    def top(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for message in messages:
        domain = parseaddr(message.sender)[1].rpartition("@")[2].lower()
        owner = ".".join(domain.split(".")[-2:])
        if not message.facts.get("free_mail_sender") and not message.facts.get("sender_on_shared_host"):
            parent[top(message.group)] = top(first.setdefault(owner, message.group))
    families: dict[str, list[str]] = {}
    for name in parent:
        families.setdefault(top(name), []).append(name)
    return [sorted(family) for family in families.values()]


def _draw(name: str) -> float:
    """Number in [0, 1) that depends on the name alone: more messages must not move the others."""
    return int.from_bytes(hashlib.sha256(f"held:{name}".encode()).digest()[:8], "big") / 2**64
