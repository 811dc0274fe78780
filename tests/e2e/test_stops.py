"""Stops and reloads in bad moments: a message half sent, a supervisor that dies while workers drain."""

import os
import signal
import socket
import threading
import time

from effort import ENDLESS
from serving import PATIENCE, serving, until


def conversation(port: int) -> socket.socket:
    """Return a connection on which DATA has been answered by 354 and part of a message is sent."""
    client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    for line in (b"", b"EHLO x\r\n", b"MAIL FROM:<a@shop.example>\r\n", b"RCPT TO:<b@corp.example>\r\n", b"DATA\r\n"):
        client.sendall(line)
        assert client.recv(1000)[:1] in b"23"
    client.sendall(b"Subject: half\r\n\r\nthe first half\r\n")
    return client


def rest(client: socket.socket) -> bytes:
    """Read what comes until the end of the connection, however that comes."""
    got = b""
    try:
        while piece := client.recv(1000):
            got += piece
    except ConnectionResetError:
        pass
    return got


def test_a_message_that_is_half_sent_at_a_stop_may_be_finished(tmp_path):
    with serving(tmp_path, workers=1) as it:
        it.start()
        with conversation(it.port) as client:
            it.signal(signal.SIGTERM)
            until(lambda: it.events("draining"), "not draining")
            time.sleep(1.5)
            client.sendall(b"the second half\r\n.\r\n")
            assert client.recv(1000).startswith(b"250 ")
            client.sendall(b"QUIT\r\n")
            assert client.recv(1000).startswith(b"221 ")
        assert it.process.wait(PATIENCE) == 0
        assert it.sink.count == 1


def test_a_message_that_never_ends_is_cut_off_without_an_answer(tmp_path):
    with serving(tmp_path, workers=1, drain_seconds=2.0) as it:
        it.start()
        with conversation(it.port) as client:
            begun = time.monotonic()
            assert it.stop() == 0
            assert time.monotonic() - begun < ENDLESS
            assert rest(client) == b""
        assert it.sink.count == 0
        assert it.events("sessions-cut")[0]["sessions"] == 1


def test_workers_that_drain_finish_though_the_supervisor_is_killed(tmp_path):
    with serving(tmp_path, workers=2) as it:
        it.start()
        workers = it.workers()
        with conversation(it.port) as client:
            it.signal(signal.SIGTERM)
            until(lambda: it.events("draining"), "not draining")
            it.signal(signal.SIGKILL)
            it.process.wait()
            time.sleep(0.5)
            client.sendall(b".\r\n")
            assert client.recv(1000).startswith(b"250 ")
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "orphans stay")  # noqa: PTH110
        assert it.sink.count == 1


def test_a_reload_while_the_last_one_drains_and_with_no_next_hop(tmp_path):
    """Three generations at once; the message of the first is finished, and the next hop need not be there."""
    with serving(tmp_path, workers=1) as it:
        it.start()
        with conversation(it.port) as client:
            it.reload()
            it.reload()
            client.sendall(b".\r\n")
            assert client.recv(1000).startswith(b"250 ")
        there = it.sink.address
        it.sink.address = "127.0.0.1:1"
        it.write()
        it.reload()
        it.sink.address = there
        it.write()
        it.reload()
        it.send()
        assert it.sink.count == 2
        assert it.stop() == 0


def test_a_signal_to_stop_in_the_middle_of_a_reload(tmp_path):
    with serving(tmp_path, workers=2) as it:
        it.start()
        with conversation(it.port) as client:
            it.signal(signal.SIGHUP)
            until(lambda: it.events("reload-started"), "no reload")
            it.signal(signal.SIGTERM)
            until(lambda: it.events("draining"), "not draining")
            client.sendall(b".\r\n")
            assert client.recv(1000).startswith(b"250 ")
            client.sendall(b"QUIT\r\n")
        assert it.process.wait(PATIENCE) == 0
        assert "Traceback" not in it.text()


def test_a_listener_that_is_taken_away_finishes_what_it_has(tmp_path):
    with serving(tmp_path, workers=1) as it:
        it.listeners["old"] = f"unix:{tmp_path}/old.sock"
        it.start()
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        with client:
            client.connect(str(tmp_path / "old.sock"))
            for line in (b"", b"EHLO x\r\n", b"MAIL FROM:<a@shop.example>\r\n", b"RCPT TO:<b@corp.example>\r\n",
                         b"DATA\r\n"):  # fmt: skip
                client.sendall(line)
                assert client.recv(1000)[:1] in b"23"
            del it.listeners["old"]
            it.write()
            it.reload()
            assert not (tmp_path / "old.sock").exists()
            client.sendall(b"Subject: x\r\n\r\ny\r\n.\r\n")
            assert client.recv(1000).startswith(b"250 ")
        assert it.stop() == 0


def test_a_worker_that_dies_with_mail_in_flight_has_not_answered_for_it(tmp_path):
    """kill -9 while the next hop takes its time: the client heard nothing, and gets through the second time."""
    with serving(tmp_path, workers=1) as it:
        it.start()
        it.sink.sink.delay = 3.0
        failed: list[Exception] = []

        def send() -> None:
            try:
                it.send()
            except OSError as error:
                failed.append(error)

        client = threading.Thread(target=send)
        client.start()
        until(lambda: any("DATA" in line for line in it.sink.sink.commands), "nothing in flight")
        os.kill(min(it.workers()), signal.SIGKILL)
        client.join()
        assert len(failed) == 1
        it.sink.sink.delay = 0.0
        until(lambda: it.health()["ok"], "not replaced")
        it.send()
        assert it.sink.count in (1, 2)
