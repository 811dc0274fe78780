"""What EHLO promises: what the next hop promised us, as far as we carry it through."""

from collections.abc import Mapping

from milter.xforward import ATTRIBUTES

CARRIED = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
EVERYTHING: Mapping[str, str] = dict.fromkeys(CARRIED, "")
HEADROOM = 4_096  # octets that our own header fields may add to a message


def announced(theirs: Mapping[str, str], limit: int) -> dict[str, str]:
    """Return the extensions that we offer: theirs that we carry. `limit` is our own in octets, 0 for none.

    A next hop's SIZE is lowered by what we may add; one without a number, or 0, sets no limit (RFC 1870).
    """
    offered = {name: "" for name in CARRIED if name in theirs}
    if "SIZE" in offered:
        word = theirs["SIZE"].strip()
        their_limit = int(word) if word.isascii() and word.isdigit() else 0
        limits = [n for n in (limit, max(1, their_limit - HEADROOM) if their_limit else 0) if n]
        offered["SIZE"] = str(min(limits)) if limits else ""
    return offered


def feature_lines(offered: Mapping[str, str], *, xforward: bool) -> tuple[str, ...]:
    """Return EHLO's lines after the first. XFORWARD is between us and a trusted upstream, so it is ours to offer."""
    lines = [f"{name} {value}".rstrip() for name, value in offered.items()]
    if xforward:
        lines.append(" ".join(("XFORWARD", *ATTRIBUTES)))
    return tuple(lines)
