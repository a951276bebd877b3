"""A server that records what it is asked, and an event loop in a thread of its own."""

from __future__ import annotations

import pytest

from actors.runtime.io_loop import IoLoop
from tests.venues.binance.recorded import Recorded


@pytest.fixture
def exchange():
    with Recorded() as server:
        yield server


@pytest.fixture
def loop():
    loop = IoLoop("test")
    loop.start()
    yield loop
    assert loop.stop(10)
