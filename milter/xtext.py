"""xtext (RFC 3461 section 4): how XFORWARD and DSN carry any octet inside one ESMTP word."""

import re

_ENCODED = re.compile(rb"\+([0-9A-F]{2})")
_PLAIN = frozenset(range(33, 127)) - {ord("+"), ord("=")}


def encode(text: str) -> str:
    """Return `text` (UTF-8, surrogate-escaped) as xtext: printable US-ASCII without `+`, `=` and space."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(o) if o in _PLAIN else f"+{o:02X}" for o in octets)


def decode(word: str) -> str:
    """Return what an xtext word stands for. Raises ValueError for `+` without two upper-case hex digits."""
    octets = word.encode("utf-8", "surrogateescape")
    if octets.count(b"+") != len(_ENCODED.findall(octets)):
        raise ValueError("not xtext")
    plain = _ENCODED.sub(lambda match: bytes([int(match[1], 16)]), octets)
    return plain.decode("utf-8", "surrogateescape")
