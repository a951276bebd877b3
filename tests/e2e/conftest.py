"""One exchange and one engine for the tests that do not kill them."""

from __future__ import annotations

import pytest

from tests.e2e.processes import EngineProcess, Paper


@pytest.fixture(scope="module")
def paper():
    process = Paper()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def engine(paper, tmp_path_factory):
    process = EngineProcess(paper, tmp_path_factory.mktemp("engine"), BULKHEAD_FUNDING_EVERY_SECONDS="1")
    yield process
    # No order goes through unknown without a fault that explains it.
    lost = process.client.get("/v1/actors/gateway")["state"]["lost"] if process.child.poll() is None else 0
    process.stop()
    assert lost <= paper.lost_on_purpose
