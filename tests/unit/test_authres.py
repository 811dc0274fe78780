"""Authentication-Results: the examples of RFC 8601, what providers write, and what senders forge."""


import pytest
from effort import bounded
from hypothesis import given
from hypothesis import strategies as st

from model.authres import MAX_RESULTS, AuthResult, parse, topmost, trusted


def test_the_example_of_rfc_8601_appendix_b4() -> None:
    header = parse(
        "example.com;\r\n spf=pass smtp.mailfrom=example.net;\r\n"
        " dkim=pass (good signature) header.i=@mail-router.example.net; dkim=fail (bad) header.d=newyork.example.com"
    )

    assert header.authserv_id == "example.com"
    assert header.results == (
        AuthResult("spf", "pass", (("smtp.mailfrom", "example.net"),)),
        AuthResult("dkim", "pass", (("header.i", "@mail-router.example.net"),)),
        AuthResult("dkim", "fail", (("header.d", "newyork.example.com"),)),
    )


@pytest.mark.parametrize(
    ("value", "authserv_id", "results"),
    [
        ("", "", []),
        ("mx.example.com; none", "mx.example.com", []),
        ("mx.example.com 1; dkim=pass header.d=a.example", "mx.example.com", [("dkim", "pass", "a.example")]),
        ('"MX.example.com"; dkim=pass header.d="A.example"', "mx.example.com", [("dkim", "pass", "a.example")]),
        ("mx.example.com; dkim/1=pass header.d=a.example", "mx.example.com", [("dkim", "pass", "a.example")]),
        ("mx.example.com; dkim = pass header.d = a.example", "mx.example.com", [("dkim", "pass", "a.example")]),
        ('mx.example.com; dkim=fail reason="no; dkim=pass" header.d=a.example', "mx.example.com",
         [("dkim", "fail", "a.example")]),
        ("mx.example.com; dkim=fail (x; dkim=pass header.d=b.example) header.d=a.example", "mx.example.com",
         [("dkim", "fail", "a.example")]),
        ("mx.example.com; dkim=fail (a (b) \\) ; c) header.d=a.example", "mx.example.com",
         [("dkim", "fail", "a.example")]),
        ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=pass header.d=a.example", "",
         [("spf", "pass", ""), ("dkim", "pass", "a.example")]),
        ("mx.example.com; dkim=pass header.b=abc= header.d=a.example", "mx.example.com",
         [("dkim", "pass", "a.example")]),
        ("mx.example.com; dkim=pass (unclosed header.d=a.example", "mx.example.com", [("dkim", "pass", "")]),
        ("mx.example.com; dkim; =pass; ;;", "mx.example.com", []),
    ],
)  # fmt: skip
def test_forms_that_are_met(value: str, authserv_id: str, results: list[tuple[str, str, str]]) -> None:
    header = parse(value)

    assert header.authserv_id == authserv_id
    assert [(result.method, result.result, result.get("header.d")) for result in header.results] == results


OURS = "mx.site.example; dkim=fail header.d=bank.example"
FORGED = "mx.evil.example; dkim=pass header.d=bank.example"


def test_only_named_hosts_are_believed() -> None:
    assert [h.authserv_id for h in trusted((FORGED, OURS), frozenset({"mx.site.example"}))] == ["mx.site.example"]
    assert trusted((FORGED, OURS), frozenset()) == ()


def test_a_header_without_a_host_is_not_believed_by_name() -> None:
    assert trusted(("dkim=pass header.d=bank.example",), frozenset({"", "mx.site.example"})) == ()


def test_the_star_believes_whoever_wrote_the_topmost_header_only() -> None:
    below = "mx.site.example; dmarc=pass header.from=bank.example"

    assert len(trusted((OURS, FORGED, below), frozenset({"*"}))) == 2
    assert trusted((), frozenset({"*"})) == ()


def test_a_method_is_read_from_the_topmost_header_that_has_it() -> None:
    """A sender may bring a header in our name along; what our own verifier said stands above it."""
    forged = "mx.site.example; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example"
    headers = trusted((OURS, forged), frozenset({"mx.site.example"}))

    assert [result.result for result in topmost(headers, "dkim")] == ["fail"]
    assert [result.result for result in topmost(headers, "dmarc")] == ["pass"]
    assert topmost(headers, "spf") == ()


@given(st.text(alphabet='ab.;= ()"\\@\r\n\t/dkimpass', max_size=300))
def test_nothing_raises_and_there_are_no_more_results_than_allowed(value: str) -> None:
    header = parse("mx.site.example;" + value)

    assert len(header.results) <= MAX_RESULTS
    assert all(result.method for result in header.results)


@pytest.mark.parametrize("unit", ["(", ")", '"', "\\", ";", "=", "a=", "a=b;", "(a", '("', " ", "a"])
def test_a_flood_costs_no_more_than_the_cap(unit: str) -> None:
    with bounded():
        parse(unit * (1_000_000 // len(unit)))
