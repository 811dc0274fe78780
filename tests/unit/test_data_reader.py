"""The end of a message, and nothing else, is CRLF dot CRLF; dots survive both ways, however the stream is cut."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.data import Disconnected, DotReader, Inbox, LineTooLong
from milter.next_hop import UnsendableError, dot_stuffed
from model.mail import MEMORY_LIMIT, RawWriter

CLEAN = st.lists(
    st.sampled_from([b"", b".", b"..", b".a", b"a.", b"text", b"\xff\x80", b"a" * 2000]), max_size=12
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
HOSTILE = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\0", b"\r\n.", b"\r\n.\r\n"]), max_size=25
).map(b"".join)


def cut(data: bytes, points: list[int]) -> Iterator[bytes]:
    last = 0
    for point in sorted(p % (len(data) + 1) for p in points):
        yield data[last:point]
        last = point
    yield data[last:]


def read(pieces: Iterator[bytes]) -> tuple[bytes, bytes | None, DotReader]:
    dots, content, rest = DotReader(), b"", None
    for piece in pieces:
        if rest is not None:
            rest += piece
            continue
        more, rest = dots.feed(piece)
        content += more
    return content, rest, dots


@given(CLEAN, st.lists(st.integers(0, 10_000), max_size=8), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_stuffed_and_read_is_the_same_however_it_is_cut(message, out, back):
    wire = b"".join(dot_stuffed(cut(message, out))) + b".\r\n"
    content, rest, dots = read(cut(wire + b"QUIT\r\n", back))
    assert content == message
    assert rest == b"QUIT\r\n"
    assert not (dots.bare_cr or dots.bare_lf or dots.nul)


@given(HOSTILE, st.lists(st.integers(0, 10_000), max_size=8))
def test_cutting_the_stream_never_changes_what_is_read(data, points):
    whole, cut_up = read(iter([data])), read(cut(data, points))
    assert cut_up[:2] == whole[:2]
    if whole[1] is not None:  # before the end a last CR may still become CRLF
        flags = [(d.bare_cr, d.bare_lf, d.nul) for d in (whole[2], cut_up[2])]
        assert flags[0] == flags[1]


@given(HOSTILE)
def test_the_end_is_the_first_crlf_dot_crlf_and_no_other(data):
    _, rest, dots = read(iter([data + b"\r\n.\r\n"]))
    end = (b"\r\n" + data + b"\r\n.\r\n").index(b"\r\n.\r\n")
    assert rest == (data + b"\r\n.\r\n")[end + 3 :]
    body = (b"\r\n" + data)[2:end]
    assert dots.nul == (b"\0" in body)
    assert (dots.bare_cr or dots.bare_lf) == (set(body.replace(b"\r\n", b"")) & {10, 13} != set())


@given(HOSTILE, st.lists(st.integers(0, 10_000), max_size=5))
def test_only_crlf_line_ends_are_ever_sent(data, points):
    try:
        wire = b"".join(dot_stuffed(cut(data, points))) + b".\r\n"
    except UnsendableError:
        assert set(data.replace(b"\r\n", b"")) & {0, 10, 13}
        return
    assert not set(wire.replace(b"\r\n", b"")) & {0, 10, 13}
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3  # the message has one end


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b""),
        (b".", b"..\r\n"),
        (b"a", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.b\r\n", b"a\r\n..b\r\n"),
        (b"\r\n", b"\r\n"),
        (b"\r\n.\r\n", b"\r\n..\r\n"),
    ],
)
def test_stuffing(message, wire):
    assert b"".join(dot_stuffed([message])) == wire


def inbox(data: bytes) -> Inbox:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return Inbox(reader)


def test_lines_and_messages_share_one_buffer(tmp_path):
    async def scenario():
        box = inbox(b"DATA\r\n.dot\r\n..\r\n.\r\nQUIT\r\n")
        assert await box.line(100) == b"DATA"
        assert box.waiting
        writer = RawWriter(tmp_path)
        arrival = await box.message(writer, None)
        assert writer.finish().read() == b"dot\r\n.\r\n"
        assert arrival.clean and arrival.size == 8
        assert await box.line(100) == b"QUIT"
        with pytest.raises(Disconnected):
            await box.line(100)

    asyncio.run(scenario())


def test_a_long_line_is_thrown_away_as_one():
    async def scenario():
        box = inbox(b"x" * 200_000 + b"\r\nNOOP\r\n")
        with pytest.raises(LineTooLong):
            await box.line(1000)
        assert await box.line(1000) == b"NOOP"

    asyncio.run(scenario())


def test_a_big_message_goes_to_disk_and_one_too_big_nowhere(tmp_path):
    line = b"y" * 998 + b"\r\n"

    async def scenario(limit):
        writer = RawWriter(tmp_path)
        arrival = await inbox(line * 2000 + b".\r\nNOOP\r\n").message(writer, limit)
        return arrival, writer.finish()

    arrival, raw = asyncio.run(scenario(None))
    assert arrival.size == raw.size == 2_000_000 > MEMORY_LIMIT
    assert raw.read() == line * 2000
    assert list(tmp_path.iterdir()) == []  # the spool file has no name
    raw.close()
    arrival, raw = asyncio.run(scenario(1_500_000))
    assert arrival.too_big and arrival.size == 2_000_000
    assert raw.read() == b""
    raw.close()


def test_a_full_disk_is_noticed_and_the_message_still_read_to_its_end(tmp_path):
    class Full(RawWriter):
        def write(self, piece: bytes) -> None:
            raise OSError(28, "No space left on device")

    async def scenario():
        box = inbox(b"a\r\n" * 50_000 + b".\r\nNOOP\r\n")
        arrival = await box.message(Full(tmp_path), None)
        assert not arrival.stored
        assert await box.line(100) == b"NOOP"

    asyncio.run(scenario())
