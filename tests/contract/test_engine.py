"""What the engine reads of each answer and event, against the models of the official SDK."""

from __future__ import annotations

import msgspec
import pytest

from actors.venues.binance import order_frames, rest, streams
from actors.venues.binance.endpoints import weight_of
from tests.contract.shapes import structs_of, type_of, unreadable

# Which of our types reads which answers.
ANSWERS = {
    rest.ServerTime: ["GET /fapi/v1/time"],
    rest.ExchangeInfo: ["GET /fapi/v1/exchangeInfo"],
    rest.BookTicker: ["GET /fapi/v1/ticker/bookTicker"],
    list[rest.FundingRate]: ["GET /fapi/v1/fundingRate"],
    list[rest.LeverageBracket]: ["GET /fapi/v1/leverageBracket"],
    rest.Order: [
        "POST /fapi/v1/order",
        "PUT /fapi/v1/order",
        "GET /fapi/v1/order",
        "DELETE /fapi/v1/order",
    ],
    list[rest.Order]: ["GET /fapi/v1/openOrders", "GET /fapi/v1/allOrders", "POST /fapi/v1/batchOrders"],
    list[rest.UserTrade]: ["GET /fapi/v1/userTrades"],
    list[rest.PositionRisk]: ["GET /fapi/v2/positionRisk", "GET /fapi/v3/positionRisk"],
    list[rest.PositionAmount]: ["GET /fapi/v2/positionRisk", "GET /fapi/v3/positionRisk"],
    rest.PositionMode: ["GET /fapi/v1/positionSide/dual"],
    rest.MultiAssetsMode: ["GET /fapi/v1/multiAssetsMargin"],
    list[rest.SymbolConfig]: ["GET /fapi/v1/symbolConfig"],
    rest.AccountConfig: ["GET /fapi/v1/accountConfig"],
    rest.FeeBurn: ["GET /fapi/v1/feeBurn"],
    rest.ListenKey: ["POST /fapi/v1/listenKey", "PUT /fapi/v1/listenKey"],
    rest.Leverage: ["POST /fapi/v1/leverage"],
    list[rest.AlgoOrder]: ["GET /fapi/v1/openAlgoOrders"],
}
PARTS = {rest.Filter, rest.SymbolInfo, rest.RateLimit, rest.BracketEntry}
UNCHECKED = {rest.ErrorBody: "the SDK reads code and msg of it by hand, and has no model"}

EVENTS = {
    streams.OrderTradeUpdate: "ORDER_TRADE_UPDATE",
    streams.AccountUpdate: "ACCOUNT_UPDATE",
    streams.ListenKeyExpired: "listenKeyExpired",
    streams.MarginCall: "MARGIN_CALL",
    streams.AccountConfigUpdate: "ACCOUNT_CONFIG_UPDATE",
}
EVENT_PARTS = {
    streams.OrderDetail, streams.UpdateDetail, streams.BalanceDetail, streams.PositionDetail, streams.CallDetail,
    streams.LeverageSet, streams.AssetsModeSet,
}  # fmt: skip
MARKET_EVENTS = {streams.BookTickerEvent: "<symbol>@bookTicker"}
FRAMES = {streams.CombinedBookTicker}

# The websocket API's model of the same answer has it. It must stay optional: REST is documented without.
OPTIONAL = {"answer.lastUpdateId: only we know it"}

CASES = [(ours, call) for ours, calls in ANSWERS.items() for call in calls]


def answer_of(tables, call):
    method, path = call.split()
    return next(c["answer"] for c in tables["rest"] if (c["method"], c["path"]) == (method, path))


@pytest.mark.parametrize(("ours", "call"), CASES, ids=[call.replace("/fapi/", "") for _, call in CASES])
def test_the_engine_can_read_what_the_sdk_says_is_answered(ours, call, tables):
    # Fields that one answer lacks and another has may be absent in the first.
    assert unreadable(type_of(ours), answer_of(tables, call), tables["models"], call, strict=False) == []


@pytest.mark.parametrize("ours", ANSWERS, ids=str)
def test_no_field_of_an_answer_is_known_to_us_alone(ours, tables):
    calls = ANSWERS[ours]
    found = [
        set(unreadable(type_of(ours), answer_of(tables, call), tables["models"], "answer")) for call in calls
    ]
    assert set.intersection(*found) <= OPTIONAL


@pytest.mark.parametrize("ours", EVENTS, ids=lambda o: o.__name__)
def test_the_engine_can_read_the_events_of_the_user_stream(ours, tables):
    name = EVENTS[ours]
    assert unreadable(type_of(ours), tables["events"][name], tables["models"], name) == []


@pytest.mark.parametrize("ours", MARKET_EVENTS, ids=lambda o: o.__name__)
def test_the_engine_can_read_market_events(ours, tables):
    stream = next(s for s in tables["streams"] if s["stream"] == MARKET_EVENTS[ours])
    assert unreadable(type_of(ours), stream["answer"], tables["models"], stream["stream"]) == []


def test_requests_over_the_websocket_are_signed_as_the_sdk_signs_them(tables):
    theirs, sent = tables["ws_signed"]["signed"], tables["ws_signed"]["sent"]
    params = {name: value for name, value in sent.items() if isinstance(value, str)}
    signer = order_frames.Signer("a-key", "a-secret")
    request = signer.request(1, order_frames.PLACE, params, sent["timestamp"], sent["recvWindow"])
    assert msgspec.json.decode(request)["params"] == theirs


@pytest.mark.parametrize("method", order_frames.METHODS)
def test_the_engine_can_read_what_the_sdk_says_is_answered_over_the_websocket(method, tables):
    call = next(c for c in tables["ws_api"] if c["method"] == method)
    whole = tables["models"][call["answer"]["model"]]
    assert unreadable(type_of(rest.Order), whole["result"], tables["models"], method, strict=False) == []
    limits = type_of(list[order_frames.RateCount])
    assert unreadable(limits, whole["rateLimits"], tables["models"], method) == []
    # Besides what only a refusal has.
    assert set(order_frames.Frame.__struct_fields__) - {"error"} <= set(whole)
    assert call["weight"]["weight"] == weight_of(*order_frames.METHODS[method], {"symbol": "BTCUSDT"})


def test_every_wire_type_is_held_against_something():
    answers = {getattr(ours, "__args__", (ours,))[0] for ours in ANSWERS}
    assert set(structs_of(rest)) == answers | PARTS | set(UNCHECKED)
    assert set(structs_of(streams)) == set(EVENTS) | EVENT_PARTS | set(MARKET_EVENTS) | FRAMES
