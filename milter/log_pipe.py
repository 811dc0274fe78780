"""The way of log lines to standard error: through a thread, so that a reader who stalls never holds up mail.

A pipe that nobody empties blocks its writer for as long as that lasts. So the loop only queues; lines wait, up to
`ROOM` octets, and what is beyond is counted and told of: nothing is lost in silence.
"""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable

ROOM = 4 * 1024 * 1024
"""Octets that may wait: several thousand messages' lines."""
LAST_WORDS = 1.0
"""Seconds at the end of the process for what still waits."""


def write_all(data: bytes) -> None:
    """Write to standard error. A closed one is no reason to stop taking mail."""
    while True:
        try:
            os.write(2, data)  # at most PIPE_BUF octets, and so whole or not at all
        except BlockingIOError:  # whoever shares it with us has made it so
            select.select([], [2], [])
        except OSError:
            return
        else:
            return


class LogPipe:
    """Lines in order, written by one thread that starts with the first of them."""

    def __init__(self, write: Callable[[bytes], None] = write_all, room: int = ROOM) -> None:
        self._write = write
        self._room = room
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._dropped = 0
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Queue one finished line; never waits."""
        with self._change:
            if self._waiting + len(line) > self._room:
                self._dropped += 1
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._change.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def dropped(self) -> int:
        """Return how many lines found no room since the last call."""
        with self._change:
            count, self._dropped = self._dropped, 0
            return count

    def flush(self, seconds: float = LAST_WORDS) -> bool:
        """Wait until everything is written, for at most `seconds`; return whether it is."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting, seconds)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._lines)
                line = self._lines.popleft()
            self._write(line)
            with self._change:
                self._waiting -= len(line)
                if not self._waiting:
                    self._change.notify_all()


STDERR = LogPipe()
"""The process's own: there is one standard error."""
atexit.register(STDERR.flush)
