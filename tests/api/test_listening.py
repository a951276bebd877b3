"""A port that cannot be had is refused with the cure."""

from __future__ import annotations

import socket

import pytest

from actors.api.listening import bound
from actors.core.errors import BadConfig


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port_is_taken():
    with bound("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_another_program_is_there(taken):
    text = rf"127.0.0.1:{taken} \(Address already in use\): another program listens there; .*--api-port.*BULKHEAD_API_PORT"
    with pytest.raises(BadConfig, match=text):
        bound("127.0.0.1", taken)


def test_an_address_that_is_not_ours():
    with pytest.raises(BadConfig, match="--api-host"):
        bound("203.0.113.7", 0)
