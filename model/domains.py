"""What is known of a domain without asking anyone: popular, shared, free mail, shortener, mail service, cheap.

Popularity, disposable and dynamic-DNS lists are derived (`data/domains.bin`, see `model.filterfile`); the short
lists are kept by hand in `data/*.txt`. Nothing here goes to the network.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

from publicsuffixlist import PublicSuffixList

from model.brands import Brands
from model.filterfile import FilterFile, ListsError, XorFilter

__all__ = ["DATA", "DomainLists", "ListsError", "read_hosts"]

DATA = Path(str(resources.files("model"))) / "data"
FILE = "domains.bin"
DYNAMIC_AGAIN, AGAIN = "dynamic-again", "."
"""A second filter over the same names with a dot before them: one wrong yes in 65,536 instead of 256."""
_MAX_HOST = 253  # RFC 1035 section 2.3.4, less the length octets
_CACHE = 8192
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
                                  "100.64.0.0/10", "fc00::/7", "fe80::/10", "::1/128")))  # fmt: skip
_IP = re.compile(r"\[|[0-9.]+\Z|[0-9a-f:]*:[0-9a-f:.]*\Z")


def read_hosts(path: Path) -> frozenset[str]:
    """Read a hand-kept list: names divided by white space, `#` to the end of the line is a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(name.lower() for line in lines for name in line.partition("#")[0].split())


def ascii_host(host: str) -> str:
    """Return a host in lower-case ASCII without trailing dot; empty if it is none (RFC 5891)."""
    if len(host) > _MAX_HOST + 1:  # before IDNA, whose time is quadratic in the length of a label
        return ""
    host = host.rstrip(".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return host if len(host) <= _MAX_HOST else ""


def is_ip(host: str) -> bool:
    """Whether a link's host is an address rather than a name."""
    return bool(host) and _IP.match(host) is not None


def is_public_ip(host: str) -> bool:
    """Whether a host is an address that is in nobody's private use (RFC 1918, 4193, 6598, loopback, link-local)."""
    if not is_ip(host):
        return False
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return True  # written in a way that only browsers read
    return not any(address in network for network in _PRIVATE)


@dataclass(frozen=True, slots=True)
class _Tables:
    free_mail: frozenset[str]
    shorteners: frozenset[str]
    tracking: frozenset[str]
    shared: frozenset[str]
    cheap: frozenset[str]
    popular: XorFilter
    disposable: frozenset[str]
    dynamic: XorFilter
    dynamic_again: XorFilter | None
    common_words: frozenset[str]


class DomainLists:
    """All domain lists. Hosts and domains may come in any case; what is no host is in no list.

    `common_words` tell no name from another. `header` holds the derived file's build date, sources, versions
    and licences.
    """

    def __init__(self, tables: _Tables, header: dict[str, Any], brands: Brands) -> None:
        self._tables = tables
        self.header = header
        self.brands = brands
        self.common_words = tables.common_words
        full, icann = PublicSuffixList(), PublicSuffixList(only_icann=True)
        self._registrable = lru_cache(_CACHE)(lambda host: _registrable(full, host))
        self._icann_registrable = lru_cache(_CACHE)(lambda host: _registrable(icann, host))
        self._known = lru_cache(_CACHE)(self._look_up)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Load the shipped lists, or the derived file at `path` beside them. Raises ListsError naming the file."""
        file = FilterFile.open(path or DATA / FILE)
        tables = _Tables(
            free_mail=read_hosts(DATA / "free_mail.txt"),
            shorteners=read_hosts(DATA / "shorteners.txt"),
            tracking=read_hosts(DATA / "tracking.txt"),
            shared=read_hosts(DATA / "shared_hosts.txt"),
            cheap=read_hosts(DATA / "cheap_tlds.txt"),
            popular=file.filter("popular"),
            disposable=file.lines("disposable"),
            dynamic=file.filter("dynamic"),
            dynamic_again=file.filter(DYNAMIC_AGAIN) if file.has(DYNAMIC_AGAIN) else None,
            common_words=read_hosts(DATA / "common_words.txt"),
        )
        brands = Brands.load(DATA / "brands.txt", file.lines("banks"), tables.common_words)
        return cls(tables, file.header, brands)

    def registrable(self, host: str) -> str:
        """Return the domain that somebody has registered, in ASCII; empty for an address or a bare suffix."""
        return self._registrable(host) if len(host) <= _MAX_HOST + 1 else ""

    def known(self, domain: str) -> bool:
        """Whether the registrable domain is in a popularity list and is not shared (about 0.4 % false yes)."""
        return len(domain) <= _MAX_HOST + 1 and self._known(domain)

    def _look_up(self, domain: str) -> bool:
        registrable = self.registrable(domain)
        return bool(registrable) and registrable in self._tables.popular and not self.shared(domain)

    def shared(self, host: str) -> bool:
        """Whether anyone may have a place or mailbox there: private suffix, hosting, free mail."""
        host = ascii_host(host)
        registrable = self.registrable(host)
        if not registrable:
            return False
        tables = self._tables
        return (
            _under(host, tables.shared)
            or _under(host, tables.free_mail)
            or self._icann_registrable(host) != registrable
            or registrable in tables.disposable
            or self._dynamic(registrable)
        )

    def _dynamic(self, registrable: str) -> bool:
        """Whether anyone may have a host there. Popular domains were left out, so a filter that names one errs."""
        tables = self._tables
        return (
            registrable in tables.dynamic
            and (tables.dynamic_again is None or AGAIN + registrable in tables.dynamic_again)
            and registrable not in tables.popular
        )

    def tenant(self, domain: str) -> bool:
        """Whether anyone may send from this domain: shared, and not the house itself ("trello.com")."""
        host = ascii_host(domain)
        return self.shared(host) and (host not in self._tables.shared or host in self._tables.tracking)

    def free_mail(self, domain: str) -> bool:
        """Whether anyone may open a mailbox at this domain, for free or disposable."""
        return ascii_host(domain) in self._tables.free_mail or self.disposable(domain)

    def disposable(self, domain: str) -> bool:
        """Whether the domain gives out throw-away addresses."""
        return _under(ascii_host(domain), self._tables.disposable)

    def shortener(self, host: str) -> bool:
        """Whether a link there leads wherever its maker wished."""
        return _under(ascii_host(host), self._tables.shorteners)

    def tracking(self, host: str) -> bool:
        """Whether the host counts clicks or carries images in mail of every kind: neither known nor unknown."""
        return _under(ascii_host(host), self._tables.tracking)

    def cheap_tld(self, host: str) -> bool:
        """Whether the host lies under a top-level domain that is nearly free."""
        host = ascii_host(host)
        tables = self._tables
        return host.rpartition(".")[2] in tables.cheap or ".".join(host.split(".")[-2:]) in tables.cheap

    def age_days(self, now: datetime) -> int:
        """Days since the newest popularity list was made; `now` is aware."""
        newest = max(date.fromisoformat(source["date"]) for source in self.header["sources"])
        return (now.astimezone(UTC).date() - newest).days


def _registrable(suffixes: PublicSuffixList, host: str) -> str:
    host = ascii_host(host)
    if not host or is_ip(host):
        return ""
    return suffixes.privatesuffix(host) or ""


def _under(host: str, names: frozenset[str]) -> bool:
    """Whether the host or a domain above it is among the names."""
    while host:
        if host in names:
            return True
        host = host.partition(".")[2]
    return False
