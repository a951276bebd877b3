"""What is sent over the websocket for orders is what Binance documents, and only its own word is believed."""

from __future__ import annotations

import msgspec
import pytest

from actors.gateway.messages import Outcome
from actors.venues.binance.order_frames import Signer, can_carry, read, told_by

NOW = 1_700_000_030_000
ORDER = {"orderId": 1}
WEIGHT = {
    "rateLimitType": "REQUEST_WEIGHT",
    "interval": "MINUTE",
    "intervalNum": 1,
    "limit": 2400,
    "count": 70,
}
IN_10S = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 12}
IN_MINUTE = {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 40}


def told(**fields):
    frame = read(msgspec.json.encode({"id": "1", **fields}))
    assert frame is not None
    return told_by(frame, NOW)


def outcome(**fields):
    return told(**fields).answer.outcome


def error(code=-2019, msg="Margin is insufficient.", **more):
    return {"code": code, "msg": msg, **more}


def test_the_signature_is_that_of_binances_own_example():
    signer = Signer(
        "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    )
    params = {
        "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01000000",
        "price": "52000.00", "newOrderRespType": "ACK",
    }  # fmt: skip
    for id_ in (4, 5):  # a signer signs more than once
        sent = msgspec.json.decode(signer.request(id_, "order.place", params, 1_645_423_376_532, 100))
        assert (sent["id"], sent["method"]) == (str(id_), "order.place")
        signature = sent["params"].pop("signature")
        assert signature == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
        assert sent["params"] == {
            **params, "apiKey": signer._key, "recvWindow": 100, "timestamp": 1_645_423_376_532
        }  # fmt: skip


def test_what_it_is_not_documented_how_to_sign_goes_another_way():
    assert can_carry({"symbol": "BTCUSDT"})
    assert not can_carry({"symbol": "\u5e01\u5b89\u4eba\u751fUSDT"})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": 200, "result": ORDER}, Outcome.OK),
        ({"status": 400, "error": error()}, Outcome.REFUSED),
        ({"status": 400, "error": error(-4116)}, Outcome.DUPLICATE),
        ({"status": 400, "error": error(-2013)}, Outcome.NOT_FOUND),
        ({"status": 400, "error": error(-1021)}, Outcome.MISTIMED),
        ({"status": 429, "error": error(-1015)}, Outcome.THROTTLED),
        ({"status": 418, "error": error(-1003)}, Outcome.THROTTLED),
        ({"status": 400, "error": error(-1007)}, Outcome.UNKNOWN),
        ({"status": 503, "error": error(-2019)}, Outcome.UNKNOWN),
        ({"status": 503, "error": error(-1003)}, Outcome.UNKNOWN),
        ({"status": 429, "error": {"page": "Too many requests"}}, Outcome.UNKNOWN),
        ({"status": 429}, Outcome.UNKNOWN),
        ({"status": 400, "error": error(5)}, Outcome.UNKNOWN),
        ({"status": 400, "error": "-2019"}, Outcome.UNKNOWN),
        ({"status": 400, "error": None, "result": None}, Outcome.UNKNOWN),
        ({"status": 200}, Outcome.UNKNOWN),
        ({"status": 200, "result": None}, Outcome.UNKNOWN),
        ({"result": ORDER}, Outcome.UNKNOWN),
        ({"status": "200", "result": ORDER}, Outcome.UNKNOWN),
        ({"status": 400, "result": ORDER}, Outcome.UNKNOWN),
        # Both at once: neither is believed.
        ({"status": 200, "result": ORDER, "error": error()}, Outcome.UNKNOWN),
        ({"status": 400, "result": ORDER, "error": error()}, Outcome.UNKNOWN),
        ({"status": 200, "error": error()}, Outcome.UNKNOWN),
        ({"status": 200, "error": error(-1003)}, Outcome.UNKNOWN),
    ],
)
def test_only_the_exchanges_own_word_is_final(fields, expected):
    assert outcome(**fields) is expected


@pytest.mark.parametrize(
    "frame", ["", "null", "[]", "5", "[" * 100_000, '{"id": 1.5}', '{"id": {}}', "\ud83d"]
)
def test_what_is_no_answer_is_none(frame):
    assert read(frame.encode("utf-8", "surrogatepass")) is None


def test_an_answer_counts_orders_and_weight():
    found = told(status=200, result=ORDER, rateLimits=[WEIGHT, IN_10S, IN_MINUTE])
    assert (found.weight, found.answer.orders_used, found.pause_ms) == (70, (12, 40), 0)
    assert found.answer.content == b'{"orderId":1}'


@pytest.mark.parametrize(
    "limits",
    [None, "x", [5], [{"rateLimitType": "ORDERS"}], [{**IN_10S, "count": "12"}], [{**IN_10S, "count": -1}, IN_MINUTE],
     [{**IN_10S, "count": 10**18}, IN_MINUTE], [IN_10S]],
)  # fmt: skip
def test_limits_that_cannot_be_read_change_no_verdict(limits):
    found = told(status=200, result=ORDER, rateLimits=limits)
    assert (found.answer.outcome, found.answer.orders_used, found.weight) == (Outcome.OK, None, None)


@pytest.mark.parametrize(
    ("data", "limits", "expected_ms"),
    [
        ({"serverTime": NOW + 500, "retryAfter": NOW + 2_500}, [], 2_000),
        ({"retryAfter": NOW + 2_500}, [], 2_500),
        ({"retryAfter": 7}, [], 7_000),
        ({"retryAfter": NOW + 10**12}, [], 3 * 24 * 3_600 * 1_000),
        # Nothing said: until the limit that is used up begins anew.
        (None, [{**IN_10S, "count": 300}, IN_MINUTE], 10_000),
        (None, [IN_10S, {**IN_MINUTE, "count": 1_201}], 60_000 - NOW % 60_000),
        ({"retryAfter": NOW - 5}, [{**IN_10S, "intervalNum": 0, "count": 300}], 1),
        ("x", [], 1),
        ({"retryAfter": "soon"}, [], 1),
    ],
)
def test_a_refusal_for_too_many_says_how_long_to_wait(data, limits, expected_ms):
    found = told(status=429, error=error(-1015, "Too many orders", data=data), rateLimits=limits)
    assert (found.answer.outcome, found.pause_ms) == (Outcome.THROTTLED, expected_ms)
    assert found.answer.retry_ms == expected_ms


def test_no_other_refusal_pauses():
    found = told(status=400, error=error(data={"retryAfter": 7}), rateLimits=[{**IN_10S, "count": 300}])
    assert found.pause_ms == 0
