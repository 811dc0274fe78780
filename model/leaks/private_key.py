"""Private keys: PEM (RFC 7468) of every kind, OpenSSH, SSH2 (RFC 4716), PGP (RFC 9580), PuTTY, age.

The words "BEGIN PRIVATE KEY" alone are no leak: people write about keys. There must be a body that can be one.
"""

import re
from collections.abc import Iterator

NAME = "private-key"

# Dashes as mail programs rewrite them are dashes too.
_DASH = r"[-\u2010-\u2015]"
_BEGIN = re.compile(
    rf"BEGIN ((?:[A-Z0-9]{{2,12}} ){{0,3}}PRIVATE KEY)(?: BLOCK)? ?{_DASH}{{2}}"
    r"|(PuTTY-User-Key-File)-[0-9]:"
    r"|(AGE-SECRET-KEY)-1[0-9A-Z]{58}"
)
_END = re.compile(rf"{_DASH}{{2}} ?END |Private-MAC:")
# A run of base64 too long for a word. Lines of keys have 64 to 76 characters, the last one fewer.
_RUN = re.compile(r"[A-Za-z0-9+/]{20,}={0,2}")
_DASHES = re.compile(rf"{_DASH}*")
_HEADERS = re.compile(r"^[A-Za-z0-9-]{3,24}: .*$", re.MULTILINE)
_PUTTY_SECRET = "Private-Lines:"  # noqa: S105 - a field's name: what stands before it is the public half

_MAX_BODY = 20_000  # an RSA key of 16,384 bits has about 12,500
_MIN_BODY = 60  # Ed25519 in PKCS #8 has 64
_MIN_DISTINCT = 16  # "xxxxxxxx…" and "AAAA…" are placeholders
_REMOVED = "\n[key removed]\n"
_WHOLE, _CUT = 0.98, 0.85


def find(text: str) -> Iterator[tuple[str, float]]:
    """Yield (description without key material, confidence) for each private key in the text."""
    if "PRIVATE KEY" not in text and "PuTTY-User" not in text and "AGE-SECRET-KEY-1" not in text:
        return
    text = text.replace("\\r", "").replace("\\n", "\n")  # as in JSON files of service accounts
    starts = list(_BEGIN.finditer(text))
    stops = [match.start() for match in starts[1:]] + [len(text)]
    for match, stop in zip(starts, stops, strict=False):  # without a start there is still a stop
        if match[3]:
            yield "age secret key", _WHOLE
            continue
        body = text[match.end() : min(stop, match.end() + _MAX_BODY)]
        length, whole = _key_length(body, putty=bool(match[2]))
        if length:
            kind = "PuTTY private key" if match[2] else match[1].lower()
            yield f"{kind}, {length} characters", _WHOLE if whole else _CUT


def mask(text: str) -> str:
    """Return the text without key material: what could be a key's body behind a key's beginning is left out."""
    starts = list(_BEGIN.finditer(text))
    stops = [match.start() for match in starts[1:]] + [len(text)]
    kept, at = [], 0
    for match, stop in zip(starts, stops, strict=False):
        if match[3]:
            begin, end = match.start(), match.end()
        else:
            begin, end = match.end(), min(stop, match.end() + _MAX_BODY)
            told = _END.search(text, begin, end)
            end = told.start() if told else end
            begin = _DASHES.match(text, begin).end()  # type: ignore[union-attr]  # it matches nothing as well
            end = len(text[begin:end].rstrip("-\u2010\u2011\u2012\u2013\u2014\u2015")) + begin
            if not _RUN.search(text, begin, end):
                continue  # prose about keys
        kept += [text[at:begin], _REMOVED]
        at = end
    return "".join([*kept, text[at:]])


def _key_length(body: str, *, putty: bool) -> tuple[int, bool]:
    """Return how many characters of key there are (0: none that could be one) and whether the end is there."""
    end = _END.search(body)
    if end:
        body = body[: end.start()]
    if putty:
        body = body.partition(_PUTTY_SECRET)[2]
    runs = _RUN.findall(_HEADERS.sub("", body))
    length = sum(map(len, runs))
    if length < _MIN_BODY or len(set("".join(runs))) < _MIN_DISTINCT:
        return 0, False
    return length, end is not None
