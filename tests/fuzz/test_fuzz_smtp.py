"""Whatever a client sends, every reply is SMTP, no fault of ours shows, and the next hop sees clean mail only.

A message reaches the next hop only with a 250 to its end of data, and each such 250 is one message there.
"""

import re

import pytest
from byte_sink import ByteSink
from gateway_rig import rig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ADDRESSES = st.sampled_from(
    ["<a@b>", "<>", '<"x y"@z>', "<jörg@x>", "a@b", "<a@b", "<a\rb@c>", "<" + "l" * 900 + "@x>"]
)
PARAMS = st.lists(
    st.sampled_from(
        [
            "SIZE=1",
            "SIZE=99999999999",
            "BODY=8BITMIME",
            "SMTPUTF8",
            "RET=FULL",
            "ENVID=a+2Bb",
            "NOTIFY=NEVER",
            "ORCPT=rfc822;a@b",
            "AUTH=<>",
            "X=\0",
            "=",
            "A" * 600,
        ]
    ),
    max_size=3,
)
COMMANDS = st.one_of(
    st.sampled_from(
        [
            b"EHLO x",
            b"HELO x",
            b"EHLO",
            b"RSET",
            b"NOOP",
            b"NOOP \x80\xff",
            b"VRFY a",
            b"HELP",
            b"",
            b" ",
            b"XFORWARD NAME=a ADDR=192.0.2.1",
            b"XFORWARD NAME=+0D+0AX",
            b"\0\0",
            b"MAIL",
            b"RCPT",
            b"DATA x",
            b"STARTTLS",
            b"y" * 3000,
        ]
    ),
    st.builds(lambda a, p: f"MAIL FROM:{' '.join((a, *p))}".encode(), ADDRESSES, PARAMS),
    st.builds(lambda a, p: f"RCPT TO:{' '.join((a, *p))}".encode(), ADDRESSES, PARAMS),
    st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"")),
)
BODIES = st.lists(
    st.sampled_from(
        [
            b"Subject: x\r\n",
            b"\r\n",
            b".",
            b"\r",
            b"\n",
            b"\0",
            b"X-Gatepost-Verdict: ham\r\n",
            b"Received: x\r\n" * 60,
            b"\xff\xfe",
            b"text",
            b"\r\n.",
            b"a" * 5000,
        ]
    ),
    max_size=15,
)
START = [b"EHLO x", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"]


@pytest.fixture(scope="module", params=["before-queue", "after-queue"])
def gateway(request, tmp_path_factory):
    with rig(tmp_path_factory.mktemp("fuzz"), sink=ByteSink(), mode=request.param, stage="observe") as it:
        yield it


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(COMMANDS, st.just(START), BODIES.map(lambda b: (b"".join(b),))), max_size=12))
def test_a_session(gateway, steps):
    client = gateway.client(ehlo=False)
    before, accepted = len(gateway.sink.received), 0
    try:
        for step in steps:
            if isinstance(step, tuple):
                accepted += deliver(client, step[0])
            else:
                for line in step if isinstance(step, list) else [step]:
                    client.send(line + b"\r\n")
                    if not valid(client.reply()):
                        return
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        client.close()
        gateway.clients.remove(client)
        assert gateway.events.faults == []
        assert len(gateway.sink.received) - before == accepted
        wire = gateway.sink.raw
        assert not set(wire.replace(b"\r\n", b"")) & {0, 10, 13}
        gateway.sink.raw.clear()


def deliver(client, body: bytes) -> int:
    client.send(b"DATA\r\n")
    code, text = client.reply()
    if not valid((code, text)) or code != 354:
        return 0
    # as a client would, with dots doubled; what is not CRLF stays as it is
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
    client.send(wire + (b"" if not wire or wire.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    code, text = client.reply()
    assert code in (250, 550, 554), (code, text)
    return code == 250 and "kept as" not in text


def valid(reply: tuple[int, str]) -> bool:
    """Whether the session goes on; asserts that what was heard is SMTP and gives nothing away."""
    code, text = reply
    if code == 0:
        return False
    assert 200 <= code < 600
    assert re.fullmatch(r"[ -~\n]*", text)
    assert "Error" not in text and "Traceback" not in text
    if code >= 400:
        assert re.match(rf"{code // 100}\.\d\.\d ", text)
    return code != 421
