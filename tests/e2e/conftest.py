"""A real Postfix, set up by the README's own recipes, with a real `gatepost serve` beside it."""

import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP
from loopback import free_port
from postfix_instance import PostfixInstance
from recipes import recipe, rewritten

CONFIG = """\
[gateway]
hostname = "gate.corp.example"
workers = 1
deadline = 30.0
state_dir = "{root}/state"
spool_dir = "{root}/spool"

[[listener]]
name = "before-in"
listen = "127.0.0.1:{before_in}"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"
policy = "default"

[[listener]]
name = "after-in"
listen = "127.0.0.1:{after_in}"
mode = "after-queue"
direction = "inbound"
next_hop = "127.0.0.1:{requeue}"
stage = "keep"
policy = "default"

[[listener]]
name = "keep-in"
listen = "127.0.0.1:{keep_in}"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"
policy = "everything"

[[listener]]
name = "before-out"
listen = "127.0.0.1:{before_out}"
mode = "before-queue"
direction = "outbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"
policy = "outbound"

[[listener]]
name = "after-out"
listen = "127.0.0.1:{after_out}"
mode = "after-queue"
direction = "outbound"
next_hop = "127.0.0.1:{requeue}"
stage = "keep"
policy = "outbound"

[policy.default]
quarantine_at = 1.0
hold_at = 1.0

[policy.everything]
quarantine_at = 0.000001

[policy.outbound]
quarantine_at = 1.0

[quarantine]
url = "sqlite:///{root}/quarantine.db"
key_file = "{root}/quarantine.key"
release_to = "127.0.0.1:{release}"

[log]
addresses = "clear"

[metrics]
listen = "127.0.0.1:{metrics}"
"""


