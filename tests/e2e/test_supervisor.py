"""The process model with real processes and real signals: start, reload, death and stop lose no connection."""

import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from effort import ENDLESS
from serving import MODEL, PATIENCE, Load, copy_of_model, serving, until

from model.bundle import DEFAULT


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestServing:
    def test_the_life_of_a_gateway(self, tmp_path):
        """Ready, a message through, health and metrics, a clean stop."""
        with serving(tmp_path) as it:
            it.listeners["local"] = f"unix:{tmp_path}/in.sock"
            it.start()

            it.send()
            until(lambda: it.sink.count == 1, "the message was not delivered")
            counted = 'gatepost_messages_total{listener="in",reply="2xx"} 1.0'
            until(lambda: counted in it.get("/metrics")[1], "not counted")
            status, page = it.get("/metrics")
            assert status == 200
            assert 'gatepost_workers{state="ready"} 2.0' in page
            model = it.events("ready")[0]["model"]
            wanted = {"ok": True, "workers": {"ready": 2, "wanted": 2}, "generation": 1, "model": model,
                      "bundle": MODEL or str(DEFAULT), "pointer": "", "refused": "", "breaker": [], "drift": [],
                      "shadow": {}}
            assert it.health() == wanted
            assert it.get("/else")[0] == 404
            assert (tmp_path / "in.sock").stat().st_mode & 0o777 == 0o660
            workers = it.workers()

            assert it.stop() == 0

            assert not any(alive(pid) for pid in workers)
            assert not (tmp_path / "in.sock").exists()
            assert "Traceback" not in it.text()
            assert b"river" not in it.log.read_bytes()  # no text of a message in the log
            assert "anna" not in it.text()

    def test_a_full_gateway_lets_clients_wait(self, tmp_path):
        """Beyond its room a worker accepts nobody and refuses nobody; the client is served when there is room."""
        with serving(tmp_path, workers=1, max_connections_per_worker=1) as it:
            it.start()
            first = socket.create_connection(("127.0.0.1", it.port), timeout=PATIENCE)
            assert first.recv(3) == b"220"
            with socket.create_connection(("127.0.0.1", it.port), timeout=PATIENCE) as second:
                second.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    second.recv(3)
                first.close()
                second.settimeout(PATIENCE)
                assert second.recv(3) == b"220"

    def test_systemd_hears_of_it(self, tmp_path):
        """READY, RELOADING and STOPPING reach the notification socket."""
        with serving(tmp_path, workers=1) as it, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(tmp_path / "notify"))
            notified.settimeout(PATIENCE)
            it.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
            it.start()
            assert notified.recv(500).startswith(b"READY=1\n")
            it.reload()
            assert notified.recv(500).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert notified.recv(500).startswith(b"READY=1\nSTATUS=1 workers, model ")
            it.stop()
            assert notified.recv(500) == b"STOPPING=1"


class TestReload:
    def test_a_reload_under_load_turns_nobody_away(self, tmp_path):
        """While workers are exchanged twice, every client is served: no 421, no refused or reset connection."""
        with serving(tmp_path) as it:
            it.start()
            before = it.workers()
            with Load(it) as load:
                it.reload()
                it.reload()
                until(lambda: len(it.workers()) == 2, "the old workers did not go")
            assert load.errors == []
            assert load.sent > 10
            assert it.sink.count == load.sent
            assert not it.workers() & before
            assert it.health()["generation"] == 3

    def test_bad_settings_are_refused_and_nothing_changes(self, tmp_path):
        with serving(tmp_path, workers=1) as it:
            it.start()
            workers = it.workers()
            it.gateway["workers"] = "many"
            it.write()

            refused = it.reload("reload-refused")

            assert 'gateway.workers: expected a whole number, found "many"' in refused["error"]
            assert it.workers() == workers
            it.send()

    def test_a_damaged_model_is_refused_and_the_old_one_serves(self, tmp_path):
        """The new generation fails its self-test; the file is named; after the repair the next reload works."""
        bundle = copy_of_model(tmp_path)
        with serving(tmp_path, workers=1) as it:
            it.model = str(bundle)
            it.start()
            workers = it.workers()
            whole = (bundle / "model.onnx").read_bytes()
            (bundle / "model.onnx").write_bytes(whole[:-1])

            refused = it.reload("reload-refused")

            assert "model.onnx: SHA-256" in refused["error"]
            until(lambda: it.workers() == workers, "not the old workers alone")
            it.send()
            (bundle / "model.onnx").write_bytes(whole)
            assert it.reload()["generation"] == 2

    def test_listeners_come_and_go(self, tmp_path):
        """A new listener is bound, a removed one closed, and the one that stays keeps its socket."""
        with serving(tmp_path, workers=1) as it:
            it.start()
            other = f"unix:{tmp_path}/new.sock"
            it.listeners["new"] = other
            it.write()
            it.reload()
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(tmp_path / "new.sock"))
                assert client.recv(3) == b"220"
            del it.listeners["new"]
            it.write()
            it.reload()
            assert not (tmp_path / "new.sock").exists()
            it.send()

    def test_a_new_listener_that_cannot_be_bound_is_refused(self, tmp_path):
        with serving(tmp_path, workers=1) as it, socket.socket() as taken:
            it.start()
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            it.listeners["second"] = f"127.0.0.1:{taken.getsockname()[1]}"
            it.write()

            refused = it.reload("reload-refused")

            assert refused["error"].startswith("listener second: cannot listen at 127.0.0.1:")
            it.send()


