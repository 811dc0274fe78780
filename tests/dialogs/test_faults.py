"""What goes wrong on our side or on the way: always temporary, nothing lost, nothing half done."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from byte_sink import ByteSink
from effort import ENDLESS
from gateway_rig import rig, score

from milter.lane import Patience
from milter.next_hop import Timeouts
from model.mail import RawWriter
from model.screen import Screening
from model.verdict import Route
from quarantine.store import StoreError, StoreFull

MAIL = b"Subject: hi\r\n\r\ntext\r\n"


def wait_for(what, seconds=20.0):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("error", "code"), [(StoreFull("full"), "452 4.3.1"), (StoreError("gone"), "451 4.3.0")])
def test_a_store_that_cannot_write_is_temporary(tmp_path, monkeypatch, error, code):
    with rig(tmp_path) as it:

        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(it.store, "keep", fail)
        it.verdicts.default = Route.HOLD
        client = it.client()
        client.envelope()
        client.message(MAIL, int(code[:3]))
        assert it.events.records[0].reply.startswith(code)
        assert it.sink.received == []


def test_a_copy_that_cannot_be_confirmed_is_451_though_the_other_was_delivered(tmp_path, monkeypatch):
    with rig(tmp_path) as it:
        tries = []

        def fail(ticket):
            tries.append(ticket)
            raise StoreError("busy")

        monkeypatch.setattr(it.store, "confirm", fail)
        it.verdicts.routes["b@corp.example"] = Route.HOLD
        client = it.client()
        client.envelope("a@client.example", "b@corp.example", "c@corp.example")
        client.message(MAIL, 451)
        assert len(tries) == 3
        assert len(it.sink.received) == 1


def test_the_kept_copy_is_durable_before_the_next_hop_gets_the_dot(tmp_path):
    with rig(tmp_path) as it:
        seen = []

        def answer(line):
            if line == "BODY":
                seen.append(it.kept())
            return

        it.sink.answer = answer
        it.verdicts.routes["b@corp.example"] = Route.HOLD
        client = it.client()
        client.envelope("a@client.example", "b@corp.example", "c@corp.example")
        client.message(MAIL)
        assert seen == [[("b@corp.example", "pending")]]
        assert it.kept() == [("b@corp.example", "held")]


def test_a_full_spool_is_452(tmp_path, monkeypatch):
    def full(self, piece):
        raise OSError(28, "No space left on device")

    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        monkeypatch.setattr(RawWriter, "write", full)
        client.message(MAIL, 452)
        monkeypatch.undo()
        client.envelope()
        client.message(MAIL, 250)
        assert len(it.events.records) == 2


def test_a_bug_of_ours_is_451_with_a_fixed_text(tmp_path):
    with rig(tmp_path) as it:

        def bug(mail):
            raise ZeroDivisionError("secret")

        it.screener.answer = bug
        client = it.client()
        client.envelope()
        assert client.message(MAIL, 451) == "4.3.0 Temporary error"
        assert isinstance(it.events.faults[0], ZeroDivisionError)
        assert it.metrics.faults == ["internal-error"]
        client.envelope()  # the session goes on


def test_a_bug_in_a_command_is_451_up_to_the_next_transaction(tmp_path, monkeypatch):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        monkeypatch.setattr("milter.session.rcpt_params", lambda *args: 1 / 0)
        assert client.say("RCPT TO:<c@corp.example>", 451) == "4.3.0 Temporary error"
        monkeypatch.undo()
        client.say("DATA", 451)
        client.envelope()
        client.message(MAIL)


def test_the_deadline_passes_before_anything_happens(tmp_path):
    with rig(tmp_path, gateway={"deadline": 1.0}) as it:
        it.sink.answer = lambda line: time.sleep(0.5) if line == "DATA" else None
        it.screener.answer = lambda mail: (time.sleep(0.6), Screening(score=score(0.1)))[1]
        client = it.client()
        client.envelope()
        client.message(MAIL, 451)
        assert it.events.records[0].fault == "deadline"
        time.sleep(0.3)
        assert it.sink.received == [] and it.kept() == []


def test_a_screening_that_overruns_is_no_score_and_its_message_stays_readable(tmp_path):
    with rig(tmp_path, gateway={"deadline": 2.0}, policy={"on_unscored": "hold"}) as it:
        release, read = threading.Event(), []

        def slow(mail):
            release.wait(60)
            read.append(mail.raw.read())
            return Screening(score=score(0.1))

        it.screener.answer = slow
        client = it.client()
        client.envelope()
        begun = time.monotonic()
        client.message(MAIL, 451)  # waiting for it used up the deadline: 451 before any side effect
        assert time.monotonic() - begun < ENDLESS
        assert it.events.records[0].fault == "deadline"
        release.set()
        wait_for(lambda: read)
        assert read == [MAIL]
        assert it.kept() == []


def test_the_deadline_ends_with_our_dot(tmp_path):
    with rig(tmp_path, gateway={"deadline": 1.0}) as it:
        it.sink.delay = 1.5
        client = it.client()
        client.envelope()
        assert "queued as" in client.message(MAIL)


def test_a_next_hop_silent_after_the_dot_is_451_and_may_mean_a_second_copy(tmp_path):
    with rig(tmp_path, timeouts=Timeouts(2, 2, 2, done=0.3)) as it:
        it.sink.delay = 1.0
        client = it.client()
        client.envelope()
        assert client.message(MAIL, 451).startswith("4.4.2")
        assert it.events.records[0].fault == "next-hop-silent"


@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_before_our_dot_has_not_sent_anything(tmp_path, rudely):
    with rig(tmp_path) as it:
        go = threading.Event()
        it.screener.answer = lambda mail: (go.wait(5), Screening(score=score(0.1)))[1]
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        client.send(MAIL + b".\r\n")
        wait_for(lambda: it.screener.seen)
        if rudely:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        time.sleep(0.1)
        go.set()
        wait_for(lambda: it.events.records)
        assert it.events.records[0].fault == "client-gone"
        assert it.sink.received == []


def test_a_client_that_leaves_in_the_middle_of_a_message_leaves_nothing(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        client.send(b"x" * 3_000_000)
        client.close()
        wait_for(lambda: it.metrics.sessions == 0)
        assert it.sink.received == [] and it.events.records == []


def test_a_message_that_was_dotted_is_finished_though_the_client_left(tmp_path):
    with rig(tmp_path) as it:
        it.sink.delay = 0.4
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        client.send(MAIL + b".\r\n")
        wait_for(lambda: it.sink.raw.endswith(b".\r\n"))
        client.close()
        wait_for(lambda: it.events.records)
        assert it.events.records[0].queued_as == "SINK0"


def test_an_idle_connection_that_the_next_hop_closed_is_made_anew(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.message(MAIL)

        async def hang_up():
            for task in tuple(it.sink._tasks):
                task.cancel()

        it.run(hang_up())
        client.envelope()
        client.message(MAIL)
        assert len(it.sink.received) == 2 and it.sink.connections == 2
        assert it.events.down == []


def test_the_next_hop_comes_back_between_hello_and_mail(tmp_path):
    sink = ByteSink(features=("SIZE",), answer=lambda line: "421 busy" if line == "CONNECT" else None)
    with rig(tmp_path, sink=sink) as it:
        client = it.client()  # nothing is known of the next hop: everything that we carry is offered
        sink.answer = lambda line: None
        client.say("MAIL FROM:<a@client.example>", 451)  # it is less than that: come again
        client.say("EHLO client.example", 250)
        client.envelope()
        client.message(MAIL)
        assert [got.mail for got in it.sink.received] == ["<a@client.example>"]


def test_draining_lets_a_transaction_end_and_sends_the_idle_away(tmp_path):
    with rig(tmp_path) as it:
        go = threading.Event()
        it.screener.answer = lambda mail: (go.wait(5), Screening(score=score(0.1)))[1]
        idle, busy = it.client(), it.client()
        busy.envelope()
        busy.say("DATA", 354)
        busy.send(MAIL + b".\r\n")
        wait_for(lambda: it.screener.seen)
        threading.Timer(0.3, go.set).start()
        assert it.run(it.gateway.drain(5.0)) == 0
        assert idle.reply()[0] == 421 and idle.at_end()
        assert busy.reply()[0] == 250
        assert busy.reply()[0] == 421 and busy.at_end()
        assert len(it.sink.received) == 1


def test_draining_after_the_queue_never_says_421(tmp_path):
    with rig(tmp_path, mode="after-queue") as it:
        client = it.client()
        assert it.run(it.gateway.drain(1.0)) == 0
        assert client.at_end()


def test_draining_cuts_off_what_takes_too_long(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        assert it.run(it.gateway.drain(0.2)) == 1
        assert client.at_end()


def test_mail_that_goes_round_is_stopped_on_its_third_pass(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        message = MAIL
        for _ in range(2):
            client.envelope()
            client.message(message)
            message = it.sink.received[-1].data
        assert message.count(b"X-Gatepost-Trace") == 2 and message.count(b"X-Gatepost-Verdict") == 1
        client.envelope()
        client.message(message, 554)
        assert len(it.sink.received) == 2


def test_memory_stays_flat_under_a_big_message(tmp_path):
    with rig(tmp_path) as it:
        it.screener.screen = lambda mail, timeout: Screening(score=score(0.1))
        block = (b"y" * 998 + b"\r\n") * 1000
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        before = peak()
        for _ in range(30):
            client.send(block)
        client.send(b".\r\n")
        wait_for(lambda: it.screener.seen or it.sink.raw, 20)
        grown = peak() - before
        client.expect(250)
        assert len(it.sink.received[0].data) > 30_000_000
        assert grown < 20_000_000


def peak() -> int:
    """Resident octets of this process now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


