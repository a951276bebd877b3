"""The paper exchange over real sockets: each endpoint with good and with bad input.

Covers: actors/venues/paper/app.py, actors/venues/paper/codes.py, actors/venues/paper/config.py, actors/venues/paper/endpoints.py, actors/venues/paper/faults.py, actors/venues/paper/process.py, actors/venues/paper/requests.py, actors/venues/paper/rules.py
"""

from __future__ import annotations

import json
import time
from decimal import Decimal as D

import httpx
import msgspec
import pytest

from actors.core.errors import BadConfig
from actors.venues.binance import rest
from actors.venues.binance.filters import brackets_of, instrument_of
from actors.venues.paper.config import PaperConfig
from tests.factories import INSTRUMENTS
from tests.venues.paper.running import Running, code


@pytest.fixture(scope="module")
def paper():
    running = Running()
    yield running
    running.stop()


def test_public_endpoints(paper):
    assert paper.http.get("/fapi/v1/ping").json() == {}
    assert abs(paper.http.get("/fapi/v1/time").json()["serverTime"] - time.time() * 1000) < 5_000
    info = msgspec.json.decode(paper.http.get("/fapi/v1/exchangeInfo").content, type=rest.ExchangeInfo)
    assert {s.symbol: instrument_of(s) for s in info.symbols} == INSTRUMENTS
    assert {r.rateLimitType for r in info.rateLimits} == {"REQUEST_WEIGHT", "ORDERS"}
    one = msgspec.json.decode(
        paper.http.get("/fapi/v1/ticker/bookTicker", params={"symbol": "ETHUSDT"}).content,
        type=rest.BookTicker,
    )
    assert D(0) < one.bidPrice < one.askPrice
    assert len(paper.http.get("/fapi/v1/ticker/bookTicker").json()) == 10
    assert code(paper.http.get("/fapi/v1/ticker/bookTicker", params={"symbol": "X"})) == -1121
    assert paper.http.get("/fapi/v1/nothing").status_code == 404


def test_a_restarted_exchange_repeats_no_id(paper):
    """Connected clients have booked its trades; a repeated id would be the same trade to them."""
    before = paper.place().json()["orderId"]
    booked = paper.get("v1/userTrades", symbol="ETHUSDT")[-1]["id"]
    again = Running()
    try:
        assert again.place().json()["orderId"] > before
        assert again.get("v1/userTrades", symbol="ETHUSDT")[0]["id"] > booked
    finally:
        again.stop()


def test_place_query_cancel_and_lists(paper):
    filled = paper.place().json()
    assert (filled["status"], filled["executedQty"]) == ("FILLED", "1")
    found = paper.get("v1/order", symbol="ETHUSDT", origClientOrderId=filled["clientOrderId"])
    assert {k: found[k] for k in filled if k in found} == {k: v for k, v in filled.items() if k != "cumQty"}
    assert D(found["cumQuote"]) == D(found["avgPrice"])
    resting = paper.place(type="LIMIT", price="1000.00").json()
    assert resting["status"] == "NEW"
    opened = paper.get("v1/openOrders", symbol="ETHUSDT")
    assert [o["orderId"] for o in opened] == [resting["orderId"]]
    assert paper.get("v1/openOrder", symbol="ETHUSDT", orderId=resting["orderId"])["status"] == "NEW"
    ended = paper.signed("DELETE", "/fapi/v1/order", symbol="ETHUSDT", orderId=resting["orderId"]).json()
    assert ended["status"] == "CANCELED"
    for _ in range(3):
        paper.place(type="LIMIT", price="1000.00")
    paper.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="ETHUSDT")
    assert paper.get("v1/openOrders") == []
    everything = paper.get("v1/allOrders", symbol="ETHUSDT")
    assert {o["status"] for o in everything} >= {"FILLED", "CANCELED"}
    assert len(paper.get("v1/allOrders", limit=2)) == 2
    assert paper.get("v1/allOrders", symbol="ETHUSDT", startTime=everything[-1]["time"] + 1) == []
    trades = paper.get("v1/userTrades", symbol="ETHUSDT", orderId=filled["orderId"])
    assert sum(D(t["qty"]) for t in trades) == D(1)
    assert paper.get("v1/userTrades", symbol="ETHUSDT", startTime=trades[-1]["time"] + 1) == []
    assert (
        paper.get("v1/userTrades", symbol="ETHUSDT", fromId=1, limit=1)
        == paper.get("v1/userTrades", symbol="ETHUSDT")[:1]
    )


