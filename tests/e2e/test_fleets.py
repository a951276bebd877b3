"""Two engines with a database each on one master account, and a new data folder after an old one."""

from __future__ import annotations

from decimal import ROUND_DOWN
from decimal import Decimal as D

import pytest

from actors.core.units import plain, round_to
from actors.venues.paper.instruments import LISTINGS
from tests.e2e.processes import EngineProcess, Paper, account_bodies, bulkhead, idle, order_bodies, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ACCOUNTS = 3


@pytest.fixture
def paper():
    process = Paper("--latency-ms", 5)
    yield process
    process.stop()


@pytest.fixture
def engine_on(paper, tmp_path):
    """Starts engines on data folders of that name, and ends them."""
    started = []

    def start(folder):
        started.append(EngineProcess(paper, tmp_path / folder))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def rest_orders(client, share):
    """A resting order of each account at this share of the start price; their ids, once the exchange has them."""
    listing = LISTINGS["ETHUSDT"]
    price = round_to(listing.start_price * D(share), listing.instrument.tick_size, ROUND_DOWN)
    orders = [
        {
            "account_id": f"acct-{n}", "symbol": "ETHUSDT", "side": "BUY", "quantity": "0.05", "order_type": "LIMIT",
            "price": plain(price), "leverage": "5",
        }
        for n in range(1, ACCOUNTS + 1)
    ]  # fmt: skip
    until(lambda: client.get("/v1/health")["status"] == "ok", "an open gate and fresh prices")
    answers = client.post("/v1/orders", orders)
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    ids = {a["client_order_id"] for a in answers}
    assert len(ids) == ACCOUNTS
    until(lambda: ids <= acknowledged(client), "the orders to rest")
    return ids


def acknowledged(client):
    accounts = [client.get(f"/v1/accounts/acct-{n}") for n in range(1, ACCOUNTS + 1)]
    return {o["client_order_id"] for a in accounts for o in a["orders"] if o["status"] == "ACKNOWLEDGED"}


def at_the_exchange(paper):
    return {o["clientOrderId"] for o in paper.signed("/fapi/v1/openOrders")}


def fleet(engine):
    return engine.client.get("/v1/stats")["fleet"]["fleet"]


def alarms(engine):
    return [a["text"] for a in engine.client.get("/v1/alarms")]


def told_of(engine, other):
    return [a for a in alarms(engine) if f"another fleet, {other}," in a]


def test_two_fleets_on_one_master_leave_each_other_s_orders_alone_over_restarts(paper, engine_on):
    one, two = engine_on("one"), engine_on("two")
    for engine in (one, two):
        engine.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    of_one = rest_orders(one.client, "0.97")
    of_two = rest_orders(two.client, "0.96")
    assert at_the_exchange(paper) == of_one | of_two
    one.kill()
    one = engine_on("one")
    until(lambda: acknowledged(one.client) == of_one, "the first fleet's own orders")
    of_two |= rest_orders(two.client, "0.965")
    assert at_the_exchange(paper) == of_one | of_two
    two.kill()
    one.stop()
    one, two = engine_on("one"), engine_on("two")
    until(
        lambda: (acknowledged(one.client), acknowledged(two.client)) == (of_one, of_two),
        "both fleets' orders",
    )
    names = fleet(one), fleet(two)
    assert len(set(names)) == 2
    for engine, other in ((one, names[1]), (two, names[0])):
        until(
            lambda engine=engine, other=other: told_of(engine, other), "the alarm that names the other fleet"
        )
    more = rest_orders(one.client, "0.955"), rest_orders(two.client, "0.9525")
    assert at_the_exchange(paper) == of_one | of_two | more[0] | more[1]
    for engine, own, other in ((one, *names), (two, *names[::-1])):
        found = [a for a in alarms(engine) if "fleet" in a]
        # Alarms outlive a start: one of each life that met the other's orders.
        assert found == told_of(engine, other)
        assert 1 <= len(found) <= 3
        assert all(f"we are {own}." in alarm for alarm in found)
        assert engine.client.get("/v1/stats")["gate_closed_by"] == []
        assert not [a for a in alarms(engine) if "cancelling" in a]


def test_a_new_data_folder_on_the_same_master_trades_with_the_same_account_names(paper, engine_on, tmp_path):
    old = engine_on("old")
    old.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    rest = rest_orders(old.client, "0.96")
    old.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=200))
    until(lambda: len(acknowledged(old.client)) == old.client.get("/v1/stats")["working_orders"], "all fills")
    old_fleet = fleet(old)
    old.stop()
    new = engine_on("new")
    new.client.post("/v1/accounts", account_bodies(ACCOUNTS))
    # As many as before and with the same sequences, and then some.
    for round_ in range(1, 4):
        answers = new.client.post("/v1/orders", order_bodies(ACCOUNTS, notional=200))
        assert {a["type"] for a in answers} == {"Accepted"}
        until(lambda: idle(new.client), "the end of all orders")
        assert new.client.get("/v1/stats")["account_stats"]["fills"] >= round_ * ACCOUNTS
    positions = new.client.get("/v1/positions", limit=100)
    assert len(positions) == ACCOUNTS
    traded = {o["clientOrderId"] for s in LISTINGS for o in paper.signed("/fapi/v1/allOrders", symbol=s, limit="1000")
              if o["status"] == "FILLED"}  # fmt: skip
    assert len([i for i in traded if i.startswith(f"bh-{fleet(new)}-")]) == 3 * ACCOUNTS
    assert at_the_exchange(paper) == rest
    assert len(until(lambda: told_of(new, old_fleet), "the alarm that names the old fleet")) == 1
    assert f"fleet {fleet(new)}" in new.ready
    assert f"fleet {fleet(new)}" in bulkhead("tree", "--data-dir", tmp_path / "new").stdout
    assert old_fleet in bulkhead("inspect", "gateway", "--data-dir", tmp_path / "new").stdout
