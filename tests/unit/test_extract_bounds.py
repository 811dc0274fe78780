"""`extract` never raises and is bounded: each hostile message ends soon, with a defect that says what was cut."""

import base64
import resource
from collections.abc import Callable

import pytest
from effort import bounded

from model.defects import CODES
from model.extract import extract
from model.extracted import Limits

HEAD = b"From: Ada <ada@shop.example>\r\nSubject: s\r\n"
HTML = HEAD + b"Content-Type: text/html\r\n\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
MEGABYTES = 200


def nested(depth: int) -> bytes:
    levels = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth))
    return HEAD + b"".join(levels) + b"Content-Type: text/plain\r\n\r\ninner"


def wrapped(depth: int) -> bytes:
    mail = HEAD + b"\r\ninner"
    for _ in range(depth):
        mail = (
            HEAD
            + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(mail)
        )
    return mail


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "0 octets": (lambda: b"", "header-missing"),
    "only NUL": (lambda: b"\0" * 100_000, "header-nul"),
    "no header": (lambda: b"hello\r\nworld\r\n", "header-missing"),
    "NUL in the header": (lambda: b"From: a@b.example\0\r\n\r\nx", "header-nul"),
    "1 MB header": (lambda: b"Subject: " + b"a" * (1 << 20) + b"\r\n\r\nx", "header-too-long"),
    "1 MB of folds": (lambda: b"Subject: " + b"\r\n a" * 300_000 + b"\r\n\r\nx", "header-too-long"),
    "1 MB of blanks": (lambda: HEAD + b" " * (1 << 20) + b"\r\n\r\nx", "header-too-long"),
    "100,000 header lines": (
        lambda: b"".join(b"X-%d: y\r\n" % i for i in range(100_000)) + b"\r\nx",
        "header-too-many",
    ),
    "100,000 parts": (
        lambda: MIXED + b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\nx%d\r\n" % i for i in range(100_000)),
        "too-many-parts",
    ),
    "multiparts 3,000 deep": (lambda: nested(3_000), "nested-too-deep"),
    "messages 3,000 deep": (lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 3_000, "nested-too-deep"),
    "messages 30 deep in base64": (lambda: wrapped(30), "nested-too-deep"),
    "300,000 lines of hyphens": (lambda: MIXED + b"--\n" * 300_000, "too-many-parts"),
    "one boundary for all levels": (
        lambda: MIXED + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 20_000,
        "boundary-reused",
    ),
    "wrong charset": (
        lambda: HEAD + b"Content-Type: text/plain; charset=x-nothing\r\n\r\n\xff\xfe\xfa",
        "charset-unknown",
    ),
    "base64 cut short": (lambda: HEAD + b"Content-Transfer-Encoding: base64\r\n\r\nQUJDR", "base64-damaged"),
    "base64 of many pieces": (
        lambda: HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD=*" * 200_000,
        "base64-damaged",
    ),
    "quoted-printable with control characters": (
        lambda: HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=4\x121=zz\r\n" * 100_000,
        "qp-damaged",
    ),
    "500 open brackets in From": (lambda: b"From: " + b"(" * 500 + b"\r\n\r\nx", "address-malformed"),
    "32,000 quotes in From": (lambda: b"From: " + b'"' * 32_001 + b"\r\n\r\nx", "from-missing"),
    "20,000 addresses": (lambda: b"From: " + b"a@b.c, " * 20_000 + b"\r\n\r\nx", "address-too-many"),
    "32,000 encoded words": (
        lambda: b"Subject: " + b"=?utf-8?q?a?= " * 32_000 + b"\r\n\r\nx",
        "encoded-words-too-many",
    ),
    "32,000 parameters": (
        lambda: HEAD + b"Content-Type: text/plain" + b"".join(b"; p%d=v" % i for i in range(32_000)) + b"\r\n\r\nx",
        "header-value-long",
    ),
    "16,000 RFC 2231 pieces": (
        lambda: HEAD + b"Content-Type: text/plain" + b"".join(b"; n*%d*=v" % i for i in range(16_000)) + b"\r\n\r\nx",
        "header-value-long",
    ),
    "50,000 attributes": (lambda: HTML + b"<a " + b"x " * 50_000 + b">", "html-attributes"),
    "50,000 attributes with quoted ends": (
        lambda: HTML + b"<a " + b" ".join(b'a%d=">"' % i for i in range(50_000)) + b">",
        "html-attributes",
    ),
    "50,000 attributes behind a false quote": (
        lambda: HTML + b'<b ="><a ' + b" ".join(b"a%d" % i for i in range(50_000)) + b">",
        "html-attributes",
    ),
    "many tags at the limit": (lambda: HTML + (b"<x " + b" ".join(b"a%d" % i for i in range(499)) + b">") * 700, ""),
    "5,000 nested elements": (lambda: HTML + b"<div>" * 5_000 + b"deep", "html-nesting"),
    "1 MB of nested elements": (lambda: HTML + b"<div>" * 200_000, "html-nesting"),
    "open formatting before many blocks": (
        lambda: HTML + b"".join(b"<b a=%d>" % i for i in range(5_000)) + b"<p>x" * 50_000,
        "html-nesting",
    ),
    "1,000 pages of open formatting": (
        lambda: (
            MIXED
            + b"".join(b"--b\r\nContent-Type: text/html\r\n\r\n%d%s\r\n" % (i, b"<i><p>" * 500) for i in range(1_000))
        ),
        "html-too-large",
    ),
    "1 MB of rules": (
        lambda: HTML + b"<style>" + b".a .b>c:hover{color:red}" * 40_000 + b"</style>x",
        "style-too-large",
    ),
    "1 MB of open braces": (lambda: HTML + b"<style>" + b"{" * (1 << 20) + b"</style>x", "style-too-large"),
    "30,000 different styles": (
        lambda: HTML + b"".join(b"<p style='color:#%06x;top:1px'>x</p>" % i for i in range(30_000)),
        "",
    ),
    "20 MB attachment": (
        lambda: (
            HEAD
            + b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(b"x" * (20 << 20))
        ),
        "text-truncated",
    ),
    "10 MB of text": (lambda: HEAD + b"\r\n" + b"hello world\r\n" * 800_000, "text-truncated"),
    "100,000 links": (
        lambda: HEAD + b"\r\n" + b"".join(b"http://a.example/%d " % i for i in range(9_000)),
        "links-too-many",
    ),
    "zip of 300,000 entries": (
        lambda: HEAD + b"Content-Type: application/zip\r\n\r\nPK\x03\x04" + (b"\0" * 26 + b"PK\x03\x04") * 300_000,
        "",
    ),
    "two types and 3 MB that look encoded": (
        lambda: HEAD + b"Content-Type: text/plain\r\nContent-Type: multipart/x\r\n\r\n" + b"=41\r\n" * 600_000,
        "mime-ambiguous",
    ),
    "1,000 large type headers": (
        lambda: MIXED + (b"--b\r\nContent-Type: text/plain; a=" + b"(" * 8_000 + b"\r\n\r\nx\r\n") * 1_000,
        "header-too-long",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_costs_a_defect_and_ends(name: str) -> None:
    build, code = HOSTILE[name]
    raw = build()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with bounded():
        found = extract(raw)

    codes = {d.code for d in found.defects}
    assert "extractor-fault" not in codes, found.defects
    assert not code or code in codes
    assert codes <= CODES.keys()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before <= MEGABYTES << 10


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
@pytest.mark.parametrize(
    "unit",
    [
        b"a",
        b"<",
        b'"',
        b"@",
        b"(",
        b"&",
        b"=",
        b";",
        b"a.",
        b"a-",
        b"www.",
        b"http://",
        b"a.b/",
        b"=?",
        b"'\"",
        b"\xe4",
        b"\xe4\xb8\xad",
        b"a b c ",
        b"<a href=//x.y>",
        b"--\n",
        b"\\",
        b"%",
        b"[",
        b"a@b.c ",
        b"begin 644 x\n",
    ],
)
def test_a_megabyte_of_anything_takes_no_regex_with_it(kind: str, unit: bytes) -> None:
    raw = HEAD + b"Content-Type: " + kind.encode() + b"\r\n\r\n" + unit * ((1 << 20) // len(unit))
    with bounded():
        extract(raw)


def test_limits_are_the_callers() -> None:
    raw = MIXED + b"".join(b"--b\r\n\r\npart %d\r\n" % i for i in range(9)) + b"--b--\r\n"
    found = extract(raw, Limits(parts=4, text_chars=20))

    assert len(found.parts) == 4
    assert {"too-many-parts", "text-truncated"} <= {d.code for d in found.defects}
    assert len(found.text) <= 20


def test_a_long_text_keeps_its_head_and_its_tail() -> None:
    """A payload behind padding is still read."""
    raw = HEAD + b"\r\n" + b"first words " + b"padding " * 100_000 + b" last words"
    text = extract(raw).text

    assert text.startswith("first words")
    assert text.endswith("last words")


def test_a_fault_of_ours_is_a_defect_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("model.content.read_html", broken)
    found = extract(HTML + b"<p>x")

    assert found.subject == "s"
    assert [(d.code, d.detail) for d in found.defects] == [("extractor-fault", "parts: RecursionError")]
