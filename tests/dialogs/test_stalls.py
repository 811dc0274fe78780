"""Next hops that stall or change their mind, clients that dawdle, and goodbyes at a stop."""

import threading
import time

from byte_sink import STALL, ByteSink
from effort import ENDLESS
from gateway_rig import rig, score

from milter.next_hop import Timeouts
from milter.record import Undone
from model.mail import RawWriter
from model.screen import Screening
from model.verdict import Route

MAIL = b"Subject: hi\r\n\r\ntext\r\n"


def routes(it) -> dict[str, str]:
    return {copy.address: str(copy.route) for copy in it.events.records[-1].recipients}


class TestSecondThoughts:
    """The envelope is said again where a copy was kept; the next hop may answer otherwise than the first time."""

    def test_a_recipient_refused_only_then_is_temporary_for_all(self, tmp_path):
        """The client was told yes for each: a 5xx now would bounce what others could have had."""
        asked = []

        def answer(line):
            asked.append(line)
            return "550 5.1.1 no such user" if line == "RCPT TO:<c@corp.example>" and asked.count(line) == 2 else None

        with rig(tmp_path, sink=ByteSink(answer=answer)) as it:
            it.verdicts.routes["b@corp.example"] = Route.HOLD
            client = it.client()
            client.envelope("a@client.example", "b@corp.example", "c@corp.example", "d@corp.example")
            client.message(MAIL, 451)
            assert it.kept() == [] and it.sink.received == []
            client.envelope("a@client.example", "b@corp.example", "d@corp.example")  # as the client would, next time
            client.message(MAIL)
            assert it.kept() == [("b@corp.example", "held")]
            assert it.sink.received[0].rcpts == ["<d@corp.example>"]

    def test_a_sender_refused_only_then_is_temporary_too(self, tmp_path):
        asked = []

        def answer(line):
            asked.append(line[:4])
            return "554 5.7.1 go away" if line[:4] == "MAIL" and asked.count("MAIL") == 2 else None

        with rig(tmp_path, sink=ByteSink(answer=answer)) as it:
            it.verdicts.routes["b@corp.example"] = Route.HOLD
            client = it.client()
            client.envelope("a@client.example", "b@corp.example", "c@corp.example")
            client.message(MAIL, 451)
            assert it.kept() == []


class TestImpatientBelow:
    def test_a_goodbye_that_came_while_we_screened_is_not_the_answer_to_data(self, tmp_path, monkeypatch):
        """A next hop under stress sends idle connections away: the message goes out on a new one."""
        monkeypatch.setattr("milter.transaction.STALE", 0.1)
        writers = []

        class Impatient(ByteSink):
            async def _talk(self, reader, writer):
                writers.append(writer)
                await super()._talk(reader, writer)

        async def goodbye():
            writers[0].write(b"421 4.4.2 timeout exceeded\r\n")
            await writers[0].drain()
            writers[0].close()

        with rig(tmp_path, sink=Impatient()) as it:
            it.screener.answer = lambda mail: (it.run(goodbye()), time.sleep(0.3), Screening(score=score(0.1)))[2]
            client = it.client()
            client.envelope("a@client.example", "b@corp.example", "c@corp.example")
            client.message(MAIL)
            assert it.sink.received[0].rcpts == ["<b@corp.example>", "<c@corp.example>"]