def test_batch_orders_answer_one_by_one(paper):
    batch = json.dumps([paper.order(), paper.order(quantity="-1"), paper.order(side="SELL")])
    answers = paper.signed("POST", "/fapi/v1/batchOrders", batchOrders=batch).json()
    assert [a.get("status", a.get("code")) for a in answers] == ["FILLED", -4003, "FILLED"]
    assert code(paper.signed("POST", "/fapi/v1/batchOrders", batchOrders="[]")) == -1102
    assert code(paper.signed("POST", "/fapi/v1/batchOrders", batchOrders="{")) == -1102


def test_account_balance_positions_and_leverage(paper):
    paper.place(symbol="SOLUSDT", quantity="2")
    account = paper.signed("GET", "/fapi/v2/account").json()
    [balance] = paper.signed("GET", "/fapi/v2/balance").json()
    assert account["totalWalletBalance"] == balance["balance"]
    [position] = paper.signed("GET", "/fapi/v2/positionRisk", symbol="SOLUSDT").json()
    assert D(position["positionAmt"]) == D(2)
    assert paper.signed("POST", "/fapi/v1/leverage", symbol="SOLUSDT", leverage="20").json()["leverage"] == 20
    assert code(paper.signed("POST", "/fapi/v1/leverage", symbol="SOLUSDT", leverage="500")) == -4028


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "GUESS"}, -1116),
        ({"quantity": "NaN"}, -1100),
        ({"quantity": "abc"}, -1100),
        ({"quantity": None}, -1102),
        ({"price": "2000"}, -1106),
        ({"type": "LIMIT", "price": "1000", "timeInForce": None}, -1102),
        ({"type": "STOP_MARKET", "stopPrice": "1000"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"newOrderRespType": "FULL"}, -1136),
        ({"selfTradePreventionMode": "MAYBE"}, -5039),
        ({"type": "LIMIT", "priceMatch": "NEAR"}, -5037),
        ({"newClientOrderId": "no spaces"}, -1100),
        ({"side": None}, -1102),
        ({"type": None}, -1102),
        ({"type": "LIMIT", "price": "9000.00"}, -4016),
        ({"type": "LIMIT", "price": "1000.00", "side": "SELL"}, -4024),
        ({"type": "LIMIT", "price": "1000.00", "timeInForce": "FOK"}, -5021),
        ({"type": "LIMIT", "price": "2710.00", "timeInForce": "GTX"}, -5022),
        ({"type": "LIMIT", "price": "1000.00", "timeInForce": "GTD", "goodTillDate": "5"}, -5040),
        ({"quantity": "-1"}, -4003),
        ({"quantity": "0.0001"}, -4004),
        ({"quantity": "1.00005"}, -1111),
        ({"quantity": "0.001"}, -4164),
        ({"type": "LIMIT"}, -1102),
        ({"type": "LIMIT", "price": "1000.001"}, -4014),
        ({"type": "LIMIT", "price": "1000", "timeInForce": "SOON"}, -1115),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"reduceOnly": "true", "symbol": "ADAUSDT", "quantity": "100"}, -2022),
    ],
)
def test_a_bad_order_has_its_own_code(paper, changes, expected):
    answer = paper.place(**changes)
    assert (answer.status_code, code(answer)) == (400, expected)


def test_leverage_brackets_need_a_signature_and_can_be_used(paper):
    assert paper.http.get("/fapi/v1/leverageBracket").status_code == 400
    answer = paper.signed("GET", "/fapi/v1/leverageBracket", symbol="ETHUSDT")
    [found] = msgspec.json.decode(answer.content, type=list[rest.LeverageBracket])
    assert brackets_of(found)[0].rate == D("0.004")
    assert paper.signed("GET", "/fapi/v1/leverageBracket", symbol="NOPEUSDT").status_code == 400


