"""What holds for every test."""

import os
import signal
from collections.abc import Iterator

import pytest

# Whoever started us in the background may have told us to ignore Ctrl-C; the programs under test would inherit that,
# and could then not be interrupted as a user's would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """Give each test the usual umask, whatever another one that ran a supervisor in this process left."""
    before = os.umask(0o022)
    yield
    os.umask(before)
