"""The message inside an opaque S/MIME signature (RFC 8551 section 3.5.2): signed is not encrypted, so it is read.

Only as much of BER (X.690) as leads to the content, without recursion; the signature is not verified.
"""

_SIGNED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
_OCTETS, _OCTETS_IN_PIECES, _EXPLICIT = 0x04, 0x24, 0xA0
PIECES = 100_000


def signed_content(octets: bytes) -> bytes | None:
    """Return what a SignedData structure carries, or None if these octets are none or carry nothing."""
    if not octets.startswith(b"0") or _SIGNED not in octets[:64]:
        return None
    at = octets.find(_DATA, 0, 4096)
    if at < 0:
        return None
    tag, start, _ = _element(octets, at + len(_DATA))
    if tag != _EXPLICIT:
        return None
    tag, start, size = _element(octets, start)
    if tag == _OCTETS and size is not None:
        return octets[start : start + size]
    return _pieces(octets, start, len(octets) if size is None else start + size) if tag == _OCTETS_IN_PIECES else None


def _pieces(octets: bytes, at: int, stop: int) -> bytes:
    found: list[bytes] = []
    while at < min(stop, len(octets)) and len(found) < PIECES:
        tag, start, size = _element(octets, at)
        if tag != _OCTETS or size is None:
            break
        found.append(octets[start : start + size])
        at = start + size
    return b"".join(found)


def _element(octets: bytes, at: int) -> tuple[int, int, int | None]:
    """Return (tag, offset of the content, its size; None: up to an end mark); tag -1 beyond the end."""
    if at < 0 or at + 2 > len(octets):
        return -1, at, 0
    first = octets[at + 1]
    if first < 0x80:
        return octets[at], at + 2, first
    count = first & 0x7F
    if not count:
        return octets[at], at + 2, None
    if count > 8 or at + 2 + count > len(octets):
        return -1, at, 0
    return octets[at], at + 2 + count, int.from_bytes(octets[at + 2 : at + 2 + count], "big")
