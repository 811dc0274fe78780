"""Extraction in a process that may be killed: `Extractor` in the parent, a zygote and its runner on the other side.

    parent --control socket--> zygote (exec'd once, has imported the extractor, parses nothing)
       \\----job socket--------> runner (forked by the zygote, one job at a time)

A job is `>BQ` (flags, octets) and the raw message; an answer is `>Q` and JSON: data only, never pickles. A runner
that is late, dies or answers nonsense is killed, and the next message gets a new one: one message is affected.
Whoever loses the other side (end of file) exits, so nothing outlives a parent that was killed.
"""

import contextlib
import gc
import json
import math
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any, Self

from model.extracted import Extracted, Limits
from model.mail import RawMessage

JOB = struct.Struct(">BQ")
ANSWER = struct.Struct(">Q")
WITH_CONTENT = 1
ANSWER_LIMIT = 256 << 20
JOBS_PER_RUNNER = 2_000
BIG_MESSAGE = 4 << 20
OUT_OF_MEMORY = 3
OPEN_FILES = 24
START_SECONDS = 30.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_PR_SET_PDEATHSIG = 1


class ExtractionFailed(Exception):
    """A message could not be extracted. `reason` is "timeout", "memory" or "crash"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"extraction failed: {reason}")
        self.reason = reason


class Extractor:
    """Extracts messages in a child, one at a time; blocking, for one owner at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._runner: socket.socket | None = None
        self._jobs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the zygote while there is one."""
        return self._zygote.pid if self._zygote else None

    def start(self) -> None:
        """Start the child without waiting until it is up. Raises OSError; `extract` would start it by itself."""
        if self._control is None:
            self._control = self._start_zygote()

    def extract(self, raw: RawMessage, *, timeout: float, content: bool = False) -> Extracted:
        """Extract one message within `timeout` seconds. Raises `ExtractionFailed`."""
        runner = self._ready()
        try:
            extracted = self._ask(runner, raw, time.monotonic() + timeout, content=content)
        except TimeoutError:
            self._stop_runner()
            raise ExtractionFailed("timeout") from None
        except (OSError, EOFError):
            raise ExtractionFailed(self._stop_runner()) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._stop_runner()
            raise ExtractionFailed("crash") from error
        except BaseException:
            self._stop_runner()  # the owner was interrupted in the middle of an answer
            raise
        self._jobs += 1
        if self._jobs >= JOBS_PER_RUNNER or raw.size > BIG_MESSAGE:
            self._stop_runner()  # what a large message took from the system goes back
        return extracted

    def _ask(self, runner: socket.socket, raw: RawMessage, deadline: float, *, content: bool) -> Extracted:
        _within(runner, deadline)
        runner.sendall(JOB.pack(WITH_CONTENT if content else 0, raw.size))
        for piece in raw.chunks():
            _within(runner, deadline)
            runner.sendall(piece)
        (size,) = ANSWER.unpack(_receive(runner, ANSWER.size, deadline))
        if size > ANSWER_LIMIT:
            raise ValueError("the answer is too large")
        data = json.loads(_receive(runner, size, deadline))
        return Extracted.from_json(data)

    def close(self) -> None:
        """End the child. The next `extract` would start a new one."""
        for end in (self._runner, self._control):
            if end is not None:
                end.close()
        self._runner = self._control = None
        if self._zygote is not None:
            try:
                self._zygote.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._zygote.kill()
                self._zygote.wait()
            self._zygote = None

    def _ready(self) -> socket.socket:
        if self._runner is None:
            for attempt in (1, 2):
                try:
                    self._runner = self._start_runner()
                    break
                except (OSError, EOFError) as error:
                    self.close()  # the zygote is gone
                    if attempt == 2:
                        raise ExtractionFailed("crash") from error
        assert self._runner is not None  # noqa: S101 - for the type checker; the loop ends with one or raises
        return self._runner

    def _start_zygote(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._zygote = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "model.child", str(theirs.fileno()),
                 json.dumps(asdict(self._limits))],
                pass_fds=(theirs.fileno(),), close_fds=True, cwd="/", env=_ENVIRONMENT, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        ours.settimeout(START_SECONDS)
        return ours

    def _start_runner(self) -> socket.socket:
        self.start()
        assert self._control is not None  # noqa: S101 - for the type checker
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"F"], [theirs.fileno()])
            answer = self._control.recv(1)
        except BaseException:
            ours.close()
            raise
        if answer != b"f":
            ours.close()
            raise EOFError
        self._jobs = 0
        return ours

    def _stop_runner(self) -> str:
        """Kill the runner and return why it had died, if it had: "timeout", "memory" or "crash"."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None
        if self._control is None:
            return "crash"
        try:
            self._control.sendall(b"K")
            died = self._control.recv(1)
        except OSError:
            died = b""
        if not died:
            self.close()
        return {b"t": "timeout", b"m": "memory"}.get(died, "crash")


