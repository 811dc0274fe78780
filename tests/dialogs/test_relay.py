"""The whole way over real sockets: client, gateway, next hop."""

from gateway_rig import rig

from model.verdict import Route

MAIL = b"From: <a@client.example>\r\nSubject: hi\r\n\r\n.one\r\n..two\r\nthree\r\n"


def test_a_delivered_message_is_unchanged_below_our_headers(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope("a@client.example", "b@corp.example", "c@corp.example")
        text = client.message(MAIL)
        assert "queued as SINK0" in text
        client.say("QUIT", 221)
        (got,) = it.sink.received
        ours, rest = got.data[: -len(MAIL)], got.data[-len(MAIL) :]
        assert rest == MAIL
        assert all(line.startswith(b"X-Gatepost-") for line in ours.split(b"\r\n") if line)
        assert got.mail == "<a@client.example>"
        assert got.rcpts == ["<b@corp.example>", "<c@corp.example>"]
        assert it.screener.seen == [MAIL]
        (record,) = it.events.records
        assert record.queued_as == "SINK0" and record.fault == ""


def test_the_log_tells_what_was_done_apart_from_what_was_wanted(tmp_path):
    with rig(tmp_path, stage="observe") as it:
        it.verdicts.default = Route.QUARANTINE
        client = it.client()
        client.envelope()
        client.message(MAIL)
        (copy,) = it.events.records[0].recipients
        assert (copy.route, copy.wanted, copy.reasons) == (Route.DELIVER, Route.QUARANTINE, ("test-quarantine",))
