"""A real redis-server: from PATH, else from the wheel."""

from __future__ import annotations

import pytest

from actors.persistence.redis import publisher
from tests.persistence.redis.server import RedisServer


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    """Tests need not wait until an emptied stream is noticed."""
    monkeypatch.setattr(publisher, "LOOK_S", 0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def fresh(server):
    """The server, emptied, as it was when it started."""
    server.reset()
    return server
