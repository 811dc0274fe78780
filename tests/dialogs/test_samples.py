"""Samples of delivered mail: beside the mail's way, so that nothing that happens to them happens to the mail."""

import contextlib
import sqlite3
import time

from byte_sink import ByteSink
from gateway_rig import rig

from milter import sampling
from model.mail import RawMessage
from model.verdict import Route
from quarantine.item import State
from quarantine.search import Filter, body, find
from quarantine.store import Store

MAIL = b"Subject: hi\r\n\r\ntext\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 100_000
ALL = {"sample": 1.0}


def wait_for(what, seconds=20.0):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def idle(it):
    """Whether no sample is under way, as the event loop sees it."""

    async def waiting():
        return it.gateway._sampler._waiting == 0

    return it.run(waiting())


def samples(it):
    with Store.open(it.store.settings) as store:
        return [(one.item, b"".join(body(store, one.item.message)))
                for one in find(store, Filter(states=(State.SAMPLED,)))]  # fmt: skip


def send(it, content=MAIL, *recipients, code=250):
    client = it.client()
    client.envelope("a@client.example", *recipients)
    begun = time.monotonic()
    client.message(content, code)
    return time.monotonic() - begun


@contextlib.contextmanager
def locked(it):
    """The database as another writer holds it."""
    connection = sqlite3.connect(it.store.settings.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_delivered_message_is_kept_once_for_its_first_delivered_recipient(tmp_path):
    with rig(tmp_path, quarantine={"sample": 1.0}) as it:
        it.verdicts.routes["kept@corp.example"] = Route.HOLD
        send(it, LARGE, "kept@corp.example", "b@corp.example", "c@corp.example")

        wait_for(lambda: samples(it))
        [(item, octets)] = samples(it)

    assert (item.recipient, item.route, item.drawn) == ("b@corp.example", Route.DELIVER, 1.0)
    assert octets == LARGE
    assert len(it.sink.received) == 1


def test_only_delivered_inbound_mail_is_drawn(tmp_path):
    with rig(tmp_path, quarantine=ALL, direction="outbound") as it:
        send(it)
        assert it.kept() == []
    sink = ByteSink(answer=lambda line: "550 5.7.1 no" if line == "BODY" else None)
    with rig(tmp_path, sink=sink, quarantine=ALL) as it:
        send(it, code=550)
        it.verdicts.default = Route.HOLD
        send(it)
        wait_for(lambda: idle(it))
        assert it.kept() == [("b@corp.example", "held")]


def test_the_share_decides(tmp_path):
    with rig(tmp_path, quarantine={"sample": 0.3}) as it:
        numbers = iter([0.3, 0.29, 0.9])
        it.gateway._sampler.draw = lambda: next(numbers)
        for number in range(3):
            send(it, b"Subject: %d\r\n\r\ntext\r\n" % number)
        wait_for(lambda: samples(it) and idle(it))
        [(item, octets)] = samples(it)

    assert (item.drawn, octets) == (0.3, b"Subject: 1\r\n\r\ntext\r\n")


def test_without_a_share_there_is_no_sampler(tmp_path):
    with rig(tmp_path) as it:
        assert it.gateway._sampler is None


def test_a_store_that_cannot_be_written_delays_no_reply_and_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "BUSY_SECONDS", 0.5)
    with rig(tmp_path, quarantine=ALL) as it:
        with locked(it):
            quickest = min(send(it) for _ in range(3))
            assert quickest < 0.5, "replies wait for samples"
            assert len(it.sink.received) == 3
            wait_for(lambda: idle(it))
        assert it.metrics.faults == ["sample-failed"] * 3
        assert [record.reply[:3] for record in it.events.records] == ["250"] * 3

        send(it)
        wait_for(lambda: samples(it))


def test_samples_that_wait_are_few_and_their_bytes_are_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "BUSY_SECONDS", 1.0)
    closed = []
    close = RawMessage.close

    def noted(self):
        closed.append(self.sha256)
        close(self)

    monkeypatch.setattr(RawMessage, "close", noted)
    with rig(tmp_path, quarantine=ALL) as it:
        with locked(it):
            for _ in range(sampling.MOST_WAITING + 2):
                send(it)
            assert it.metrics.faults.count("sample-skipped") >= 1
            assert len(closed) < sampling.MOST_WAITING + 2, "a message was closed under its sample"
        wait_for(lambda: idle(it))
        assert len(closed) == len(it.sink.received) == sampling.MOST_WAITING + 2


def test_a_database_that_is_gone_costs_the_sample_only(tmp_path):
    with rig(tmp_path, quarantine=ALL) as it:
        for file in tmp_path.glob("q.db*"):
            file.unlink()
        send(it)
        wait_for(lambda: "sample-failed" in it.metrics.faults)
        assert len(it.sink.received) == 1


def test_enough_for_today_is_counted(tmp_path):
    with rig(tmp_path, quarantine={**ALL, "sample_most": 1}) as it:
        send(it)
        wait_for(lambda: idle(it))
        send(it)
        wait_for(lambda: idle(it))
        assert it.metrics.faults == ["sample-capped"]
        assert len(samples(it)) == 1
