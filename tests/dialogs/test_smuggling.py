"""Twelve things that some server somewhere takes for the end of a message: here each is one transaction.

Before the queue it is refused, after the queue held; nothing but CRLF line ends ever reaches the next hop, and the
second message inside never becomes one (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766, CVE-2024-27305).
"""

import pytest
from gateway_rig import rig

ENDS = {
    "lf-dot-lf": b"\n.\n",
    "lf-dot-cr-lf": b"\n.\r\n",
    "cr-lf-dot-lf": b"\r\n.\n",
    "cr-dot-cr": b"\r.\r",
    "lf-dot-cr": b"\n.\r",
    "cr-dot-lf": b"\r.\n",
    "cr-dot-cr-lf": b"\r.\r\n",
    "cr-lf-dot-cr": b"\r\n.\r",
    "cr-lf-dot-cr-cr-lf": b"\r\n.\r\r\n",
    "cr-cr-lf-dot-cr-cr-lf": b"\r\r\n.\r\r\n",
    "cr-lf-nul-dot": b"\r\n\0.\r\n",
    "cr-lf-dot-nul": b"\r\n.\0\r\n",
}
INNER = (
    b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<victim@corp.example>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\n"
    b"SMUGGLED-CANARY\r\n.\r\n"
)


def payload(end: bytes) -> bytes:
    return b"Subject: outer\r\n\r\nouter text" + end + INNER


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize(("mode", "code"), [("before-queue", 550), ("after-queue", 250)])
@pytest.mark.parametrize("size", [1, 1 << 16], ids=["octet-by-octet", "at-once"])
def test_one_transaction(tmp_path, end, mode, code, size):
    with rig(tmp_path, mode=mode, stage="observe") as it:
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        data = payload(end)
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
        text = client.expect(code)
        assert text.endswith("bad line ending") if code == 550 else "kept as" in text
        client.say("NOOP", 250)
        client.say("QUIT", 221)
        assert client.at_end()
        assert it.sink.received == [] and b"SMUGGLED" not in it.sink.raw
        assert len(it.events.records) == 1
        assert it.kept() == ([] if code == 550 else [("b@corp.example", "held")])
        if code == 250:
            whole = data.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n")  # RFC 5321 section 4.5.2
            assert it.screener.seen == [whole]  # all of it was looked at


def test_the_true_end_still_is_one(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        client.send(b"Subject: outer\r\n\r\nouter\r\n.\r\n")
        client.expect(250)
        assert len(it.sink.received) == 1


@pytest.mark.cases
def test_collected_payloads(tmp_path, smuggling_payloads):
    for data in smuggling_payloads:
        with rig(tmp_path) as it:
            client = it.client()
            client.envelope()
            client.say("DATA", 354)
            client.send(data if data.endswith(b"\r\n.\r\n") else data + b"\r\n.\r\n")
            client.expect(550)
            assert it.sink.received == []
            assert b"\n" not in it.sink.raw.replace(b"\r\n", b"")