class TestDeath:
    def test_a_worker_that_is_killed_is_replaced(self, tmp_path):
        with serving(tmp_path) as it:
            it.start()
            victim = min(it.workers())
            os.kill(victim, signal.SIGKILL)
            until(lambda: it.events("worker-died") and it.health()["workers"]["ready"] == 2, "not replaced")
            assert it.events("worker-died")[0]["how"] == "was killed by SIGKILL"
            assert "gatepost_worker_deaths_total 1.0" in it.get("/metrics")[1]
            it.send()

    def test_a_stopped_worker_finishes_and_is_replaced(self, tmp_path):
        """SIGTERM to a worker alone makes it drain; the supervisor starts another."""
        with serving(tmp_path, workers=1) as it:
            it.start()
            (victim,) = it.workers()
            os.kill(victim, signal.SIGTERM)
            until(lambda: it.workers() - {victim} and it.health()["ok"], "not replaced")
            it.send()
            assert it.sink.count == 1

    def test_orphans_finish_what_they_have_and_go(self, tmp_path):
        """kill -9 of the supervisor: the message in flight is answered, then the workers leave."""
        with serving(tmp_path) as it:
            it.start()
            workers = it.workers()
            it.sink.sink.delay = 1.5
            sent: list[bool] = []
            client = threading.Thread(target=lambda: sent.append(it.send(hurried=True) is None))
            client.start()
            until(lambda: any("DATA" in line for line in it.sink.sink.commands), "nothing in flight")
            it.signal(signal.SIGKILL)
            it.process.wait()
            client.join()
            assert sent == [True]
            until(lambda: not any(alive(pid) for pid in workers), "orphans stay")

    def test_another_supervisor_can_follow_at_once(self, tmp_path):
        """After kill -9 the same ports are bound again while orphans still finish."""
        with serving(tmp_path) as it:
            it.start()
            it.sink.sink.delay = 2.0
            client = threading.Thread(target=it.send, kwargs={"hurried": True})
            client.start()
            until(lambda: any("DATA" in line for line in it.sink.sink.commands), "nothing in flight")
            it.signal(signal.SIGKILL)
            it.process.wait()
            it.start()
            it.sink.sink.delay = 0.0
            it.send()
            client.join()
            assert it.sink.count == 2
            assert it.stop() == 0


