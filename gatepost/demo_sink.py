"""A Maildir that takes mail over SMTP: what stands in for the mail server behind the gateway in the demo."""

import mailbox
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class MaildirSink:
    """Listens on a port of loopback that the kernel chose, and stores what arrives, byte for byte. Start and stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mailbox.Maildir(folder, create=True)
        self.arrived = 0
        """How many messages came so far."""
        self._controller = _Server(self, hostname="127.0.0.1", port=0)

    @property
    def port(self) -> int:
        """The port, once started."""
        return int(self._controller.server.sockets[0].getsockname()[1])

    def start(self) -> None:
        """Begin to listen."""
        self._controller.start()

    def stop(self) -> None:
        """End."""
        self._controller.stop()

    def messages(self) -> list[bytes]:
        """Return what arrived, in order; CRLF line ends as on the wire."""
        return [path.read_bytes() for path in sorted((self.folder / "new").iterdir())]

    def last(self) -> bytes:
        """Return what arrived last."""
        return (self.folder / "new" / f"{self.arrived:06}.demo").read_bytes()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002 - aiosmtpd's
        """Store one message: written under tmp, then moved, as maildir(5) wants it."""
        name = f"{self.arrived + 1:06}.demo"
        (self.folder / "tmp" / name).write_bytes(envelope.original_content)
        (self.folder / "tmp" / name).rename(self.folder / "new" / name)
        self.arrived += 1
        return f"250 2.0.0 Ok: queued as DEMO{self.arrived:04}"


class _Server(Controller):  # type: ignore[misc]
    """aiosmtpd's controller tries its port at start; with port 0 it has to be asked for the real one."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=True, hostname="sink.hollerbach.example")

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