class Internet:
    """Where outbound mail arrives: remembers the envelope with its parameters and the bytes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[tuple[str, list[str], bytes]] = []

    # aiosmtpd finds its handlers by these names
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", responses[-1]]

    async def handle_DATA(self, server, session, envelope):
        options = [*envelope.mail_options, *(o for r in envelope.rcpt_options for o in r)]
        self.mails.append((envelope.mail_from, [*envelope.rcpt_tos, *options], envelope.original_content))
        return "250 2.0.0 Ok"


class InternetServer(SMTP):
    """aiosmtpd that takes DSN's parameters, as real servers do; its method names are aiosmtpd's."""

    async def smtp_MAIL(self, arg):
        words = (arg or "").split()
        self.seen = [w for w in words if w.upper().startswith(("RET=", "ENVID="))]
        await super().smtp_MAIL(" ".join(w for w in words if w not in self.seen))
        self.envelope.mail_options.extend(self.seen)

    async def smtp_RCPT(self, arg):
        words = (arg or "").split()
        dsn = [w for w in words if w.upper().startswith(("NOTIFY=", "ORCPT="))]
        await super().smtp_RCPT(" ".join(w for w in words if w not in dsn))
        self.envelope.rcpt_options.append(dsn)


@dataclass
class Site:
    """Everything a test needs: Postfix, the ports of its fronts, the gateway's log and command."""

    root: Path
    postfix: PostfixInstance
    fronts: dict[str, int]
    internet: Internet
    config: Path
    log: Path

    def send(self, front: str, sender: str, recipients: list[str], raw: bytes, mail_options=(), rcpt_options=()):
        """Hand a message to one of Postfix's fronts; returns the reply, raises smtplib's exceptions."""
        with smtplib.SMTP("127.0.0.1", self.fronts[front], timeout=60) as client:
            client.ehlo("sender.example")
            code, text = client.docmd(f"MAIL FROM:<{sender}>", " ".join(mail_options))
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
            for recipient in recipients:
                code, text = client.docmd(f"RCPT TO:<{recipient}>", " ".join(rcpt_options))
                if code not in (250, 251):
                    raise smtplib.SMTPResponseException(code, text)
            return client.data(raw)

    def gatepost(self, *words: str) -> subprocess.CompletedProcess:
        """Run a command of Gatepost with this site's configuration."""
        return subprocess.run([sys.executable, "-P", "-m", "gatepost", *words, "--config", str(self.config)],
                              capture_output=True, text=True, timeout=60)

    def wait_internet(self, marker: bytes, seconds: float = 20.0):
        """Wait until a message with `marker` has left through Postfix."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for mail in self.internet.mails:
                if marker in mail[2]:
                    return mail
            time.sleep(0.1)
        raise TimeoutError(f"{marker!r} never arrived\n{self.postfix.read_log()[-3000:]}")


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("a real Postfix needs root")
    if not shutil.which("postfix") or not Path("/usr/lib/postfix/sbin/master").exists():
        pytest.skip("Debian's postfix package is not installed")
    root = Path(tempfile.mkdtemp(prefix="gatepost-e2e-"))
    names = ("before_in", "after_in", "keep_in", "before_out", "after_out", "back", "requeue", "release", "metrics")
    ports = {name: free_port() for name in names}
    fronts = {name: free_port() for name in ("before-in", "after-in", "keep-in", "before-out", "after-out")}
    internet = Internet()
    postfix = PostfixInstance(root / "postfix", _master(ports, fronts), internet.port,
                              recipe("main.cf after-queue"))
    config = root / "config.toml"
    config.write_text(CONFIG.format(root=root, **ports))
    log = root / "gateway.log"
    made = Site(root, postfix, fronts, internet, config, log)
    stop = _serve_internet(internet)
    with log.open("wb") as sink:
        gateway = subprocess.Popen([sys.executable, "-P", "-m", "gatepost", "serve", "--config", str(config)],
                                   stderr=sink, stdout=sink)
    try:
        postfix.start()
        for port in (*ports.values(), *fronts.values()):
            if port != ports["metrics"]:
                postfix.wait_ready(port)
        yield made
    finally:
        gateway.terminate()
        gateway.wait(30)
        postfix.stop()
        stop()
        shutil.rmtree(root, ignore_errors=True)


def _master(ports: dict[str, int], fronts: dict[str, int]) -> str:
    """The recipes of the README, with this test's ports, without chroot, TLS and SASL (no accounts here)."""
    back = rewritten(recipe("master.cf ports"), {"10026": str(ports["back"]), "10027": str(ports["release"]),
                                                 "10028": str(ports["requeue"])})
    service = "smtp      inet  n       -       y"
    submission = "submission inet n       -       y"
    open_submission = {"smtpd_tls_security_level=encrypt": "smtpd_tls_security_level=none",
                       "smtpd_sasl_auth_enable=yes": "smtpd_sasl_auth_enable=no",
                       "permit_sasl_authenticated": "permit_mynetworks"}

    def front(name: str, text: str, head: str, **more: str) -> str:
        place = f"127.0.0.1:{fronts[name]} inet n - n"
        return rewritten(text, {head: place, **more})

    before = recipe("master.cf before-queue inbound")
    return "".join((
        back,
        front("before-in", before, service, **{"10025": str(ports["before_in"])}),
        front("keep-in", before, service, **{"10025": str(ports["keep_in"])}),
        front("after-in", recipe("master.cf after-queue inbound"), service, **{"10025": str(ports["after_in"])}),
        front("before-out", recipe("master.cf before-queue outbound"), submission,
              **{"10035": str(ports["before_out"])}, **open_submission),
        front("after-out", recipe("master.cf after-queue outbound"), submission,
              **{"10035": str(ports["after_out"])}, **open_submission),
    ))


def _serve_internet(internet: Internet):
    import asyncio

    loop = asyncio.new_event_loop()
    controller = UnthreadedController(internet, hostname="127.0.0.1", port=internet.port, loop=loop)
    controller.factory = lambda: InternetServer(internet, enable_SMTPUTF8=True, hostname="internet.example",
                                                loop=loop)
    started = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        controller.begin()
        started.set()
        loop.run_forever()
        loop.run_until_complete(controller.finalize())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)

    return stop
