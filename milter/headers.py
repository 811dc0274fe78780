"""Our header fields on a relayed message: ours are put on top, forged ones are cut out, no other octet changes.

Works on the stream in constant memory. The header section ends at the first empty line; lines in it that are no
header fields are left alone, and are no shelter for a forged field that follows them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from model.verdict import Reason, Route, Verdict

NAMESPACE = "X-Gatepost-"
LINE_LIMIT = 200
FIELD_LIMIT = 1_000
REASONS_LIMIT = 12

_STOP = re.compile(rb"\r\n(?:(?=\r\n)|x-gatepost-)", re.IGNORECASE)
_FIELD_END = re.compile(rb"\r\n(?![ \t])", re.DOTALL)
_FIELD_NAME = re.compile(rb"x-gatepost-[!-9;-~]*[ \t]*:", re.IGNORECASE)
_OVERLAP = len(b"\r\nx-gatepost-") - 1

_SEVERITY = (Route.DELIVER, Route.UNSCORED, Route.HOLD, Route.QUARANTINE, Route.REJECT)


def verdict_lines(verdicts: Sequence[Verdict], *, model: str, observing: bool,
                  unscanned: str = "") -> tuple[str, ...]:
    """Return the fields that tell an inbound next hop of the verdict; the most severe one speaks for all.

    With `observing` the route is what would have been done. `unscanned` names the fault that left the message
    without a score.
    """
    verdict = max(verdicts, key=lambda v: _SEVERITY.index(v.route))
    fields = [("Verdict", "; ".join(filter(None, (
        verdict.route.value,
        f"label={verdict.label}" if verdict.label else "",
        "stage=observe" if observing else "",
    ))))]
    if verdict.p_bad is not None:
        fields.append(("Score", f"{verdict.p_bad:.4f}"))
    if verdict.reasons:
        fields.append(("Reason", _codes(verdict.reasons)))
    if model:
        fields.append(("Model", model))
    if unscanned:
        fields.append(("Unscanned", unscanned))
    return tuple(line(name, value) for name, value in fields)


def line(name: str, value: str) -> str:
    """Return one field of our namespace without its line end: printable US-ASCII, at most `LINE_LIMIT` octets."""
    safe = "".join(c if " " <= c <= "~" else "?" for c in value)
    return f"{NAMESPACE}{name}: {safe}"[:LINE_LIMIT].rstrip()


def relayed(ours: Sequence[str], chunks: Iterable[bytes], keep: Callable[[bytes], bool]) -> Iterator[bytes]:
    """Yield the message with our fields on top and without forged fields, except those that `keep` accepts.

    `keep` is given a whole field (without its last CRLF); fields above `FIELD_LIMIT` octets are not asked about.
    """
    yield "".join(f"{field}\r\n" for field in ours).encode("ascii")
    yield from without_forged(chunks, keep)


def without_forged(chunks: Iterable[bytes], keep: Callable[[bytes], bool]) -> Iterator[bytes]:
    """Yield the octets of a message except header fields of our namespace that `keep` does not accept."""
    source = iter(chunks)
    buffer = b"\r\n"  # a field that starts the message is preceded by a line end too
    sent = 2  # octets at the start of `buffer` that are dealt with
    for chunk in source:
        buffer += chunk
        out: list[bytes] = []
        while (found := _STOP.search(buffer, max(0, sent - 2))) is not None:
            if found.end() == found.start() + 2:
                yield b"".join((*out, buffer[sent:]))
                yield from source
                return
            start = found.start() + 2
            out.append(buffer[sent:start])
            end = _FIELD_END.search(buffer, start)
            if end is not None and end.end() < len(buffer):  # nearly always; slicing the buffer anew is for the rest
                field, at = buffer[start : min(end.start(), start + FIELD_LIMIT + 1)], end.start()
                field = field if len(field) <= FIELD_LIMIT else b""
            else:
                yield b"".join(out)
                out.clear()
                field, buffer = _field(buffer[start:], source)
                at = 0
            if field and (_FIELD_NAME.match(field) is None or keep(field)):
                out.append(field + buffer[at : at + 2])
            sent = min(at + 2, len(buffer))
        hold = min(_OVERLAP, len(buffer) - sent)
        out.append(buffer[sent : len(buffer) - hold])
        yield b"".join(out)
        buffer = buffer[-(hold + 2) :]
        sent = max(0, len(buffer) - hold)
    yield buffer[sent:]


def _field(start: bytes, source: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return the field that `start` begins with (empty if above the limit) and the buffer from its line end on."""
    buffer, too_long, searched = start, False, 0
    while True:
        found = _FIELD_END.search(buffer, searched)
        if found is not None and found.end() < len(buffer):
            return (b"" if too_long or found.start() > FIELD_LIMIT else buffer[: found.start()],
                    buffer[found.start() :])
        if len(buffer) > FIELD_LIMIT:
            too_long, buffer = True, buffer[-2:]
        searched = max(0, len(buffer) - 2)
        piece = next(source, b"")
        if not piece:
            end = buffer.endswith(b"\r\n")
            field = buffer[:-2] if end else buffer
            return (b"" if too_long else field), (b"\r\n" if end else b"")
        buffer += piece


def _codes(reasons: Sequence[Reason]) -> str:
    return ", ".join(dict.fromkeys(reason.code for reason in reasons[:REASONS_LIMIT]))
