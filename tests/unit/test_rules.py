"""Allow and block rules: whom they mean, and how long."""

from datetime import UTC, date, datetime
from ipaddress import ip_network

import pytest

from model.extracted import Address, Extracted
from model.facts import Facts
from model.mail import Client, Envelope
from model.rules import Rule, after, allows, blocks

PROVEN = Facts(authenticated=True, from_ambiguous=False)


def envelope(sender: str = "", client: str = "") -> Envelope:
    return Envelope(sender, (), client=Client(address=client))


def author(*addresses: str) -> Extracted:
    return Extracted(from_=tuple(Address("", address) for address in addresses))


@pytest.mark.parametrize(
    ("rule", "address", "fits"),
    [
        (Rule(address="Anna@Nordhafen.example"), "anna@nordhafen.EXAMPLE", True),
        (Rule(address="anna@nordhafen.example"), "anna@mail.nordhafen.example", False),
        (Rule(domain="nordhafen.example"), "x@nordhafen.example", True),
        (Rule(domain="nordhafen.example"), "x@mail.nordhafen.example", True),
        (Rule(domain="nordhafen.example"), "x@evilnordhafen.example", False),
        (Rule(domain="nordhafen.example"), "nordhafen.example@evil.example", False),
        (Rule(domain="nordhafen.example"), "", False),
    ],
)
def test_a_sender_rule_means_the_address_or_the_domain_and_those_below(rule: Rule, address: str, fits: bool) -> None:
    assert allows(rule, envelope(), author(address), PROVEN) == fits
    assert blocks(rule, envelope(), author(address)) == fits
    assert blocks(rule, envelope(sender=address), None) == fits


@pytest.mark.parametrize(
    ("network", "client", "fits"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "198.51.100.1", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.0/24", "IPv6:::ffff:192.0.2.9", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "IPv6:2001:db8::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24", "unknown", False),
    ],
)
def test_a_network_rule_means_the_client_address(network: str, client: str, fits: bool) -> None:
    rule = Rule(network=ip_network(network))

    assert allows(rule, envelope(client=client), None, None) == fits
    assert blocks(rule, envelope(client=client), None) == fits


def test_a_message_with_an_author_beside_the_allowed_one_is_not_allowed() -> None:
    rule = Rule(domain="nordhafen.example")

    assert not allows(rule, envelope(), author("a@nordhafen.example", "b@evil.example"), PROVEN)
    assert blocks(rule, envelope(), author("a@nordhafen.example", "b@evil.example"))


def test_a_message_without_author_is_not_allowed() -> None:
    assert not allows(Rule(domain="nordhafen.example"), envelope(), author(), PROVEN)


@pytest.mark.parametrize("wrong", [{}, {"address": "a@b.example", "domain": "b.example"}])
def test_a_rule_names_exactly_one_thing(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Rule(**wrong)  # type: ignore[arg-type]


def test_an_expiry_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Rule(domain="b.example", expires=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_last_day_counts_to_its_end() -> None:
    rule = Rule(domain="b.example", expires=after(date(2026, 2, 28)))

    assert not rule.expired(datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC))
    assert rule.expired(datetime(2026, 3, 1, tzinfo=UTC))
    assert not Rule(domain="b.example").expired(datetime.max.replace(tzinfo=UTC))
