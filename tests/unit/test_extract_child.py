"""The killable child: one message is affected by what it does to the child, and nothing outlives its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from effort import ENDLESS

from model.child import BIG_MESSAGE, ExtractionFailed, Extractor
from model.extract import extract
from model.extracted import Limits
from model.mail import RawMessage, RawWriter

MAIL = (
    b"From: Ada <ada@shop.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/html\r\n\r\n"
    b"<p>Hello <a href='https://shop.example/x'>there</a></p>"
)


@pytest.fixture
def extractor() -> Iterator[Extractor]:
    with Extractor(Limits()) as one:
        yield one


def runner_of(extractor: Extractor) -> psutil.Process:
    assert extractor.pid is not None
    (runner,) = psutil.Process(extractor.pid).children()
    return runner


def wait_gone(*pids: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return True
        time.sleep(0.02)
    return False


def test_the_child_gives_what_the_extractor_gives(extractor: Extractor) -> None:
    assert extractor.extract(RawMessage.of(MAIL), timeout=10) == extract(MAIL)
    assert extractor.extract(RawMessage.of(MAIL), timeout=10, content=True) == extract(MAIL, content=True)
    assert extractor.extract(RawMessage.of(b""), timeout=10) == extract(b"")


def test_one_runner_serves_many_messages(extractor: Extractor) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    first = runner_of(extractor).pid
    for _ in range(20):
        extractor.extract(RawMessage.of(MAIL), timeout=10)

    assert runner_of(extractor).pid == first


def test_a_spooled_message_is_streamed_and_its_runner_replaced(extractor: Extractor, tmp_path: Path) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    first = runner_of(extractor).pid
    writer = RawWriter(tmp_path)
    writer.write(MAIL)
    for _ in range(BIG_MESSAGE // 65536 + 1):
        writer.write(b"<p>line</p>\r\n" * 5042)
    with writer.finish() as raw:
        found = extractor.extract(raw, timeout=20)

    assert "Hello there" in found.text
    assert "html-too-large" in {d.code for d in found.defects}
    assert psutil.Process(extractor.pid).children() == []
    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"
    assert runner_of(extractor).pid != first


def test_a_stopped_runner_is_a_timeout_for_one_message(extractor: Extractor) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    runner = runner_of(extractor)
    runner.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ExtractionFailed) as failure:
        extractor.extract(RawMessage.of(MAIL), timeout=0.3)

    assert failure.value.reason == "timeout"
    assert time.monotonic() - started < ENDLESS
    assert wait_gone(runner.pid)
    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"


def test_a_killed_runner_is_a_crash_for_one_message(extractor: Extractor) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    runner = runner_of(extractor)
    runner.send_signal(signal.SIGSTOP)
    os.kill(runner.pid, signal.SIGKILL)
    with pytest.raises(ExtractionFailed) as failure:
        extractor.extract(RawMessage.of(MAIL), timeout=10)

    assert failure.value.reason == "crash"
    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"


def test_a_killed_zygote_is_replaced(extractor: Extractor) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    zygote, runner = extractor.pid, runner_of(extractor).pid
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)
    assert wait_gone(runner), "the runner dies with its zygote"
    with contextlib.suppress(ExtractionFailed):
        extractor.extract(RawMessage.of(MAIL), timeout=10)

    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"


def test_a_message_that_needs_more_memory_than_allowed_fails_alone() -> None:
    with Extractor(Limits(memory_bytes=96 << 20)) as extractor:
        big = RawMessage.of(MAIL + b"x" * (120 << 20))
        with pytest.raises(ExtractionFailed) as failure:
            extractor.extract(big, timeout=20)

        assert failure.value.reason == "memory"
        assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"


def test_each_job_may_use_its_seconds_of_cpu_and_no_more(extractor: Extractor) -> None:
    """The kernel's limit counts over a process's life, so that it is raised for every job."""
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    runner = runner_of(extractor)
    used = sum(runner.cpu_times()[:2])
    assert used < runner.rlimit(psutil.RLIMIT_CPU)[0] <= used + Limits().seconds + 2
    os.kill(runner.pid, signal.SIGXCPU)  # what the kernel sends at the limit
    with pytest.raises(ExtractionFailed) as failure:
        extractor.extract(RawMessage.of(MAIL), timeout=10)

    assert failure.value.reason == "timeout"


def test_close_leaves_no_process(extractor: Extractor) -> None:
    extractor.extract(RawMessage.of(MAIL), timeout=10)
    pids = (extractor.pid or 0, runner_of(extractor).pid)
    extractor.close()

    assert wait_gone(*pids)
    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße", "and it can start again"


def test_nothing_outlives_a_parent_that_is_killed() -> None:
    program = (
        "import sys, time; from model.child import Extractor; from model.extracted import Limits\n"
        "from model.mail import RawMessage\n"
        "e = Extractor(Limits()); e.extract(RawMessage.of(b'Subject: a\\n\\nb'), timeout=20)\n"
        "print(e.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        zygote = int(parent.stdout.readline())
        runner = psutil.Process(zygote).children()[0].pid
        parent.kill()

    assert wait_gone(zygote, runner)


def test_the_child_outlives_the_thread_that_started_it(extractor: Extractor) -> None:
    """A gateway extracts in a pool of threads, which come and go."""
    import threading

    starter = threading.Thread(target=lambda: extractor.extract(RawMessage.of(MAIL), timeout=10))
    starter.start()
    starter.join()
    zygote, runner = extractor.pid, runner_of(extractor).pid
    time.sleep(0.2)

    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"
    assert (extractor.pid, runner_of(extractor).pid) == (zygote, runner)


def test_the_runner_holds_its_socket_and_nothing_else(extractor: Extractor) -> None:
    """A runner taken over by hostile mail finds no listener, database or file of ours, and a clean environment."""
    leak = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(leak, True)
    os.environ["GATEPOST_TEST_SECRET"] = "secret"
    try:
        extractor.extract(RawMessage.of(MAIL), timeout=10)
        runner = runner_of(extractor)
        targets = {str(fd.readlink()) for fd in Path(f"/proc/{runner.pid}/fd").iterdir()}
        assert len([t for t in targets if t.startswith("socket:")]) == 1
        assert {t for t in targets if not t.startswith("socket:")} == {"/dev/null"}
        assert "GATEPOST_TEST_SECRET" not in runner.environ()
        assert runner.cwd() == "/"
        assert runner.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert runner.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert runner.rlimit(psutil.RLIMIT_AS)[0] == Limits().memory_bytes
    finally:
        os.close(leak)
        del os.environ["GATEPOST_TEST_SECRET"]


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"subject": 1}',
        b"[" * 100_000,
        b'{"parts": [{"type": 1}]}',
    ],
)
def test_an_answer_that_is_no_extraction_is_a_crash(extractor: Extractor, answer: bytes) -> None:
    import socket
    import threading

    from model.child import ANSWER, JOB

    extractor.extract(RawMessage.of(MAIL), timeout=10)
    ours, theirs = socket.socketpair()
    extractor._runner, old = ours, extractor._runner  # stands in for a runner that was taken over
    assert old is not None
    old.close()

    def lie() -> None:
        theirs.recv(JOB.size + len(MAIL), socket.MSG_WAITALL)
        theirs.sendall(ANSWER.pack(len(answer)) + answer)

    liar = threading.Thread(target=lie)
    liar.start()
    with pytest.raises(ExtractionFailed) as failure:
        extractor.extract(RawMessage.of(MAIL), timeout=10)
    liar.join()
    theirs.close()

    assert failure.value.reason == "crash"
    assert extractor.extract(RawMessage.of(MAIL), timeout=10).subject == "Grüße"
