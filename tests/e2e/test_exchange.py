"""What exchanges and networks do unasked: silent streams, wrong clocks, strange answers, orders of their own."""

from __future__ import annotations

import time
from decimal import Decimal as D

import httpx
import pytest

from tests.e2e.processes import (
    EngineProcess,
    Paper,
    account_bodies,
    differences,
    idle,
    order_bodies,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ETH = "ETHUSDT"
FLEET = 450


@pytest.fixture(scope="module")
def paper():
    process = Paper()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(paper, tmp_path_factory):
    process = EngineProcess(paper, tmp_path_factory.mktemp("engine"))
    process.client.post("/v1/accounts", account_bodies(20))
    yield process.client
    process.stop()


@pytest.fixture
def closing():
    """Processes that end with their test."""
    started = []

    def register(process):
        started.append(process)
        return process

    yield register
    for process in reversed(started):
        process.stop()


def gateway(client):
    return client.get("/v1/actors/gateway")["state"]


def alarms(client, text):
    return [a["text"] for a in client.get("/v1/alarms") if text in a["text"]]


def stream(client):
    return gateway(client)["stream"]


def trade(client, count, start, notional=2_000):
    """Market orders of some accounts, filled."""
    answers = client.post("/v1/orders", order_bodies(count, notional=notional, start=start))
    assert {a["type"] for a in answers} == {"Accepted"}, answers
    until(lambda: settled(client), "all fills")


def settled(client):
    """No market order under way; what rests may."""
    return all(o["order_type"] == "LIMIT" for a in client.get("/v1/accounts", limit=100) for o in a["orders"])


def resting_order(paper, client, account):
    """A limit order 3 % below the market, acknowledged."""
    quote = httpx.get(
        f"{paper.address.rest}/fapi/v1/ticker/bookTicker", params={"symbol": ETH}, timeout=5
    ).json()
    price = (D(quote["bidPrice"]) * D("0.97")).quantize(D("0.01"))
    order = {"symbol": ETH, "side": "BUY", "quantity": "0.1", "price": str(price), "order_type": "LIMIT"}
    answer = client.post(f"/v1/accounts/{account}/orders", order)
    id_ = answer["client_order_id"]
    until(lambda: status_of(client, account, id_) == "ACKNOWLEDGED", "the order at the exchange")
    return id_


def status_of(client, account, id_):
    """Its status while it works, None after."""
    orders = client.get(f"/v1/accounts/{account}")["orders"]
    return next((o["status"] for o in orders if o["client_order_id"] == id_), None)


def ended(client, id_):
    """How an order ended, and why."""
    order = client.get(f"/v1/orders/{id_}")
    return f"{order['status']} {order['end_reason']}"


def closed_by(client):
    return client.get("/v1/health")["closed_by"]


def proven(client):
    until(lambda: gateway(client)["stream"] == "UP", "a proven stream", seconds=120)


def balanced(client):
    assert set(differences(client).values()) == {D(0)}


def test_a_stream_that_is_silent_is_found_out_and_replaced(paper, client):
    trade(client, 4, 1)
    proven(client)
    id_ = resting_order(paper, client, "acct-1")
    paper.admin("listen-key", action="delete")
    paper.admin("end", client_order_id=id_, status="CANCELED")
    until(lambda: status_of(client, "acct-1", id_) is None, "the end that only REST told")
    until(lambda: alarms(client, "the user stream is silent"), "an alarm", seconds=60)
    until(lambda: gateway(client)["stream"] != "DOWN", "a new connection")
    trade(client, 1, 1)
    proven(client)
    assert closed_by(client) == []
    balanced(client)


def test_an_expired_listen_key_is_replaced(paper, client):
    paper.admin("listen-key", action="expire")
    until(lambda: alarms(client, "the listen key expired"), "an alarm")
    until(lambda: gateway(client)["stream"] != "DOWN", "a new connection")
    trade(client, 1, 1)
    proven(client)


@pytest.mark.parametrize("offset_ms", [-4_000, 5_000, 0])
def test_a_step_of_the_exchanges_clock_costs_no_order(paper, client, offset_ms):
    before = len(alarms(client, "the exchange's clock is measured again"))
    paper.admin("clock", offset_ms=offset_ms)
    trade(client, 4, 5)
    until(lambda: len(alarms(client, "the exchange's clock is measured again")) > before, "an alarm")
    until(lambda: closed_by(client) == [], "an open gate")
    balanced(client)


def test_a_drifting_clock_costs_no_order(paper, client):
    before = len(alarms(client, "the exchange's clock is measured again"))
    paper.admin("clock", drift_ms_per_s=500)
    deadline = time.monotonic() + 30
    while len(alarms(client, "the exchange's clock is measured again")) == before:
        assert time.monotonic() < deadline
        trade(client, 2, 17, notional=120)
    paper.admin("clock", offset_ms=0)
    trade(client, 2, 17, notional=120)
    balanced(client)


PROXIES = [
    {"kind": "proxy", "status": 502, "taken": True},
    {"kind": "proxy", "status": 403, "taken": False},
    {"kind": "timeout", "taken": True},
    {"kind": "redirect", "taken": False},
    {"kind": "reset", "taken": True},
    {"kind": "reset", "taken": False},
]


def test_whoever_answers_for_the_exchange_an_order_is_placed_once_or_known_not_to_be(paper, client):
    for n, fault in enumerate(PROXIES, 11):
        paper.admin("faults", method="POST", **fault)
        trade(client, 1, n)
    balanced(client)
    held = [f for n, f in enumerate(PROXIES, 11) if client.get(f"/v1/accounts/acct-{n}")["positions"]]
    assert held == [fault for fault in PROXIES if fault["taken"]]
    assert len(alarms(client, "the exchange cannot be reached")) >= 1


def test_an_unknown_status_is_an_alarm_and_the_order_can_be_cancelled(paper, client):
    id_ = resting_order(paper, client, "acct-1")
    paper.admin("status", client_order_id=id_, status="PENDING_REVIEW")
    until(lambda: alarms(client, f"{id_} of acct-1: the exchange calls it PENDING_REVIEW"), "an alarm")
    assert gateway(client)["stream"] != "DOWN"
    client.delete(f"/v1/accounts/acct-1/orders/{id_}")
    until(lambda: status_of(client, "acct-1", id_) is None, "its end")


def test_an_unknown_status_keeps_no_emergency_stop_waiting(paper, client):
    trade(client, 1, 1)
    id_ = resting_order(paper, client, "acct-1")
    paper.admin("status", client_order_id=id_, status="PENDING_REVIEW")
    client.post("/v1/accounts/acct-1/close-out", {"reason": "test"})
    until(lambda: not client.get("/v1/accounts/acct-1")["positions"], "a flat account", seconds=60)
    assert client.get("/v1/accounts/acct-1")["orders"] == []
    balanced(client)


def test_self_trade_prevention_ends_one_accounts_order_and_nobody_else_notices(paper, client):
    """One account sells into what another has resting: at the exchange both are the master."""
    bystander = resting_order(paper, client, "acct-4")
    paper.admin("halt", symbol=ETH)
    try:
        quote = httpx.get(
            f"{paper.address.rest}/fapi/v1/depth", params={"symbol": ETH, "limit": 5}, timeout=5
        )
        bid = quote.json()["bids"][0][0]
        order = {"symbol": ETH, "quantity": "0.1", "price": bid, "order_type": "LIMIT"}
        resting = client.post("/v1/accounts/acct-2/orders", {**order, "side": "BUY"})["client_order_id"]
        until(lambda: status_of(client, "acct-2", resting) == "ACKNOWLEDGED", "the resting order")
        taker = client.post("/v1/accounts/acct-3/orders", {**order, "side": "SELL"})["client_order_id"]
        until(lambda: status_of(client, "acct-2", resting) is None, "the end of the one that rested")
        until(lambda: status_of(client, "acct-3", taker) is None, "the fill of the other")
    finally:
        paper.admin("halt", symbol=ETH, halted=False)
    assert ended(client, resting).startswith("EXPIRED ")
    assert "self-trade prevention" in ended(client, resting)
    assert ended(client, taker).startswith("FILLED")
    assert status_of(client, "acct-4", bystander) == "ACKNOWLEDGED"
    assert gateway(client)["stream"] != "DOWN"
    assert {client.get(f"/v1/actors/acct-{n}")["snapshot"]["restarts"] for n in (2, 3, 4)} == {0}
    client.post("/v1/accounts/acct-4/close-out", {"reason": "test"})
    until(lambda: status_of(client, "acct-4", bystander) is None, "the emergency stop")
    balanced(client)


def test_what_the_exchange_and_others_do_on_the_master_is_said(paper, client):
    before = differences(client)["BTCUSDT"]
    paper.admin("orders", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    until(lambda: alarms(client, "an order that is not ours is on the master"), "an alarm")
    paper.admin("close", kind="adl", symbol="BTCUSDT", quantity="0.002")
    until(lambda: alarms(client, "deleveraged the master (ADL)"), "an alarm")
    paper.admin("close", kind="liquidation", symbol="BTCUSDT", quantity="0.002")
    until(lambda: alarms(client, "liquidated the master"), "an alarm")
    paper.admin("transfer", asset="USDT", amount="-1000", reason="WITHDRAW")
    until(lambda: alarms(client, "WITHDRAW: -1000 USDT"), "an alarm")
    paper.admin("margin-call")
    until(lambda: alarms(client, "MARGIN_CALL"), "an alarm")
    paper.admin("settings", symbol="BTCUSDT", leverage=50)
    until(lambda: alarms(client, "leverage of BTCUSDT is 50"), "an alarm")
    # One reading of the books is shared for a second.
    until(lambda: differences(client, settle=0)["BTCUSDT"] != before, "a difference that belongs to nobody")
    assert gateway(client)["stream"] != "DOWN"


def test_the_limits_of_the_exchange_were_kept_all_along(paper, client):
    state = paper.state()
    assert (state["rejected_orders"], state["rejected_weight"]) == (0, 0)


def test_a_stream_that_is_refused_keeps_the_gate_closed_until_it_stands(paper, client):
    paper.admin("faults", kind="proxy", status=403, method="WEBSOCKET", path="/private", count=3)
    paper.admin("listen-key", action="disconnect")
    until(lambda: "user stream" in closed_by(client), "a closed gate")
    assert gateway(client)["stream"] == "DOWN"
    until(lambda: alarms(client, "user stream down: "), "an alarm")
    until(lambda: closed_by(client) == [], "an open gate")


def test_a_stream_on_a_path_that_tells_nothing_is_never_up(closing, tmp_path):
    """As on the retired paths: the connection is taken, and nothing is told."""
    paper = closing(Paper())
    engine = closing(EngineProcess(paper, tmp_path, "--exchange-ws-private", paper.address.websocket))
    engine.client.post("/v1/accounts", account_bodies(2))
    trade(engine.client, 2, 1)
    until(lambda: alarms(engine.client, "the user stream is silent"), "an alarm", seconds=60)
    assert gateway(engine.client)["stream"] != "UP"
    balanced(engine.client)


def test_liquidations_beyond_the_exchanges_limits_are_all_sent_and_none_is_a_refusal(closing, tmp_path):
    """Hundreds at once where 300 may be sent in ten seconds: what waits is decided anew, and nobody is refused."""
    paper = closing(Paper())
    client = closing(EngineProcess(paper, tmp_path)).client
    client.post("/v1/accounts", account_bodies(FLEET, deposit="100"))
    answers = client.post("/v1/orders", order_bodies(FLEET, notional=1_500, leverage="20"))
    assert {a["type"] for a in answers} == {"Accepted"}
    # New risk has 240 orders in ten seconds and 960 a minute: some of these wait their turn.
    until(lambda: idle(client), "all positions", seconds=120)
    held = len(client.get("/v1/positions", limit=FLEET))
    assert held > 300
    paper.admin("shock", symbol="*", fraction="0.15", seconds=3)
    until(lambda: len(client.get("/v1/positions", limit=FLEET)) < held, "the first liquidation")

    def over():
        phases = client.get("/v1/stats")["phases"]
        return idle(client) and not {"REDUCING", "LIQUIDATING"} & {p for p, n in phases.items() if n}

    until(over, "the end of all liquidations", seconds=150)
    stats = client.get("/v1/stats")
    assert stats["phases"].get("LIQUIDATED", 0) >= 100
    assert stats["phases"].get("STUCK", 0) == 0
    assert not alarms(client, "STUCK")
    state = paper.state()
    assert (state["rejected_orders"], state["rejected_weight"]) == (0, 0)
    assert state["most_orders_in_10s"] <= 300
    balanced(client)
