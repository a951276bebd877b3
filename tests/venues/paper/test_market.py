"""Klines, trades and depth derived from quotes."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from actors.venues.paper.generator import Quote
from actors.venues.paper.market import (
    INTERVALS,
    KLINES_MAX,
    MINUTE_MS,
    TRADES_MAX,
    SymbolMarket,
    last_24_hours,
    merged_klines,
)
from tests.factories import ETH

STEP = D("0.001")


def quote(mid):
    return Quote(ETH, D(mid) - 1, D(5), D(mid) + 1, D(7))


@given(
    st.lists(st.tuples(st.integers(1, 5 * MINUTE_MS), st.integers(1_000, 3_000)), min_size=1, max_size=60),
    st.sampled_from(sorted(INTERVALS)),
)
def test_klines_of_any_interval_hold_every_trade_once(moves, interval):
    market, now, prints = SymbolMarket(), 0, []
    for wait, mid in moves:
        now += wait
        prints.append(market.add(quote(mid), STEP, now))
    klines = merged_klines(market.klines, INTERVALS[interval])
    length = INTERVALS[interval] * MINUTE_MS
    assert sum(c.count for c in klines) == len(prints)
    for c in klines:
        inside = [p for p in prints if c.open_ms <= p.time < c.open_ms + length]
        assert (c.open_ms % length, c.count) == (0, len(inside))
        assert (c.open, c.close) == (inside[0].price, inside[-1].price)
        assert (c.high, c.low) == (max(p.price for p in inside), min(p.price for p in inside))
        assert (c.volume, c.quote_volume) == (STEP * len(inside), sum(p.price * STEP for p in inside))
    assert last_24_hours(market.klines, now).close == prints[-1].price


def test_memory_is_bounded():
    market = SymbolMarket()
    for n in range(KLINES_MAX + 500):
        market.add(quote(2_000 + n % 7), STEP, n * MINUTE_MS)
    assert (len(market.klines), len(market.trades)) == (KLINES_MAX, TRADES_MAX)
    assert last_24_hours(market.klines, (KLINES_MAX + 500) * MINUTE_MS).count <= 1_440
    assert last_24_hours([], 5) is None
