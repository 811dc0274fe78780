"""The life of a message on loopback: a gateway with the embedded store, mail both ways, one release."""

import json
import os
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatepost.demo_mail import DOMAIN, DemoMail, inbound, outbound
from gatepost.demo_sink import MaildirSink
from gatepost.terminal import Column, columns, table
from model.mail import Direction
from model.safe_text import safe
from training.letter import GATE

START_SECONDS = 30.0
QUARANTINE_AT, HOLD_AT = 0.75, 0.65
_OURS = (b"x-gatepost-",)
_HEADS = (Column("WAY", 4), Column("MEANT AS", 8), Column("ROUTE", 10), Column("SUBJECT", 12, 3),
          Column("WHY", 12, 2))

CONFIG = """\
[gateway]
hostname = "{gate}"
workers = 1
state_dir = "{root}/state"
spool_dir = "{root}/spool"

[[listener]]
name = "inbound"
listen = "127.0.0.1:{inbound}"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"

[[listener]]
name = "outbound"
listen = "127.0.0.1:{outbound}"
mode = "before-queue"
direction = "outbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"

# The senders of this mail are invented, so no list knows them and the model is less sure than it would be of
# yours. The demo keeps from lower on than the model's own thresholds.
[policy.default]
quarantine_at = {quarantine_at}
hold_at = {hold_at}

[site]
own_domains = ["{domain}"]
trusted_authserv_ids = ["{gate}"]

[quarantine]
url = "sqlite:///{root}/quarantine.db"
key_file = "{root}/quarantine.key"
release_to = "127.0.0.1:{release}"

[metrics]
listen = "127.0.0.1:{metrics}"
"""


class DemoError(Exception):
    """The demo could not go on; the text says where to look."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `item` is its id in the quarantine, if it was kept."""

    mail: DemoMail
    route: str
    why: str
    item: str = ""


class Demo:
    """One run in a folder of its own. `say` prints a line."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.back = MaildirSink(root / "delivered")
        self.release = MaildirSink(root / "released")
        self.config = root / "config.toml"
        self.log = root / "gateway.log"
        self.ports = {name: _free_port() for name in ("inbound", "outbound", "metrics")}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep both sinks and the gateway up."""
        self.back.start()
        self.release.start()
        self.config.write_text(CONFIG.format(root=self.root, gate=GATE, domain=DOMAIN, back=self.back.port,
                                             release=self.release.port, quarantine_at=QUARANTINE_AT, hold_at=HOLD_AT,
                                             **self.ports))
        with self.log.open("wb") as log:
            gateway = subprocess.Popen([*_gatepost(), "serve", "--config", str(self.config)], stderr=log, stdout=log,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
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

    def send_all(self) -> list[Outcome]:
        """Send the bundled mail over SMTP and return what became of it."""
        mails = [*inbound(), *outbound()]
        seen = 0
        delivered: dict[int, bytes] = {}
        for number, mail in enumerate(mails):
            self._send(mail)
            arrived = self.back.messages()
            if len(arrived) > seen:
                delivered[number] = arrived[-1]
                seen = len(arrived)
        kept = iter(sorted(self.quarantine("list", "--all", "--limit", "0"), key=lambda item: str(item["kept_at"])))
        return [self._outcome(mail, delivered.get(number), kept) for number, mail in enumerate(mails)]

    def _send(self, mail: DemoMail) -> None:
        client = smtplib.SMTP("127.0.0.1", self.ports[mail.direction], timeout=60)
        try:
            client.sendmail(mail.sender, [mail.recipient], mail.raw)
            client.quit()
        except (smtplib.SMTPException, OSError) as error:
            raise DemoError(f"{mail.subject!r} was not taken: {error}; the gateway's log is {self.log}") from None
        finally:
            client.close()  # and no QUIT after Ctrl-C: a reply is still on its way

    def _outcome(self, mail: DemoMail, raw: bytes | None, kept: Iterator[dict[str, object]]) -> Outcome:
        if raw is not None:
            return Outcome(mail, "deliver", _why_delivered(raw))
        item = next(kept)
        why = item["reasons"][0]  # type: ignore[index]
        return Outcome(mail, str(item["route"]), why["detail"] or why["code"], str(item["id"]))

    def quarantine(self, *words: str) -> list[dict[str, object]]:
        """Run a command of the quarantine as an operator would, and return its JSON lines."""
        done = self.command("quarantine", *words, "--json")
        return [json.loads(line) for line in done.splitlines()]

    def command(self, *words: str) -> str:
        """Run `gatepost WORDS --config ...` and return what it printed."""
        done = subprocess.run([*_gatepost(), *words, "--config", str(self.config)], capture_output=True, check=False,
                              encoding="utf-8", env={**os.environ, "COLUMNS": str(columns(100)), "PYTHONUTF8": "1"})
        if done.returncode:
            raise DemoError(f"gatepost {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def outcome_table(outcomes: list[Outcome]) -> list[str]:
    """Return the outcomes as lines for the terminal."""
    rows = [["in" if o.mail.direction is Direction.INBOUND else "out", o.mail.what, o.route, safe(o.mail.subject),
             safe(o.why)] for o in outcomes]
    return table(_HEADS, rows, columns(100))


def without_ours(raw: bytes) -> bytes:
    """Return a message without the header fields that Gatepost put in front."""
    while raw.lower().startswith(_OURS):
        end = raw.index(b"\r\n") + 2
        while raw[end : end + 1] in (b" ", b"\t"):
            end = raw.index(b"\r\n", end) + 2
        raw = raw[end:]
    return raw


def _why_delivered(raw: bytes) -> str:
    for line in raw.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        if line.lower().startswith(b"x-gatepost-score:"):
            return "p_bad " + line.partition(b":")[2].strip().decode("ascii", "replace")
    return "nothing found"


def _gatepost() -> list[str]:
    return [sys.executable, "-P", "-m", "gatepost"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
