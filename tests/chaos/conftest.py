"""A paper exchange without limits, and a way to Postgres that can be held up."""

from __future__ import annotations

import pytest

from tests.chaos.proxy import PostgresProxy
from tests.e2e.processes import Paper


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 2, limits="none")
    yield process
    process.stop()


@pytest.fixture
def proxy(dsn):
    between = PostgresProxy(dsn)
    yield between
    between.stop()