class TestStalledBelow:
    def test_kept_mail_does_not_wait_for_a_next_hop_that_answers_nothing(self, tmp_path):
        """What is durable is said to be so at once: a client that gives up waiting would send it again."""
        sink = ByteSink(answer=lambda line: STALL if line == "RSET" else None)
        with rig(tmp_path, sink=sink, timeouts=Timeouts(60, 60, 60, 60)) as it:
            it.verdicts.default = Route.QUARANTINE
            client = it.client()
            client.envelope()
            begun = time.monotonic()
            client.message(MAIL)
            assert time.monotonic() - begun < ENDLESS

    def test_each_stage_that_stalls_is_temporary(self, tmp_path):
        stalled = []
        sink = ByteSink(answer=lambda line: STALL if stalled and line.startswith(stalled[0]) else None)
        with rig(tmp_path, sink=sink, timeouts=Timeouts(0.5, 0.5, 0.5, 0.5)) as it:
            for stage in ("MAIL", "RCPT", "DATA", "BODY"):
                client = it.client()
                stalled[:] = [stage]
                client.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@corp.example>\r\nDATA\r\n")  # pipelined
                codes = [client.reply()[0] for _ in range(3)]
                if codes[-1] == 354:
                    client.send(MAIL + b".\r\n")
                    codes.append(client.reply()[0])
                stalled.clear()
                assert codes[-1] == 451, (stage, codes)
                client.say("QUIT", 221)
            assert it.kept() == []


    def test_how_long_is_for_the_operator_to_say(self, tmp_path):
        settings = {"next_hop_timeout": 0.4, "next_hop_done_timeout": 0.3, "client_timeout": 2.0,
                    "client_data_timeout": 1.0}  # fmt: skip
        stalled = []
        sink = ByteSink(answer=lambda line: STALL if stalled and line.startswith(stalled[0]) else None)
        with rig(tmp_path, sink=sink, gateway=settings, by_settings=True) as it:
            for stage, where in (("BODY", "4.4.2 Next hop did not confirm"), ("DATA", "4.4.1 Next hop was lost")):
                client = it.client()
                stalled[:] = [stage]
                client.envelope()
                assert client.message(MAIL, 451).startswith(where)
                stalled.clear()
            assert client.expect(421).startswith("4.4.2")
            client = it.client()
            client.envelope()
            client.say("DATA", 354)
            begun = time.monotonic()
            while not client.at_end():
                assert time.monotonic() - begun < ENDLESS


class TestSlowStore:
    def test_what_waits_too_long_for_the_store_is_not_kept_after_its_deadline(self, tmp_path, monkeypatch):
        """Its client has gone to send it again: it would be kept twice."""
        with rig(tmp_path, gateway={"deadline": 2.0}) as it:
            keep = it.store.keep
            monkeypatch.setattr(it.store, "keep", lambda *a, **k: (time.sleep(2.5), keep(*a, **k))[1])
            it.verdicts.default = Route.HOLD
            clients = [it.client(), it.client()]
            for at, client in enumerate(clients):
                client.envelope("a@client.example", f"r{at}@corp.example")
                client.say("DATA", 354)
            for client in clients:
                client.send(MAIL + b".\r\n")
                time.sleep(0.1)
            clients[0].expect(250)
            clients[1].expect(451)
            assert it.kept() == [("r0@corp.example", "held")]


class TestWhatTheLogSays:
    def test_mail_that_the_next_hop_would_not_take_is_not_called_delivered(self, tmp_path):
        with rig(tmp_path) as it:
            it.verdicts.routes["b@corp.example"] = Route.HOLD
            for said, word in (("451 4.3.0 later", "deferred"), ("554 5.7.1 no", "refused"), ("", "deferred")):
                it.sink.answer = lambda line, said=said: said if line == "BODY" else None
                client = it.client()
                client.envelope("a@client.example", "b@corp.example", "c@corp.example")
                client.message(MAIL, int(said[:3] or 451))
                assert routes(it) == {"b@corp.example": word, "c@corp.example": word}
                assert [copy.wanted for copy in it.events.records[-1].recipients] == [Route.HOLD, Route.DELIVER]

    def test_what_was_delivered_is_called_so_though_the_other_copy_could_not_be_kept(self, tmp_path, monkeypatch):
        from quarantine.store import StoreError

        def fail(ticket):
            raise StoreError("busy")

        with rig(tmp_path) as it:
            monkeypatch.setattr(it.store, "confirm", fail)
            it.verdicts.routes["b@corp.example"] = Route.HOLD
            client = it.client()
            client.envelope("a@client.example", "b@corp.example", "c@corp.example")
            client.message(MAIL, 451)
            assert routes(it) == {"b@corp.example": Undone.DEFERRED, "c@corp.example": Route.DELIVER}

    def test_a_log_that_fails_does_not_undo_what_was_done(self, tmp_path, monkeypatch):
        def fail(record):
            raise ValueError("no log today")

        with rig(tmp_path) as it:
            monkeypatch.setattr(it.events, "message", fail)
            client = it.client()
            client.envelope()
            client.message(MAIL, 250)
            assert len(it.sink.received) == 1


