"""The arguments of MAIL and RCPT: a path and its ESMTP parameters, kept in the client's spelling.

Nothing is normalised, since ENVID and ORCPT (RFC 3461) must reach the next hop as they came. Which
parameters go through depends on what the next hop announced.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PATH = re.compile(r'<((?:"(?:\\[ -~]|[^"\\\x00-\x1f\x7f])*"|[^<>"\s\\\x00-\x1f\x7f])*)>')
# esmtp-value of RFC 5321 section 4.1.2; RFC 6531 and RFC 6533 let octets above 127 in
_PARAM = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00- =\x7f][^\x00- \x7f]*))?")

ADDRESS_LIMIT = 800
PARAM_LIMIT = 20


class ParameterError(Exception):
    """An argument that is not passed on. `fault` names the row of the reply table."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse or forward path without its brackets, and the parameters that followed, as received."""

    address: str
    params: tuple[str, ...] = ()

    def value(self, keyword: str) -> str | None:
        """Return the value of the first parameter called `keyword`; "" without a value, None without it."""
        for param in self.params:
            name, _, value = param.partition("=")
            if name.upper() == keyword:
                return value
        return None


def parse_path(argument: str, prefix: str) -> Path:
    """Read `FROM:<path> params` or `TO:<path> params`. Raises ParameterError("syntax" or "bad-address")."""
    if argument[: len(prefix)].upper() != prefix:
        raise ParameterError("syntax")
    rest = argument[len(prefix) :].lstrip(" ")
    found = _PATH.match(rest)
    if found is None or len(found[1]) > ADDRESS_LIMIT:
        raise ParameterError("bad-address")
    tail = rest[found.end() :]
    if tail and not tail.startswith(" "):
        raise ParameterError("syntax")
    params = tuple(tail.split())
    if len(params) > PARAM_LIMIT or any(_PARAM.fullmatch(p) is None for p in params):
        raise ParameterError("syntax")
    names = [p.partition("=")[0].upper() for p in params]
    if len(set(names)) != len(names):
        raise ParameterError("syntax")
    return Path(found[1], params)


def mail_params(path: Path, capabilities: Mapping[str, str]) -> tuple[str, ...]:
    """Return the MAIL parameters that the next hop is given, or raise ParameterError for one it cannot keep.

    SIZE, BODY=7BIT and AUTH say nothing that is lost without them, so they are left out for a next hop that
    knows nothing of them (AUTH always: we do not authenticate, RFC 4954 section 5).
    """
    passed = []
    for param in path.params:
        name, _, value = param.partition("=")
        match name.upper():
            case "SIZE":
                _check(value.isascii() and value.isdigit() and len(value) <= 20, "syntax")
                keep = "SIZE" in capabilities
            case "BODY":
                _check(value.upper() in ("7BIT", "8BITMIME"), "unknown-parameter")
                keep = "8BITMIME" in capabilities
                _check(keep or value.upper() == "7BIT", "no-8bitmime")
            case "SMTPUTF8":
                _check(not value, "syntax")
                _check("SMTPUTF8" in capabilities, "no-smtputf8")
                keep = True
            case "RET" | "ENVID":
                _check("DSN" in capabilities, "unknown-parameter")
                keep = True
            case "AUTH":
                keep = False
            case _:
                raise ParameterError("unknown-parameter")
        if keep:
            passed.append(param)
    return tuple(passed)


def rcpt_params(path: Path, capabilities: Mapping[str, str]) -> tuple[str, ...]:
    """Return the RCPT parameters for the next hop (DSN's two), or raise ParameterError."""
    for param in path.params:
        known = param.partition("=")[0].upper() in ("NOTIFY", "ORCPT")
        _check(known and "DSN" in capabilities, "unknown-parameter")
    return path.params


def declared_size(params: Sequence[str]) -> int:
    """Return the octets declared with SIZE (RFC 1870); 0 without a declaration."""
    for param in params:
        name, _, value = param.partition("=")
        if name.upper() == "SIZE" and value.isascii() and value.isdigit():
            return int(value[:20])
    return 0


def _check(good: bool, fault: str) -> None:
    if not good:
        raise ParameterError(fault)
