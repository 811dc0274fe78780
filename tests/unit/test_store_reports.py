"""What is added of a report is the reported message, byte for byte; what the report says of it is a claim."""

import pytest
from dataset_rig import letter
from hypothesis import given, settings
from hypothesis import strategies as st

from training.store.reports import reported

INNER = letter("Dear customer,\r\n--not-a-boundary\r\nyour account is blocked.") + b"\xff\x00\r\n"
ARF = (
    b"From: <abuse@mailbox.example>\r\nTo: fbl@here.example\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report;\r\n\treport-type=feedback-report;\r\n\tboundary="part1_13d.2e68ed54_boundary"'
    b"\r\n\r\n--part1_13d.2e68ed54_boundary\r\nContent-Type: text/plain; charset=US-ASCII\r\n\r\nA report.\r\n"
    b"--part1_13d.2e68ed54_boundary\r\nContent-Type: message/feedback-report\r\n\r\n"
    b"Feedback-Type: KIND\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
    b"Arrival-Date: Thu, 8 Mar 2026 14:00:00 -0500\r\n\r\n"
    b"--part1_13d.2e68ed54_boundary\r\nContent-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n"
    + INNER + b"\r\n--part1_13d.2e68ed54_boundary--\r\n"
)  # fmt: skip


@pytest.mark.parametrize(("kind", "draft"), [("abuse", "bad"), ("fraud", "bad"), ("not-spam", "ham"), ("other", "")])
def test_an_abuse_report(kind, draft):
    """The layout of RFC 5965 appendix B.1."""
    [found] = reported(ARF.replace(b"KIND", kind.encode()))

    assert found.raw == INNER
    assert found.reporter == "abuse@mailbox.example"
    assert (found.kind, found.draft) == (kind, draft)
    assert found.received.isoformat() == "2026-03-08T19:00:00+00:00"


def test_bare_line_feeds_keep_their_bytes():
    [found] = reported(ARF.replace(b"\r\n", b"\n"))

    assert found.raw == INNER.replace(b"\r\n", b"\n")


def test_mail_forwarded_as_attachments_one_in_base64():
    import base64

    head = b"From: Ida <ida@here.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nMIME.\r\n--b\r\n"
    parts = (
        b"Content-Type: text/plain\r\n\r\nsee these\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + INNER
        + b"\r\n--b\r\nContent-Type: MESSAGE/RFC822; name=x.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(letter()) + b"\r\n--b--\r\nepilogue"
    )  # fmt: skip

    one, two = reported(head + parts)

    assert (one.raw, two.raw) == (INNER, letter())
    assert (one.reporter, one.kind, one.draft) == ("ida@here.example", "", "")


def test_nested_and_without_an_end():
    raw = (
        b'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\n'
        b"Content-Type: multipart/digest; boundary=i\r\n\r\n--i\r\nContent-Type: message/rfc822\r\n\r\n" + INNER
    )

    assert [r.raw for r in reported(raw)] == [INNER]


@pytest.mark.parametrize("raw", [
    b"", b"\r\n\r\n", letter(),
    ARF.replace(b"message/rfc822", b"text/rfc822-headers"),
    b"Content-Type: multipart/mixed\r\n\r\n--x\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\r\n--x--",
])  # fmt: skip
def test_what_holds_no_whole_message(raw):
    assert reported(raw) == []


PIECES = [ARF[:200], b"--b\r\n", b"--b--", b"\r\n\r\n", b"Content-Type: message/rfc822\r\n",
          b"Content-Type: multipart/x; boundary=b\r\n", b"\x00\xff", INNER]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_whatever_it_is_given_it_returns_messages_that_stand_in_it(pieces):
    raw = b"".join(pieces)

    assert all(found.raw in raw for found in reported(raw))
