"""Our fields go on top, forged ones go, and no other octet of a message changes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from milter.headers import LINE_LIMIT, line, relayed, verdict_lines, without_forged
from model.labels import Label
from model.verdict import Reason, Route, Verdict


def strip(data: bytes, size: int = 1 << 16, keep=lambda field: False) -> bytes:
    return b"".join(without_forged([data[at : at + size] for at in range(0, len(data), size)], keep))


FIELDS = st.lists(
    st.sampled_from(
        [
            b"Subject: x\r\n",
            b"X-Gatepost-Verdict: forged\r\n",
            b"x-gatepost-score : 1\r\n\tmore\r\n more\r\n",
            b"X-Gatepost: not ours\r\n",
            b"X-Gatepost-x no field\r\n",
            b" folded\r\n",
            b"From nobody\r\n",
            b"X-GATEPOST-Trace:\r\n v1 a\r\n",
            b"\xff: y\r\n",
            b"X-Gate",
            b"X-Gatepost-Big: " + b"b" * 3000 + b"\r\n",
        ]
    ),
    max_size=8,
).map(b"".join)


@given(
    FIELDS,
    st.sampled_from([b"", b"\r\n", b"\r\nX-Gatepost-Verdict: body\r\n", b"\r\nbody\r\n\r\nX-Gatepost-A: b"]),
    st.integers(1, 40),
)
def test_cutting_the_stream_changes_nothing(head, body, size):
    assert strip(head + body, size) == strip(head + body)


@given(FIELDS, st.sampled_from([b"", b"\r\n", b"\r\nX-Gatepost-Verdict: body\r\n"]))
def test_what_goes_is_exactly_the_fields_of_our_namespace(head, body):
    message = head + body
    section, rest = message, b""
    if message.startswith(b"\r\n"):
        section, rest = b"", message
    elif (end := message.find(b"\r\n\r\n")) >= 0:
        section, rest = message[: end + 2], message[end + 2 :]
    field = rb"(?i)(?:(?<=\n)|\A)x-gatepost-[!-9;-~]*[ \t]*:(?:[^\r\n]|\r\n[ \t])*(?:\r\n|\Z)"
    expected = re.sub(field, b"", section)
    assert strip(message) == expected + rest


def test_a_message_without_forged_fields_is_the_same():
    message = b"Received: a\r\n\tb\r\nSubject: X-Gatepost-Verdict: ham\r\n\r\nX-Gatepost-Verdict: ham\r\n"
    assert strip(message) == message


def test_fields_that_keep_accepts_stay_where_they_are():
    message = b"A: 1\r\nX-Gatepost-Trace: good\r\nX-Gatepost-Trace: bad\r\nB: 2\r\n\r\n"
    assert strip(message, 7, lambda field: field.endswith(b"good")) == (
        b"A: 1\r\nX-Gatepost-Trace: good\r\nB: 2\r\n\r\n"
    )


def test_a_forged_field_after_lines_that_are_no_fields_goes_too():
    assert strip(b"From x Mon\r\ngarbage\r\nX-Gatepost-Verdict: ham\r\n\r\nb") == b"From x Mon\r\ngarbage\r\n\r\nb"


def test_memory_stays_flat_on_an_endless_forged_field():
    chunks = (b"X-Gatepost-A: " if n == 0 else b"y" * 65536 for n in range(200))
    assert b"".join(without_forged(chunks, lambda field: True)) == b""


def test_ours_go_on_top():
    assert b"".join(relayed(["X-Gatepost-A: b"], [b"S: x\r\n\r\n"], lambda field: False)) == (
        b"X-Gatepost-A: b\r\nS: x\r\n\r\n"
    )


@given(st.text())
def test_a_value_can_never_make_a_second_line_or_leave_ascii(value):
    field = line("Reason", value)
    assert len(field) <= LINE_LIMIT
    assert field.isascii() and field.isprintable()


def test_the_most_severe_verdict_speaks_for_all():
    mild = Verdict(Route.DELIVER, (Reason("clean"),), Label.HAM, 0.1)
    bad = Verdict(Route.QUARANTINE, (Reason("score", "secret detail"), Reason("fact")), Label.SPAM, 0.91234)
    assert verdict_lines([mild, bad], model="m1", observing=True) == (
        "X-Gatepost-Verdict: quarantine; label=spam; stage=observe",
        "X-Gatepost-Score: 0.9123",
        "X-Gatepost-Reason: score, fact",
        "X-Gatepost-Model: m1",
    )


def test_without_a_score_the_fault_is_named():
    fields = verdict_lines(
        [Verdict(Route.UNSCORED, (Reason("unscored"),))], model="", observing=False, unscanned="no-model"
    )
    assert fields == ("X-Gatepost-Verdict: unscored", "X-Gatepost-Reason: unscored", "X-Gatepost-Unscanned: no-model")
