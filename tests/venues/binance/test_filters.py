"""exchangeInfo there and back, and each filter's own code."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.venues.binance.errors import Code, MalformedMessage
from actors.venues.binance.filters import brackets_of, check_order, info_of, instrument_of
from actors.venues.binance.rest import BracketEntry, LeverageBracket
from tests.factories import ETH, INSTRUMENTS

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT


def test_rules_survive_the_wire():
    for instrument in INSTRUMENTS.values():
        assert instrument_of(info_of(instrument)) == instrument


@pytest.mark.parametrize("kind", ["PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL"])
def test_a_missing_filter_is_named(kind):
    info = info_of(INSTRUMENTS[ETH])
    broken = replace(info, filters=tuple(f for f in info.filters if f.filterType != kind))
    with pytest.raises(MalformedMessage, match=f"ETHUSDT has no usable {kind}"):
        instrument_of(broken)


@pytest.mark.parametrize(
    ("order_type", "quantity", "price", "code"),
    [
        (MARKET, "1", None, None),
        (LIMIT, "1", "2000.01", None),
        (MARKET, "0", None, Code.QTY_LESS_THAN_ZERO),
        (MARKET, "NaN", None, Code.QTY_LESS_THAN_ZERO),
        (MARKET, "0.0005", None, Code.QTY_LESS_THAN_MIN_QTY),
        (MARKET, "10001", None, Code.QTY_GREATER_THAN_MAX_QTY),
        (MARKET, "1.0005", None, Code.BAD_PRECISION),
        (LIMIT, "1", "2000.001", Code.PRICE_NOT_INCREASED_BY_TICK_SIZE),
        (LIMIT, "1", "-1", Code.PRICE_LESS_THAN_ZERO),
        (LIMIT, "1", "NaN", Code.PRICE_LESS_THAN_ZERO),
        (MARKET, "0.009", None, Code.MIN_NOTIONAL),
    ],
)
def test_the_first_broken_filter(order_type, quantity, price, code):
    price = None if price is None else D(price)
    found = check_order(INSTRUMENTS[ETH], order_type, D(quantity), price, D(2000), reduce_only=False)
    assert found == code


def test_reduce_only_needs_no_minimum_notional():
    assert check_order(INSTRUMENTS[ETH], MARKET, D("0.009"), None, D(2000), reduce_only=True) is None


def answer(*rows):
    entries = tuple(
        BracketEntry(
            bracket=n,
            initialLeverage=10,
            notionalFloor=D(floor),
            notionalCap=D(cap),
            maintMarginRatio=D(rate),
            cum=D(cum),
        )
        for n, (floor, cap, rate, cum) in enumerate(rows, 1)
    )
    return LeverageBracket(symbol="ETHUSDT", brackets=entries)


GOOD = [(0, 50_000, "0.004", 0), (50_000, 250_000, "0.005", 50), (250_000, 10**9, "0.01", 1300)]


def test_brackets_come_lowest_first_whatever_their_order():
    found = brackets_of(answer(*GOOD[::-1]))
    assert [b.notional_floor for b in found] == [0, 50_000, 250_000]
    assert found[1].cumulative == 50


def test_the_exchange_s_numbers_are_read_exactly():
    text = (
        b'[{"symbol":"ETHUSDT","notionalCoef":1.50,"brackets":[{"bracket":1,"initialLeverage":75,'
        b'"notionalCap":10000,"notionalFloor":0,"maintMarginRatio":0.0065,"cum":0.0}]}]'
    )
    [told] = msgspec.json.decode(text, type=list[LeverageBracket])
    assert brackets_of(told)[0].rate == D("0.0065")


@pytest.mark.parametrize(
    "rows",
    [
        [(10, 50_000, "0.004", 0)],
        [GOOD[0], (60_000, 250_000, "0.005", 50)],
        [GOOD[0], (50_000, 250_000, "0.005", 500)],
        [(0, 0, "0.004", 0)],
        [(0, 50_000, "0", 0)],
        [(0, 50_000, "1", 0)],
        [(0, 50_000, "-0.1", 0)],
    ],
)
def test_brackets_that_leave_a_gap_or_jump_are_named(rows):
    with pytest.raises(MalformedMessage, match=r"bracket . of ETHUSDT"):
        brackets_of(answer(*rows))
