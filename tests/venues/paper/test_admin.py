"""Faults and actions of the exchange, over real sockets: each as a client sees it.

Covers: actors/venues/paper/actions.py, actors/venues/paper/venue.py
"""

from __future__ import annotations

import time
from decimal import Decimal as D

import httpx
import pytest

from tests.venues.paper.running import WAIT, Running, code


@pytest.fixture(scope="module")
def paper():
    running = Running()
    yield running
    running.stop()


def placed_id(paper):
    return {"symbol": "ETHUSDT", "origClientOrderId": f"t-{next(paper.numbers) - 1}"}


def is_known(paper, client_id):
    found = paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT", origClientOrderId=client_id)
    return found.status_code == 200


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "seen"),
    [
        ("proxy", 502, 502),
        ("proxy", 403, 403),
        ("proxy", 504, 504),
        ("timeout", None, 408),
        ("redirect", None, 307),
    ],
)
def test_a_page_in_front_of_an_answer(paper, kind, status, seen, taken):
    extra = {} if status is None else {"status": status}
    paper.admin("faults", kind=kind, taken=taken, **extra)
    name = f"page-{kind}-{status}-{taken}"
    answer = paper.place(newClientOrderId=name)
    assert (answer.status_code, answer.headers["content-type"]) == (seen, "text/html")
    assert b"<html>" in answer.content
    assert is_known(paper, name) is taken
    assert paper.place().status_code == 200


@pytest.mark.parametrize("taken", [True, False])
def test_a_connection_that_is_reset(paper, taken):
    paper.admin("faults", kind="reset", taken=taken)
    name = f"reset-{taken}"
    with pytest.raises(httpx.TransportError):
        paper.place(newClientOrderId=name)
    assert is_known(paper, name) is taken


def test_connections_that_are_accepted_and_reset(paper):
    paper.admin("faults", kind="refuse_connections", count=2)
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{paper.address.rest}/fapi/v1/ping", timeout=WAIT)
    assert httpx.get(f"{paper.address.rest}/fapi/v1/ping", timeout=WAIT).status_code == 200


def test_a_fault_waits_for_the_path_that_it_is_for(paper):
    paper.admin("faults", kind="proxy", path="/fapi/v1/listenKey", method="POST")
    assert paper.place().status_code == 200
    assert paper.http.put("/fapi/v1/listenKey").headers["content-type"] == "application/json"
    assert paper.http.post("/fapi/v1/listenKey").status_code == 502


def test_answers_to_orders_get_lost_or_late(paper):
    for kind, status in (("server_error", 503), ("lost_reply", 503), ("reject", 400)):
        paper.admin("faults", kind=kind, seconds=0.1, code=-2019)
        name = f"order-{kind}"
        answer = paper.place(newClientOrderId=name)
        assert (answer.status_code, is_known(paper, name)) == (status, kind != "reject")
    assert code(answer) == -2019


def test_the_exchanges_clock_steps_and_drifts():
    running = Running()
    try:
        running.admin("clock", offset_ms=-30_000)
        assert (
            abs(running.http.get("/fapi/v1/time").json()["serverTime"] + 30_000 - time.time() * 1000) < 5_000
        )
        assert code(running.place()) == -1021
        running.admin("clock", offset_ms=0, drift_ms_per_s=1_000_000)
        deadline = time.monotonic() + WAIT
        while (answer := running.place()).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert code(answer) == -1021
        running.admin("clock")
        assert running.place().status_code == 200
    finally:
        running.stop()


def test_a_silent_stream_stays_connected_and_sends_nothing(paper):
    with paper.user_stream() as stream:
        paper.admin("faults", kind="silent_stream")
        silent = paper.place().json()
        paper.admin("faults", kind="silent_stream", on=False)
        stream.event("ORDER_TRADE_UPDATE", c=paper.place().json()["clientOrderId"], X="FILLED")
        assert all(f.get("o", {}).get("c") != silent["clientOrderId"] for f in stream.frames)


