"""The SMTP client: byte-exact, patient within limits, and believing nothing that is not SMTP."""

import asyncio

import pytest
from byte_sink import ByteSink

from milter.endpoint import Endpoint
from milter.next_hop import HopError, NextHop, Timeouts, UnsendableError, send_message
from model.mail import Envelope, Recipient

SHORT = Timeouts(0.5, 0.5, 0.5, 0.5)
MAIL = b"Subject: x\r\n\r\n.dot\r\n..\r\ntext\r\n"
ENVELOPE = Envelope(
    "a@client.example",
    (Recipient("b@corp.example", ("NOTIFY=NEVER",)), Recipient("c@corp.example")),
    ("RET=HDRS", "ENVID=Ab+2B"),
)


def talk(scenario, **sink):
    """Run `scenario(hop, sink)` with a connected client."""

    async def run():
        it = ByteSink(**sink)
        hop = None
        try:
            hop = await NextHop.connect(Endpoint.parse(await it.start()), "gate.example", SHORT)
            return await scenario(hop, it)
        finally:
            if hop:
                hop.abort()
            await it.stop()
            await asyncio.sleep(0.01)

    return asyncio.run(run())


async def send(hop, chunks=(MAIL,)):
    assert (await hop.mail("a@client.example")).positive
    assert (await hop.rcpt("b@corp.example")).positive
    return await hop.data(chunks)


def test_capabilities_are_as_announced():
    async def scenario(hop, sink):
        return hop.capabilities

    assert talk(scenario, features=("size 100", "8BITMIME", "XFORWARD NAME ADDR")) == {
        "SIZE": "100",
        "8BITMIME": "",
        "XFORWARD": "NAME ADDR",
    }
    many = tuple(f"X{n}" for n in range(60))
    assert len(talk(scenario, features=many)) == 60


def test_several_transactions_use_one_connection():
    async def scenario(hop, sink):
        for n in range(3):
            assert (await send(hop)).queued_as == f"SINK{n}"
        await hop.quit()
        return [r.data for r in sink.received], sink.connections

    assert talk(scenario) == ([MAIL] * 3, 1)


def test_octets_are_the_same_in_whatever_pieces_they_come():
    async def scenario(hop, sink):
        for size in (1, 2, 3, 7):
            assert (await send(hop, [MAIL[at : at + size] for at in range(0, len(MAIL), size)])).positive
        return {r.wire for r in sink.received}

    assert talk(scenario) == {MAIL.replace(b"\r\n.", b"\r\n..")}


