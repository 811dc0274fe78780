"""Header fields, encoded words, parameters and addresses, with all that mail does to them."""

import pytest

from model.addresses import read_addresses
from model.charset import decode
from model.extract import extract
from model.headers import Budget, decode_words, parameters, read_fields, text_of


def fields(raw: bytes) -> tuple[list[tuple[str, bytes]], bytes, set[str]]:
    found = read_fields(raw, 0, len(raw), Budget(10_000, 100))
    return found.items, raw[found.end :], found.defects


@pytest.mark.parametrize(
    ("raw", "items", "body", "defects"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nx", [("a", b" 1"), ("b", b" 2")], b"x", set()),
        (b"A: 1\nB: 2\n\nx", [("a", b" 1"), ("b", b" 2")], b"x", set()),
        (b"A: 1\rB: 2\r\rx", [("a", b" 1"), ("b", b" 2")], b"x", {"bare-cr"}),
        (b"A: 1\r\n 2\r\n\t3\r\n\r\nx", [("a", b" 1\n 2\n\t3")], b"x", set()),
        (b"A : 1\r\n\r\nx", [("a", b" 1")], b"x", {"header-malformed"}),
        (b"A: 1\r\njunk\r\nB: 2\r\n\r\nx", [("a", b" 1"), ("b", b" 2")], b"x", {"header-malformed"}),
        (b"A: 1\r\nno field here\r\nbody", [("a", b" 1")], b"no field here\r\nbody", {"header-malformed"}),
        (b"A: 1\r\n \r\nB: 2\r\n\r\nx", [("a", b" 1\n "), ("b", b" 2")], b"x", set()),
        (b"A: 1\r\n  \r\nbody", [("a", b" 1")], b"body", {"header-malformed"}),
        (b"From a@b.example Mon Jan  1 00:00:00 2024\nA: 1\n\nx", [("a", b" 1")], b"x", set()),
        (b"\r\nA: 1\r\n\r\nx", [("a", b" 1")], b"x", {"header-malformed"}),
        (b"A\0: 1\r\n\r\nx", [("a", b" 1")], b"x", {"header-nul"}),
        (b"A: 1", [("a", b" 1")], b"", set()),
    ],
)
def test_a_header_block_is_split(raw: bytes, items: list[tuple[str, bytes]], body: bytes, defects: set[str]) -> None:
    assert fields(raw) == (items, body, defects)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1*de?q?Gr=FC=DFe?=", "Grüße"),
        ("Re: =?utf-8?q?a?= b =?utf-8?q?c?=", "Re: a b c"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?b?=", "ab"),
        ("=?utf-8?q?a b?=", "a b"),
        ("a=?utf-8?q?b?=c", "abc"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?utf-7?q?+ADw-b+AD4-?=", "+ADw-b+AD4-"),
        ("=?nonsense?q?abc?=", "abc"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
    ],
)
def test_encoded_words_as_readers_show_them(text: str, shown: str) -> None:
    assert decode_words(text) == shown


def test_raw_octets_in_a_header_are_read_by_what_they_are() -> None:
    assert text_of("Grüße".encode()) == "Grüße"
    assert text_of("Grüße aus Köln".encode("latin-1")) == "Grüße aus Köln"


@pytest.mark.parametrize(
    ("value", "main", "values", "odd"),
    [
        (b'Text/HTML; Charset="utf-8"', "text/html", {"charset": ["utf-8"]}, False),
        (b"multipart/mixed;boundary=a b", "multipart/mixed", {"boundary": ["a b"]}, False),
        (b'a/b; name="x;y\\"z"', "a/b", {"name": ['x;y"z']}, False),
        (b"a/b; name*=utf-8''%e2%82%ac.pdf", "a/b", {"name": ["€.pdf"]}, False),
        (b"a/b; name*0=long; name*1=er.pdf", "a/b", {"name": ["longer.pdf"]}, False),
        (b"a/b; name*1*=%20b; name*0*=us-ascii''a", "a/b", {"name": ["a b"]}, False),
        (b"multipart/mixed; boundary=a; boundary=b", "multipart/mixed", {"boundary": ["a", "b"]}, True),
        (b"multipart/mixed (x); boundary=a", "multipart/mixed", {"boundary": ["a"]}, True),
        (b'a/b; x="never closed', "a/b", {"x": ["never closed"]}, False),
        (b"", "", {}, False),
    ],
)
def test_parameters(value: bytes, main: str, values: dict[str, list[str]], odd: bool) -> None:
    found = parameters(value)

    assert (found.main, found.values, found.odd) == (main, values, odd)


@pytest.mark.parametrize(
    ("text", "found", "odd"),
    [
        ("a@b.example", [("", "a@b.example")], False),
        ("Ada <a@b.example>", [("Ada", "a@b.example")], False),
        ('"Love, Ada" <a@b.example>', [("Love, Ada", "a@b.example")], False),
        ('"A \\"B\\"" <a@b.example>', [('A "B"', "a@b.example")], False),
        ("a@b.example (Ada (the) first)", [("Ada (the) first", "a@b.example")], False),
        ("Love, Ada <a@b.example>", [("Love, Ada", "a@b.example")], True),
        ("a@b.example, c@d.example", [("", "a@b.example"), ("", "c@d.example")], False),
        ("Team: Ada <a@b.example>, c@d.example;", [("Ada", "a@b.example"), ("", "c@d.example")], True),
        ("undisclosed-recipients:;", [], True),
        ("<@relay.example:a@b.example>", [("", "a@b.example")], True),
        ("bank@bank.example <a@b.example>", [("bank@bank.example", "a@b.example")], False),
        ("Ada a@b.example", [("Ada", "a@b.example")], True),
        ("<a@b.example> <c@d.example>", [("", "a@b.example"), ("", "c@d.example")], True),
        ("<a@b.example", [("", "a@b.example")], True),
        ("a@b@c.example", [("", "a@b@c.example")], True),
        ("Ada (<a@b.example>)", [("Ada", "a@b.example")], True),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@b.example>", [("Grüße", "a@b.example")], False),
        ('"=?utf-8?q?Gr=C3=BC=C3=9Fe?=" <a@b.example>', [("Grüße", "a@b.example")], False),
        ("=?utf-8?q?Ada_=3Ca=40b=2Eexample=3E?=", [("Ada", "a@b.example")], True),
        ("MAILER-DAEMON", [("MAILER-DAEMON", "")], True),
        ('"a b@c"@d.example', [("", '"a b@c"@d.example')], False),
        ("<a@ b . example>", [("", "a@b.example")], False),
        ("a@उदाहरण.example", [("", "a@उदाहरण.example")], False),
        ("a@b..example", [("", "a@b..example")], True),
        ("a@-b.example", [("", "a@-b.example")], True),
        ("a@b.example\u202e", [("", "a@b.example\u202e")], True),
        ("x" * 65 + "@b.example", [("", "x" * 65 + "@b.example")], True),
        ("", [], False),
    ],
)
def test_addresses(text: str, found: list[tuple[str, str]], odd: bool) -> None:
    addresses, was_odd = read_addresses(text, 10)

    assert [(a.display, a.address) for a in addresses] == found
    assert was_odd is odd


@pytest.mark.parametrize(
    ("header", "defects"),
    [
        (b"From: Ada <a@b.example>", set()),
        (b"From: a@b.example\r\nFrom: c@d.example", {"from-multiple"}),
        (b"From: a@b.example, c@d.example", {"from-multiple"}),
        (b"From: a@b.example\r\nFrom: A@B.example.", {"from-multiple"}),
        (b"From: <>", {"from-missing"}),
        (b"Subject: x", {"from-missing"}),
        (b"From: a@b@c.example", {"address-malformed"}),
    ],
)
def test_an_author_that_is_not_one_is_a_defect(header: bytes, defects: set[str]) -> None:
    codes = {d.code for d in extract(header + b"\r\n\r\nx").defects}

    assert codes & {"from-multiple", "from-missing", "address-malformed"} == defects


def test_selected_headers_and_claims_are_kept() -> None:
    found = extract(
        b"Received: from b.example\r\nReceived: from a.example\r\nAuthentication-Results: mx.example; dkim=pass\r\n"
        b"DKIM-Signature: v=1; d=Shop.Example.; s=S1;\r\n bh=x\r\nDKIM-Signature: nonsense\r\n"
        b"List-Id: =?utf-8?q?L=C3=A4?= <l>\r\n"
        b"In-Reply-To: <1@a.example>\r\nX-Other: no\r\nFrom: a@b.example\r\n\r\nx"
    )

    assert found.received == ("from b.example", "from a.example")
    assert found.authentication_results == ("mx.example; dkim=pass",)
    assert [(d.domain, d.selector) for d in found.dkim] == [("shop.example", "s1"), ("", "")]
    assert found.headers == {"list-id": "Lä <l>", "in-reply-to": "<1@a.example>"}


RUSSIAN = "Здравствуйте, ваш заказ уже отправлен и скоро будет доставлен по указанному адресу."
CHINESE = "您好，您的订单已经发货，预计三天之内送达，请注意查收，谢谢您的支持和信任。"
JAPANESE = "こんにちは。ご注文の商品を発送いたしましたので、ご確認ください。ありがとうございます。"


@pytest.mark.parametrize(
    ("text", "true", "declared", "defects"),
    [
        ("Grüße aus Köln", "utf-8", "utf-8", ()),
        ("Grüße aus Köln", "cp1252", "iso-8859-1", ()),
        ("Grüße aus Köln", "utf-8", "iso-8859-1", ("charset-mismatch",)),
        ("Grüße aus Köln", "utf-8", "us-ascii", ()),
        ("Grüße aus Köln", "cp1252", "", ()),
        ("Grüße aus Köln", "utf-8", "", ()),
        ("Grüße aus Köln", "utf-8", "x-nothing", ("charset-unknown",)),
        ("“quoted” – 5 €", "cp1252", "iso-8859-1", ()),
        (RUSSIAN, "koi8-r", "koi8-r", ()),
        (RUSSIAN, "cp1251", "", ()),
        (RUSSIAN, "cp1251", "iso-8859-1", ("charset-mismatch",)),
        (CHINESE, "gb18030", "gb2312", ()),
        (CHINESE, "gb18030", "", ()),
        (CHINESE, "gb18030", "iso-8859-1", ("charset-mismatch",)),
        ("您好", "big5", "big5", ()),
        (JAPANESE, "iso2022_jp", "", ()),
        (JAPANESE, "iso2022_jp", "us-ascii", ()),
        (JAPANESE, "shift_jis", "shift_jis", ()),
        ("abc", "utf-16", "utf-16", ()),
        ("abc", "utf-8-sig", "", ()),
        ("a+b", "ascii", "utf-8", ()),
    ],
)
def test_text_is_in_the_charset_that_it_is_in(text: str, true: str, declared: str, defects: tuple[str, ...]) -> None:
    assert decode(text.encode(true), declared)[::2] == (text, defects)


def test_text_has_no_nul_and_no_lone_surrogate() -> None:
    found, _, _ = decode(b"a\0b\xed\xa0\x80c", "utf-8")

    found.encode("utf-8")
    assert "\0" not in found
    assert found.startswith("ab")
