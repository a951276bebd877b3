"""Market data endpoints. No network; the time is an argument."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.core.units import ZERO, Symbol
from actors.venues.paper import wire_market as wire
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.depth import top
from actors.venues.paper.instruments import exchange_info_entry
from actors.venues.paper.market import INTERVALS, MINUTE_MS, Kline, last_24_hours, merged_klines
from actors.venues.paper.reports import text
from actors.venues.paper.requests import Params, int_param, limit_param
from actors.venues.paper.venue import PaperVenue, Reply, answer

FUNDING_HOURS = 8
FUNDING_MS = FUNDING_HOURS * 3_600_000
ROWS_MAX = 1_000
KLINES_MAX = 1_500
DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1_000)


class MarketEndpoints:
    """Market data and exchangeInfo endpoints."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue

    def ping(self, _params: Params, _now_ms: int) -> Reply:
        """Test connectivity."""
        return Reply()

    def empty_list(self, _params: Params, _now_ms: int) -> Reply:
        """An empty list, for endpoints without data on this exchange."""
        return answer([])

    def time(self, _params: Params, now_ms: int) -> Reply:
        """Exchange time."""
        return answer(wire.Time(now_ms))

    def rate_limits(self) -> tuple[wire.RateLimitRule, ...]:
        """Rate limits of this exchange."""
        limits = self._venue.windows.limits
        return (
            wire.RateLimitRule("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
            wire.RateLimitRule("ORDERS", "MINUTE", 1, limits.orders_per_minute),
            wire.RateLimitRule("ORDERS", "SECOND", 10, limits.orders_per_10s),
        )

    def exchange_info(self, _params: Params, now_ms: int) -> Reply:
        """exchangeInfo: all symbols and their trading rules."""
        venue = self._venue
        exchange = venue.exchange
        quote_assets = sorted({i.quote_asset for i in exchange.instruments.values()} | {"BNB"})
        return answer(
            wire.Rules(
                timezone="UTC",
                serverTime=now_ms,
                futuresType="U_MARGINED",
                rateLimits=self.rate_limits(),
                exchangeFilters=(),
                assets=tuple(
                    wire.ListedAsset(a, marginAvailable=True, autoAssetExchange="-10000")
                    for a in quote_assets
                ),
                symbols=tuple(
                    exchange_info_entry(
                        listing,
                        exchange.bands[symbol],
                        exchange.status.get(symbol, "TRADING"),
                        venue.windows.limits.open_orders_per_symbol,
                    )
                    for symbol, listing in venue.listings.items()
                ),
            )
        )

    def _quoted_symbols(self, params: Params) -> list[Symbol]:
        venue = self._venue
        return [s for s in venue.symbols(params) if s in venue.exchange.quotes and s not in venue.halted]

    @staticmethod
    def _one_or_all(params: Params, found: list[Any]) -> Reply:
        return answer(found[0] if params.get("symbol") and found else found)

    def book_ticker(self, params: Params, now_ms: int) -> Reply:
        """Best bid and ask of one symbol, or of all."""
        venue, found = self._venue, []
        for symbol in self._quoted_symbols(params):
            q = venue.exchange.shown(symbol, now_ms)
            found.append(
                wire.BookTicker(
                    symbol=symbol,
                    bidPrice=text(q.bid),
                    bidQty=text(q.bid_qty),
                    askPrice=text(q.ask),
                    askQty=text(q.ask_qty),
                    time=now_ms - venue.faults.quote_age_ms,
                    lastUpdateId=venue.update_id,
                )
            )
        return self._one_or_all(params, found)

    def price(self, params: Params, now_ms: int) -> Reply:
        """Last price of one symbol, or of all."""
        found = [wire.PriceTicker(s, text(self._last(s)), now_ms) for s in self._quoted_symbols(params)]
        return self._one_or_all(params, found)

    def _last(self, symbol: Symbol) -> Decimal:
        kline = self._venue.market.of(symbol).kline
        return kline.close if kline else self._venue.exchange.quotes[symbol].bid

    def day_ticker(self, params: Params, now_ms: int) -> Reply:
        """24-hour statistics of one symbol, or of all."""
        return self._one_or_all(params, [self.ticker_of(s, now_ms) for s in self._quoted_symbols(params)])

    def ticker_of(self, symbol: Symbol, now_ms: int) -> wire.Ticker24h:
        """24-hour statistics of a symbol."""
        market = self._venue.market.of(symbol)
        last = self._last(symbol)
        day = last_24_hours(market.klines, now_ms) or Kline(now_ms, last, last, last, last)
        change = day.close - day.open
        average = day.quote_volume / day.volume if day.volume else last
        tick = self._venue.exchange.instruments[symbol].tick_size
        return wire.Ticker24h(
            symbol=symbol,
            priceChange=text(change),
            priceChangePercent=text((change / day.open * 100).quantize(Decimal("0.001"))),
            weightedAvgPrice=text(average.quantize(tick)),
            lastPrice=text(day.close),
            lastQty=text(self._venue.exchange.instruments[symbol].step_size),
            openPrice=text(day.open),
            highPrice=text(day.high),
            lowPrice=text(day.low),
            volume=text(day.volume),
            quoteVolume=text(day.quote_volume),
            openTime=day.open_ms,
            closeTime=now_ms,
            firstId=day.first_id,
            lastId=market.last_id,
            count=day.count,
        )

    def depth(self, params: Params, now_ms: int) -> Reply:
        """The order book."""
        symbol, limit = self._venue.symbol(params), int_param(params, "limit") or 500
        if limit not in DEPTH_LIMITS:
            raise ExchangeRefusal(PaperCode.ILLEGAL_CHARS, f"Illegal parameter 'limit': {limit}.")
        bids, asks = self.levels(symbol, limit, now_ms)
        return answer(
            wire.Depth(lastUpdateId=self._venue.update_id, E=now_ms, T=now_ms, bids=bids, asks=asks)
        )

    def levels(
        self, symbol: Symbol, limit: int, now_ms: int
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """At most ``limit`` levels of each side of a symbol's order book, as text."""
        exchange = self._venue.exchange
        quote = exchange.quotes.get(symbol)
        if quote is None:
            return [], []
        bids, asks = top(exchange.book, quote, limit, now_ms)
        return [(text(p), text(q)) for p, q in bids], [(text(p), text(q)) for p, q in asks]

    def trades(self, params: Params, _now_ms: int) -> Reply:
        """Recent public trades."""
        market = self._venue.market.of(self._venue.symbol(params))
        recent = list(market.trades)[-limit_param(params, "limit", 500, ROWS_MAX) :]
        return answer(
            [
                wire.MarketTrade(
                    id=t.id,
                    price=text(t.price),
                    qty=text(t.quantity),
                    quoteQty=text(t.price * t.quantity),
                    time=t.time,
                    isBuyerMaker=t.buyer_maker,
                    isRPITrade=False,
                )
                for t in recent
            ]
        )

    def aggregate_trades(self, params: Params, _now_ms: int) -> Reply:
        """Recent public trades, by id or time."""
        market = self._venue.market.of(self._venue.symbol(params))
        limit, from_id = limit_param(params, "limit", 500, ROWS_MAX), int_param(params, "fromId")
        start, end = int_param(params, "startTime") or 0, int_param(params, "endTime")
        found = [
            t
            for t in market.trades
            if t.id >= (from_id or 0) and t.time >= start and (end is None or t.time <= end)
        ]
        found = found[:limit] if from_id is not None or start else found[-limit:]
        return answer(
            [
                wire.AggregateTrade(
                    a=t.id, p=text(t.price), q=text(t.quantity), nq=text(t.quantity), f=t.id, l=t.id, T=t.time,
                    m=t.buyer_maker,
                )
                for t in found
            ]
        )  # fmt: skip

    def klines(self, params: Params, _now_ms: int) -> Reply:
        """Klines since the exchange started."""
        return self._klines(self._venue.symbol(params), params)

    def pair_klines(self, params: Params, _now_ms: int) -> Reply:
        """Klines by ``pair`` instead of symbol: index price and continuous contracts."""
        return self._klines(self._venue.symbol({"symbol": params.get("pair", "")}), params)

    def _klines(self, symbol: Symbol, params: Params) -> Reply:
        interval = params.get("interval", "")
        if interval not in INTERVALS:
            raise ExchangeRefusal(PaperCode.BAD_INTERVAL)
        minutes = INTERVALS[interval]
        start, end = int_param(params, "startTime"), int_param(params, "endTime")
        limit = limit_param(params, "limit", 500, KLINES_MAX)
        found = [
            c
            for c in merged_klines(self._venue.market.of(symbol).klines, minutes)
            if c.open_ms >= (start or 0) and (end is None or c.open_ms <= end)
        ]
        found = found[:limit] if start is not None else found[-limit:]
        return answer([kline_row(c, minutes) for c in found])

    def premium_index(self, params: Params, now_ms: int) -> Reply:
        """Mark price, index price and funding of one symbol, or of all."""
        return self._one_or_all(params, [self.premium_of(s, now_ms) for s in self._quoted_symbols(params)])

    def premium_of(self, symbol: Symbol, now_ms: int) -> wire.Premium:
        """Mark price, index price and funding of a symbol."""
        exchange = self._venue.exchange
        mark, index = exchange.mark(symbol), exchange.mid(symbol)
        last = next((f.rate for f in reversed(exchange.funding_rates) if f.symbol == symbol), ZERO)
        return wire.Premium(
            symbol=symbol,
            markPrice=text(mark),
            indexPrice=text(index),
            estimatedSettlePrice=text(index),
            lastFundingRate=text(last),
            interestRate="0.00010000",
            nextFundingTime=now_ms - now_ms % FUNDING_MS + FUNDING_MS,
            time=now_ms,
        )

    def funding_rates(self, params: Params, _now_ms: int) -> Reply:
        """Funding rate history, oldest first."""
        start, end = int_param(params, "startTime") or 0, int_param(params, "endTime")
        limit = limit_param(params, "limit", 100, ROWS_MAX)
        wanted = self._venue.symbol(params) if params.get("symbol") else None
        found = [
            wire.SettledFunding(
                symbol=f.symbol, fundingRate=text(f.rate), fundingTime=f.time, markPrice=text(f.mark)
            )
            for f in self._venue.exchange.funding_rates
            if f.time >= start and (end is None or f.time <= end) and wanted in {None, f.symbol}
        ]
        return answer(found[:limit])

    def funding_info(self, _params: Params, now_ms: int) -> Reply:
        """Caps, floors and intervals of funding rates."""
        return answer(
            [
                wire.FundingTerms(
                    symbol=s,
                    adjustedFundingRateCap="0.02500000",
                    adjustedFundingRateFloor="-0.02500000",
                    fundingIntervalHours=FUNDING_HOURS,
                    disclaimer=False,
                    updateTime=now_ms,
                )
                for s, listing in self._venue.listings.items()
                if listing.contract == "PERPETUAL"
            ]
        )

    def open_interest(self, params: Params, now_ms: int) -> Reply:
        """Open interest; this exchange knows only the master's own position."""
        symbol = self._venue.symbol(params)
        return answer(
            wire.OpenInterest(text(abs(self._venue.exchange.positions[symbol].amount)), symbol, now_ms)
        )


def kline_row(kline: Kline, minutes: int) -> list[Any]:
    """A kline as the exchange answers it: a list."""
    c = kline
    return [
        c.open_ms,
        text(c.open),
        text(c.high),
        text(c.low),
        text(c.close),
        text(c.volume),
        c.open_ms + minutes * MINUTE_MS - 1,
        text(c.quote_volume),
        c.count,
        text(c.taker_buy_volume),
        text(c.taker_buy_quote_volume),
        "0",
    ]
