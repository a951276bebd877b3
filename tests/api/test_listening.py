"""A port that is taken is refused with who has it and the cure."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from actors.api.address import Address
from actors.api.listening import bound
from actors.errors import BadConfig


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def leave(folder, port, pid):
    address = Address(f"http://127.0.0.1:{port}", "t" * 20, pid)
    (folder / "api.json").write_bytes(msgspec.json.encode(address))


def test_a_free_port_is_taken(tmp_path):
    with bound("127.0.0.1", 0, tmp_path) as listener:
        assert listener.getsockname()[1] > 0


def test_another_program_is_there(taken, tmp_path):
    text = rf"127.0.0.1:{taken} \(Address already in use\): another program listens there; .*--api-port.*BULKHEAD_API_PORT"
    with pytest.raises(BadConfig, match=text):
        bound("127.0.0.1", taken, tmp_path)
    leave(tmp_path, taken + 1, os.getpid())
    with pytest.raises(BadConfig, match="another program"):
        bound("127.0.0.1", taken, tmp_path)
    leave(tmp_path, taken, 2**22 + 1)
    with pytest.raises(BadConfig, match="another program"):
        bound("127.0.0.1", taken, tmp_path)


def test_an_engine_of_the_same_folder_is_named_and_nobody_is_told_to_take_another_port_only(taken, tmp_path):
    leave(tmp_path, taken, os.getpid())
    with pytest.raises(
        BadConfig, match=rf"an engine runs on .* already, process {os.getpid()}.*another --data-dir"
    ):
        bound("127.0.0.1", taken, tmp_path)


def test_an_address_that_is_not_ours(tmp_path):
    with pytest.raises(BadConfig, match="--api-host"):
        bound("203.0.113.7", 0, tmp_path)
