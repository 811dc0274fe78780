"""A long message of nothing but forged header fields is work for the loop, which others must get their share of."""

import asyncio
import time

from byte_sink import ByteSink

from milter.endpoint import Endpoint
from milter.headers import relayed
from milter.next_hop import NextHop


def test_others_get_their_turn_while_forged_fields_are_cut_out():
    unit = b"X-Gatepost-A:x\r\n" * 4096
    chunks = [b"Subject: x\r\n", *[unit] * 60, b"\r\nbody\r\n"]

    async def go() -> tuple[float, bytes]:
        sink = ByteSink()
        hop = await NextHop.connect(Endpoint.parse(await sink.start()), "gate.example")
        await hop.mail("a@b.example")
        await hop.rcpt("c@d.example")
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            last = time.thread_time()
            while True:
                await asyncio.sleep(0)
                now = time.thread_time()
                longest, last = max(longest, now - last), now

        watching = asyncio.ensure_future(watch())
        assert (await hop.data(relayed(["X-Gatepost-Trace: t"], chunks, lambda field: False))).positive
        watching.cancel()
        await hop.quit()
        await sink.stop()
        return longest, sink.received[0].data

    longest, data = asyncio.run(go())
    assert data == b"X-Gatepost-Trace: t\r\nSubject: x\r\n\r\nbody\r\n"
    assert longest < 0.25
