"""A release port for tests: `ByteSink` in a thread of its own, for commands that block."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from byte_sink import ByteSink


@contextmanager
def release_sink(answer: str | None = None) -> Iterator[tuple[str, ByteSink]]:
    """Yield the address to release to and the sink; `answer` is the reply to the dot."""
    sink = ByteSink(answer=lambda line: answer if line == "BODY" else None)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(sink.start(), loop).result(10), sink
    finally:
        asyncio.run_coroutine_threadsafe(sink.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
