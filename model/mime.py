"""The MIME tree of a message (RFC 2046), from its raw octets, in one pass and without recursion.

The walker is ours since readers that recurse die on deep nesting, and since those that follow the grammar miss what
lenient mail readers show. It accepts any line end, boundaries with trailing blanks, missing and guessed boundaries
and parts after the end; whatever it had to guess, it says as a defect code of the entity.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from model import transfer
from model.extracted import Limits
from model.headers import Budget, Fields, Parameters, parameters, read_fields

_DASHES = re.compile(rb"--[^\r\n]*")
_MIME_FIELD = re.compile(rb"(?im)^[ \t]*content-(?:type|transfer-encoding)[ \t\x00]*:")
_PART_FIELD = re.compile(rb"(?i)[ \t]*content-[a-z-]{2,30}[ \t\x00]*:")
CANDIDATES = 200_000


@dataclass(slots=True)
class Entity:
    """A leaf: its header, its readings of type and encoding, and its still encoded body."""

    fields: Fields
    types: list[Parameters]
    encodings: list[str]
    disposition: Parameters
    body: bytes
    depth: int
    defects: list[str] = field(default_factory=list)
    encoding_odd: bool = False
    choice: object | None = None
    """The innermost multipart/alternative around the leaf: one object for all of its leaves."""

    @property
    def type(self) -> Parameters:
        """The first declared type; text/plain if there is none (RFC 2045 section 5.2)."""
        return self.types[0]


@dataclass(slots=True)
class Tree:
    """What a walk gives: the top header, all leaves in order, and defect codes of the whole."""

    fields: Fields
    leaves: list[Entity] = field(default_factory=list)
    defects: dict[str, None] = field(default_factory=dict)
    suspicious: bool = False
    """Whether content may hide where no leaf shows it."""


@dataclass(slots=True)
class _Frame:
    """An open multipart. `closed` once its end was seen: parts may still follow."""

    boundaries: list[bytes]
    digest: bool
    choice: object | None
    closed: bool = False


@dataclass(slots=True)
class _Line:
    start: int
    end: int
    token: bytes


@dataclass(slots=True)
class _Open:
    """The section being read: a leaf, or (entity None) a preamble or an epilogue."""

    entity: Entity | None
    start: int


def walk(raw: bytes, limits: Limits, *, depth: int = 0, budget: Budget | None = None) -> Tree:
    """Take `raw` apart. `depth` counts the messages and multiparts around it."""
    return _Walk(raw, limits, depth, budget).run()


class _Walk:
    def __init__(self, raw: bytes, limits: Limits, depth: int, budget: Budget | None) -> None:
        self.raw = raw
        self.limits = limits
        self.base = depth
        top = Budget(limits.header_bytes, limits.headers)
        self.inner = budget or Budget(limits.header_bytes * 2, limits.headers * 10)
        self.top: Budget | None = self.inner if budget else top
        self.stack: list[_Frame] = []
        self.messages = 0
        self.tree = Tree(Fields())
        self.lines: Iterator[_Line] = iter(())
        self.last_of: dict[bytes, int] | None = None
        self.known: list[_Line] = []
        self.at = 0

    def run(self) -> Tree:
        section = self._open(0, first=True)
        while self.stack:
            hit = self._next()
            if hit is None:
                break
            line, level, closing = hit
            self._close(section, line.start)
            del self.stack[level + 1 :]
            frame = self.stack[level]
            if closing:
                frame.closed = True
                section = _Open(None, line.end)
                continue
            if frame.closed:
                self._flag("part-after-end")
                self._flag("mime-ambiguous")
            if len(self.tree.leaves) >= self.limits.parts:
                self._flag("too-many-parts")
                return self.tree
            section = self._open(line.end, digest=frame.digest)
        if any(not frame.closed for frame in self.stack):
            self._flag("boundary-unclosed")
        self._close(section, len(self.raw))
        return self.tree

    def _flag(self, code: str) -> None:
        self.tree.defects[code] = None

    def _open(self, start: int, *, first: bool = False, digest: bool = False) -> _Open:
        """Read the header at `start`, and those of messages directly inside; push a multipart."""
        while True:
            budget, self.top = self.top or self.inner, None
            stop = len(self.raw) if first or not self.stack else self._next_candidate(start)
            fields = read_fields(self.raw, start, stop, budget)
            if first:
                self.tree.fields = fields
            body = start + fields.end
            entity = _entity(fields, digest=digest, depth=self.base + len(self.stack) + self.messages)
            entity.choice = self.stack[-1].choice if self.stack else None
            self._judge(entity)
            deep = entity.depth >= self.limits.depth
            names = _boundaries(entity)
            if names or entity.type.main.startswith("multipart/"):
                if deep:
                    self._flag("nested-too-deep")
                elif self._push(entity, names, body):
                    return _Open(_other_reading(entity), body)
            elif entity.type.main in {"message/rfc822", "message/global"} and not _encoded(entity):
                if deep:
                    self._flag("nested-too-deep")
                else:
                    self.messages += 1
                    start, first, digest = body, False, False
                    continue
            return _Open(entity, body)

    def _judge(self, entity: Entity) -> None:
        """Flag what readers will read differently."""
        if entity.fields.defects:
            for code in sorted(entity.fields.defects):
                self._flag(code)
        mains = {t.main for t in entity.types}
        odd_type = len(entity.types) > 1 and (len(mains) > 1 or len(_boundaries(entity)) > 1)
        if entity.encoding_odd:
            entity.defects.append("transfer-encoding-odd")
        odd = odd_type or any(t.odd for t in entity.types) or entity.encoding_odd
        mime_lines = any(name.startswith("content-") for name, _ in entity.fields.items)
        odd |= mime_lines and bool(entity.fields.defects & {"bare-cr", "header-nul"})
        odd |= any(name != name.strip() or "\x00" in name for name, _ in entity.fields.items)
        if odd:
            self._flag("mime-ambiguous")
            entity.defects.append("mime-ambiguous")
        if entity.fields.defects & {"bare-cr", "header-nul", "header-malformed"}:
            self.tree.suspicious = True

    def _push(self, entity: Entity, names: list[bytes], body: int) -> bool:
        """Open a multipart; False if no boundary can be found, and it has to be a leaf."""
        tokens = self._last()
        present = [n for n in names if max(tokens.get(n, -1), tokens.get(n + b"--", -1)) >= body]
        if not present:
            guess = self._guess(body)
            self._flag("boundary-missing")
            self._flag("mime-ambiguous")
            if guess is None:
                entity.defects.append("boundary-missing")
                return False
            names = [*names, guess]
        if len(present) > 1:
            self._flag("mime-ambiguous")
        if any(n in frame.boundaries for frame in self.stack for n in names):
            self._flag("boundary-reused")
            self._flag("mime-ambiguous")
        around = self.stack[-1].choice if self.stack else None
        choice = object() if entity.type.main == "multipart/alternative" else around
        self.stack.append(_Frame(names, entity.type.main == "multipart/digest", choice))
        return True

    def _last(self) -> dict[bytes, int]:
        """Return the offset of the last line with each token; built once."""
        if self.last_of is None:
            self.known = []
            for line in _candidates(self.raw):
                self.known.append(line)
                if len(self.known) >= CANDIDATES:
                    self._flag("too-many-parts")
                    break
            self.last_of = {line.token: line.start for line in self.known}
        return self.last_of

    def _guess(self, body: int) -> bytes | None:
        """Return the first line after `body` that looks like a boundary in use: a MIME field follows it."""
        for line in self.known[self._index(body) :][:200]:
            token = line.token
            if token and not token.endswith(b"--") and _PART_FIELD.match(self.raw, line.end, line.end + 200):
                return token
        return None

    def _index(self, offset: int) -> int:
        low, high = 0, len(self.known)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.known[middle].start < offset else (low, middle)
        return low

    def _next_candidate(self, start: int) -> int:
        at = self._index(start)
        while at < len(self.known):
            if self._level(self.known[at].token)[0] >= 0:
                return self.known[at].start
            if at - self._index(start) > 50:
                break
            at += 1
        return self.known[at].start if at < len(self.known) else len(self.raw)

    def _level(self, token: bytes) -> tuple[int, bool]:
        """Return the innermost open multipart that `token` delimits (-1: none) and whether it closes it."""
        for level in range(len(self.stack) - 1, -1, -1):
            for name in self.stack[level].boundaries:
                if token == name:
                    return level, False
                if token == name + b"--":
                    return level, True
        return -1, False

    def _next(self) -> tuple[_Line, int, bool] | None:
        while self.at < len(self.known):
            line = self.known[self.at]
            self.at += 1
            level, closing = self._level(line.token)
            if level >= 0:
                return line, level, closing
            if self.tree.suspicious:
                continue
            inner = self.stack[-1].boundaries
            if any(name and line.token.startswith(name) for name in inner):
                self._flag("boundary-garbage")
                self.tree.suspicious = True
        return None

    def _close(self, section: _Open, end: int) -> None:
        raw = self.raw
        stop = max(end, section.start)
        if stop < len(raw):
            # The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
            if stop > section.start and raw[stop - 1 : stop] == b"\n":
                stop -= 1
            if stop > section.start and raw[stop - 1 : stop] == b"\r":
                stop -= 1
        if section.entity is None:
            if stop - section.start > 30 and _MIME_FIELD.search(raw, section.start, stop):
                self._flag("mime-ambiguous")
                self.tree.suspicious = True
            return
        section.entity.body = raw[section.start : stop]
        self.tree.leaves.append(section.entity)


def _candidates(raw: bytes) -> Iterator[_Line]:
    """Yield each line that starts with two hyphens (after blanks or NUL, which some readers skip)."""
    for match in _DASHES.finditer(raw):
        start = match.start()
        while start and raw[start - 1] in b" \t\0":
            start -= 1
        if start and raw[start - 1] not in b"\r\n":
            continue
        end = match.end()
        if raw[end : end + 2] == b"\r\n":
            end += 2
        elif end < len(raw):
            end += 1
        yield _Line(start, end, match[0][2:].replace(b"\0", b"").rstrip())


def _other_reading(entity: Entity) -> Entity | None:
    """Return a leaf for the reader who takes a multipart's other declared type: it shows what is above the parts."""
    other = next((t for t in entity.types if not t.main.startswith("multipart/")), None)
    if other is None:
        return None
    return replace(entity, types=[other], defects=list(entity.defects))


def _entity(fields: Fields, *, digest: bool, depth: int) -> Entity:
    values = fields.all("content-type")
    types = [parameters(value) for value in values[:5]]
    types = [t for t in types if t.main] or [Parameters("message/rfc822" if digest else "text/plain")]
    encodings, odd = transfer.tokens(fields.all("content-transfer-encoding")[:5])
    disposition = parameters(fields.first("content-disposition"))
    return Entity(fields, types, encodings, disposition, b"", depth, [], odd)


def _boundaries(entity: Entity) -> list[bytes]:
    """Return every boundary that any reading of the type names, the first reading's first."""
    found: list[bytes] = []
    for declared in entity.types:
        for name in declared.values.get("boundary", ()):
            octets = name.encode("utf-8", "replace").rstrip()
            if octets and (declared.main.startswith("multipart/") or len(entity.types) > 1 or declared.odd):
                found.append(octets)
    return list(dict.fromkeys(found))


def _encoded(entity: Entity) -> bool:
    return any(name in {"base64", "quoted-printable"} for name in entity.encodings)
