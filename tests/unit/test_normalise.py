"""The one text that is trained on and served."""


import pytest
from effort import bounded
from hypothesis import given
from hypothesis import strategies as st

from model.domains import DomainLists
from model.extracted import Address, Extracted, Link, Part
from model.facts import Facts
from model.normalise import MAX_BODY_CHARS, MAX_HOSTS, clean, normalise

LISTS = DomainLists.load()


def link(host: str, **more: object) -> Link:
    return Link(**{"href": f"https://{host}/x", "host": host, "shown": "here", "kind": "anchor", **more})


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("pay\u200bpal", "paypal"),
        ("pay\u00adpal", "paypal"),
        ("\u202elapyap\u202c", "lapyap"),
        ("ｐａｙｐａｌ", "paypal"),
        ("раypal", "paypal"),
        ("p\u0430yp\u0430l", "paypal"),
        ("s\u0435cure", "secure"),
        ("𝐏𝐚𝐲𝐏𝐚𝐥", "PayPal"),
        ("p\U000e0061ay", "pay"),
        ("a\u0301\u0301\u0301\u0301\u0301b", "á\u0301b"),
        ("one\x00two", "one two"),
        ("a  \t b \n\n\n  c", "a b\nc"),
        ("==========", "==="),
    ],
)
def test_clean_folds_what_only_deceives_the_eye(given_text, expected):
    assert clean(given_text) == expected


@pytest.mark.parametrize("text", ["Привет, как дела?", "Καλημέρα κόσμε", "こんにちは", "Grüße aus Köln",
                                  "très bientôt"])
def test_clean_leaves_honest_words_of_other_scripts(text):
    assert clean(text) == text


def test_one_cyrillic_word_in_a_latin_text_is_read_as_latin():
    assert "apple" in clean("Please confirm your аррӏе account today, it will be closed otherwise").lower()


@given(st.text(max_size=300))
def test_clean_is_idempotent(text):
    once = clean(text)

    assert clean(once) == once


def test_addresses_links_and_the_recipient_leave_no_trace():
    extracted = Extracted(
        subject="Re: [corp-users] Jordan Blake, your parcel",
        to=(Address("Jordan Blake", "jordan.blake@corp.example"),),
        text="Dear Jordan Blake, write to help@shop.example or see https://u:p@shop.example/t?id=77 now",
    )

    document = normalise(extracted, Facts(), LISTS)

    assert document.subject == "you you, your parcel"
    assert document.body == "Dear you you, write to mailbox or see shop.example now"


def test_hosts_are_registrable_distinct_capped_and_without_click_counters():
    counter = next(iter(sorted(LISTS._tables.tracking)))
    links = (link("a.shop.example"), link("b.shop.example"), link(counter), link("x.test", hidden=True),
             link("img.test", kind="image"), *(link(f"h{n}.example") for n in range(50)))

    document = normalise(Extracted(links=links), Facts(), LISTS)

    assert document.hosts[:2] == ("shop.example", "h0.example")
    assert len(document.hosts) == MAX_HOSTS


def test_fact_tokens_are_neutral_words():
    part = Part("application/pdf", "application/pdf", "", "a.pdf", "attachment", 1, "", attachment=True)

    document = normalise(Extracted(parts=(part,)), Facts(is_reply=True, list_unsubscribe=False), LISTS)

    assert document.fact_tokens == ("reply", "attached pdf")


def test_an_oversized_text_keeps_head_and_tail():
    body = normalise(Extracted(text="head " + "x y " * 300_000 + " tail"), Facts(), LISTS).body

    assert body.startswith("head") and body.endswith("tail") and len(body) <= MAX_BODY_CHARS + 1


@pytest.mark.parametrize("unit", ["a", "<", '"', "@", "(", "a.", "http://", "=", " ", "а", "\u0301", "a@"])
def test_a_megabyte_of_anything_is_cheap(unit):
    text = (unit * 1_000_000)[:1_000_000]

    with bounded():
        normalise(Extracted(subject=text, text=text), Facts(), LISTS)