class TestKeptInSilence:
    def test_a_stranger_does_not_hear_that_mail_was_kept(self, tmp_path):
        """Before the queue our reply is the remote sender's: it must not tell what we think of the mail."""
        with rig(tmp_path) as it:
            client = it.client()
            client.envelope()
            delivered = client.message(MAIL)
            it.verdicts.default = Route.QUARANTINE
            client.envelope()
            kept = client.message(MAIL)
            assert kept.rpartition(" ")[0] == delivered.rpartition(" ")[0]


class TestGoodbyes:
    def test_a_client_may_say_quit_after_its_last_message(self, tmp_path):
        for mode in ("before-queue", "after-queue"):
            folder = tmp_path / mode
            folder.mkdir()
            with rig(folder, mode=mode) as it:
                go = threading.Event()
                it.screener.answer = lambda mail, go=go: (go.wait(30), Screening(score=score(0.1)))[1]
                client = it.client()
                client.envelope()
                client.say("DATA", 354)
                client.send(MAIL + b".\r\n")
                threading.Timer(0.2, go.set).start()
                draining = threading.Thread(target=lambda it=it: it.run(it.gateway.drain(30.0)))
                draining.start()
                client.expect(250)
                time.sleep(0.3)
                client.say("QUIT", 221)
                assert client.at_end()
                draining.join()

    def test_a_stop_begins_no_new_message_before_the_queue(self, tmp_path):
        with rig(tmp_path) as it:
            client = it.client()
            draining = threading.Thread(target=lambda: it.run(it.gateway.drain(30.0)))
            draining.start()
            time.sleep(0.2)
            client.say("MAIL FROM:<a@client.example>", 421)
            assert client.at_end()
            draining.join()

    def test_after_the_queue_a_message_that_begins_at_a_stop_is_still_taken(self, tmp_path):
        with rig(tmp_path, mode="after-queue") as it:
            client = it.client()
            draining = threading.Thread(target=lambda: it.run(it.gateway.drain(30.0)))
            draining.start()
            time.sleep(0.2)
            client.envelope()
            client.message(MAIL)
            client.say("QUIT", 221)
            draining.join()
            assert len(it.sink.received) == 1


def test_a_bug_in_the_middle_of_a_message_does_not_turn_its_rest_into_commands(tmp_path, monkeypatch):
    def bug(self, piece):
        raise MemoryError

    with rig(tmp_path) as it:
        client = it.client()
        client.envelope()
        client.say("DATA", 354)
        monkeypatch.setattr(RawWriter, "write", bug)
        client.send(b"Subject: x\r\n\r\nhello\r\n")
        client.expect(451)
        assert client.at_end()
        assert it.sink.received == [] and len(it.events.faults) == 1


def test_what_was_forwarded_ends_with_its_transaction_also_if_that_broke(tmp_path):
    """Else the next message would be taken for one of the last client."""
    with rig(tmp_path) as it:
        client = it.client()
        for next_client in ("", "XFORWARD ADDR=198.51.100.7"):
            client.say("XFORWARD ADDR=192.0.2.9 HELO=first.example", 250)
            client.envelope()
            it.sink.answer = lambda line: "" if line.startswith("RCPT") else None
            client.say("RCPT TO:<c@corp.example>", 451)
            it.sink.answer = lambda line: None
            it.sink.commands.clear()
            if next_client:
                client.say(next_client, 250)
            client.envelope()
            client.message(MAIL)
            told = [line for line in it.sink.commands if line.startswith("XFORWARD")]
            assert told == ([next_client] if next_client else [])


def test_what_was_forwarded_outlives_a_mail_that_could_not_be_handed_over(tmp_path):
    """The transaction has not begun: MAIL may be said again as it was."""
    with rig(tmp_path) as it:
        client = it.client()
        client.say("XFORWARD ADDR=192.0.2.9", 250)
        it.sink.answer = lambda line: "" if line.startswith("MAIL") else None
        client.say("MAIL FROM:<a@client.example>", 451)
        it.sink.answer = lambda line: None
        it.sink.commands.clear()
        client.envelope()
        client.message(MAIL)
        assert "XFORWARD ADDR=192.0.2.9" in it.sink.commands
