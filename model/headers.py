"""Header fields: splitting a block (RFC 5322 section 2.2), encoded words (RFC 2047), parameters (RFC 2231).

Everything is linear in the octets it is given and stops at a limit. Nothing raises.
"""

import binascii
import re
import urllib.parse
from dataclasses import dataclass, field

from model.charset import clean, codec, decode

VALUE_CHARS = 64 * 1024
PARAMETER_CHARS = 4 * 1024
ENCODED_WORDS = 500
PARAMETERS = 100

_FIELD = re.compile(rb"([!-9;-~\x80-\xff]{1,256}?)([ \t]*):(.*)", re.DOTALL)
_LINE_END = re.compile(rb"\r\n|\n|\r")
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([BbQq])\?([^?]*)\?=")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_PARAMETER = re.compile(r';?\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*+"?|[^;]*)', re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?$")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Fields:
    """The fields of one header block in order: (lower-case name, raw value with its folds), and what was odd."""

    items: list[tuple[str, bytes]] = field(default_factory=list)
    defects: set[str] = field(default_factory=set)
    end: int = 0
    """Offset of the body, relative to the start that was given."""

    def all(self, name: str) -> list[bytes]:
        """Return all raw values of `name`, topmost first."""
        return [value for key, value in self.items if key == name]

    def first(self, name: str) -> bytes | None:
        """Return the topmost raw value of `name`, or None."""
        return next((value for key, value in self.items if key == name), None)


@dataclass(slots=True)
class Budget:
    """What header octets and fields may still be read."""

    octets: int
    fields: int


def read_fields(raw: bytes, start: int, stop: int, budget: Budget) -> Fields:
    """Read a header block from `raw[start:stop]`; `end` of the result is where the body begins.

    CRLF, LF and CR all end a line. A line that is no field ends the block, unless fields follow it directly.
    """
    reader = _BlockReader(raw, start, stop, min(stop, start + budget.octets), budget.fields)
    reader.run()
    fields = reader.fields
    budget.octets -= min(reader.at - start, budget.octets)
    budget.fields -= len(fields.items)
    fields.end = reader.at - start
    return fields


class _BlockReader:
    """Reads line by line. `at` is the next octet, `cut` where the budget ends, `torn` a line that `cut` ended."""

    def __init__(self, raw: bytes, start: int, stop: int, cut: int, room: int) -> None:
        self.raw, self.start, self.stop, self.cut, self.room = raw, start, stop, cut, room
        self.fields = Fields()
        self.at = start
        self.name = ""
        self.value: list[bytes] = []

    def run(self) -> None:
        reading = True
        while reading and self.at < self.cut:
            match = _LINE_END.search(self.raw, self.at, self.cut)
            end, following = (match.start(), match.end()) if match else (self.cut, self.cut)
            if match and match[0] == b"\r":
                self.fields.defects.add("bare-cr")
            reading = self._line(self.raw[self.at : end], following, torn=match is None and self.cut < self.stop)
        if reading and self.cut < self.stop:
            self._give_up("header-too-long")
        self._keep()

    def _line(self, line: bytes, following: int, *, torn: bool) -> bool:
        """Take one line; False if the block ends with or before it."""
        if not line:
            return self._empty(following)
        if b"\0" in line:
            self.fields.defects.add("header-nul")
            line = line.replace(b"\0", b"")
        if line[:1] in b" \t":
            return self._folded(line, following, torn=torn)
        name, value = _parts(line, self.fields)
        if not name:
            if self.at != self.start or not line.startswith((b"From ", b">From ")):
                self.fields.defects.add("header-malformed")
                if not torn and not _is_field(self.raw, following, self.cut):
                    return False
            self.at = following
            return True
        self._keep()
        if len(self.fields.items) >= self.room:
            self._give_up("header-too-many")
            return False
        self.name, self.value, self.at = name, [value], following
        return True

    def _empty(self, following: int) -> bool:
        self.at = following
        if self.name or self.fields.items or following >= self.cut or not _is_field(self.raw, following, self.cut):
            return False
        self.fields.defects.add("header-malformed")  # before the first field
        return True

    def _folded(self, line: bytes, following: int, *, torn: bool) -> bool:
        bare = line.lstrip()
        ends = not bare and not torn and not _is_field(self.raw, following, self.cut)
        if ends:
            self.fields.defects.add("header-malformed")  # a "blank" line of spaces before a body
        elif self.name:
            self.value += (b"\n", line)
        elif _FIELD.match(bare):
            self.fields.defects.add("header-malformed")
            self.name, value = _parts(bare, self.fields)
            self.value = [value]
        self.at = following
        return not ends

    def _keep(self) -> None:
        if self.name:
            self.fields.items.append((self.name, b"".join(self.value)))
            self.name = ""

    def _give_up(self, code: str) -> None:
        self.fields.defects.add(code)
        self.at = _skip(self.raw, self.at, self.stop)


def _parts(line: bytes, fields: Fields) -> tuple[str, bytes]:
    match = _FIELD.match(line)
    if match is None:
        return "", b""
    if match[2]:
        fields.defects.add("header-malformed")
    return match[1].decode("latin-1").lower(), match[3]


