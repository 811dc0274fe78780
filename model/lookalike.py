"""Domains that are made to be taken for another: one letter off, letters that look alike, a name inside a name."""

import re
from collections.abc import Iterator
from functools import lru_cache

from model.confusables import skeleton

_SHORTEST = 6
"""Letters of the shortest label that is compared: shorter ones are one letter off by chance."""
_TOKENS = re.compile(r"[.-]")


def lookalike(organisation: str, own: frozenset[str], correspondents: frozenset[str]) -> bool:
    """Whether a registrable domain imitates one of the site's own domains or of its correspondents'.

    True where its label, or a part of it between hyphens, reads like theirs (equal skeletons, or one letter left out,
    added, changed or swapped) and it is none of them. Addresses among the correspondents are passed over.
    """
    if organisation in own or organisation in correspondents:
        return False
    label = organisation.partition(".")[0]
    if _idna(label):
        label = _readable(label)
    index = _index(own, correspondents)
    return any(form in index for part in {label, *_TOKENS.split(label)} for form in _forms(skeleton(part)))


@lru_cache(maxsize=4)
def _index(own: frozenset[str], correspondents: frozenset[str]) -> frozenset[str]:
    """Return every form of every domain's label; a site's lists change rarely, so the index is kept."""
    labels = {skeleton(name.partition(".")[0]) for name in (*own, *correspondents) if "@" not in name}
    return frozenset(form for label in labels for form in _forms(label))


def _forms(label: str) -> Iterator[str]:
    """Yield a label and all that one left-out letter makes of it.

    Two labels that share a form are at most two edits apart; for a letter changed or swapped that is one.
    """
    if len(label) >= _SHORTEST:
        yield label
        for at in range(len(label)):
            yield label[:at] + label[at + 1 :]


def _idna(label: str) -> bool:
    return label.startswith("xn--")


def _readable(label: str) -> str:
    """Return what a reader sees of an internationalised label (RFC 3492)."""
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label
