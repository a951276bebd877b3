"""What the paper exchange knows of its market beside L1: trades, candles, a day's figures, depth. Pure; bounded.

Each L1 update counts as one trade of a part of the best quantity, at the ask and at the bid in turn, so
that candles, trades and the day's figures are of one making.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.paper.generator import Quote

MINUTE_MS = 60_000
CANDLES_MAX = 1_500
"""One-minute candles kept per symbol: a day and an hour."""

TRADES_MAX = 1_000
DAY_MS = 86_400_000
DEPTH_LEVELS_MAX = 1_000

INTERVALS = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1_440,
    "3d": 4_320,
    "1w": 10_080,
    "1M": 43_200,
}
"""Minutes of each candle interval; a month counts 30 days."""


class Candle(msgspec.Struct):
    """Prices and volume of some minutes from ``open_ms`` on."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    value: Decimal = ZERO
    bought: Decimal = ZERO
    bought_value: Decimal = ZERO
    count: int = 0
    first_id: int = 0


class MarketPrint(msgspec.Struct, frozen=True, gc=False):
    """A trade of others."""

    id: int
    price: Decimal
    quantity: Decimal
    time: int
    buyer_maker: bool


class SymbolMarket:
    """One symbol's recent history."""

    __slots__ = ("candle", "candles", "last_id", "trades")

    def __init__(self) -> None:
        self.candles: deque[Candle] = deque(maxlen=CANDLES_MAX)
        self.trades: deque[MarketPrint] = deque(maxlen=TRADES_MAX)
        self.candle: Candle | None = None
        self.last_id = 0

    def add(self, quote: Quote, step: Decimal, now_ms: int) -> MarketPrint:
        """An L1 update, as the trade that it stands for."""
        self.last_id += 1
        taken_at_bid = self.last_id % 2 == 0
        price = quote.bid if taken_at_bid else quote.ask
        found = MarketPrint(self.last_id, price, step, now_ms, taken_at_bid)
        self.trades.append(found)
        candle = self.candle
        if candle is None or now_ms - candle.open_ms >= MINUTE_MS:
            opened = now_ms - now_ms % MINUTE_MS
            candle = self.candle = Candle(opened, price, price, price, price, first_id=self.last_id)
            self.candles.append(candle)
        elif price > candle.high:
            candle.high = price
        elif price < candle.low:
            candle.low = price
        candle.close = price
        value = price * step
        candle.volume += step
        candle.value += value
        candle.count += 1
        if not taken_at_bid:
            candle.bought += step
            candle.bought_value += value
        return found


def merged(candles: Iterable[Candle], minutes: int) -> list[Candle]:
    """One-minute candles put together to longer ones, oldest first."""
    length = minutes * MINUTE_MS
    found: list[Candle] = []
    for c in candles:
        opened = c.open_ms - c.open_ms % length
        if not found or found[-1].open_ms != opened:
            found.append(msgspec.structs.replace(c, open_ms=opened))
            continue
        last = found[-1]
        last.high, last.low, last.close = max(last.high, c.high), min(last.low, c.low), c.close
        last.volume += c.volume
        last.value += c.value
        last.bought += c.bought
        last.bought_value += c.bought_value
        last.count += c.count
    return found


def day_of(candles: Iterable[Candle], now_ms: int) -> Candle | None:
    """The last 24 hours as one candle, None before the first."""
    recent = [c for c in candles if c.open_ms > now_ms - DAY_MS]
    if not recent:
        return None
    whole = msgspec.structs.replace(recent[0])
    for c in recent[1:]:
        whole.high, whole.low, whole.close = max(whole.high, c.high), min(whole.low, c.low), c.close
        whole.volume += c.volume
        whole.value += c.value
        whole.count += c.count
    return whole


Level = tuple[Decimal, Decimal]


def depth_of(quote: Quote, instrument: Instrument, levels: int) -> tuple[list[Level], list[Level]]:
    """Bids and asks, best first: L1, then levels as a swept market order finds them (twice the size each)."""
    tick = instrument.tick_size
    bids: list[Level] = [(quote.bid, quote.bid_qty)]
    asks: list[Level] = [(quote.ask, quote.ask_qty)]
    for number in range(1, min(levels, DEPTH_LEVELS_MAX)):
        grown = 2 ** min(number, 10)
        below = quote.bid - tick * (3 * number)
        if below > ZERO:
            bids.append((below, quote.bid_qty * grown))
        asks.append((quote.ask + tick * (3 * number), quote.ask_qty * grown))
    return bids, asks


class Market:
    """All symbols' recent history."""

    def __init__(self) -> None:
        self._symbols: dict[Symbol, SymbolMarket] = {}

    def add(self, quote: Quote, step: Decimal, now_ms: int) -> MarketPrint:
        """An L1 update of a symbol."""
        found = self._symbols.get(quote.symbol)
        if found is None:
            found = self._symbols[quote.symbol] = SymbolMarket()
        return found.add(quote, step, now_ms)

    def of(self, symbol: Symbol) -> SymbolMarket:
        """A symbol's history, empty before its first L1."""
        return self._symbols.get(symbol) or SymbolMarket()
