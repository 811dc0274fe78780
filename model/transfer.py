"""Content-Transfer-Encodings (RFC 2045 section 6), read leniently and, where readers differ, in every way."""

import binascii
import re

from model.headers import decode_words, unfold, without_comments

KNOWN = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode"})
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_PADDED = re.compile(rb"=[=\s]*")
_SOFT = re.compile(rb"=[ \t]+(?=\r?\n|\Z)")
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\r|[ \t]*\Z)")
_ESCAPE = re.compile(rb"=[0-9A-Fa-f]{2}")
_LOOSE_ESCAPE = re.compile(rb"=\s*([0-9A-Fa-f])\s*([0-9A-Fa-f])")
_LOOKS_BASE64 = re.compile(rb"\s*(?:[A-Za-z0-9+/]{20,}={0,2}\s*)+\Z")
_UU = re.compile(rb"^begin(-base64)? +[0-7]{3,4} +([^\r\n]{1,255})\r?$", re.MULTILINE)


def tokens(values: list[bytes]) -> tuple[list[str], bool]:
    """Return the distinct encodings that the header values can be read as, best first, and if that is odd."""
    found: list[str] = []
    odd = len(values) > 1
    for value in values:
        plain = unfold(value).lower()
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
    for name in encodings or [""]:
        if name == "base64":
            out += _base64(body, defects)
        elif name == "quoted-printable":
            out += _quoted_printable(body, defects)
        elif name in {"x-uuencode", "uuencode"}:
            out += [data for _, data, _ in uuencoded(body)] or [body]
        elif name in _IDENTITY:
            out.append(body)
        else:
            defects.append("transfer-encoding-unknown")
            odd = True
            out.append(body)
    if odd:
        defects.append("transfer-encoding-odd")
        out += _by_looks(body)
    return list(dict.fromkeys(out)), defects


def _by_looks(body: bytes) -> list[bytes]:
    out = [body]
    if _LOOKS_BASE64.match(body[:4096]):
        out += _base64(body, [])
    if len(_ESCAPE.findall(body[:65536])) > 2:
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
        pieces = [_forced(piece) for piece in _PADDED.split(body)[:10_000]]
        return [b"".join(pieces), first, _forced(body.replace(b"=", b""))]
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
    if _BAD_ESCAPE.search(body):
        defects.append("qp-damaged")
        joined = re.sub(rb"=\s*\n", b"", body)
        loose = _LOOSE_ESCAPE.sub(lambda m: bytes((int(m[1] + m[2], 16),)), joined)
        return [first, loose]
    return [first]


def uuencoded(body: bytes) -> list[tuple[str, bytes, tuple[int, int]]]:
    """Return (name, decoded octets, span) of each uuencoded file in a text; at most 50."""
    found: list[tuple[str, bytes, tuple[int, int]]] = []
    at = 0
    while len(found) < 50 and (match := _UU.search(body, at)):
        end = body.find(b"\nend", match.end())
        kind_end = body.find(b"\n====", match.end()) if match[1] else end
        stop = kind_end if kind_end >= 0 else len(body)
        lines = body[match.end() : stop].splitlines()
        data = _forced(b"".join(lines)) if match[1] else b"".join(map(_uu_line, lines))
        if data:
            found.append((match[2].decode("utf-8", "replace"), data, (match.start(), min(stop + 5, len(body)))))
        at = stop if stop > match.end() else match.end()
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
