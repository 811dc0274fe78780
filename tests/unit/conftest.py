"""Fixtures of the quarantine's tests: a clock that stands still, and an empty store that goes by it."""

import pytest
from kept_mail import Clock, new_store


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with new_store(tmp_path, clock) as opened:
        yield opened
