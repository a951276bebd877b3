"""Funding of real processes: by what was held when the exchange settled, whatever was done until it was told."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from tests.e2e.processes import EngineProcess, Paper, account_bodies, differences, idle, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

EVERY = {"BULKHEAD_FUNDING_EVERY_SECONDS": "6"}
NAMES = [f"acct-{n}" for n in range(1, 6)]


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 5)
    yield process
    process.stop()


def trade(client, account, side, quantity):
    body = {"symbol": "ETHUSDT", "side": side, "quantity": quantity, "leverage": "20"}
    assert client.post(f"/v1/accounts/{account}/orders", body)["type"] == "Accepted"


def funding(client):
    """What each account was paid, in open positions and in closed ones."""
    paid = {}
    for name in NAMES:
        held = client.get(f"/v1/accounts/{name}")["positions"]
        gone = client.get(f"/v1/accounts/{name}/closed")
        paid[name] = sum((D(p["funding"]) for p in [*held, *gone]), D(0))
    return paid


def settle(paper, rate):
    """The exchange settles; what the master was paid for it."""
    before = D(paper.state()["funding"])
    paper.admin("funding", symbol="ETHUSDT", rate=rate)
    return D(paper.state()["funding"]) - before


def test_who_closes_adds_turns_or_opens_before_it_is_told_pays_for_what_was_held(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path, **EVERY)
    client = engine.client
    client.post("/v1/accounts", account_bodies(5, deposit="10000"))
    until(lambda: client.get("/v1/accounts/acct-5")["actor"] == "RUNNING", "accounts")
    until(lambda: client.get("/v1/health")["status"] == "ok", "prices")
    for name, side in zip(NAMES[:4], ["BUY", "BUY", "BUY", "SELL"], strict=True):
        trade(client, name, side, "0.5")
    until(lambda: idle(client), "positions")
    # The engine has just asked when nothing was settled, or is about to: what it tells comes after these trades.
    master = settle(paper, "0.001")
    for name, side, quantity in [
        ("acct-1", "SELL", "0.5"), ("acct-2", "BUY", "0.3"), ("acct-4", "BUY", "0.9"), ("acct-5", "BUY", "0.4"),
    ]:  # fmt: skip
        trade(client, name, side, quantity)
    until(lambda: idle(client), "trades after the settlement")
    each = master / 2
    expected = {"acct-1": each, "acct-2": each, "acct-3": each, "acct-4": -each, "acct-5": D(0)}
    until(lambda: funding(client) == expected, "funding")
    assert each < 0

    # It settles again while nobody is there to hear of it, and then tells the whole day to a new life.
    engine.kill()
    again = settle(paper, "-0.0007")
    engine = EngineProcess(paper, tmp_path, **EVERY)
    client = engine.client
    share = again / (D("0.8") + D("0.5") + D("0.4") + D("0.4"))
    held = {"acct-1": D(0), "acct-2": D("0.8"), "acct-3": D("0.5"), "acct-4": D("0.4"), "acct-5": D("0.4")}
    due = {name: expected[name] + share * held[name] for name in NAMES}
    until(lambda: funding(client) == due, "funding of the time when it was down")
    until(lambda: idle(client), "every order known")
    assert sum(due.values()) == D(paper.state()["funding"])
    # One account alone begins anew, and is told it all again.
    client.post("/v1/actors/acct-1/restart")
    trade(client, "acct-2", "SELL", "0.1")
    until(lambda: idle(client) and client.get("/v1/accounts/acct-1")["actor"] == "RUNNING", "a restart")
    assert funding(client) == due
    assert set(differences(client).values()) == {D(0)}
    engine.stop()
