"""The message inside a report: abuse reports (ARF, RFC 5965) and mail forwarded as an attachment (RFC 2046 5.2.1).

What is added is the reported message, byte for byte, with who reported it. A plain scan for boundaries, linear in
the size of the report; nothing is decoded but the transfer encoding of the attached message.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from model.addresses import read_addresses
from training.store.entry import BAD
from training.store.look import read_time

DRAFTS = {"abuse": BAD, "fraud": BAD, "virus": BAD, "not-spam": "ham"}
"""What a Feedback-Type (RFC 5965 section 7.3, RFC 6430) proposes; a report is a claim, so it is a draft only."""

_HEAD = 256 * 1024
_DEPTH = 3
_PARTS = 200
_FIELD = re.compile(rb"^([!-9;-~]{1,76}):[ \t]*((?:[^\r\n]|\r?\n[ \t])*)", re.MULTILINE)
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_MESSAGE = ("message/rfc822", "message/global")


@dataclass(frozen=True, slots=True)
class Report:
    """A reported message. `reporter` is the report's From; `kind` its Feedback-Type, empty where it has none."""

    raw: bytes
    reporter: str
    kind: str
    received: datetime | None

    @property
    def draft(self) -> str:
        """The label that the report proposes, empty for none."""
        return DRAFTS.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class _Part:
    fields: dict[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return self.fields.get("content-type", "text/plain").partition(";")[0].strip().lower()


def reported(raw: bytes) -> list[Report]:
    """Return the messages that a report or a forwarding message holds, in order; none if it holds none whole."""
    outer = _part(raw)
    addresses, _ = read_addresses(outer.fields.get("from", ""), 5)
    reporter = next((a.address.lower() for a in addresses if a.address), "")
    parts = list(_leaves(outer, 0))
    facts = next((_fields(p.body) for p in parts if p.type == "message/feedback-report"), {})
    came = read_time(facts.get("arrival-date", "") or facts.get("received-date", ""))
    kind = facts.get("feedback-type", "").strip().lower()
    messages = (_decoded(part) for part in parts if part.type in _MESSAGE)
    return [Report(message, reporter, kind, came) for message in messages if message.strip()]


def _leaves(part: _Part, depth: int) -> Iterator[_Part]:
    """Yield the parts that are no multipart; what is attached is never looked into."""
    match = _BOUNDARY.search(part.fields.get("content-type", "")) if part.type.startswith("multipart/") else None
    if match is None or depth >= _DEPTH:
        yield part
        return
    for piece in _pieces(part.body, (match[1] or match[2]).encode("ascii", "replace")):
        yield from _leaves(_part(piece), depth + 1)


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what stands between the boundary lines (RFC 2046 section 5.1.1); the line end before one is its own."""
    mark = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)")
    begun = None
    for number, match in enumerate(mark.finditer(body)):
        if begun is not None:
            yield body[begun : match.start()]
        if match[1] or number > _PARTS:
            return
        begun = match.end()
    if begun is not None:
        yield body[begun:]


def _part(data: bytes) -> _Part:
    ends = [(at, len(end)) for end in (b"\r\n\r\n", b"\n\n") if (at := data.find(end, 0, _HEAD)) >= 0]
    if data.startswith((b"\r\n", b"\n")):
        return _Part({}, data.split(b"\n", 1)[1])
    at, length = min(ends, default=(len(data), 0))
    return _Part(_fields(data[:at]), data[at + length :])


def _fields(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _FIELD.finditer(block[:_HEAD]):
        name = match[1].decode("ascii").lower()
        found.setdefault(name, " ".join(match[2].decode("utf-8", "replace").split()))
    return found


def _decoded(part: _Part) -> bytes:
    """Undo a transfer encoding, which RFC 2046 does not allow here and some clients use all the same."""
    if part.fields.get("content-transfer-encoding", "").strip().lower() != "base64":
        return part.body
    try:
        return base64.b64decode(part.body)
    except binascii.Error:
        return b""
