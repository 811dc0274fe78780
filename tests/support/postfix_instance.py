"""A real Postfix of its own: configuration, queue and log in one folder, every service on loopback.

Needs root and Debian's postfix package. It never touches the machine's own Postfix.
"""

import os
import pwd
import shutil
import smtplib
import subprocess
import time
from pathlib import Path

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {root}
maillog_file = {root}/mail.log
myhostname = mx.corp.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtp_dns_support_level = disabled
smtputf8_enable = yes
virtual_mailbox_domains = corp.example
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
relayhost = [127.0.0.1]:{relay}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_sender_restrictions =
message_size_limit = 52428800
virtual_mailbox_limit = 0
alias_maps =
minimal_backoff_time = 5s
queue_run_delay = 5s
"""

SERVICES = """\
postlog   unix-dgram n  -       n       -       1       postlogd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       5       1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
"""


class PostfixInstance:
    """Start with `start()`, stop with `stop()`. `master` is what master.cf holds beyond the usual services."""

    def __init__(self, root: Path, master: str, relay_port: int, main: str = "") -> None:
        self.root = root
        self.etc = root / "etc"
        self.log = root / "mail.log"
        self.mailbox = root / "mail" / "inbox"
        user = pwd.getpwnam("postfix")
        for folder in (self.etc, root / "queue", root / "data", root / "mail"):
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # whatever the umask is: Postfix's own account works in here
        # every folder above must let the postfix user through
        for folder in (root, *list(root.parents)[:-2]):
            folder.chmod(folder.stat().st_mode | 0o711)
        os.chown(root / "data", user.pw_uid, user.pw_gid)
        os.chown(root / "mail", user.pw_uid, user.pw_gid)
        (self.etc / "main.cf").write_text(
            MAIN.format(root=root, relay=relay_port, uid=user.pw_uid, gid=user.pw_gid) + main)
        (self.etc / "master.cf").write_text(SERVICES + master)
        for name in ("dynamicmaps.cf",):
            if Path("/etc/postfix", name).exists():
                shutil.copy(f"/etc/postfix/{name}", self.etc / name)

    def start(self) -> None:
        """Start the daemons. Raises RuntimeError with Postfix's own words if they do not."""
        done = subprocess.run(["postfix", "-c", str(self.etc), "start"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr + self.read_log())

    def stop(self) -> None:
        """Stop the daemons of this instance and wait for them."""
        subprocess.run(["postfix", "-c", str(self.etc), "stop"], capture_output=True)

    def read_log(self) -> str:
        """Return what Postfix logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def delivered(self) -> list[bytes]:
        """Return the messages in the mailbox, oldest first."""
        folder = self.mailbox / "new"
        files = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns) if folder.exists() else []
        return [file.read_bytes() for file in files]

    def wait_delivered(self, marker: bytes, count: int = 1, seconds: float = 20.0) -> list[bytes]:
        """Wait until `count` delivered messages hold `marker`, and return them."""
        end = time.monotonic() + seconds
        while True:
            found = [message for message in self.delivered() if marker in message]
            if len(found) >= count:
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} messages with {marker!r} arrived\n"
                                   f"{self.read_log()[-4000:]}")
            time.sleep(0.1)

    def wait_ready(self, port: int, seconds: float = 10.0) -> None:
        """Wait until a service greets."""
        end = time.monotonic() + seconds
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=5):
                    return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
