"""Log lines: what they say, what they never say, and that nothing in a mail can forge one."""

import json
from datetime import UTC, datetime

import pytest

from milter.events import LINE_LIMIT, LogEvents, clean, hashed, whereabouts
from milter.record import MessageRecord, RecipientRecord
from milter.settings import LogSettings
from model.labels import Label
from model.mail import Direction
from model.verdict import Route

KEY = b"k" * 32
NOW = datetime(2026, 11, 23, 12, 0, 0, 5000, tzinfo=UTC)


class Lines:
    """Catches what would go to standard error."""

    def __init__(self, **settings):
        self.raw = []
        self.events = LogEvents(LogSettings(**settings), KEY, write=self.raw.append, now=lambda: NOW)

    @property
    def last(self):
        assert self.raw[-1].endswith(b"\n")
        assert self.raw[-1].count(b"\n") == 1
        return json.loads(self.raw[-1])


def record(**changes):
    values = {
        "listener": "inbound", "direction": Direction.INBOUND, "mode": "before-queue", "trace": "t1",
        "sender": "Anna@Shop.example", "recipients": (RecipientRecord("bob@example.org", Route.DELIVER, ("score",)),),
        "reply": "250 2.0.0 Ok", "size": 1234, "queue_id": "4XyZ", "message_id": "<1@shop.example>",
        "label": Label.HAM, "p_bad": 0.012345, "model": "m1", "queued_as": "4AbC", "ms": {"score": 3.14159},
    }  # fmt: skip
    return MessageRecord(**(values | changes))


class TestMessage:
    def test_one_line_says_all(self):
        """Postfix's queue id, the id at the next hop and the Message-ID are there, so a mail can be followed."""
        lines = Lines()

        lines.events.message(record())

        line = lines.last
        assert line.pop("pid") > 0
        assert line.pop("from") == hashed("anna@shop.example", KEY)
        assert line.pop("to") == [
            {"address": hashed("bob@example.org", KEY), "route": "deliver", "reasons": ["score"]}
        ]
        assert line == {
            "time": "2026-11-23T12:00:00.005Z", "level": "info", "event": "message", "listener": "inbound",
            "direction": "inbound", "mode": "before-queue", "trace": "t1", "queue_id": "4XyZ",
            "message_id": "<1@shop.example>", "recipients": 1, "label": "ham", "p_bad": 0.0123, "model": "m1",
            "size": 1234, "ms": {"score": 3.1}, "reply": "250 2.0.0 Ok", "queued_as": "4AbC",
        }  # fmt: skip

    def test_addresses_in_clear_only_when_asked_for(self):
        hidden, shown = Lines(), Lines(addresses="clear")

        hidden.events.message(record())
        shown.events.message(record())

        assert b"Anna" not in hidden.raw[0]
        assert b"bob" not in hidden.raw[0]
        assert shown.last["from"] == "Anna@Shop.example"

    def test_what_the_next_hop_said_names_nobody(self):
        """A refusal from below may hold the recipient's address; it is hashed like any other."""
        hidden, shown = Lines(), Lines(addresses="clear")
        said = "550 5.1.1 <bob@corp.example>: Recipient address rejected"

        for lines in (hidden, shown):
            lines.events.message(record(reply=said))
            lines.events.next_hop_down("inbound", "127.0.0.1:10026", said)

        assert hidden.last["error"] == f"550 5.1.1 <{hashed('bob@corp.example', KEY)}>: Recipient address rejected"
        assert b"bob" not in hidden.raw[0] + hidden.raw[1]
        assert json.loads(shown.raw[0])["reply"] == said

    def test_a_fault_is_a_warning(self):
        lines = Lines()

        lines.events.message(record(fault="deadline", label=None, p_bad=None))

        assert lines.last["level"] == "warning"
        assert lines.last["fault"] == "deadline"
        assert "label" not in lines.last

    def test_many_recipients_are_counted(self):
        """A line stays a line: ten recipients are named, all are counted."""
        lines = Lines()
        many = tuple(RecipientRecord(f"r{i}@example.org", Route.DELIVER, ("x" * 90,) * 9) for i in range(1000))

        lines.events.message(record(recipients=many))

        assert lines.last["recipients"] == 1000
        assert len(lines.raw[0]) <= LINE_LIMIT

    def test_the_longest_values_still_make_one_whole_line(self):
        """Whatever a sender puts into every field, the line is whole JSON and short enough not to be mixed."""
        lines = Lines(addresses="clear")
        evil = "\U0001f480" * 100_000

        lines.events.message(record(sender=evil, message_id=evil, reply=evil, queued_as=evil, queue_id=evil,
                                    listener=evil, trace=evil, model=evil, mode=evil, fault=evil))  # fmt: skip

        assert len(lines.raw[0]) <= LINE_LIMIT
        assert lines.last["cut"] is True


class TestInjection:
    @pytest.mark.parametrize("format_", ["json", "text"])
    @pytest.mark.parametrize(
        "hostile",
        ['a\r\n{"event":"message"}', "\x1b[2J\x1b]52;c;eA==\x07", "a\u202eb\u2066c", "\ud800", "\x85\u2028x", "a\0b"],
    )
    def test_a_value_cannot_leave_its_place(self, format_, hostile):
        """No line break, terminal escape, bidi mark or lone surrogate reaches the log."""
        lines = Lines(format=format_, addresses="clear")

        lines.events.message(record(message_id=hostile, sender=hostile, queued_as=hostile))

        text = lines.raw[0].decode()
        assert text.count("\n") == 1
        assert text[:-1].isprintable()
        shown = json.loads(text)["message_id"] if format_ == "json" else text[:-1]
        assert shown.isprintable()

    def test_text_format_quotes_what_could_be_another_key(self):
        lines = Lines(format="text", addresses="clear")

        lines.events.message(record(sender="x reply=250"))

        assert 'from="x reply=250"' in lines.raw[0].decode()

    def test_clean_keeps_letters_of_every_script(self):
        assert clean("Grüße, 日本, Привет") == "Grüße, 日本, Привет"


class TestHash:
    def test_same_address_same_hash_whatever_its_case(self):
        assert hashed("A@B.example", KEY) == hashed("a@b.EXAMPLE.", KEY)

    def test_the_domain_can_be_followed(self):
        one, other = hashed("a@b.example", KEY), hashed("c@b.example", KEY)

        assert one.partition("@")[2] == other.partition("@")[2]
        assert one != other

    def test_another_key_another_hash(self):
        assert hashed("a@b.example", KEY) != hashed("a@b.example", b"x" * 32)

    def test_the_null_sender_is_nobody(self):
        assert hashed("", KEY) == ""

    def test_bytes_that_are_no_text_have_a_hash_too(self):
        assert hashed("\udcff@b.example", KEY)


class TestFaults:
    def test_a_fault_tells_its_place_and_not_its_text(self):
        """The text of an exception may quote a message; where it was raised is enough to find it."""
        lines = Lines()
        try:
            json.loads("secret words of a mail")
        except ValueError as error:
            lines.events.session_fault("inbound", "127.0.0.1", error)

        assert lines.last["error"] == "JSONDecodeError"
        assert "raw_decode" in lines.last["where"]
        assert b"secret" not in lines.raw[0]

    def test_whereabouts_of_an_error_never_raised(self):
        assert whereabouts(ValueError("x")) == ""

    def test_next_hop_down(self):
        lines = Lines()

        lines.events.next_hop_down("inbound", "127.0.0.1:10026", "refused")

        assert lines.last["event"] == "next-hop-down"
        assert lines.last["level"] == "error"