def _is_field(raw: bytes, at: int, stop: int) -> bool:
    line = raw[at : min(at + 80, stop)]
    return re.match(rb"[A-Za-z][A-Za-z0-9_-]*[ \t]*:", line) is not None


def _skip(raw: bytes, at: int, stop: int) -> int:
    """Return the offset behind the first blank line after `at`, or `stop`."""
    ends = [(found, size) for mark, size in ((b"\r\n\r\n", 4), (b"\n\n", 2), (b"\r\r", 2))
            if (found := raw.find(mark, at, stop)) >= 0]
    return sum(min(ends)) if ends else stop


def unfold(value: bytes) -> str:
    """Return a raw value as one line of text: folds undone, 8-bit octets read as UTF-8 or by detection."""
    flat = value[:VALUE_CHARS].replace(b"\r", b"").replace(b"\n", b"")
    return clean(flat.decode("ascii") if flat.isascii() else decode(flat)[0]).strip()


def decode_words(text: str) -> str:
    """Undo encoded words (RFC 2047), also inside other text, split characters and badly padded base64."""
    if "=?" not in text:
        return text
    out: list[str] = []
    pending = bytearray()
    charset = ""
    at = 0
    for number, match in enumerate(_ENCODED_WORD.finditer(text)):
        if number >= ENCODED_WORDS:
            break
        between = text[at : match.start()]
        name = match[1].partition("*")[0].lower()
        if pending and (between.strip() or name != charset):
            out.append(_word(bytes(pending), charset))
            pending.clear()
        if between.strip() or not number:
            out.append(between)
        pending += _word_octets(match[2], match[3])
        charset = name
        at = match.end()
    if pending:
        out.append(_word(bytes(pending), charset))
    out.append(text[at:])
    return clean("".join(out))


def _word(octets: bytes, charset: str) -> str:
    # UTF-7 in a header is only ever a disguise (attack: RFC 2047 section 7 forbids nothing, readers differ).
    name = charset if codec(charset) != "utf-7" else "us-ascii"
    return decode(octets, name)[0].replace("\r", " ").replace("\n", " ")


def _word_octets(kind: str, payload: str) -> bytes:
    octets = payload.encode("utf-8", "replace")
    if kind in "Qq":
        return _HEX.sub(lambda m: bytes((int(m[1], 16),)), octets.replace(b"_", b" "))
    letters = octets.rstrip(b"= ")
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        try:
            return binascii.a2b_base64(letters[: len(letters) // 4 * 4])
        except binascii.Error:
            return octets


def text_of(value: bytes | None) -> str:
    """Return a header value as a reader sees it."""
    return decode_words(unfold(value)) if value else ""


def without_comments(text: str) -> str:
    """Return `text` without parenthesised comments (RFC 5322 section 3.2.2), nested ones included."""
    if "(" not in text:
        return text
    out: list[str] = []
    depth = 0
    quoted = False
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif char == "(" and not quoted:
            depth += 1
            continue
        elif char == ")" and depth:
            depth -= 1
            continue
        if not depth:
            out.append(char)
    return "".join(out)


@dataclass(slots=True)
class Parameters:
    """A structured value: its main token in lower case, its parameters, and whether it has one reading only."""

    main: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    odd: bool = False

    def get(self, name: str) -> str:
        """Return the first value of a parameter, or an empty string."""
        return self.values.get(name, [""])[0]


def parameters(value: bytes | None) -> Parameters:
    """Read `token; name=value; ...` (RFC 2045 section 5.1, RFC 2231). Repeated names keep every value."""
    result = Parameters()
    if not value:
        return result
    text = unfold(value[:PARAMETER_CHARS])
    bare = without_comments(text)
    result.odd = len(bare) != len(text) or b"\0" in value or "=?" in text.partition(";")[0]
    main, _, rest = (decode_words(bare) if "=?" in bare.partition(";")[0] else bare).partition(";")
    result.main = main.strip().strip('"').lower()
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for number, match in enumerate(_PARAMETER.finditer(rest)):
        if number >= PARAMETERS:
            result.odd = True
            break
        _take(result, pieces, match[1].lower(), match[2].strip())
    for name, found in pieces.items():
        result.values.setdefault(name, []).insert(0, _joined([found[key] for key in sorted(found)]))
    return result


def _take(result: Parameters, pieces: dict[str, dict[int, tuple[str, bool]]], name: str, value: str) -> None:
    if value.startswith('"'):
        value = _ESCAPED.sub(r"\1", value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:])
    section = _SECTION.match(name) if "*" in name else None
    if section is not None:
        pieces.setdefault(section[1], {}).setdefault(int(section[2] or 0), (value, section[3] is not None))
        return
    known = result.values.setdefault(name, [])
    if known and value not in known:
        result.odd = True
    known.append(value)


def _joined(parts: list[tuple[str, bool]]) -> str:
    charset, octets = "", bytearray()
    for number, (piece, encoded) in enumerate(parts):
        if not encoded:
            octets += piece.encode("utf-8", "replace")
            continue
        text = piece
        if not number and piece.count("'") >= 2:
            charset, _, text = piece.split("'", 2)
        octets += urllib.parse.unquote_to_bytes(text)
    return decode(bytes(octets), charset)[0]
