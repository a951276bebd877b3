"""What the exchange says about waiting, and about commissions."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.gateway.messages import ReportStatus
from actors.subaccount.decide import decide
from actors.venues.binance import rest
from actors.venues.binance.streams import OrderTradeUpdate, decode_user_event
from actors.venues.binance.translate import (
    COUNT_DIGITS_MAX,
    RETRY_UNREADABLE_MS,
    count_of,
    order_params,
    report_of_event,
    retry_after_ms,
    trade_of,
)
from actors.venues.paper.generator import Quote
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest
from tests.factories import BUY, ETH, INSTRUMENTS, account, market

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", 0),
        ("0", 0),
        ("3", 3_000),
        ("1.5", 1_500),
        ("-4", 0),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10_000),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("soon", RETRY_UNREADABLE_MS),
        ("nan", RETRY_UNREADABLE_MS),
        ("inf", RETRY_UNREADABLE_MS),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_an_exception(header, expected):
    assert retry_after_ms(header, NOW) == expected


FILLED = {
    "s": "BTCUSDT", "c": "bh-1", "S": "SELL", "o": "MARKET", "f": "GTC", "q": "0.001", "p": "0", "ap": "61800.1",
    "sp": "0", "x": "TRADE", "X": "FILLED", "i": 8886774, "l": "0.001", "z": "0.001", "L": "61800.1", "T": 1568879465650,
    "t": 7, "b": "0", "a": "9.91", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "MARKET", "ps": "BOTH",
    "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_TAKER", "pm": "NONE", "gtd": 0,
}  # fmt: skip
TRADED = {
    "symbol": "BTCUSDT", "id": 7, "orderId": 8886774, "side": "SELL", "price": "61800.1", "qty": "0.001",
    "realizedPnl": "0", "quoteQty": "61.8001", "time": 1568879465650, "positionSide": "BOTH", "maker": False,
    "buyer": False,
}  # fmt: skip
COMMISSIONS = [
    ({"n": "0.00004", "N": "BNB"}, D("0.00004"), "BNB"),
    ({"n": "0.0309", "N": "USDT"}, D("0.0309"), "USDT"),
    ({"n": "0"}, D(0), ""),
    ({}, None, ""),
    ({"n": "0.0309"}, None, ""),
    ({"N": "BNB"}, None, ""),
    ({"n": None, "N": None}, None, ""),
]


def event(**told):
    frame = {"e": "ORDER_TRADE_UPDATE", "E": 1568879465651, "T": 1568879465650, "o": FILLED | told}
    return report_of_event(decode_user_event(msgspec.json.encode(frame)).o)


@pytest.mark.parametrize(("told", "fee", "asset"), COMMISSIONS)
def test_a_fill_says_amount_and_asset_of_its_commission_or_neither(told, fee, asset):
    trade = event(**told).trade
    assert (trade.fee, trade.fee_asset) == (fee, asset)


@pytest.mark.parametrize(("told", "fee", "asset"), COMMISSIONS)
def test_so_does_a_trade_that_is_asked_for(told, fee, asset):
    names = {"n": "commission", "N": "commissionAsset"}
    raw = TRADED | {names[k]: v for k, v in told.items()}
    trade = trade_of(msgspec.json.decode(msgspec.json.encode(raw), type=rest.UserTrade))
    assert (trade.fee, trade.fee_asset) == (fee, asset)


@pytest.mark.parametrize("amount", ["NaN", "Infinity"])
def test_a_commission_that_is_no_number_is_refused(amount):
    with pytest.raises(ValueError, match="not a finite number"):
        event(n=amount, N="BNB")


@pytest.mark.parametrize("header", ["1e300", "99999999999", "Mon, 01 Jan 9999 23:59:59 -2300"])
def test_nobody_waits_longer_than_the_longest_ban(header):
    assert retry_after_ms(header, NOW) == 3 * 24 * 3_600 * 1_000


@pytest.mark.parametrize("name", ["q", "z", "l", "L", "n"])
@pytest.mark.parametrize("value", ["sNaN", "NaN", "-Infinity", "1e999999999", "1e-999999999"])
def test_a_number_that_cannot_be_is_refused_before_anybody_reckons_with_it(name, value):
    event = {**FILLED, "n": "0.1", "N": "USDT", name: value}
    frame = msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": event})
    with pytest.raises(ValueError, match="is not a"):
        report_of_event(decode_user_event(frame).o)


@pytest.mark.parametrize("value", ["0", "0.000", "-0.001", "NaN", "sNaN", "Infinity", "1e999999"])
@pytest.mark.parametrize("field", ["l", "L", "qty", "price"])
def test_a_trade_of_no_quantity_or_price_is_refused(field, value):
    with pytest.raises(ValueError, match="is not a"):
        made(field, value)


def made(field, value):
    """A trade out of an event of the user stream, or out of a list of trades."""
    if field in FILLED:
        return event(**{field: value})
    return trade_of(msgspec.convert({**TRADED, field: value}, rest.UserTrade, strict=False))


@pytest.mark.parametrize(
    ("header", "count"),
    [
        ("0", 0),
        ("9" * COUNT_DIGITS_MAX, 10**COUNT_DIGITS_MAX - 1),
        ("9" * (COUNT_DIGITS_MAX + 1), None),
        ("", None),
    ],
)
def test_a_count_has_at_most_so_many_digits(header, count):
    assert count_of(header) == count


def test_a_market_order_has_no_price_and_a_limit_order_has_one_and_says_how_long():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D("1.50")), market()).facts
    params = order_params(intended)
    assert params == {
        "symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.5",
        "newClientOrderId": intended.client_order_id, "newOrderRespType": "RESULT",
    }  # fmt: skip
    resting = replace(intended, order_type=OrderType.LIMIT, price=D("2000.10"))
    assert order_params(resting) == {**params, "type": "LIMIT", "price": "2000.1", "timeInForce": "GTC"}


def test_only_an_execution_tells_of_a_trade():
    assert event(x="TRADE").trade is not None
    assert event(x="CANCELED", X="CANCELED").trade is None
    assert event(x="TRADE", t=0).trade is None


def test_a_market_order_larger_than_the_book_ends_with_what_traded_and_says_why():
    exchange = Exchange(INSTRUMENTS, D(10) ** 9)
    exchange.on_quote(Quote(ETH, D(2_000), D(1), D("2000.10"), D(1)), 1)
    order = OrderRequest(
        symbol=ETH, side=BUY, type=OrderType.MARKET, quantity=D(5_000), client_order_id="large"
    )
    placed, events = exchange.place(order, 2)
    reports = [
        report_of_event(read.o)
        for read in (decode_user_event(msgspec.json.encode(e)) for e in events)
        if isinstance(read, OrderTradeUpdate)
    ]
    end = reports[-1]
    assert (end.status, end.executed, end.quantity) == (ReportStatus.EXPIRED, placed.executed, 5_000)
    assert sum(r.trade.quantity for r in reports if r.trade) == placed.executed
    assert "the book did not have the rest" in end.reason
