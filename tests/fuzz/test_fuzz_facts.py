"""Invariant: whatever the extractor hands over, facts come back, each true, false or None, in bounded time."""

from dataclasses import astuple

import pytest
from effort import bounded
from hypothesis import given, settings
from hypothesis import strategies as st

from model.domains import DomainLists
from model.extracted import Address, Defect, DkimSignature, Extracted, Link, Part
from model.facts import Facts, Site, facts
from model.leaks import find_leaks
from model.mail import Envelope

LISTS = DomainLists.load()

TEXT = st.text(max_size=60) | st.sampled_from([
    "", "@", "a@b", "x@gmail.com", "<>", "..", "xn--", "xn--a", "paypal.com", "[192.0.2.1]", "a@[192.0.2.1]",
    "\udc80", "ﷺ" * 9, "a" * 300 + ".com", "Mon, 4 May 2026 12:00:00 +0000", "mx.x; dkim=pass header.d=", "PayPal",
    "https://www.paypal.com/x", "İ", "ß", "\u0130.com", "=", ";" * 20,
])  # fmt: skip
ADDRESSES = st.lists(st.builds(Address, TEXT, TEXT), max_size=3).map(tuple)
KINDS = st.sampled_from(["anchor", "image", "form", "area", "text", "style", "frame", "?"])
EXTRACTED = st.builds(
    Extracted,
    subject=TEXT,
    from_=ADDRESSES,
    sender=ADDRESSES,
    reply_to=ADDRESSES,
    to=ADDRESSES,
    headers=st.dictionaries(st.sampled_from(["date", "return-path", "references", "list-unsubscribe"]), TEXT),
    authentication_results=st.lists(TEXT, max_size=3).map(tuple),
    received=st.lists(TEXT, max_size=2).map(tuple),
    dkim=st.lists(st.builds(DkimSignature, TEXT, TEXT), max_size=3).map(tuple),
    parts=st.lists(
        st.builds(Part, TEXT, TEXT, TEXT, TEXT, TEXT, st.just(0), TEXT, st.booleans(), st.booleans()), max_size=2
    ).map(tuple),
    text=TEXT,
    hidden_text=TEXT,
    links=st.lists(st.builds(Link, TEXT, TEXT, TEXT, KINDS, st.booleans()), max_size=4).map(tuple),
    defects=st.lists(st.builds(Defect, TEXT), max_size=2).map(tuple),
)


@given(EXTRACTED, TEXT, st.sampled_from([frozenset({"*"}), frozenset({"mx.x"}), frozenset()]))
@settings(max_examples=400, deadline=None)
def test_facts_come_back_from_anything(extracted: Extracted, sender: str, ids: frozenset[str]) -> None:
    found = facts(extracted, Envelope(sender, ()), Site(ids, frozenset(), frozenset({"a@b"})), LISTS)

    assert isinstance(found, Facts)
    assert all(value is None or isinstance(value, bool) for value in astuple(found))
    assert found == facts(extracted, Envelope(sender, ()), Site(ids, frozenset(), frozenset({"a@b"})), LISTS)


@given(EXTRACTED)
@settings(max_examples=100, deadline=None)
def test_leaks_come_back_from_anything(extracted: Extracted) -> None:
    assert isinstance(find_leaks(extracted), tuple)


@pytest.mark.parametrize("unit", ["a", "a ", "@", "a@", ".", "a.", "-", "(", '"', "ﷺ", "а", "\u0301", "://", "1."])
def test_a_flood_in_any_field_costs_bounded_time(unit: str) -> None:
    flood = unit * (400_000 // len(unit))
    extracted = Extracted(
        subject=flood,
        from_=(Address(flood, flood),),
        reply_to=(Address(flood, flood),) * 50,
        headers=dict.fromkeys(("date", "return-path", "references"), flood),
        authentication_results=(flood,) * 100,
        received=(flood,),
        dkim=(DkimSignature(flood, flood),) * 50,
        parts=(Part(flood, "", "", flood, "", 0, "", attachment=True),) * 20,
        text=flood,
        hidden_text=flood,
        links=(Link(flood, flood, flood, "anchor"),) * 20,
    )

    with bounded():
        facts(extracted, Envelope(flood, ()), Site(frozenset({"*"})), LISTS)
