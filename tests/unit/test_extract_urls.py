"""Hosts as a browser would reach them; links in plain text."""


import pytest
from effort import bounded

from model.urls import clean, find, host_of


@pytest.mark.parametrize(
    ("href", "host"),
    [
        ("https://shop.example/", "shop.example"),
        ("HTTPS://SHOP.EXAMPLE", "shop.example"),
        ("https://shop.example.", "shop.example"),
        ("https://shop.example:8443/x", "shop.example"),
        ("https://bank.example@thief.example/", "thief.example"),
        ("https://bank.example:pw@a@thief.example/", "thief.example"),
        ("https://thief.example\\@bank.example/", "thief.example"),
        ("http:\\\\thief.example\\x", "thief.example"),
        ("http:thief.example", "thief.example"),
        ("http:////thief.example/x", "thief.example"),
        ("ht\ttp://thi\nef.example", "thief.example"),
        ("\x01 http://thief.example", "thief.example"),
        ("//thief.example/x", "thief.example"),
        ("\\\\thief.example/x", "thief.example"),
        ("www.shop.example/x", "www.shop.example"),
        ("shop.example/x", "shop.example"),
        ("hxxps://thief.example/x", "thief.example"),
        ("http://thief%2eexample/", "thief.example"),
        ("http://ｔｈｉｅｆ。example/", "thief.example"),
        ("http://thi\xadef.example/", "thief.example"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://BÜCHER.example/", "xn--bcher-kva.example"),
        ("http://XN--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://192.0.2.1/", "192.0.2.1"),
        ("http://3221225985/", "192.0.2.1"),
        ("http://0xC0000201/", "192.0.2.1"),
        ("http://0300.0.2.1/", "192.0.2.1"),
        ("http://0xc0.0x0.513/", "192.0.2.1"),
        ("http://192.0.2.999/", "192.0.2.999"),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
        ("http://shop.example?x=http://other.example", "shop.example"),
        ("http://shop.example#@other.example", "shop.example"),
        ("mailto:a@shop.example", ""),
        ("cid:abc", ""),
        ("data:text/html,x", ""),
        ("javascript:void(0)", ""),
        ("#top", ""),
        ("page.html", "page.html"),
        ("", ""),
        ("http://", ""),
        ("http://a b/", ""),
    ],
)
def test_the_host_is_where_a_click_goes(href: str, host: str) -> None:
    assert clean(href)[1] == host


@pytest.mark.parametrize(
    "href",
    [
        "http://[",
        "http://[::1",
        "http://%",
        "://",
        ":",
        "http://\udc80/",
        "http://" + "a" * 10_000,
        "http://" + "ü" * 300,
        "http://99999999999999999999/",
        "http://0x/",
        "http://1.2.3.4.5/",
    ],
)
def test_no_address_is_too_odd(href: str) -> None:
    assert isinstance(clean(href, "http://base.example/")[1], str)


def test_a_host_of_many_unicode_labels_is_encoded_label_by_label() -> None:
    assert host_of("ä.ö.example") == "xn--4ca.xn--nda.example"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x_(y))", ["https://a.example/x_(y)"]),
        ("<https://a.example/x>", ["https://a.example/x"]),
        ('"http://a.example/?q=1&r=2", then', ["http://a.example/?q=1&r=2"]),
        ("hxxp://a.example/x", ["hxxp://a.example/x"]),
        ("go to www.a.example now", ["www.a.example"]),
        ("pay at bit.example/3xYz!", ["bit.example/3xYz"]),
        ("mail a@b.example/x or run main.c/x", []),
        ("1.5/2 and e.g. either/or", []),
    ],
)
def test_links_in_plain_text(text: str, found: list[str]) -> None:
    assert list(find(text, 10)) == found


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a-", "<", '"', "@", "(", "www.", "http://", "a.b/", "-.a", "1.", "a@", ")" * 5]
)
def test_finding_links_is_linear(unit: str) -> None:
    text = unit * ((1 << 20) // len(unit)) + " http://x.example/y"
    with bounded():
        for url in find(text, 1_000):
            clean(url)
