"""Address headers (RFC 5322 section 3.4): display names, groups, comments, routes, and what is wrong with them.

A scanner over tokens, linear and without recursion: nesting of comments is a counter.
"""

import re

from model.charset import clean
from model.extracted import Address
from model.headers import VALUE_CHARS, decode_words

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|\\.|[()<>,;:]|[^"\\()<>,;:\s]+|\s+', re.DOTALL)
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
        if not phrase:
            return
        words = phrase.split()
        if len(words) > 1 and "@" in phrase and not phrase.startswith('"'):
            self.odd = True
            mailbox = next(word for word in reversed(words) if "@" in word)
            self._add(phrase.replace(mailbox, " ", 1), mailbox)
        elif "@" in phrase:
            self._add("".join(self.comment), phrase, comment=True)
        else:
            self._add(phrase, "")

    def _add(self, display: str, mailbox: str, *, comment: bool = False) -> None:
        mailbox = mailbox.strip()
        if mailbox.startswith("@") and ":" in mailbox:
            mailbox = mailbox.rpartition(":")[2]
            self.odd = True  # a source route (RFC 5322 section 4.4)
        if mailbox.count("@") > 1 or any(c.isspace() for c in mailbox.strip('"')) or "=?" in mailbox:
            self.odd = True
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
        token = match[0]
        if depth or token == "(":
            depth += (token == "(") - (token == ")")
            if depth and not (depth == 1 and token == "("):
                reader.comment.append(token)
            continue
        if len(reader.found) >= limit:
            break
        _take(reader, token)
    reader.odd |= depth > 0
    reader.flush()
    found = reader.found
    if found and not any(a.address for a in found) and any("@" in a.display for a in found) and "=?" in text:
        # The whole value is one encoded word: some readers parse it only after decoding.
        inner, _ = read_addresses(decode_words(text).replace("=?", ""), limit)
        return inner, True
    return found, reader.odd or any(not a.address for a in found)


def _take(reader: _Reader, token: str) -> None:
    inside = reader.angle is not None and not reader.closed
    if inside and reader.angle is not None:
        if token == ">":
            reader.closed = True
        elif token == "<":
            reader.odd = True
            reader.phrase.append("".join(reader.angle))
            reader.angle = []
        else:
            reader.angle.append(token)
    elif token == "<":
        if reader.closed:
            reader.odd = True
            reader.flush()
        reader.angle = []
    elif token in {",", ";"}:
        reader.flush()
    elif token == ":":
        reader.phrase.clear()  # the name of a group
        reader.odd = True
    elif token in {")", ">"}:
        reader.odd = True
    elif reader.closed:
        reader.odd |= bool(token.strip())
        reader.phrase.append(" " + token)
    else:
        reader.phrase.append(token)
