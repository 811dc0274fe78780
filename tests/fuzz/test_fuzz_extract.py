"""Invariant: for any octets, `extract` returns clean Unicode that survives JSON, names only known defects, keeps
within its limits, and says the same when asked again.
"""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.defects import CODES
from model.extract import extract
from model.extracted import Extracted, Limits
from model.html import read_html
from model.safe_text import safe
from model.urls import clean, find

GOLDEN = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "mail").glob("*.eml"))]
LIMITS = Limits(parts=20, depth=5, headers=50, header_bytes=8_192, addresses=20, text_chars=5_000, links=20)
TOKENS = [
    b"Content-Type: ",
    b"multipart/mixed",
    b"message/rfc822",
    b"text/html",
    b"; boundary=",
    b"b",
    b"--b",
    b"--b--",
    b"--",
    b"Content-Transfer-Encoding: ",
    b"base64",
    b"quoted-printable",
    b"=?utf-8?q?",
    b"=?utf-8?b?",
    b"?=",
    b"From: ",
    b"To: ",
    b"Content-Disposition: attachment; filename*0*=",
    b"utf-8''%ff",
    b'"',
    b"(",
    b")",
    b"<",
    b">",
    b"@",
    b",",
    b";",
    b":",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b"=",
    b"QUJD",
    b"=4",
    b"<a href=",
    b"<p style='",
    b"display:none",
    b"color:#",
    b"<style>",
    b"{",
    b"}",
    b"</",
    b"&#",
    b"http://",
    b"\\",
    b"%",
    b"[",
    b"begin 644 x\r\n",
    b"end",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"%PDF-",
    b"\xff",
    b"\xe4\xb8",
    b"\x1b$B",
    b"\x1b(B",
    b"+AD4-",
    b"charset=",
    b"utf-7",
    b"utf-16",
    b"idna",
    b"Rar!\x1a\x07\0",
    b"From x Mon Jan 1 00:00:00 2024\n",
]

mails = st.one_of(
    st.binary(max_size=400),
    st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)), max_size=60).map(b"".join),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A golden mail with a few pieces removed, doubled, replaced or cut."""
    raw = draw(st.sampled_from(GOLDEN))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, max(len(raw) - 1, 0)))
        end = min(len(raw), start + draw(st.integers(0, 40)))
        middle = draw(
            st.one_of(st.just(b""), st.sampled_from(TOKENS), st.binary(max_size=3), st.just(raw[start:end] * 2))
        )
        raw = raw[:start] + middle + raw[end:]
    return raw


def check(raw: bytes) -> None:
    found = extract(raw, LIMITS, content=True)
    codes = {d.code for d in found.defects}

    assert codes <= CODES.keys()
    assert "extractor-fault" not in codes, found.defects
    assert {code for part in found.parts for code in part.defects} <= codes
    assert len(found.text) <= LIMITS.text_chars
    assert len(found.hidden_text) <= LIMITS.text_chars
    assert len(found.parts) <= LIMITS.parts + 1
    assert len(found.links) <= LIMITS.links
    assert len(found.from_) <= LIMITS.addresses
    text = json.dumps(found.to_json(), ensure_ascii=False)
    text.encode("utf-8")  # no lone surrogate anywhere
    assert "\\u0000" not in text
    assert Extracted.from_json(json.loads(text)) == found
    assert extract(raw, LIMITS, content=True) == found


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mails)
def test_any_octets(raw: bytes) -> None:
    check(raw)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_damaged_mail(raw: bytes) -> None:
    check(raw)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from([t.decode("latin-1") for t in TOKENS]), st.text(max_size=4))).map("".join))
def test_any_html_and_any_address(text: str) -> None:
    page = read_html(text, LIMITS)
    (page.text + page.hidden + "".join(link.href for link in page.links)).encode("utf-8")
    href, host = clean(text, "http://base.example/")
    assert host == host.lower()
    assert "\n" not in href
    assert all(isinstance(url, str) for url in find(text, 5))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_safe_text_is_printable_and_safe_again(text: str) -> None:
    shown = safe(text)

    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or "\u202a" <= c <= "\u202e" for c in shown)
    assert safe(shown) == shown
