"""Order entry over a websocket."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from tests.venues.paper.running import Running

SECRET = b"paper-secret"


@pytest.fixture(scope="module")
def paper():
    running = Running()
    yield running
    running.stop()


class Api:
    """One connection: ask, and get the answer of that id."""

    def __init__(self, paper, listener):
        self.paper, self.listener = paper, listener

    def ask(self, method, signed=True, secret=SECRET, at=None, **params):
        id_ = f"r{next(self.paper.numbers)}"
        if signed:
            params |= {"apiKey": "paper", "timestamp": int(time.time() * 1000) if at is None else at}
            text = "&".join(
                f"{k}={str(params[k]).lower() if params[k] is True else params[k]}" for k in sorted(params)
            )
            params["signature"] = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        self.listener.send({"id": id_, "method": method, "params": params})
        return self.listener.until(lambda f: f.get("id") == id_, method)


@pytest.fixture
def api(paper):
    with paper.listening("/ws-fapi/v1") as listener:
        yield Api(paper, listener)


ORDER = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "newOrderRespType": "RESULT"}
LIMIT = {**ORDER, "type": "LIMIT", "price": "2000.00", "timeInForce": "GTC"}


def test_the_lifecycle_of_an_order(paper, api):
    with paper.user_stream() as stream:
        placed = api.ask("order.place", **ORDER)
        assert (placed["status"], placed["result"]["status"]) == (200, "FILLED")
        assert "avgPrice" not in placed["result"]
        stream.event("ORDER_TRADE_UPDATE", i=placed["result"]["orderId"], X="FILLED")
    resting = api.ask("order.place", **LIMIT)["result"]
    named = {"symbol": "ETHUSDT", "orderId": resting["orderId"]}
    assert (
        api.ask("order.modify", **named, side="BUY", quantity="2", price="2100")["result"]["origQty"] == "2"
    )
    assert api.ask("order.status", **named)["result"]["cumQuote"] == "0"
    assert api.ask("order.cancel", **named)["result"]["status"] == "CANCELED"
    again = api.ask("order.cancel", **named)
    assert (again["status"], again["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    algo = {
        "symbol": "ETHUSDT",
        "side": "SELL",
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "quantity": "1",
    }
    made = api.ask("algoOrder.place", **algo, triggerPrice="1000", reduceOnly=True)["result"]
    assert made["reduceOnly"] is True
    assert api.ask("algoOrder.cancel", algoId=made["algoId"])["result"]["code"] == "200"


def test_reads_and_listen_keys(paper, api):
    assert api.ask("account.status")["result"]["canTrade"] is True
    assert "positions" in api.ask("v2/account.status")["result"]
    for method in ("account.balance", "v2/account.balance", "account.position", "v2/account.position"):
        assert isinstance(api.ask(method)["result"], list)
    key = api.ask("userDataStream.start", signed=False, apiKey="paper")["result"]["listenKey"]
    assert key == paper.state()["listen_key"]
    assert api.ask("userDataStream.ping", signed=False, apiKey="paper")["result"] == {"listenKey": key}
    assert api.ask("userDataStream.stop", signed=False, apiKey="paper")["result"] == {}
    assert len(api.ask("depth", signed=False, symbol="ETHUSDT", limit=5)["result"]["asks"]) == 5
    assert api.ask("ticker.book", signed=False, symbol="ETHUSDT")["result"]["symbol"] == "ETHUSDT"
    assert isinstance(api.ask("ticker.price", signed=False)["result"], list)


def test_refusals(api):
    for changes, status, code in (
        ({"secret": b"wrong"}, 400, -1022),
        ({"at": 5}, 400, -1021),
        ({"signed": False}, 401, -2014),
    ):
        answer = api.ask("order.place", **{**ORDER, **changes})
        assert (answer["status"], answer["error"]["code"]) == (status, code)
    assert api.ask("order.fly")["status"] == 404
    api.listener.send("no request")
    assert api.listener.until(lambda f: f.get("id") is None, "an error")["error"]["code"] == -1100


def test_each_answer_counts_orders_and_weight(api):
    before = {r["interval"]: r["count"] for r in api.ask("order.place", **ORDER)["rateLimits"]}
    after = {r["interval"]: r["count"] for r in api.ask("order.place", **ORDER)["rateLimits"]}
    assert after["SECOND"] == before["SECOND"] + 1
