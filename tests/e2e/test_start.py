"""While a start still asks the exchange after what an earlier run left, people can look, and stop what must be stopped."""

from __future__ import annotations

import threading
from decimal import Decimal as D

import pytest

from actors.api.client import Client
from tests.e2e.processes import EngineProcess, Paper, Process, account_bodies, open_positions, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


class Starting(Process):
    """An engine that is watched while it starts."""

    def __init__(self, paper, folder):
        super().__init__("run", "--data-dir", folder, "--exchange", paper.address.rest, "--api-port", 0)
        self.ready = ""
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        self.ready = self.child.stdout.readline()


@pytest.fixture
def paper():
    process = Paper()
    yield process
    process.stop()


def client_of(folder):
    try:
        return Client(folder)
    except Exception:  # noqa: BLE001 - it has not written its address yet
        return None


def test_health_sight_and_emergency_stop_answer_during_recovery(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path)
    open_positions(engine.client, 6)
    engine.client.post("/v1/accounts", account_bodies(1, deposit="100000", start=7))
    quote = engine.client.get("/v1/accounts/acct-1")["positions"][0]
    price = str((D(quote["entry_price"]) * D("0.97")).quantize(D("0.1")))
    order = {
        "symbol": quote["symbol"],
        "side": "BUY",
        "quantity": quote["quantity"].lstrip("-"),
        "price": price,
    }
    placed = engine.client.post(
        "/v1/accounts/acct-7/orders", {**order, "order_type": "LIMIT", "leverage": "5"}
    )
    assert placed["type"] == "Accepted", placed
    until(lambda: paper.state()["open_orders"], "the order at the exchange")
    engine.kill()
    (tmp_path / "api.json").unlink()
    # Nothing that is asked about orders is answered for a while, so recovery cannot end.
    paper.admin("faults", kind="proxy", path="/fapi/v1/o", method="GET", count=20)
    engine = Starting(paper, tmp_path)
    try:
        client = until(lambda: client_of(tmp_path), "an API")
        health = client.get("/v1/health")
        assert engine.ready == "", "it was too quick to be looked at"
        assert health["status"] == "reduce-only"
        assert "start" in health["closed_by"]
        assert len(client.get("/v1/accounts")) == 7
        order = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.1", "leverage": "5"}
        refused = client.post("/v1/accounts/acct-7/orders", order)
        assert refused["type"] == "Rejected"
        client.post("/v1/close-out", {"reason": "during recovery"})
        until(lambda: engine.ready, "a start", seconds=90)
        until(lambda: not paper.state()["positions"], "positions that are closed")
    finally:
        engine.stop()
