"""The one table of replies keeps the rules that it is there for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.replies import AFTER_QUEUE, BEFORE_QUEUE, TABLE, Event, Reply, from_wire, holds, passed_on, reply

OURS = {
    Event.HOP_DOWN,
    Event.HOP_LOST,
    Event.HOP_SILENT,
    Event.HOP_NONSENSE,
    Event.UNSCORED,
    Event.DEADLINE,
    Event.STORE_FULL,
    Event.STORE_FAILED,
    Event.SPOOL_FULL,
    Event.INTERNAL,
    Event.SHUTTING_DOWN,
}
CONTENT = {Event.TOO_BIG, Event.BAD_LINE_ENDING, Event.LOOP}


@pytest.mark.parametrize("event", list(Event))
def test_every_event_has_a_row_that_is_a_valid_reply(event):
    assert re.fullmatch(rb"[2-5]\d\d (?:[245]\.\d+\.\d+ )?[ -~]+\r\n", reply(event).wire())
    row = TABLE[event]
    assert not row.enhanced or row.enhanced[0] == str(row.code)[0]


@pytest.mark.parametrize("event", sorted(OURS))
def test_no_fault_of_ours_is_permanent(event):
    assert 400 <= TABLE[event].code < 500


@pytest.mark.parametrize("event", list(Event))
def test_after_the_queue_nothing_about_content_is_refused(event):
    assert holds(event, AFTER_QUEUE) is (event in CONTENT)
    assert not holds(event, BEFORE_QUEUE)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ((250, "2.0.0"), (250, "2.0.0")),
        ((450, "4.1.8"), (450, "4.1.8")),
        ((554, "5.7.1"), (554, "5.7.1")),
        ((421, "4.3.2"), (451, "4.3.2")),
        ((354, ""), (451, "4.5.0")),
        ((199, ""), (451, "4.5.0")),
    ],
)
def test_the_next_hops_word_keeps_its_class(theirs, ours):
    got = passed_on(Reply(*theirs, ("text",)))
    assert (got.code, got.enhanced) == ours


@pytest.mark.parametrize(
    ("code", "line", "enhanced", "text"),
    [
        (550, "5.1.1 no such user", "5.1.1", "no such user"),
        (550, "4.1.1 odd", "5.0.0", "odd"),
        (450, "greylisted", "4.0.0", "greylisted"),
        (250, "2.0.0", "2.0.0", ""),
        (354, "go", "", "go"),
        (550, "5.7.1\tx\x1b[1m\x00\xff", "5.7.1", "x?[1m??"),
    ],
)
def test_enhanced_codes_are_kept_if_they_fit_and_text_is_cleaned(code, line, enhanced, text):
    got = from_wire(code, (line,))
    assert (got.enhanced, got.lines) == (enhanced, (text,))


@given(st.integers(200, 599), st.lists(st.text(), min_size=1, max_size=30))
def test_whatever_the_next_hop_says_the_client_hears_valid_smtp(code, lines):
    wire = passed_on(from_wire(code, tuple(lines))).wire()
    rows = wire.split(b"\r\n")
    assert rows.pop() == b""
    assert all(re.fullmatch(rb"\d\d\d[ -]?[ -~]*", row) and len(row) <= 510 for row in rows)
    assert {row[3:4] for row in rows[:-1]} <= {b"-"} and rows[-1][3:4] in (b" ", b"")


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("Ok: queued as 4B3c2D", "4B3c2D"),
        ("queued as 3XyZ.1-2", "3XyZ.1-2"),
        ("Ok", ""),
        ("queued as \x00", ""),
    ],
)
def test_queue_id(text, queue_id):
    assert Reply(250, "2.0.0", (text,)).queued_as == queue_id
