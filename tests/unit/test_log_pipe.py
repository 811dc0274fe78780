"""Log lines go out in order and are counted where they cannot."""

import threading

from milter.log_pipe import LogPipe


class Reader:
    """A standard error that takes lines only while `open`."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.got: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        self.open.wait(10)
        self.got.append(line)


def test_lines_come_in_order():
    reader = Reader()
    reader.open.set()
    pipe = LogPipe(reader)
    for n in range(1000):
        pipe.put(b"%d\n" % n)
    assert pipe.flush(10)
    assert reader.got == [b"%d\n" % n for n in range(1000)]
    assert pipe.dropped() == 0


def test_a_reader_that_stalls_costs_lines_that_are_counted_and_no_waiting():
    reader = Reader()
    pipe = LogPipe(reader, room=100)
    for n in range(30):
        pipe.put(b"%09d\n" % n)
    assert not pipe.flush(0.05)
    assert pipe.dropped() == 20
    assert pipe.dropped() == 0
    reader.open.set()
    assert pipe.flush(10)
    assert reader.got == [b"%09d\n" % n for n in range(10)]
    pipe.put(b"again\n")
    assert pipe.flush(10)
    assert reader.got[-1] == b"again\n"
