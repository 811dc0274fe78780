"""Links as a browser reads them (https://url.spec.whatwg.org), without ever asking the network.

`clean` gives the address and the host that a click would reach; `find` gives the addresses in plain text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote, urljoin

URL_CHARS = 4096
_SPECIAL = frozenset({"http", "https", "ftp", "ws", "wss"})
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}):")
_DROPPED = re.compile(r"[\t\n\r]")
_EDGES = "".join(map(chr, range(0x21)))
_BARE_HOST = re.compile(
    r"(?:www\.|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}\.[a-z]{2,24}(?:[/:?#]|$))", re.IGNORECASE
)
_TEXT = re.compile(
    r"\b(?:h(?:tt|xx)ps?|ftp):[/\\]{1,4}[^\s<>\"\x00-\x1f]{1,2000}"
    r"|\bwww\.[^\s<>\"\x00-\x1f]{1,2000}"
    r"|(?<![\w.@/-])[a-z0-9-]{1,40}(?:\.[a-z0-9-]{1,40}){0,3}\.[a-z]{2,12}/[^\s<>\"\x00-\x1f]{1,2000}",
    re.IGNORECASE,
)
_FILE_ENDINGS = re.compile(
    r"\.(?:py|c|h|cc|cpp|js|ts|go|rs|java|rb|pl|sh|md|txt|html?|php|conf|d|so|git)/", re.IGNORECASE
)
_TRAILING = ".,;:!?'*_~`|»“”’…"
_DOTS = re.compile("[\u3002\uff0e\uff61]")
_OCTAL = re.compile(r"0[0-7]*")
_DEFAULT_IGNORED = re.compile("[\xad\u200b-\u200d\u2060\ufeff]")


def clean(href: str, base: str = "") -> tuple[str, str]:
    """Return (`href` as a browser would resolve it, its lower-case IDNA host or ""); both empty for nothing."""
    text = _DROPPED.sub("", href[:URL_CHARS].strip(_EDGES))
    if not text:
        return "", ""
    scheme = _SCHEME.match(text)
    name = scheme[1].lower() if scheme else ""
    if name in {"hxxp", "hxxps"}:
        text, name = name.replace("xx", "tt") + text[len(name) :], name.replace("xx", "tt")
    if name in _SPECIAL:
        return _resolved(name, text[len(name) + 1 :])
    if scheme and not _BARE_HOST.match(text):
        return text, ""
    if text[:2] in {"//", "\\\\", "/\\", "\\/"}:
        return _resolved("http", text)
    if base:
        joined = _joined(base, text)
        if _SCHEME.match(joined):
            return clean(joined)
    if _BARE_HOST.match(text):
        return _resolved("http", text)
    return text, ""


def _joined(base: str, text: str) -> str:
    try:
        return urljoin(base, text)
    except ValueError:
        return text


def _resolved(scheme: str, rest: str) -> tuple[str, str]:
    rest = rest.lstrip("/\\")
    end = next((i for i, c in enumerate(rest) if c in "/\\?#"), len(rest))
    authority, tail = rest[:end], rest[end:].replace("\\", "/", 1)
    host, port = _split_port(authority.rpartition("@")[2])
    name = host_of(host)
    return f"{scheme}://{authority.rpartition('@')[0] + '@' if '@' in authority else ''}{name}{port}{tail}", name


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, port = text.partition("]")
        return host + bracket, port if port.startswith(":") else ""
    host, colon, port = text.rpartition(":")
    if colon and (not port or port.isdigit()):
        return host, f":{port}" if port else ""
    return text, ""


def host_of(text: str) -> str:
    """Return a host as a browser resolves it: percent-decoded, lower-case, IDNA, IPv4 numbers as dotted quads."""
    return _host(text) if len(text) < 1_000 else ""


@lru_cache(maxsize=4096)
def _host(text: str) -> str:
    if text.startswith("["):
        return text.lower()[:64]
    if not text.isascii() or "%" in text:
        text = unquote(text, errors="replace")
        text = _DEFAULT_IGNORED.sub("", unicodedata.normalize("NFKC", _DOTS.sub(".", text)))
    host = text.lower().strip().strip(".")
    if not host or len(host) > 255 or any(c.isspace() for c in host):
        return ""
    labels = host.split(".")
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        return _ipv4(labels) or host
    return host if host.isascii() else ".".join(map(_ascii_label, labels))


def _ascii_label(label: str) -> str:
    """Encode one label as browsers do; what IDNA 2003 refuses is still turned into Punycode."""
    if label.isascii():
        return label
    try:
        return label.encode("idna").decode("ascii")
    except UnicodeError:
        return "xn--" + label[:60].encode("punycode").decode("ascii")


def _ipv4(labels: list[str]) -> str:
    numbers: list[int] = []
    if len(labels) > 4:
        return ""
    for label in labels:
        try:
            if label.startswith("0x"):
                numbers.append(int(label[2:] or "0", 16))
            elif _OCTAL.fullmatch(label):
                numbers.append(int(label, 8))
            else:
                numbers.append(int(label, 10) if len(label) < 12 else 1 << 40)
        except ValueError:
            return ""
    value = numbers.pop()
    if any(n > 255 for n in numbers) or value >= 256 ** (4 - len(numbers)):
        return ""
    for place, number in enumerate(numbers):
        value += number * 256 ** (3 - place)
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def find(text: str, limit: int) -> Iterator[str]:
    """Yield at most `limit` addresses that stand in plain text and that mail readers make clickable."""
    if "." not in text and "://" not in text:
        return
    for number, match in enumerate(_TEXT.finditer(text)):
        if number >= limit:
            return
        found = match[0]
        if ":" not in found[:8] and found[:4].lower() != "www." and _FILE_ENDINGS.search(found[:80]):
            continue
        yield _without_tail(found)


def _without_tail(url: str) -> str:
    """Drop the punctuation of the sentence around an address, and a bracket that was opened before it."""
    url = url.rstrip(_TRAILING)
    for opening, closing in ("()", "[]", "{}"):
        while url.endswith(closing) and url.count(opening) < url.count(closing):
            url = url[:-1].rstrip(_TRAILING)
    return url
