"""A terminal in which one key is one command, and which is as it was afterwards, whatever happens."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

ENTER_SCREEN, LEAVE_SCREEN, CLEAR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[2J\x1b[H"
ESCAPE = b"\x1b"
_SEQUENCE_SECONDS = 0.05


class Keyboard:
    """Standard input and output as a keyboard and a screen. A context manager; Ctrl-C raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._fd)

    def __enter__(self) -> Self:
        tty.setcbreak(self._fd)
        sys.stdout.write(ENTER_SCREEN)
        sys.stdout.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        sys.stdout.write(LEAVE_SCREEN)
        sys.stdout.flush()

    def show(self, lines: list[str]) -> None:
        """Draw a screen; the caller keeps to its width and height."""
        sys.stdout.write(CLEAR + "\n".join(lines))
        sys.stdout.flush()

    def key(self) -> str:
        """Wait for a key and return it; an empty string for the end of input, `escape` for keys of many octets.

        What was typed ahead stays; of an arrow or function key no single octet is taken for a command.
        """
        octet = os.read(self._fd, 1)
        if octet == ESCAPE:
            while select.select([self._fd], [], [], _SEQUENCE_SECONDS)[0]:
                if not os.read(self._fd, 64):
                    break
            return "escape"
        return octet.decode("ascii", "replace")