def test_events_are_dropped_and_doubled(paper):
    with paper.user_stream("ORDER_TRADE_UPDATE") as stream:
        paper.admin("faults", kind="drop_events", count=4)
        dropped = paper.place().json()
        paper.admin("faults", kind="duplicate_events", count=4)
        doubled = paper.place().json()
        stream.event("ORDER_TRADE_UPDATE", c=paper.place().json()["clientOrderId"], X="FILLED")
        ids = [f["o"]["c"] for f in stream.frames]
        assert (ids.count(dropped["clientOrderId"]), ids.count(doubled["clientOrderId"])) == (0, 4)


def test_a_fill_is_published_without_its_fee(paper):
    with paper.user_stream() as stream:
        paper.admin("faults", kind="fill_without_fee")
        first, second = paper.place().json(), paper.place().json()
        without = stream.event("ORDER_TRADE_UPDATE", c=first["clientOrderId"], x="TRADE")["o"]
        with_fee = stream.event("ORDER_TRADE_UPDATE", c=second["clientOrderId"], x="TRADE")["o"]
        assert not {"n", "N"} & set(without)
        assert with_fee["N"] == "USDT"
    [trade] = paper.get("v1/userTrades", symbol="ETHUSDT", orderId=first["orderId"])
    assert D(trade["commission"]) > 0


def test_commission_in_bnb_over_the_wire():
    running = Running(bnb_balance=D(10), bnb_burn=True)
    try:
        assert running.get("v1/feeBurn") == {"feeBurn": True}
        placed = running.place().json()
        [trade] = running.get("v1/userTrades", symbol="ETHUSDT", orderId=placed["orderId"])
        assert trade["commissionAsset"] == "BNB"
        assert D(running.state()["wallets"]["BNB"]["wallet"]) == 10 - D(trade["commission"])
        assert running.signed("POST", "/fapi/v1/feeBurn", feeBurn="false").json() == {
            "code": 200,
            "msg": "success",
        }
        assert running.get("v1/feeBurn") == {"feeBurn": False}
    finally:
        running.stop()


def test_an_order_is_shown_with_an_unknown_status(paper):
    with paper.user_stream() as stream:
        paper.admin("faults", kind="unknown_status", status="NEW_MYSTERY")
        order = paper.resting()
        assert order["status"] == "NEW_MYSTERY"
        stream.event("ORDER_TRADE_UPDATE", c=order["clientOrderId"], X="NEW_MYSTERY")
        assert paper.get("v1/order", symbol="ETHUSDT", orderId=order["orderId"])["status"] == "NEW_MYSTERY"
        paper.admin("status", order_id=order["orderId"], status="NEW_ADL")
        stream.event("ORDER_TRADE_UPDATE", c=order["clientOrderId"], X="NEW_ADL")
        paper.admin("status", client_order_id=order["clientOrderId"], status="")
        assert paper.get("v1/order", symbol="ETHUSDT", orderId=order["orderId"])["status"] == "NEW"


@pytest.mark.parametrize(
    ("kind", "begins", "listed"),
    [
        ("liquidation", "autoclose-", "LIQUIDATION"),
        ("adl", "adl_autoclose", "ADL"),
        ("settlement", "settlement_autoclose-", None),
    ],
)
@pytest.mark.parametrize("status", ["NEW", "NEW_INSURANCE", "NEW_ADL"])
def test_the_exchange_closes_a_position_by_itself(paper, kind, begins, listed, status):
    paper.place(quantity="2")
    before = D(paper.state()["positions"]["ETHUSDT"])
    with paper.user_stream() as stream, paper.listening("/market/ws/!forceOrder@arr") as market:
        made = paper.admin("close", symbol="ETHUSDT", kind=kind, quantity="1", status=status)
        assert made["clientOrderId"].startswith(begins)
        stream.event("ORDER_TRADE_UPDATE", c=made["clientOrderId"], x="NEW", X=status)
        fill = stream.event("ORDER_TRADE_UPDATE", c=made["clientOrderId"], x="CALCULATED")["o"]
        assert (fill["l"], fill["S"]) == ("1", "SELL")
        market.until(lambda f: f.get("e") == "forceOrder", "the liquidation")
    assert D(paper.state()["positions"]["ETHUSDT"]) == before - 1
    if listed:
        found = paper.get("v1/forceOrders", symbol="ETHUSDT", autoCloseType=listed)
        assert made["orderId"] in {o["orderId"] for o in found}