class TestStop:
    def test_mail_in_flight_is_finished(self, tmp_path):
        with serving(tmp_path, workers=1) as it:
            it.start()
            it.sink.sink.delay = 1.5
            sent: list[bool] = []
            client = threading.Thread(target=lambda: sent.append(it.send(hurried=True) is None))
            client.start()
            until(lambda: any("DATA" in line for line in it.sink.sink.commands), "nothing in flight")

            assert it.stop() == 0

            client.join()
            assert sent == [True]
            assert it.sink.count == 1

    def test_ctrl_c_in_a_terminal_is_clean(self, tmp_path):
        """SIGINT reaches the whole process group; workers leave it to the supervisor; no traceback."""
        with serving(tmp_path) as it:
            it.start()
            os.killpg(it.process.pid, signal.SIGINT)
            assert it.process.wait(PATIENCE) == 0
            assert "Traceback" not in it.text()
            assert it.events("stopped")

    def test_ctrl_c_while_it_starts(self, tmp_path):
        with serving(tmp_path) as it:
            it.start(ready=False)
            until(lambda: it.events("listening"), "it does not start")
            os.killpg(it.process.pid, signal.SIGINT)
            assert it.process.wait(PATIENCE) == 0
            assert "Traceback" not in it.text()

    def test_a_second_signal_does_not_wait(self, tmp_path):
        with serving(tmp_path, workers=1, drain_seconds=60.0) as it:
            it.start()
            with socket.create_connection(("127.0.0.1", it.port), timeout=PATIENCE) as client:
                for line in (b"", b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@corp.example>\r\n", b"DATA\r\n"):
                    client.sendall(line)
                    assert client.recv(1000)[:1] in b"23"
                it.signal(signal.SIGTERM)
                until(lambda: it.events("draining"), "not draining")
                begun = time.monotonic()
                it.signal(signal.SIGTERM)
                it.process.wait(PATIENCE)
                assert time.monotonic() - begun < ENDLESS


class TestRefusals:
    """What cannot work is refused at the start with exit code 1, one sentence, no traceback."""

    def test_port_in_use(self, tmp_path):
        with serving(tmp_path) as it, socket.socket() as taken:
            taken.bind(("127.0.0.1", it.port))
            taken.listen()
            code, text = it.refused()
            assert code == 1
            assert f"Error: listener in: cannot listen at 127.0.0.1:{it.port}: address in use" in text
            assert "Traceback" not in text

    def test_unix_path_that_is_a_file(self, tmp_path):
        with serving(tmp_path) as it:
            (tmp_path / "precious").write_text("keep me")
            it.listeners["in"] = f"unix:{tmp_path}/precious"
            code, text = it.refused()
            assert code == 1
            assert "there is a file of that name that is not a socket" in text
            assert (tmp_path / "precious").read_text() == "keep me"

    def test_damaged_model(self, tmp_path):
        bundle = copy_of_model(tmp_path)
        (bundle / "tokenizer.json").write_text("{}")
        with serving(tmp_path) as it:
            it.model = str(bundle)
            code, text = it.refused()
            assert code == 1
            assert "tokenizer.json: SHA-256" in text
            assert "restore the bundle from its source" in text
            assert "Traceback" not in text

    def test_no_model_there(self, tmp_path):
        with serving(tmp_path) as it:
            it.model = str(tmp_path / "nowhere")
            code, text = it.refused()
            assert code == 1
            assert f"{tmp_path}/nowhere/manifest.json: no such file" in text

    def test_damaged_database(self, tmp_path):
        (tmp_path / "state").mkdir()
        (tmp_path / "state/quarantine.db").write_bytes(b"not a database at all" * 500)
        with serving(tmp_path) as it:
            code, text = it.refused()
            assert code == 1
            assert "quarantine.db: the database is damaged" in text
            assert "restore it" in text
            assert "Traceback" not in text

    def test_two_of_the_same(self, tmp_path):
        """A second gateway with the same state folder says whose it is."""
        (tmp_path / "second").mkdir()
        with serving(tmp_path, workers=1) as one:
            one.start()
            with serving(tmp_path / "second", workers=1) as two:
                two.folder = tmp_path
                code, text = two.refused()
                assert code == 1
                assert f"another gatepost serve (process {one.process.pid}) uses this state_dir" in text
            one.send()

    def test_unknown_account(self, tmp_path):
        with serving(tmp_path, user="nobody-of-that-name") as it:
            code, text = it.refused()
            assert code == 1
            assert 'gateway.user: there is no account "nobody-of-that-name" on this machine' in text

    def test_metrics_port_in_use(self, tmp_path):
        with serving(tmp_path) as it, socket.socket() as taken:
            taken.bind(("127.0.0.1", it.metrics_port))
            taken.listen()
            code, text = it.refused()
            assert code == 1
            assert f"metrics.listen: cannot listen at 127.0.0.1:{it.metrics_port}" in text


def everybody_may_run(path: Path) -> bool:
    """Whether another account can reach and read a file."""
    return path.stat().st_mode & 0o004 != 0 and all(place.stat().st_mode & 0o005 == 0o005 for place in path.parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change to another account")
@pytest.mark.skipif(
    not everybody_may_run(Path(sys.executable).resolve()) or not everybody_may_run(Path(__file__)),
    reason="the interpreter or the checkout cannot be read by other accounts",
)
def test_root_becomes_the_configured_account():
    """Started as root with `user`, everything runs as that account, and its files belong to it."""
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-test-"))
    folder.chmod(0o777)
    try:
        with serving(folder, user="nobody", workers=1) as it:
            it.start()
            assert {Path(f"/proc/{pid}").stat().st_uid for pid in (*it.workers(), it.process.pid)} == {nobody.pw_uid}
            assert (folder / "state/quarantine.db").stat().st_uid == nobody.pw_uid
            it.send()
            it.reload()
            it.send()
            assert it.stop() == 0
    finally:
        shutil.rmtree(folder)
