"""The paper exchange over real sockets: each endpoint with good and with bad input."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from decimal import Decimal as D

import httpx
import msgspec
import pytest
import websockets

from actors.errors import BadConfig
from actors.venues.binance import rest
from actors.venues.binance.filters import brackets_of, instrument_of
from actors.venues.binance.signing import sign
from actors.venues.binance.streams import (
    AccountUpdate,
    OrderTradeUpdate,
    decode_book_ticker,
    decode_user_event,
)
from actors.venues.paper.config import PaperConfig
from actors.venues.paper.server import serve
from tests.factories import INSTRUMENTS

WAIT = 10


class Running:
    """A paper exchange in a thread."""

    def __init__(self, **settings):
        self.config = PaperConfig(ticks_per_second=100, **settings)
        self._ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(WAIT)
        self.http = httpx.Client(base_url=self.address.rest, headers={"X-MBX-APIKEY": "paper"}, timeout=WAIT)
        self.numbers = iter(range(10**6))

    def _run(self):
        self.stop_event = asyncio.Event()
        self.loop.run_until_complete(serve(self.config, self._listen, self.stop_event))

    def _listen(self, address):
        self.address = address
        self._ready.set()

    def stop(self):
        self.loop.call_soon_threadsafe(self.stop_event.set)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def signed(self, method, path, secret="paper-secret", at=None, **params):
        stamp = int(time.time() * 1000) if at is None else at
        return self.http.request(method, f"{path}?{sign({**params, 'timestamp': str(stamp)}, secret)}")

    def order(self, **changes):
        id_ = f"t-{next(self.numbers)}"
        order = {
            "symbol": "ETHUSDT",
            "side": "BUY",
            "type": "MARKET",
            "quantity": "1",
            "newClientOrderId": id_,
        }
        return {k: v for k, v in {**order, **changes}.items() if v is not None}

    def place(self, **changes):
        return self.signed("POST", "/fapi/v1/order", **self.order(**changes))


@pytest.fixture(scope="module")
def paper():
    running = Running()
    yield running
    running.stop()


def code(answer):
    return answer.json()["code"]


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


def test_place_query_cancel_and_lists(paper):
    filled = paper.place().json()
    assert (filled["status"], filled["executedQty"]) == ("FILLED", "1")
    found = paper.signed(
        "GET", "/fapi/v1/order", symbol="ETHUSDT", origClientOrderId=filled["clientOrderId"]
    ).json()
    assert found == filled
    resting = paper.place(type="LIMIT", price="1000.00", timeInForce="GTC").json()
    assert resting["status"] == "NEW"
    opened = paper.signed("GET", "/fapi/v1/openOrders", symbol="ETHUSDT").json()
    assert [o["orderId"] for o in opened] == [resting["orderId"]]
    ended = paper.signed("DELETE", "/fapi/v1/order", symbol="ETHUSDT", orderId=str(resting["orderId"])).json()
    assert ended["status"] == "CANCELED"
    for _ in range(3):
        paper.place(type="LIMIT", price="1000.00")
    paper.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="ETHUSDT")
    assert paper.signed("GET", "/fapi/v1/openOrders").json() == []
    everything = paper.signed("GET", "/fapi/v1/allOrders", symbol="ETHUSDT").json()
    assert {o["status"] for o in everything} >= {"FILLED", "CANCELED"}
    trades = paper.signed(
        "GET", "/fapi/v1/userTrades", symbol="ETHUSDT", orderId=str(filled["orderId"])
    ).json()
    assert sum(D(t["qty"]) for t in trades) == D(1)


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
    assert (
        paper.signed("POST", "/fapi/v1/marginType", symbol="SOLUSDT", marginType="CROSSED").status_code == 200
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "GUESS"}, -1116),
        ({"quantity": "NaN"}, -1100),
        ({"quantity": "abc"}, -1100),
        ({"quantity": None}, -1100),
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
    [told] = msgspec.json.decode(answer.content, type=list[rest.LeverageBracket])
    assert brackets_of(told)[0].rate == D("0.004")
    assert paper.signed("GET", "/fapi/v1/leverageBracket", symbol="NOPEUSDT").status_code == 400


def test_funding_is_settled_and_told(paper):
    assert paper.http.post("/paper/funding", json={"symbol": "ETHUSDT", "rate": "0.0001"}).status_code == 200
    assert paper.http.post("/paper/funding", json={"symbol": "ETHUSDT", "rate": "much"}).status_code == 400
    assert paper.http.post("/paper/funding", json={"symbol": "NOPEUSDT", "rate": "0.1"}).status_code == 400
    [told] = paper.http.get("/fapi/v1/fundingRate", params={"symbol": "ETHUSDT"}).json()
    assert (told["symbol"], D(told["fundingRate"])) == ("ETHUSDT", D("0.0001"))
    later = {"startTime": told["fundingTime"] + 1}
    assert paper.http.get("/fapi/v1/fundingRate", params=later).json() == []


def test_a_client_order_id_is_used_once_for_ever(paper):
    first = paper.place().json()
    assert first["status"] == "FILLED"
    assert code(paper.place(newClientOrderId=first["clientOrderId"])) == -4116


def test_keys_signatures_and_time(paper):
    assert code(paper.signed("GET", "/fapi/v1/openOrders", secret="wrong")) == -1022
    assert code(paper.http.get("/fapi/v1/openOrders")) == -1022
    unknown = httpx.get(f"{paper.address.rest}/fapi/v1/openOrders", headers={"X-MBX-APIKEY": "who"})
    assert (unknown.status_code, unknown.json()["code"]) == (401, -2015)
    assert httpx.get(f"{paper.address.rest}/fapi/v1/openOrders").json()["code"] == -2014
    now = int(time.time() * 1000)
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now - 5_500)) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now - 900, recvWindow="500")) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at=now + 3_000)) == -1021
    assert code(paper.signed("GET", "/fapi/v1/openOrders", at="soon")) == -1102
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT")) == -1100
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT", orderId="x")) == -1100
    assert code(paper.signed("GET", "/fapi/v1/order", symbol="ETHUSDT", orderId="999999")) == -2013


def test_too_many_orders_are_a_429_that_says_when():
    running = Running(orders_per_10s=3)
    answers = [running.place() for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert answers[2].headers["x-mbx-order-count-10s"] == "3"
    assert (code(answers[3]), int(answers[3].headers["retry-after"])) == (-1003, 2)
    running.stop()


def test_streams(paper):
    async def listen():
        url = paper.address.websocket
        key = paper.http.post("/fapi/v1/listenKey").json()["listenKey"]
        async with (
            websockets.connect(f"{url}/ws/ethusdt@bookTicker", max_queue=None) as single,
            websockets.connect(
                f"{url}/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker", max_queue=None
            ) as both,
            websockets.connect(f"{url}/ws/{key}", max_queue=None) as user,
        ):
            first = decode_book_ticker(await asyncio.wait_for(single.recv(), WAIT))
            assert first.s == "ETHUSDT"
            seen = {decode_book_ticker(await asyncio.wait_for(both.recv(), WAIT)).s for _ in range(20)}
            assert seen == {"BTCUSDT", "ETHUSDT"}
            await single.send(json.dumps({"method": "SUBSCRIBE", "params": ["solusdt@bookTicker"], "id": 7}))
            await single.send("not json")
            await single.send(json.dumps({"method": "SUBSCRIBE", "params": ["nope@bookTicker"], "id": 8}))
            frames = [await asyncio.wait_for(single.recv(), WAIT) for _ in range(60)]
            assert any('"id":7' in f for f in frames)
            assert sum('"error"' in f for f in frames) == 2
            assert any("SOLUSDT" in f for f in frames)
            placed = (await asyncio.to_thread(paper.place)).json()
            events = [decode_user_event(await asyncio.wait_for(user.recv(), WAIT)) for _ in range(3)]
            assert [type(e) for e in events] == [OrderTradeUpdate, AccountUpdate, OrderTradeUpdate]
            assert (events[2].o.c, events[2].o.X) == (placed["clientOrderId"], "FILLED")

    asyncio.run(listen())


@pytest.mark.parametrize("path", ["/ws/nope@bookTicker", "/stream?streams=x", "/elsewhere", "/ws/notakey"])
def test_a_stream_that_is_not_is_refused(paper, path):
    async def connect():
        async with websockets.connect(paper.address.websocket + path):
            pass

    with pytest.raises(websockets.InvalidStatus):
        asyncio.run(connect())


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
    ):
        with pytest.raises(BadConfig, match=text):
            PaperConfig(**settings)