def test_rate_limits_change_while_it_runs():
    running = Running(orders_per_10s=2)
    try:
        before = running.state()["orders"]
        assert [running.place().status_code for _ in range(3)] == [200, 200, 429]
        running.admin("limits", profile="binance")
        told = running.get("v1/exchangeInfo")["rateLimits"]
        assert [(r["interval"], r["limit"]) for r in told if r["rateLimitType"] == "ORDERS"] == [
            ("MINUTE", 1_200),
            ("SECOND", 300),
        ]
        assert [running.place().status_code for _ in range(3)] == [200, 200, 200]
        state = running.state()
        assert (state["orders"] - before, state["most_orders_in_10s"], state["rejected_orders"]) == (5, 3, 1)
    finally:
        running.stop()


def test_an_order_from_outside_the_engine(paper):
    with paper.user_stream() as stream:
        made = paper.admin("orders", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="1")
        assert made["clientOrderId"].startswith("web_")
        stream.event("ORDER_TRADE_UPDATE", c=made["clientOrderId"], X="FILLED")


def test_the_exchange_ends_an_order(paper):
    order = paper.resting()
    with paper.user_stream() as stream:
        paper.admin("end", client_order_id=order["clientOrderId"], status="EXPIRED_IN_MATCH", reason="1")
        event = stream.event("ORDER_TRADE_UPDATE", c=order["clientOrderId"], X="EXPIRED_IN_MATCH")
        assert (event["o"]["x"], event["o"]["er"]) == ("EXPIRED", "1")


def test_money_and_positions_move_without_an_order(paper):
    before = D(paper.state()["wallet"])
    with paper.user_stream() as stream:
        paper.admin("transfer", amount="-250", reason="WITHDRAW")
        event = stream.until(lambda f: f.get("a", {}).get("m") == "WITHDRAW", "the transfer")
        assert (event["a"]["B"][0]["bc"], event["a"]["P"]) == ("-250", [])
        paper.admin("adjust", symbol="SOLUSDT", quantity="5")
        event = stream.until(lambda f: f.get("a", {}).get("m") == "ADJUSTMENT", "the adjustment")
        assert event["a"]["P"][0]["pa"] == "5"
        paper.admin("margin-call")
        assert {p["s"] for p in stream.event("MARGIN_CALL")["p"]} >= {"SOLUSDT"}
    assert D(paper.state()["wallet"]) == before - 250
    assert D(paper.get("v1/income", incomeType="TRANSFER")[-1]["income"]) == -250


def test_a_funding_event_has_the_balance_only(paper):
    paper.place(symbol="XRPUSDT", quantity="1000")
    with paper.user_stream() as stream:
        paper.admin("funding", symbol="XRPUSDT", rate="0.001")
        event = stream.until(lambda f: f.get("a", {}).get("m") == "FUNDING_FEE", "the funding")
        assert (event["a"]["P"], event["a"]["S"]) == ([], "XRPUSDT")
        assert D(event["a"]["B"][0]["bc"]) < 0
    entry = paper.get("v1/income", incomeType="FUNDING_FEE", symbol="XRPUSDT")[-1]
    assert D(entry["income"]) == D(event["a"]["B"][0]["bc"])


def test_settings_change_from_outside_the_engine():
    running = Running()
    try:
        with running.user_stream() as stream:
            running.admin("settings", dual_side=True, multi_assets=True)
            running.admin("settings", symbol="ETHUSDT", leverage=7, isolated=True)
            stream.until(lambda f: f.get("ai") == {"j": True}, "the mode")
            stream.until(lambda f: f.get("ac") == {"s": "ETHUSDT", "l": 7}, "the leverage")
        assert running.get("v1/positionSide/dual") == {"dualSidePosition": True}
        config = running.get("v1/symbolConfig", symbol="ETHUSDT")[0]
        assert (config["leverage"], config["marginType"]) == (7, "ISOLATED")
        assert code(running.place()) == -4061
    finally:
        running.stop()