def test_body_lines_of_any_length_pass_unchanged(tmp_path):
    message = b"S: x\r\n\r\n" + b"z" * 300_000 + b"\r\n." + b"\xff" * 100_000 + b"\r\n"
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.message(message)
        assert it.sink.received[0].data.endswith(b"\r\n" + message)


def hang_up(it):
    """End all connections at the next hop."""

    async def cancel():
        for task in tuple(it.sink._tasks):
            task.cancel()

    it.run(cancel())
    time.sleep(0.1)


def test_a_next_hop_that_hangs_up_while_we_screen_gets_the_whole_envelope_again(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope("a@client.example", "b@corp.example", "c@corp.example")
        it.screener.answer = lambda mail: (hang_up(it), Screening(score=score(0.1)))[1]
        assert "queued as" in client.message(MAIL)
        (got,) = it.sink.received
        assert got.rcpts == ["<b@corp.example>", "<c@corp.example>"]


def test_a_next_hop_that_hangs_up_between_recipients_is_451_and_not_503(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        hang_up(it)
        client.say("RCPT TO:<c@corp.example>", 451)
        client.say("DATA", 451)
        assert len(it.events.down) == 1


def test_a_goodbye_on_an_idle_connection_below_is_not_the_answer_to_mail(tmp_path):
    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.message(MAIL)
        said = []
        it.sink.answer = lambda line: (
            said.append(line) or "421 4.4.2 idle" if line[:4] == "MAIL" and not said else None
        )
        client.envelope()
        client.message(MAIL)
        assert len(it.sink.received) == 2 and len(said) == 1


def test_a_client_that_reads_no_replies_is_let_go(tmp_path):
    with rig(tmp_path, patience=Patience(0.5, 5.0)) as it:
        client = it.client()
        (session,) = it.gateway._sessions
        for end in (client.socket, session.transport.get_extra_info("socket")):
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                end.setsockopt(socket.SOL_SOCKET, buffer, 4096)
        sending = threading.Thread(target=flood, args=(client,))
        sending.start()
        wait_for(lambda: it.metrics.sessions == 0, 15)
        sending.join()


def flood(client):
    with contextlib.suppress(OSError):
        client.send(b"NOOP\r\n" * 20_000)