def test_funding_is_settled_and_published(paper):
    assert paper.http.post("/paper/funding", json={"symbol": "ETHUSDT", "rate": "0.0001"}).status_code == 200
    assert paper.http.post("/paper/funding", json={"symbol": "ETHUSDT", "rate": "much"}).status_code == 400
    assert paper.http.post("/paper/funding", json={"symbol": "NOPEUSDT", "rate": "0.1"}).status_code == 400
    [found] = paper.http.get("/fapi/v1/fundingRate", params={"symbol": "ETHUSDT"}).json()
    assert (found["symbol"], D(found["fundingRate"])) == ("ETHUSDT", D("0.0001"))
    later = {"startTime": found["fundingTime"] + 1}
    assert paper.http.get("/fapi/v1/fundingRate", params=later).json() == []


def test_a_client_order_id_is_used_once_among_open_orders(paper):
    resting = paper.resting()
    assert code(paper.place(newClientOrderId=resting["clientOrderId"])) == -4116
    paper.signed("DELETE", "/fapi/v1/order", symbol="ETHUSDT", orderId=resting["orderId"])
    again = paper.place(newClientOrderId=resting["clientOrderId"]).json()
    assert again["orderId"] > resting["orderId"]
    found = paper.get("v1/order", symbol="ETHUSDT", origClientOrderId=resting["clientOrderId"])
    assert found["orderId"] == again["orderId"]
    made = [paper.place(newClientOrderId=None).json()["clientOrderId"] for _ in range(2)]
    assert all(made)
    assert made[0] != made[1]


def test_keys_signatures_and_time(paper):
    assert code(paper.signed("GET", "/fapi/v1/openOrders", secret="wrong")) == -1022
    assert code(paper.http.get("/fapi/v1/openOrders")) == -1102
    unknown = httpx.get(f"{paper.address.rest}/fapi/v1/openOrders", headers={"X-MBX-APIKEY": "who"})
    assert (unknown.status_code, unknown.json()["code"]) == (401, -2015)
    assert httpx.get(f"{paper.address.rest}/fapi/v1/openOrders").json()["code"] == -2014
    now = int(time.time() * 1000)
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now - 5_500)) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now - 900, recvWindow="500")) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now + 3_000)) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at="soon")) == -1102
    assert code(paper.signed("GET", "/fapi/v1/openOrders", recvWindow="60001")) == -1131
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT")) == -1102
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT", orderId="x")) == -1100
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT", orderId="999999")) == -2013


def test_admin_needs_the_key_and_names_bad_input(paper):
    assert httpx.post(f"{paper.address.rest}/paper/shock", json={}).status_code == 401
    for path, body in (
        ("shock", {"fraction": "-1.5"}),
        ("shock", {"fraction": "x"}),
        ("halt", {"symbol": "X"}),
        ("faults", {"kind": "gremlins"}),
        ("faults", {"kind": "reject", "count": 0}),
    ):
        answer = paper.http.post(f"/paper/{path}", json=body)
        assert (answer.status_code, code(answer)) == (400, -1100), (path, body)
    assert paper.http.get("/paper/nothing").status_code == 404


def test_a_bad_configuration_is_named():
    for settings, text in (
        ({"symbols": ("NOPEUSDT",)}, "NOPEUSDT"),
        ({"symbols": ()}, "none"),
        ({"ticks_per_second": 0}, "ticks_per_second"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"orders_per_10s": 0}, "rate limits"),
        ({"limits": "tight"}, "limits: 'tight'"),
        ({"port": 70_000}, "port: 70000"),
        ({"feed_market": "options"}, "feed_market"),
        ({"feed_end": "explode"}, "feed_end"),
        ({"extra_symbols": ("nope",)}, "'nope' is not a symbol"),
        ({"made_up_symbols": 5_000}, "made_up_symbols"),
        ({"ban_seconds": 0}, "ban"),
        ({"listen_key_minutes": 0}, "listen_key_minutes"),
        ({"wallet_balance": D(-1)}, "wallet"),
    ):
        with pytest.raises(BadConfig, match=text):
            PaperConfig(**settings)
