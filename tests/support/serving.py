"""A real `gatepost serve` on loopback with real signals: its configuration, its log, its next hop, its clients."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from byte_sink import ByteSink

from model.bundle import DEFAULT, MANIFEST

GATEPOST = (sys.executable, "-P", "-c", "from gatepost.cli import main; main()")
MODEL = os.environ.get("GATEPOST_TEST_MODEL", "")
"""Another bundle to test with; the shipped one otherwise."""
PATIENCE = 40.0
MAIL = b"From: Anna <anna@shop.example>\r\nTo: bob@corp.example\r\nSubject: dinner\r\n\r\nAt eight, by the river?\r\n"


def free_port() -> int:
    """Return a loopback port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first true value of `holds`; fail with `what` if it stays false."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := holds():
            return value
        time.sleep(0.02)
    raise AssertionError(f"after {patience:.0f} s: {what}")


class Sink:
    """A byte-exact next hop in a thread of its own."""

    def __init__(self) -> None:
        self.sink = ByteSink()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.address = self._call(self.sink.start())

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @property
    def count(self) -> int:
        """How many messages it took."""
        return len(self.sink.received)

    def close(self) -> None:
        """Stop, and end the thread."""
        self._call(self.sink.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Serving:
    """One gateway: files under `folder`, started with `start`."""

    def __init__(self, folder: Path, sink: Sink, **gateway: Any) -> None:
        self.folder = folder
        self.sink = sink
        self.port = free_port()
        self.metrics_port = free_port()
        self.config = folder / "config.toml"
        self.log = folder / "log"
        self.model = MODEL
        self.shadow = ""
        self.gateway = {"workers": 2, "drain_seconds": 10.0, **gateway}
        self.listeners = {"in": f"127.0.0.1:{self.port}"}
        self.stage = "observe"
        self.extra = ""
        self.quarantine: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.environ: dict[str, str] = {}

    def write(self) -> None:
        """Write the configuration as it is now described."""
        lines = ["[gateway]", f'state_dir = "{self.folder}/state"', f'spool_dir = "{self.folder}/spool"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in self.gateway.items()]
        for name, place in self.listeners.items():
            lines += ["[[listener]]", f'name = "{name}"', f'listen = "{place}"', 'mode = "before-queue"',
                      'direction = "inbound"',
                      f'next_hop = "{self.sink.address}"', f'stage = "{self.stage}"']  # fmt: skip
        lines += ["[quarantine]", f'url = "sqlite:///{self.folder}/state/quarantine.db"',
                  f'key_file = "{self.folder}/state/quarantine.key"']  # fmt: skip
        lines += [f"{key} = {json.dumps(value)}" for key, value in self.quarantine.items()]
        lines += ["[metrics]", f'listen = "127.0.0.1:{self.metrics_port}"', "[model]", f'path = "{self.model}"',
                  f'store = "{self.folder}/models"', f'shadow = "{self.shadow}"']
        lines.append(self.extra)
        self.config.write_text("\n".join(lines) + "\n")

    def start(self, *, ready: bool = True) -> None:
        """Start the command in a session of its own; wait until it is ready unless told otherwise."""
        self.write()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*GATEPOST, "serve", "--config", str(self.config)], stderr=log, stdout=subprocess.DEVNULL,
                start_new_session=True, env={**os.environ, **self.environ},
            )  # fmt: skip
        if ready:
            seen = len(self.events("ready"))
            ended = self.process.poll
            until(lambda: len(self.events("ready")) > seen or ended() is not None, f"not ready: {self.text()}")
            assert self.process.poll() is None, self.text()

    def refused(self) -> tuple[int, str]:
        """Start and wait for the end: exit code and what was written."""
        self.start(ready=False)
        assert self.process is not None
        return self.process.wait(PATIENCE), self.text()

    def text(self) -> str:
        """Everything on standard error so far."""
        return self.log.read_text() if self.log.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        whole = [line for line in self.text().splitlines(keepends=True) if line.endswith("\n") and line[0] == "{"]
        return [event for line in whole if (event := json.loads(line))["event"] == name]

    def get(self, path: str) -> tuple[int, str]:
        """Ask the health server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def health(self) -> dict[str, Any]:
        """Return /healthz."""
        found: dict[str, Any] = json.loads(self.get("/healthz")[1])
        return found

    def send(self, message: bytes = MAIL, *, hurried: bool = False) -> None:
        """Send one message and QUIT. Raises smtplib's errors for anything but 250 (and for QUIT, unless hurried)."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail("anna@shop.example", ["bob@corp.example"], message)
            if hurried:
                client.close()

    def workers(self) -> set[int]:
        """Return the ids of the worker processes."""
        assert self.process is not None
        pids = set()
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = status.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    pids.add(int(status.parent.name))
        return pids

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def reload(self, outcome: str = "reload-done") -> dict[str, Any]:
        """SIGHUP, and return the event that says how it ended."""
        seen = len(self.events(outcome))
        self.signal(signal.SIGHUP)
        until(lambda: len(self.events(outcome)) > seen, f"no {outcome}: {self.text()}")
        return self.events(outcome)[-1]


class Load:
    """Clients in threads that send one message a connection until told to stop; `errors` has what went wrong."""

    def __init__(self, it: Serving, clients: int = 3) -> None:
        self.it = it
        self.sent = 0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.it.send()
                self.sent += 1
            except (OSError, smtplib.SMTPException) as error:
                self.errors.append(repr(error))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def serving(folder: Path, **gateway: Any) -> Iterator[Serving]:
    """A gateway that is not started yet; whatever is left of it is killed at the end."""
    sink = Sink()
    it = Serving(folder, sink, **gateway)
    try:
        yield it
    finally:
        left = it.workers() if it.process is not None else set()
        if it.process is not None and it.process.poll() is None:
            it.process.kill()
            it.process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        sink.close()


def copy_of_model(folder: Path, version: str = "") -> Path:
    """Copy the bundle that tests use, to be spoilt, or to be another version of the same model."""
    copy = Path(shutil.copytree(MODEL or DEFAULT, folder / (version or "bundle")))
    if version:
        manifest = json.loads((copy / MANIFEST).read_text())
        (copy / MANIFEST).write_text(json.dumps({**manifest, "version": version}))
    return copy
