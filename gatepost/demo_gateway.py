"""A gateway on loopback for the demo, with a Maildir in Postfix's place behind it, and the commands beside it."""

import os
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost.demo_mail import DemoMail
from gatepost.demo_sink import MaildirSink
from gatepost.terminal import columns

START_SECONDS = 30.0
_QUEUED = re.compile(rb"queued as (\S+)")


class DemoError(Exception):
    """The demo could not go on; the text says where to look."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the client saw of one message: the id in the reply, and what arrived behind the gateway, if it did."""

    mail: DemoMail
    queued: str
    delivered: bytes | None


def item_of(sent: Sent, kept: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the quarantine's item of a message that did not arrive; `kept` has them by message. Raises DemoError."""
    item = kept.get(sent.queued)
    if item is None:
        raise DemoError(f"{sent.mail.subject!r} was kept as {sent.queued!r}, and the quarantine has no such message")
    return item


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


class DemoGateway:
    """One gateway in a folder of its own. `template` is its configuration, with names of ports and folder to fill in.

    `values` are further names of the template.
    """

    def __init__(self, root: Path, template: str, **values: object) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.back = MaildirSink(root / "delivered")
        self.release = MaildirSink(root / "released")
        self.config = root / "config.toml"
        self.log = root / "gateway.log"
        self.ports = {name: _free_port() for name in ("inbound", "outbound", "metrics")}
        self._template, self._values = template, values

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep both sinks and the gateway up. Raises DemoError if it does not start."""
        self.back.start()
        self.release.start()
        self.config.write_text(self._template.format(root=self.root, back=self.back.port, release=self.release.port,
                                                     **self.ports, **self._values), encoding="utf-8")  # fmt: skip
        with self.log.open("wb") as log:
            gateway = subprocess.Popen([*_gatepost(), "serve", "--config", str(self.config)], stderr=log, stdout=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        try:
            self._wait(gateway)
            yield
        finally:
            gateway.terminate()
            try:
                gateway.wait(15)
            except subprocess.TimeoutExpired:
                gateway.kill()
            self.back.stop()
            self.release.stop()

    def _wait(self, gateway: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if gateway.poll() is not None:
                break
            try:
                with smtplib.SMTP("127.0.0.1", self.ports["inbound"], timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise DemoError(f"the gateway did not start; its log is {self.log}:\n{tail}")

    def send(self, mail: DemoMail) -> Sent:
        """Send one message over SMTP, as a mail server would. Raises DemoError if it is not taken."""
        before = self.back.arrived
        client = smtplib.SMTP("127.0.0.1", self.ports[mail.direction], timeout=60)
        try:
            client.ehlo_or_helo_if_needed()
            for code, text in (client.mail(mail.sender), client.rcpt(mail.recipient), client.data(mail.raw)):
                if code != 250:
                    raise DemoError(f"{mail.subject!r} was not taken: {code} {text.decode('ascii', 'replace')}; the "
                                    f"gateway's log is {self.log}")
            client.quit()
        except (smtplib.SMTPException, OSError) as error:
            raise DemoError(f"{mail.subject!r} was not taken: {error}; the gateway's log is {self.log}") from None
        finally:
            client.close()  # and no QUIT after Ctrl-C: a reply is still on its way
        queued = _QUEUED.search(text)
        arrived = self.back.last() if self.back.arrived > before else None
        return Sent(mail, queued[1].decode("ascii", "replace") if queued else "", arrived)

    def command(self, *words: str) -> str:
        """Run `gatepost WORDS --config ...` and return what it printed. Raises DemoError if it fails."""
        done = self.run(*words)
        if done.code:
            raise DemoError(f"gatepost {' '.join(words)}: {done.err.strip() or done.out.strip()}")
        return done.out

    def run(self, *words: str, tell: Callable[[str], None] = lambda _: None) -> Ran:
        """Run `gatepost WORDS --config ...` to its end; `tell` hears each line of standard error as it comes."""
        with tempfile.TemporaryFile() as out:
            child = subprocess.Popen(
                [*_gatepost(), *words, "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
                env={**os.environ, "COLUMNS": str(columns(100)), "PYTHONUTF8": "1"},
            )  # fmt: skip
            lines = []
            with child:
                try:
                    for line in child.stderr or ():
                        lines.append(line)
                        tell(line.rstrip())
                except BaseException:
                    child.terminate()
                    raise
            out.seek(0)
            return Ran(child.returncode, out.read().decode("utf-8", "replace"), "".join(lines))


def header(raw: bytes, name: str) -> str | None:
    """Return a header field of a message, unfolded; None where it has none."""
    head = raw.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in head.split(b"\r\n"):
        field, colon, value = line.partition(b":")
        if colon and field.strip().lower() == name.lower().encode():
            return value.strip().decode("utf-8", "replace")
    return None


def _gatepost() -> list[str]:
    return [sys.executable, "-P", "-m", "gatepost"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
