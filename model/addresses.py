"""Address headers (RFC 5322 section 3.4): display names, groups, comments, routes, and what is wrong with them.

A scanner over pieces, linear and without recursion: nesting of comments is a counter.
"""

import re

from model.charset import clean
from model.extracted import Address
from model.headers import VALUE_CHARS, decode_words

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|\\.|[()<>,;:]|[^"\\()<>,;:\s]+|\s+', re.DOTALL)
_MAILBOX = re.compile(r"[^\s<>()@,;:\"]{1,64}@[^\s<>()@,;:\"]{1,255}")
_BLANKS = re.compile(r"\s*([.@])\s*")
# A dot-atom or a quoted string, and a domain of labels or a literal; any letters (RFC 6531), lengths of RFC 5321.
_LABEL = r"(?!-)[0-9A-Za-z_\x80-\u1fff\u2c00-\U0010ffff-]{1,63}+(?<!-)"
_WELL_FORMED = re.compile(
    r'(?:[^\s"(),:;<>@\[\\\]\x00-\x1f\x7f]{1,64}|"(?:[^"\\]|\\.){0,62}+")'
    rf"@(?=.{{1,255}}\Z)(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-fA-F:.IPv]{{2,60}}\])\Z"
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Reader:
    def __init__(self, limit: int) -> None:
        self.found: list[Address] = []
        self.odd = False
        self.limit = limit
        self._clear()

    def _clear(self) -> None:
        self.phrase: list[str] = []
        self.comment: list[str] = []
        self.angle: list[str] | None = None
        self.closed = False

    def flush(self) -> None:
        if self.angle is not None:
            if not self.closed:
                self.odd = True
            self._add("".join(self.phrase), "".join(self.angle))
        else:
            self._bare("".join(self.phrase).strip())
        self._clear()

    def _bare(self, phrase: str) -> None:
        if not phrase and not self.comment:
            return
        words = phrase.split()
        if len(words) > 1 and "@" in phrase and not phrase.startswith('"'):
            self.odd = True
            mailbox = next(word for word in reversed(words) if "@" in word)
            self._add(phrase.replace(mailbox, " ", 1), mailbox)
        elif "@" in phrase:
            self._add("".join(self.comment), phrase, comment=True)
        else:
            # An address in a comment only: no address by the grammar, yet some readers show it.
            inside = _MAILBOX.search("".join(self.comment)) if self.comment else None
            self.odd |= inside is not None
            self._add(phrase, inside[0] if inside else "")

    def _add(self, display: str, mailbox: str, *, comment: bool = False) -> None:
        mailbox = mailbox.strip()
        if mailbox.startswith("@") and ":" in mailbox:
            mailbox = mailbox.rpartition(":")[2]
            self.odd = True  # a source route (RFC 5322 section 4.4)
        if '"' not in mailbox:
            mailbox = _BLANKS.sub(r"\1", mailbox)  # blanks around dots: obsolete, RFC 5322 section 4.4
        self.odd |= bool(mailbox) and _WELL_FORMED.match(mailbox) is None
        if not display.strip() and not comment:
            display = "".join(self.comment)
        name = clean(decode_words(_unquoted(display))).strip()
        if len(self.found) < self.limit and (name or mailbox):
            self.found.append(Address(" ".join(name.split()), clean(mailbox)))


def _unquoted(text: str) -> str:
    text = text.strip()
    if '"' not in text and "\\" not in text:
        return text
    quoted = re.sub(r'"((?:[^"\\]|\\.)*+)"?', lambda m: _ESCAPED.sub(r"\1", m[1]), text, flags=re.DOTALL)
    return quoted.strip()


def read_addresses(text: str, limit: int) -> tuple[list[Address], bool]:
    """Return at most `limit` addresses of an unfolded value, and whether it has more than one reading."""
    reader = _Reader(limit)
    depth = 0
    for match in _TOKEN.finditer(text[:VALUE_CHARS]):
        piece = match[0]
        if depth or piece == "(":
            depth += (piece == "(") - (piece == ")")
            if depth and not (depth == 1 and piece == "("):
                reader.comment.append(piece)
            continue
        if len(reader.found) >= limit:
            break
        _take(reader, piece)
    reader.odd |= depth > 0
    reader.flush()
    found = reader.found
    if found and not any(a.address for a in found) and any("@" in a.display for a in found) and "=?" in text:
        # The whole value is one encoded word: some readers parse it only after decoding.
        inner, _ = read_addresses(decode_words(text).replace("=?", ""), limit)
        return inner, True
    nameless = any(not a.address for a in found)
    return _with_commas(found), reader.odd or nameless


def _with_commas(found: list[Address]) -> list[Address]:
    """Join names without address to the mailbox that follows: `Doe, Jane <j@a.example>` was not quoted."""
    joined: list[Address] = []
    names: list[str] = []
    for one in found:
        if one.address:
            display = ", ".join([*names, one.display]).strip(", ") if names else one.display
            joined.append(Address(display, one.address))
            names = []
        else:
            names.append(one.display)
    return joined + [Address(name, "") for name in names]


def _take(reader: _Reader, piece: str) -> None:
    inside = reader.angle is not None and not reader.closed
    if inside and reader.angle is not None:
        if piece == ">":
            reader.closed = True
        elif piece == "<":
            reader.odd = True
            reader.phrase.append("".join(reader.angle))
            reader.angle = []
        else:
            reader.angle.append(piece)
    elif piece == "<":
        if reader.closed:
            reader.odd = True
            reader.flush()
        reader.angle = []
    elif piece in {",", ";"}:
        reader.flush()
    elif piece == ":":
        reader.phrase.clear()  # the name of a group
        reader.odd = True
    elif piece in {")", ">"}:
        reader.odd = True
    elif reader.closed:
        reader.odd |= bool(piece.strip())
        reader.phrase.append(" " + piece)
    else:
        reader.phrase.append(piece)
