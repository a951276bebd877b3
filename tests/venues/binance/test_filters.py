"""A symbol's rules out of exchangeInfo, and its leverage brackets."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest

from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.filters import brackets_of, instrument_of
from actors.venues.binance.rest import BracketEntry, LeverageBracket, SymbolInfo
from tests.venues.binance.recorded import symbol


def info(*kinds):
    """The entry of BTCUSDT with filters of some kinds."""
    entry = symbol("BTCUSDT")
    entry["filters"] = [f for f in entry["filters"] if f["filterType"] in kinds]
    return msgspec.convert(entry, SymbolInfo, strict=False)


FILTERS = ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL")


def test_each_rule_is_read_from_its_filter():
    found = instrument_of(info(*FILTERS))
    assert (found.symbol, found.base_asset, found.quote_asset) == ("BTCUSDT", "BTC", "USDT")
    assert (found.tick_size, found.step_size, found.min_qty) == (D("0.10"), D("0.001"), D("0.001"))
    assert (found.max_qty, found.market_max_qty, found.min_notional) == (D(1000), D(100), D(100))


@pytest.mark.parametrize("kind", FILTERS)
def test_a_missing_filter_is_named(kind):
    with pytest.raises(MalformedMessage, match=f"BTCUSDT has no usable {kind}"):
        instrument_of(info(*(f for f in FILTERS if f != kind)))


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