@pytest.mark.parametrize("bad", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r", b"\n", b"x" * 100_000 + b"\n.\n"])
def test_a_message_with_other_line_ends_is_not_sent(bad):
    async def scenario(hop, sink):
        with pytest.raises(UnsendableError):
            await send(hop, [b"Subject: x\r\n\r\n", bad])
        await asyncio.sleep(0.05)
        assert hop.closed
        assert sink.received == [] and b"\n" not in sink.raw.replace(b"\r\n", b"")

    talk(scenario)


@pytest.mark.parametrize("at", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_connection_lost_before_the_dot_is_no_delivery(at):
    async def scenario():
        sink = ByteSink(answer=lambda line: "" if line.startswith(at) else None)
        try:
            with pytest.raises(HopError) as caught:
                hop = await NextHop.connect(Endpoint.parse(await sink.start()), "gate.example", SHORT)
                await send(hop)
            assert not caught.value.after_dot
        finally:
            await sink.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "sink", [{"answer": lambda line: "" if line == "BODY" else None}, {}], ids=["lost", "silent"]
)
def test_no_reply_to_the_dot_is_told_apart(sink):
    async def scenario(hop, it):
        it.delay = 0 if sink else 2
        with pytest.raises(HopError) as caught:
            await send(hop)
        assert caught.value.after_dot

    talk(scenario, **sink)


def test_before_dot_can_still_stop_everything():
    async def scenario(hop, sink):
        def too_late():
            raise RuntimeError("deadline")

        assert (await hop.mail("a@client.example")).positive
        assert (await hop.rcpt("b@corp.example")).positive
        with pytest.raises(RuntimeError):
            await hop.data([MAIL], too_late)
        await asyncio.sleep(0.05)
        return sink.received

    assert talk(scenario) == []


@pytest.mark.parametrize(
    "nonsense",
    [
        "25 x",
        "abc",
        "250-a\r\n251 b",
        "1000 x",
        "99 x",
        "150 x",
        "2500",
        "250_x",
        "\r\n",
        "-250 x",
        "250-x\r\nhello",
        "250-" + "x" * 5000 + "\r\n250 y",
        "\r\n".join(["250-x"] * 129) + "\r\n250 y",
        "²50 x",
        "600 x",
    ],
)
def test_what_is_no_reply_ends_the_connection(nonsense):
    async def scenario(hop, sink):
        with pytest.raises(HopError):
            await hop.mail("a@client.example")
        assert hop.closed

    talk(scenario, answer=lambda line: nonsense if line.startswith("MAIL") else None)


@pytest.mark.parametrize(
    ("odd", "code", "lines"),
    [
        ("250", 250, ("",)),
        ("250 ", 250, ("",)),
        ("250-a\r\n250-b\r\n250", 250, ("a", "b", "")),
        ("250 x\r", 250, ("x",)),
    ],
)
def test_odd_replies_that_are_valid(odd, code, lines):
    async def scenario(hop, sink):
        answer = await hop.mail("a@client.example")
        return answer.code, answer.lines

    assert talk(scenario, answer=lambda line: odd if line.startswith("MAIL") else None) == (code, lines)


@pytest.mark.parametrize("refused", ["CONNECT", "EHLO"])
def test_a_next_hop_that_does_not_want_us(refused):
    async def scenario():
        sink = ByteSink(answer=lambda line: "554 no" if line.startswith((refused, "HELO")) else None)
        try:
            with pytest.raises(HopError, match="554"):
                await NextHop.connect(Endpoint.parse(await sink.start()), "gate.example", SHORT)
        finally:
            await sink.stop()

    asyncio.run(scenario())


def test_a_command_is_one_line():
    async def scenario(hop, sink):
        for bad in ("a\r\nRCPT TO:<x@y>", "a\nb", "a\0b"):
            with pytest.raises(ValueError, match="one line"):
                await hop.mail(bad)
        return sink.commands

    assert talk(scenario) == ["EHLO gate.example"]


def test_unix_sockets(tmp_path):
    async def scenario():
        sink = ByteSink()
        place = await sink.start(str(tmp_path / "s"))
        answer = await send_message(Endpoint.parse(place), ENVELOPE, [MAIL], helo="gate.example", timeouts=SHORT)
        await sink.stop()
        return answer.positive, sink.received[0].data

    assert asyncio.run(scenario()) == (True, MAIL)


def test_ipv6():
    async def scenario():
        sink = ByteSink()
        try:
            place = await sink.start(host="::1")
        except OSError:
            pytest.skip("this machine has no ::1")
        answer = await send_message(Endpoint.parse(place), ENVELOPE, [MAIL], helo="gate.example", timeouts=SHORT)
        await sink.stop()
        return answer.positive, sink.received[0].data

    assert asyncio.run(scenario()) == (True, MAIL)


def test_nobody_there():
    async def scenario():
        with pytest.raises(HopError, match=r"cannot connect to \[::1\]:1: "):
            await NextHop.connect(Endpoint.parse("[::1]:1"), "gate.example", SHORT)

    asyncio.run(scenario())


def release(**sink):
    async def scenario():
        it = ByteSink(**sink)
        place = Endpoint.parse(await it.start())
        answer = await send_message(
            place, ENVELOPE, [MAIL], helo="gate.example", attributes={"SOURCE": "REMOTE"}, timeouts=SHORT
        )
        await it.stop()
        return answer, it

    return asyncio.run(scenario())


def test_send_message_carries_the_whole_envelope_and_says_where_it_came_from():
    answer, sink = release()
    assert answer.queued_as == "SINK0"
    (got,) = sink.received
    assert got.data == MAIL
    assert got.mail == "<a@client.example> RET=HDRS ENVID=Ab+2B"
    assert got.rcpts == ["<b@corp.example> NOTIFY=NEVER", "<c@corp.example>"]
    assert got.xforward == ["SOURCE=REMOTE"]
    assert sink.commands[-1] == "QUIT"


def test_send_message_sends_nothing_if_one_recipient_is_refused():
    answer, sink = release(answer=lambda line: "550 5.1.1 gone" if line.startswith("RCPT TO:<c@") else None)
    assert (answer.code, answer.enhanced) == (550, "5.1.1")
    assert sink.received == [] and "DATA" not in sink.commands


def test_a_failing_quit_does_not_matter():
    answer, _ = release(answer=lambda line: "" if line == "QUIT" else None)
    assert answer.positive
