"""Market data derived from quotes: public trades, klines, 24-hour statistics. Pure; bounded memory.

Each quote counts as one public trade of one step size, at the ask and the bid in turn. So trades, klines and the
24-hour statistics agree with each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.core.units import ZERO, Symbol
from actors.venues.paper.generator import Quote

MINUTE_MS = 60_000
KLINES_MAX = 1_500
"""One-minute klines kept per symbol: 25 hours."""

TRADES_MAX = 1_000
DAY_MS = 86_400_000

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
"""Minutes of each kline interval; a month counts as 30 days."""


class Kline(msgspec.Struct):
    """OHLC prices and volume of the minutes from ``open_ms`` on; quote volumes are in the quote asset."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO
    count: int = 0
    first_id: int = 0


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """A public trade between other participants."""

    id: int
    price: Decimal
    quantity: Decimal
    time: int
    buyer_maker: bool


class SymbolMarket:
    """Recent trades and klines of one symbol."""

    __slots__ = ("kline", "klines", "last_id", "trades")

    def __init__(self) -> None:
        self.klines: deque[Kline] = deque(maxlen=KLINES_MAX)
        self.trades: deque[PublicTrade] = deque(maxlen=TRADES_MAX)
        self.kline: Kline | None = None
        self.last_id = 0

    def add(self, quote: Quote, step: Decimal, now_ms: int) -> PublicTrade:
        """Record a quote as a public trade of quantity ``step``."""
        self.last_id += 1
        taken_at_bid = self.last_id % 2 == 0
        price = quote.bid if taken_at_bid else quote.ask
        found = PublicTrade(self.last_id, price, step, now_ms, taken_at_bid)
        self.trades.append(found)
        kline = self.kline
        if kline is None or now_ms - kline.open_ms >= MINUTE_MS:
            opened = now_ms - now_ms % MINUTE_MS
            kline = self.kline = Kline(opened, price, price, price, price, first_id=self.last_id)
            self.klines.append(kline)
        elif price > kline.high:
            kline.high = price
        elif price < kline.low:
            kline.low = price
        kline.close = price
        value = price * step
        kline.volume += step
        kline.quote_volume += value
        kline.count += 1
        if not taken_at_bid:
            kline.taker_buy_volume += step
            kline.taker_buy_quote_volume += value
        return found


def merged_klines(klines: Iterable[Kline], minutes: int) -> list[Kline]:
    """Merge one-minute klines into longer ones, oldest first."""
    length = minutes * MINUTE_MS
    found: list[Kline] = []
    for c in klines:
        opened = c.open_ms - c.open_ms % length
        if not found or found[-1].open_ms != opened:
            found.append(msgspec.structs.replace(c, open_ms=opened))
            continue
        last = found[-1]
        last.high, last.low, last.close = max(last.high, c.high), min(last.low, c.low), c.close
        last.volume += c.volume
        last.quote_volume += c.quote_volume
        last.taker_buy_volume += c.taker_buy_volume
        last.taker_buy_quote_volume += c.taker_buy_quote_volume
        last.count += c.count
    return found


def last_24_hours(klines: Iterable[Kline], now_ms: int) -> Kline | None:
    """The last 24 hours as one kline; None without data."""
    recent = [c for c in klines if c.open_ms > now_ms - DAY_MS]
    if not recent:
        return None
    whole = msgspec.structs.replace(recent[0])
    for c in recent[1:]:
        whole.high, whole.low, whole.close = max(whole.high, c.high), min(whole.low, c.low), c.close
        whole.volume += c.volume
        whole.quote_volume += c.quote_volume
        whole.count += c.count
    return whole


class Market:
    """Recent trades and klines of all symbols."""

    def __init__(self) -> None:
        self._symbols: dict[Symbol, SymbolMarket] = {}

    def add(self, quote: Quote, step: Decimal, now_ms: int) -> PublicTrade:
        """Record a quote as a public trade of quantity ``step``."""
        found = self._symbols.get(quote.symbol)
        if found is None:
            found = self._symbols[quote.symbol] = SymbolMarket()
        return found.add(quote, step, now_ms)

    def of(self, symbol: Symbol) -> SymbolMarket:
        """History of a symbol; empty before its first quote."""
        return self._symbols.get(symbol) or SymbolMarket()