def _within(end: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    end.settimeout(left)


def _receive(end: socket.socket, size: int, deadline: float) -> bytearray:
    """Return exactly `size` octets. Raises TimeoutError, EOFError, OSError."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        _within(end, deadline)
        got = end.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data


# --- the other side -------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> None:
    """Be the zygote: fork and kill runners as the control socket says, until it closes."""
    control = socket.socket(fileno=int(arguments[0]))
    limits = Limits(**json.loads(arguments[1]))
    _warm_up()
    gc.collect()
    gc.freeze()
    runner = 0
    while True:
        command, fds, _, _ = socket.recv_fds(control, 1, 1)
        if command == b"F":
            _reap(runner)
            runner = os.fork()
            if not runner:
                control.close()
                _be_runner(fds[0], limits)
            os.close(fds[0])
            control.sendall(b"f")
        elif command == b"K":
            control.sendall(_reap(runner))
            runner = 0
        else:
            _reap(runner)
            return


def _warm_up() -> None:
    """Import and run everything once, so that runners share it and need no file."""
    import ctypes  # noqa: F401 - for `_die_with_parent` after the fork

    from model.extract import extract

    page = b"<style>.a{color:red}</style><p style='color:#fff'>x <a href='http://b\xc3\xbccher.example/'>x</a>"
    head = b"Subject: =?utf-8?b?R3LDvMOf?=\nFrom: =?koi8-r?q?=F0?= <a@b.example>\nContent-Type: text/html; charset="
    texts = {"utf-8": "Grüße", "cp1252": "Grüße", "cp1251": "Привет всем", "gb18030": "你好", "big5": "你好",
             "iso2022_jp": "こんにちは", "cp932": "こんにちは", "cp949": "안녕", "koi8_r": "Привет всем"}
    for charset, text in texts.items():
        body = text.encode(charset) * 5 + page
        extract(head + charset.encode() + b"\n\n" + body)
        extract(head + b"\n\n" + body)  # and so with detection


def _die_with_parent() -> None:
    """Ask the kernel to kill a runner whose zygote dies while it is busy.

    The zygote does not ask for this: it is never busy, and the signal would come as soon as the thread ends that
    started it, which may be one of a pool.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _reap(pid: int) -> bytes:
    """Kill a runner and return how it had ended before: b"t" by the CPU limit, b"m" for memory, b"k" otherwise."""
    if not pid:
        return b"k"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == OUT_OF_MEMORY:
            return b"m"
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            return b"t"
    return b"k"


def _be_runner(fd: int, limits: Limits) -> None:
    """Serve jobs until the socket closes; never return."""
    code = 1
    end = socket.socket(fileno=fd)  # held to the last, so that the parent hears of the end not before the exit code
    try:
        _die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        _serve(end, limits)
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)


def _serve(end: socket.socket, limits: Limits) -> None:
    end.settimeout(None)
    while True:
        try:
            flags, size = JOB.unpack(_job_octets(end, JOB.size))
        except EOFError:
            return
        _raise_cpu_limit(limits)
        answer = _answer(_job_octets(end, size), limits, content=bool(flags & WITH_CONTENT))
        end.sendall(ANSWER.pack(len(answer)))
        end.sendall(answer)
        del answer  # a large one need not be held until the next job


def _job_octets(end: socket.socket, size: int) -> bytes:
    if size <= 1 << 16:
        got = end.recv(size, socket.MSG_WAITALL)
        if len(got) == size:
            return got
        if not got:
            raise EOFError
    else:
        got = b""
    data = bytearray(size)
    data[: len(got)] = got
    view = memoryview(data)[len(got) :]
    while view:
        count = end.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)


def _raise_cpu_limit(limits: Limits) -> None:
    """Allow this job its seconds: RLIMIT_CPU counts over the life of a process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(raw: bytes, limits: Limits, *, content: bool) -> bytes:
    from model.extract import extract

    extracted = extract(raw, limits, content=content)
    if any(d.code == "extractor-fault" and d.detail.endswith("MemoryError") for d in extracted.defects):
        raise MemoryError
    data: dict[str, Any] = extracted.to_json()
    return json.dumps(data, separators=(",", ":")).encode("ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
