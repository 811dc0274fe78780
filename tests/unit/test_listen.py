"""Binding listeners where somebody else may be."""

import socket

import pytest

from milter.listen import ListenError, bind
from milter.settings import ListenerSettings


def test_a_unix_socket_whose_owner_is_too_busy_to_answer_is_in_use(tmp_path):
    """The question whether anybody listens there must not wait for the answer."""
    path = tmp_path / "in.sock"
    listener = ListenerSettings.model_validate({
        "name": "in", "listen": f"unix:{path}", "mode": "before-queue", "direction": "inbound",
        "next_hop": "127.0.0.1:25",
    })  # fmt: skip
    with socket.socket(socket.AF_UNIX) as owner, socket.socket(socket.AF_UNIX) as one, \
            socket.socket(socket.AF_UNIX) as two:  # fmt: skip
        owner.bind(str(path))
        owner.listen(0)
        one.connect(str(path))
        two.setblocking(False)
        with pytest.raises(BlockingIOError):
            two.connect(str(path))
        with pytest.raises(ListenError, match="address in use"):
            bind(listener)
    assert path.exists()
    bind(listener).close()  # nobody listens any more
