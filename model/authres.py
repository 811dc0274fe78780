"""Authentication-Results (RFC 8601) read with limits: who says it, and which methods gave which result.

A lenient reader: what cannot be understood is left out, nothing raises, and time is linear in the capped length.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_CHARS = 8192
MAX_RESULTS = 50

# A quoted string, the punctuation that matters, or a run of anything else.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[;=]|[^\s;="]+|"', re.DOTALL)

_PIECE = re.compile(r'\\.|[()"\\]|[^()"\\]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class AuthResult:
    """One method's result with its properties by lower-case name: `header.d`, `smtp.mailfrom`, `header.from`…"""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return a property in lower case; empty if it is not there."""
        return next((value for key, value in self.properties if key == name), "")


@dataclass(frozen=True, slots=True)
class AuthResults:
    """One header. `authserv_id` is in lower case, and empty where the header has none (as Microsoft's)."""

    authserv_id: str
    results: tuple[AuthResult, ...]


def parse(value: str) -> AuthResults:
    """Read the value of one Authentication-Results header (RFC 8601 section 2.2)."""
    statements: list[list[str]] = [[]]
    for match in _TOKEN.finditer(_without_comments(value[:MAX_CHARS])):
        piece = match.group()
        if piece == ";":
            statements.append([])
        else:
            statements[-1].append(piece)
    first = statements[0]
    named = "=" not in first
    results = (_result(tokens) for tokens in statements[named : MAX_RESULTS + named])
    return AuthResults(_unquoted(first[0]).lower() if named and first else "", tuple(r for r in results if r))


def _without_comments(text: str) -> str:
    """Drop (nested) comments, as RFC 5322 section 3.2.2 writes them, outside quoted strings."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth = 0
    quoted = False
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece == '"' and not depth:
            quoted = not quoted
        elif piece == "(" and not quoted:
            depth += 1
            continue
        elif piece == ")" and depth:
            depth -= 1
            piece = " "
        if not depth:
            kept.append(piece)
    return "".join(kept)


def _result(tokens: list[str]) -> AuthResult | None:
    pairs: list[tuple[str, str]] = []
    at = 0
    while at + 2 < len(tokens):
        if tokens[at + 1] != "=":
            at += 1
            continue
        # values such as b=abc= carry the sign themselves
        pairs.append((tokens[at].lower(), _unquoted(tokens[at + 2]).lower()))
        at += 3
    if not pairs:
        return None
    (method, result), *properties = pairs
    method = method.partition("/")[0]
    return AuthResult(method, result, tuple(properties)) if method else None


def _unquoted(piece: str) -> str:
    return piece[1:-1].replace("\\", "") if len(piece) > 1 and piece[0] == piece[-1] == '"' else piece


def trusted(values: Iterable[str], authserv_ids: frozenset[str]) -> tuple[AuthResults, ...]:
    """Return the headers that may be believed, topmost first; `values` are topmost first too.

    With "*" among the ids, whoever wrote the topmost header is believed, and nobody else: those below it may
    come from the sender (RFC 8601 section 1.6).
    """
    parsed = [parse(value) for _, value in zip(range(MAX_RESULTS), values, strict=False)]
    if "*" not in authserv_ids:
        return tuple(header for header in parsed if header.authserv_id and header.authserv_id in authserv_ids)
    if not parsed:
        return ()
    top = parsed[0]
    return (top, *(header for header in parsed[1:] if top.authserv_id and header.authserv_id == top.authserv_id))


def topmost(headers: Iterable[AuthResults], method: str) -> tuple[AuthResult, ...]:
    """Return a method's results from the first header that has any: one below may have been brought along."""
    for header in headers:
        found = tuple(result for result in header.results if result.method == method)
        if found:
            return found
    return ()
