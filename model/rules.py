"""Allow and block rules: whose mail the operator has decided about beforehand."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address

from model.extracted import Address, Extracted
from model.facts import Facts
from model.mail import Envelope


@dataclass(frozen=True, slots=True)
class Rule:
    """Exactly one of address, domain (with those below it) and network; `expires` is the first instant without it.

    Raises ValueError when built otherwise. `note` is for people.
    """

    address: str = ""
    domain: str = ""
    network: IPv4Network | IPv6Network | None = None
    expires: datetime | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if sum((bool(self.address), bool(self.domain), self.network is not None)) != 1:
            raise ValueError("a rule names exactly one of address, domain and network")
        if self.expires is not None and self.expires.tzinfo is None:
            raise ValueError("a rule's expiry needs a time zone")

    def __str__(self) -> str:
        return self.address or self.domain or str(self.network)

    def expired(self, now: datetime) -> bool:
        """Whether the rule no longer counts; `now` is aware."""
        return self.expires is not None and now >= self.expires


def after(last_day: date) -> datetime:
    """Return when a rule ends that counts up to and including a day (UTC)."""
    return datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC) + timedelta(days=1)


def allows(rule: Rule, envelope: Envelope, extracted: Extracted | None, facts: Facts | None) -> bool:
    """Whether an allow rule fits: by network, or by the one author whose domain is authenticated.

    Neither the envelope sender nor an unproven From counts, since both are free to choose.
    """
    if rule.network is not None:
        return _inside(rule, envelope)
    if extracted is None or facts is None or facts.authenticated is not True or facts.from_ambiguous:
        return False
    return bool(extracted.from_) and all(_is(rule, author.address) for author in extracted.from_)


def blocks(rule: Rule, envelope: Envelope, extracted: Extracted | None) -> bool:
    """Whether a block rule fits: by network, envelope sender or any author. A block needs no proof."""
    if rule.network is not None:
        return _inside(rule, envelope)
    authors = [author.address for author in extracted.from_] if extracted else []
    return any(_is(rule, address) for address in (envelope.sender, *authors))


def _is(rule: Rule, address: str) -> bool:
    if rule.address:
        return address.lower() == rule.address.lower()
    domain, wanted = Address("", address).domain, rule.domain.lower().strip(".")
    return domain == wanted or domain.endswith("." + wanted)


def _inside(rule: Rule, envelope: Envelope) -> bool:
    try:
        client = ip_address(envelope.client.address.removeprefix("IPv6:").removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = getattr(client, "ipv4_mapped", None)
    return rule.network is not None and (mapped or client) in rule.network
