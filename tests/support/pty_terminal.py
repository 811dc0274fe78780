"""A command in a real (pseudo) terminal: keys in, screens out, and the terminal as it was afterwards."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
CLEAR = "\x1b[2J\x1b[H"


class Terminal:
    """A child in a pseudo terminal of a given size; `until` waits for a text in what came since the last wait."""

    def __init__(self, config: Path, *args: str, columns: int = 80, lines: int = 24, term: str = "xterm",
                 seconds: float = 20) -> None:  # fmt: skip
        self.seconds = seconds
        self.fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(inner)
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.child = subprocess.Popen(
            [sys.executable, "-c", "from gatepost.cli import main; main()", *args],
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - makes Ctrl-C a signal
            env={**env, "GATEPOST_CONFIG": str(config), "TERM": term},
        )  # fmt: skip
        self.inner = inner
        self.seen = ""

    def until(self, text: str) -> str:
        """Wait for a text and return the screen that it came on."""
        end = time.monotonic() + self.seconds
        got = ""
        while text not in got:
            assert time.monotonic() < end, f"waited for {text!r}, got {got!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                got += os.read(self.fd, 65536).decode(errors="replace")
            elif self.child.poll() is not None and not select.select([self.fd], [], [], 0)[0]:
                raise AssertionError(f"it ended before {text!r}: {got!r}")
        self.seen += got
        return got.rpartition(CLEAR)[2]

    def press(self, keys: str, text: str) -> str:
        """Type keys and wait for a text."""
        os.write(self.fd, keys.encode())
        return self.until(text)

    def end(self) -> int:
        """Wait for the child, check that it left the terminal as it was, and return its exit code."""
        code = self.child.wait(self.seconds)
        while select.select([self.fd], [], [], 0.2)[0]:
            self.seen += os.read(self.fd, 65536).decode()
        after = termios.tcgetattr(self.inner)
        os.close(self.inner)
        os.close(self.fd)
        assert after == self.before, "the terminal is not as it was"
        assert self.seen.count(ENTER) == self.seen.count(LEAVE) == 1
        return code
