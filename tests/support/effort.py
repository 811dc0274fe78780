"""How long work may take before a test calls it endless: a bound on growth, never on speed.

What these tests look for (a regular expression that goes back over its input, a loop within a loop over a megabyte)
costs minutes to hours; what is linear stays below a second. The bound lies between them so far from both that a
machine ten times slower than today's passes. How fast things are is measured by tests/bench.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

ENDLESS = 20.0
"""s"""


@contextmanager
def bounded(seconds: float = ENDLESS) -> Iterator[None]:
    """Fail if the block takes more than `seconds` of this process's processor time, which others cannot use up."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds
