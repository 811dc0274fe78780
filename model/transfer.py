"""Content-Transfer-Encodings (RFC 2045 section 6), read leniently and, where readers differ, in every way."""

import binascii
import re

from model.headers import decode_words, unfold, without_comments

OTHER_READINGS = 1 << 20
"""Octets of a body that are read in more ways than the likeliest."""

KNOWN = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode"})
_MEANT = {"7-bit": "7bit", "8-bit": "8bit", "7bits": "7bit", "8bits": "8bit", "none": "7bit", "plain": "7bit"}
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_PADDED = re.compile(rb"=[=\s]*")
_SOFT = re.compile(rb"=[ \t]+(?=\r?\n|\Z)")
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\r|[ \t]*\Z)")
_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_INDENTED = re.compile(rb"\n[ \t\x00-\x08\x0b-\x1f]+=[0-9A-Fa-f]{2}=")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LOOSE_SOFT = re.compile(rb"=+[ \t]*\r?\n[ \t]*|=(?==)")
_LOOSE_ESCAPE = re.compile(rb"=\s*([0-9A-Fa-f])\s*([0-9A-Fa-f])")
_LOOKS_BASE64 = re.compile(rb"\s*+(?:[A-Za-z0-9+/]{20,}+={0,2}\s*+)*+[A-Za-z0-9+/]*+={0,2}\s*+\Z")
_UU_END = re.compile(rb"\n(?:end|====)[ \t]*\r?\n?")
_UU = re.compile(rb"^begin(-base64)? +[0-7]{3,4} +([^\r\n]{1,255})\r?$", re.MULTILINE)


def tokens(values: list[bytes]) -> tuple[list[str], bool]:
    """Return the distinct encodings that the header values can be read as, best first, and if that is odd."""
    found: list[str] = []
    odd = len(values) > 1
    for value in values:
        plain = unfold(value).lower()
        plain = _MEANT.get(plain, plain)
        if plain in KNOWN:
            found.append(plain)
            continue
        stripped = without_comments(decode_words(plain)).strip(" \t\"';,.")
        odd |= bool(plain)
        names = [name for name in re.split(r"[\s;,\"']+", stripped) if name in KNOWN]
        squeezed = re.sub(r"[\s\x00-\x1f\"']", "", stripped)
        if not names and squeezed in KNOWN:
            names = [squeezed]
        if not names:
            names = [name for name in ("base64", "quoted-printable") if name in plain or name in stripped]
        found.extend(names or ([stripped[:40]] if stripped else []))
    return list(dict.fromkeys(found)), odd


def readings(body: bytes, encodings: list[str], *, odd: bool) -> tuple[list[bytes], list[str]]:
    """Return the distinct decodings of `body`, the likeliest first, with defect codes."""
    defects: list[str] = []
    out: list[bytes] = []
    for number, name in enumerate(encodings or [""]):
        if number:
            body = body[:OTHER_READINGS]
        if name == "base64":
            out += _base64(body, defects)
        elif name == "quoted-printable":
            out += _quoted_printable(body, defects)
        elif name in {"x-uuencode", "uuencode"}:
            out += [data for _, data, _ in uuencoded(body)] or [body]
        elif name in _IDENTITY:
            # A reader who takes another header line for the encoding would decode what looks encoded.
            out += _by_looks(body)
        else:
            defects.append("transfer-encoding-unknown")
            odd = True
            out.append(body)
    if odd:
        defects.append("transfer-encoding-odd")
        out += _by_looks(body[:OTHER_READINGS])
    return list(dict.fromkeys(out)), defects


def _by_looks(body: bytes) -> list[bytes]:
    out = [body]
    body = body[:OTHER_READINGS]
    head = body[:4096]
    if len(body) >= 24 and _LOOKS_BASE64.match(head):
        out += _base64(body, [])
    if b"=" in head and len(_ESCAPE.findall(head)) * 30 > len(head):
        out += _quoted_printable(body, [])
    return out


def _base64(body: bytes, defects: list[str]) -> list[bytes]:
    pad = body.find(b"=")
    tail = body[pad:].strip(b"= \t\r\n") if pad >= 0 else b""
    try:
        first = binascii.a2b_base64(body)
    except binascii.Error:
        defects.append("base64-damaged")
        first = _forced(body)
    if tail:
        defects.append("base64-damaged")
        pieces = _PADDED.split(body[:OTHER_READINGS])[:10_000]
        others = [b"".join(map(_forced, pieces[1:]))]
        if len(pieces) > 3:
            others += (b"".join(map(_forced, pieces)), _forced(b"".join(pieces)))
        return [first, *others]
    if not defects and _NOT_BASE64.search(body):
        defects.append("base64-damaged")
    return [first]


def _forced(body: bytes) -> bytes:
    """Decode what can be decoded: foreign characters dropped, the end cut or padded."""
    letters = _NOT_BASE64.sub(b"", body).translate(None, b"= \t\r\n\x0b\x0c")
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _quoted_printable(body: bytes, defects: list[str]) -> list[bytes]:
    body = _SOFT.sub(b"=", body)
    first = binascii.a2b_qp(body)
    head = body[:65536]
    bad = len(_BAD_ESCAPE.findall(head))
    if bad:
        defects.append("qp-damaged")
    # One stray "=" is a careless sender; oddities in many lines are meant for readers that skip them.
    if max(bad, len(_INDENTED.findall(head))) * 4 > head.count(b"\n") + 1:
        joined = _LOOSE_SOFT.sub(b"", _CONTROL.sub(b"", body[:OTHER_READINGS]))
        return [first, _LOOSE_ESCAPE.sub(lambda m: bytes((int(m[1] + m[2], 16),)), joined)]
    return [first]


def uuencoded(body: bytes) -> list[tuple[str, bytes, tuple[int, int]]]:
    """Return (name, decoded octets, span) of each uuencoded file in a text; at most 50."""
    found: list[tuple[str, bytes, tuple[int, int]]] = []
    at = 0
    while len(found) < 50 and (match := _UU.search(body, at)):
        end = body.find(b"\nend", match.end())
        kind_end = body.find(b"\n====", match.end()) if match[1] else end
        stop = kind_end if kind_end >= 0 else len(body)
        last = _UU_END.match(body, stop)
        lines = [line for line in body[match.end() : stop].splitlines() if line]
        data = _forced(b"".join(lines)) if match[1] else b"".join(map(_uu_line, lines))
        if data:
            found.append((match[2].decode("utf-8", "replace"), data, (match.start(), last.end() if last else stop)))
        at = max(match.end(), stop)
    return found


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # A trailing checksum or stripped blanks: take what the length octet says (see binascii's own example).
        size = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
        try:
            return binascii.a2b_uu(line[:size])
        except binascii.Error:
            return b""


def has_uuencoded(body: bytes) -> bool:
    """Whether the text seems to hold a uuencoded file."""
    return b"begin" in body and _UU.search(body) is not None
