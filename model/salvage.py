"""Content found without any structure: for messages whose structure mail readers will disagree about.

The raw octets are read as a reader of another opinion would: runs of base64 are decoded, and the whole body is read
as quoted-printable. What comes out and was not seen before joins the texts and parts.
"""

import binascii
import hashlib
import re

from model import magic
from model.content import Contents

_RUN = re.compile(
    rb"(?:[A-Za-z0-9+/]{16,}+={0,2}[ \t]*+(?:\r\n|\r|\n|\Z))++(?:[A-Za-z0-9+/]{1,15}={0,2})?"
    rb"|[A-Za-z0-9+/]{40,}+={0,2}"
)
_ESCAPES = re.compile(rb"=[0-9A-Fa-f]{2}")
_SOFT = re.compile(rb"=[ \t]*(?:\r\n|\r|\n)")
RUNS = 200
OCTETS = 2 * 1024 * 1024


def salvage(raw: bytes, contents: Contents) -> None:
    """Add to `contents` what encoded runs in the first 2 MB of `raw` hold."""
    raw = raw[:OCTETS].replace(b"\0", b"")
    known = "\n".join(view.text for view in contents.views)
    hashes = {part.sha256 for part in contents.parts}
    for number, match in enumerate(_RUN.finditer(raw)):
        if number >= RUNS:
            break
        _take(_base64(match[0]), contents, known, hashes)
    if len(_ESCAPES.findall(raw[: 1 << 20])) >= 3:
        joined = _SOFT.sub(b"", raw)
        for run in _qp_runs(joined):
            _take(run, contents, known, hashes)


def _qp_runs(raw: bytes) -> list[bytes]:
    """Return the decoded paragraphs that hold escapes."""
    found = [p for p in re.split(rb"\r\n\r\n|\n\n|\r\r", raw) if len(_ESCAPES.findall(p)) >= 3]
    return [_ESCAPES.sub(lambda m: bytes((int(m[0][1:], 16),)), p) for p in found[:RUNS]]


def _base64(run: bytes) -> bytes:
    letters = run.translate(None, b"= \t\r\n")
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return b""


def _take(octets: bytes, contents: Contents, known: str, hashes: set[str]) -> None:
    if len(octets) < 12 or hashlib.sha256(octets).hexdigest() in hashes:
        return
    true_type = magic.sniff(octets)
    if true_type and not true_type.startswith("text/"):
        contents.found(octets, true_type)
        return
    if sum(c < 9 or 13 < c < 32 or c > 126 for c in octets[:512]) * 8 > len(octets[:512]):
        return
    text = octets.decode("utf-8", "replace").strip()
    if text and text[:200] not in known:
        contents.flag("salvaged")
        contents.take_text(octets, "", [], html=true_type == "text/html")