def test_delivery_contracts_and_other_quote_assets_are_listed_on_request():
    running = Running(extra_symbols=("BTCUSDT_261225", "ETHUSDC"), made_up_symbols=30)
    try:
        listed = {s["symbol"]: s for s in running.http.get("/fapi/v1/exchangeInfo").json()["symbols"]}
        assert len(listed) == 42
        dated = listed["BTCUSDT_261225"]
        assert (dated["contractType"], dated["pair"]) == ("CURRENT_QUARTER", "BTCUSDT")
        assert time.gmtime(dated["deliveryDate"] / 1000)[:4] == (2026, 12, 25, 8)
        assert (listed["ETHUSDC"]["marginAsset"], listed["MADE030USDT"]["status"]) == ("USDC", "TRADING")
        assert code(running.place(symbol="ETHUSDC")) == -2019
        running.admin("transfer", asset="USDC", amount="5000")
        assert running.place(symbol="ETHUSDC").json()["status"] == "FILLED"
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"offset_ms": "soon"}),
        ("mark", {"symbol": "ETHUSDT", "premium": "-2"}),
        ("orders", {"symbol": "ETHUSDT"}),
        ("end", {"order_id": 999_999}),
        ("status", {"client_order_id": "nobody"}),
        ("close", {"symbol": "DOGEUSDT"}),
        ("close", {"symbol": "ETHUSDT", "kind": "magic"}),
        ("transfer", {"amount": "much"}),
        ("adjust", {"symbol": "NOPE", "quantity": "1"}),
        ("settings", {"hedge": True}),
        ("symbols", {"symbol": "no such"}),
        ("symbols", {"symbol": "ETHUSDT", "status": "ASLEEP"}),
        ("symbols", {"symbol": "ETHUSDT", "rules": {"tick": "1"}}),
        ("symbols", {"symbol": "ETHUSDT", "rules": {"tick_size": "0"}}),
        ("listen-key", {"action": "lose"}),
        ("faults", {"kind": "proxy", "status": 200}),
        ("clock", {"drift_ms_per_s": "nan"}),
        ("clock", {"offset_ms": None}),
        ("clock", {"offset_ms": 10**30}),
        ("faults", {"kind": "delay", "seconds": "nan"}),
        ("faults", {"kind": "delay", "seconds": -1}),
        ("faults", {"kind": "reject", "code": "much"}),
        ("faults", {"kind": "reject", "count": 10**12}),
        ("faults", {"kind": "unknown_status", "count": 10**12}),
        ("faults", {"kind": "silent_stream", "on": "false"}),
        ("shock", {"symbol": "NOPE", "fraction": "0.1"}),
        ("shock", {"fraction": "0.1", "seconds": "nan"}),
        ("mark", {"symbol": "ETHUSDT", "premium": "nan"}),
        ("funding", {"symbol": "ETHUSDT", "rate": "-2"}),
        ("halt", {"symbol": "ETHUSDT", "halted": "false"}),
        ("settings", {"dual_side": "false"}),
        ("limits", {"profile": "wide"}),
        ("settings", {"symbol": "ETHUSDT", "leverage": 0}),
        ("settings", {"symbol": "ETHUSDT", "leverage": 2.5}),
    ],
)
def test_bad_input_is_named(paper, path, body):
    answer = paper.http.post(f"/paper/{path}", json=body)
    assert (answer.status_code, code(answer) < 0) == (400, True), answer.text
    name, value = list(body.items())[-1]
    if name in {
        "offset_ms",
        "drift_ms_per_s",
        "seconds",
        "code",
        "count",
        "on",
        "halted",
        "leverage",
        "dual_side",
        "profile",
    }:
        assert f"{name}: {value!r}" in answer.json()["msg"]
