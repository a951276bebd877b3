"""What each market stream tells at a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from actors.core.units import Symbol
from actors.venues.paper import wire_streams as wire
from actors.venues.paper.generator import Quote
from actors.venues.paper.market import INTERVALS, MINUTE_MS, MarketPrint, merged
from actors.venues.paper.market_endpoints import MarketEndpoints
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.reports import text
from actors.venues.paper.stream_names import Stream, stream_of
from actors.venues.paper.venue import PaperVenue

encode = msgspec.json.Encoder().encode
DIFF_LEVELS = 20


def book_ticker(quote: Quote, update_id: int, pair: str, now_ms: int) -> bytes:
    """L1."""
    return encode(
        wire.BookTickerFrame(
            u=update_id,
            E=now_ms,
            T=now_ms,
            s=quote.symbol,
            ps=pair,
            b=f"{quote.bid:f}",
            B=f"{quote.bid_qty:f}",
            a=f"{quote.ask:f}",
            A=f"{quote.ask_qty:f}",
        )
    )


def aggregate_trade(symbol: Symbol, trade: MarketPrint, now_ms: int) -> bytes:
    """A trade of others."""
    quantity = text(trade.quantity)
    return encode(
        wire.AggTradeFrame(
            E=now_ms, s=symbol, a=trade.id, p=text(trade.price), q=quantity, nq=quantity, f=trade.id, l=trade.id,
            T=trade.time, m=trade.buyer_maker,
        )
    )  # fmt: skip


def single_trade(symbol: Symbol, trade: MarketPrint, now_ms: int) -> bytes:
    """A trade of others, not gathered by price."""
    return encode(
        wire.TradeFrame(
            E=now_ms, T=trade.time, s=symbol, t=trade.id, p=text(trade.price), q=text(trade.quantity), m=trade.buyer_maker
        )
    )  # fmt: skip


def forced_order(order: PaperOrder, pair: str, now_ms: int) -> bytes:
    """A liquidation."""
    request = order.request
    body = wire.ForceOrderBody(
        s=request.symbol,
        S=request.side.value,
        o=request.type.value,
        f=request.time_in_force,
        q=text(request.quantity),
        p=text(request.price or order.average),
        ap=text(order.average),
        X=order.status,
        l=text(order.executed),
        z=text(order.executed),
        T=order.updated,
    )
    return encode(wire.ForceOrderFrame(E=now_ms, o=body, ps=pair))


class Frames:
    """Frames of the streams that are told in intervals.

    Args:
        venue: whose market.
    """

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue
        self._market = MarketEndpoints(venue)
        self._told_depth: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {}

    def begin(self, names: Iterable[str]) -> None:
        """Somebody subscribes: what a diff-depth stream tells first follows on what the book was now.

        Else a snapshot that is read between the subscription and the first event cannot be joined to it.
        """
        for stream in filter(None, map(stream_of, names)):
            symbol = stream.symbol
            if (
                stream.kind == "depth"
                and stream.name not in self._told_depth
                and symbol in self._venue.exchange.quotes
            ):
                bids, asks = self._market.levels(symbol, stream.levels or DIFF_LEVELS)
                self._told_depth[stream.name] = (self._venue.update_id, dict(bids), dict(asks))

    def of(self, stream: Stream, now_ms: int) -> bytes | None:
        """A frame of a stream, None where there is nothing to tell yet."""
        symbols = [stream.symbol] if stream.symbol is not None else list(self._venue.exchange.quotes)
        symbols = [s for s in symbols if s in self._venue.exchange.quotes and s not in self._venue.halted]
        if not symbols:
            return None
        if stream.kind == "depth":
            return encode(self._depth(stream, symbols[0], now_ms))
        if stream.kind == "kline":
            return encode(self._candle(symbols[0], stream.interval, now_ms))
        made = {"markPrice": self._mark, "ticker": self._day, "miniTicker": self._mini}[stream.kind]
        if stream.symbol is not None:
            return encode(made(symbols[0], now_ms))
        return encode([made(s, now_ms) for s in symbols])

    def contract(self, symbol: Symbol, now_ms: int) -> bytes:
        """A listing, or a change of one."""
        listing = self._venue.listings[symbol]
        return encode(
            wire.ContractInfoFrame(
                E=now_ms,
                s=symbol,
                ps=listing.pair,
                ct=listing.contract,
                dt=listing.delivery_ms,
                ot=listing.onboard_ms,
                cs=self._venue.exchange.status.get(symbol, "TRADING"),
            )
        )

    def _mark(self, symbol: Symbol, now_ms: int) -> Any:
        p = self._market.premium_of(symbol, now_ms)
        return wire.MarkPriceFrame(
            E=now_ms, s=symbol, p=p.markPrice, i=p.indexPrice, P=p.estimatedSettlePrice, r=p.lastFundingRate,
            ap=p.markPrice, T=p.nextFundingTime,
        )  # fmt: skip

    def _day(self, symbol: Symbol, now_ms: int) -> Any:
        d = self._market.day_of(symbol, now_ms)
        return wire.DayTickerFrame(
            E=now_ms, s=symbol, ps=self._pair(symbol), p=d.priceChange, P=d.priceChangePercent, w=d.weightedAvgPrice,
            c=d.lastPrice, Q=d.lastQty, o=d.openPrice, h=d.highPrice, l=d.lowPrice, v=d.volume, q=d.quoteVolume,
            O=d.openTime, C=d.closeTime, F=d.firstId, L=d.lastId, n=d.count,
        )  # fmt: skip

    def _mini(self, symbol: Symbol, now_ms: int) -> Any:
        d = self._market.day_of(symbol, now_ms)
        return wire.MiniTickerFrame(
            E=now_ms, s=symbol, ps=self._pair(symbol), c=d.lastPrice, o=d.openPrice, h=d.highPrice, l=d.lowPrice,
            v=d.volume, q=d.quoteVolume,
        )  # fmt: skip

    def _candle(self, symbol: Symbol, interval: str, now_ms: int) -> Any:
        minutes, market = INTERVALS[interval], self._venue.market.of(symbol)
        candle = merged(market.candles, minutes)[-1]
        closes = candle.open_ms + minutes * MINUTE_MS - 1
        body = wire.CandleBody(
            t=candle.open_ms, T=closes, s=symbol, i=interval, f=candle.first_id, L=market.last_id, o=text(candle.open),
            c=text(candle.close), h=text(candle.high), l=text(candle.low), v=text(candle.volume), n=candle.count,
            x=now_ms > closes, q=text(candle.value), V=text(candle.bought), Q=text(candle.bought_value),
        )  # fmt: skip
        return wire.CandleFrame(E=now_ms, s=symbol, k=body)

    def _depth(self, stream: Stream, symbol: Symbol, now_ms: int) -> Any:
        bids, asks = self._market.levels(symbol, stream.levels or DIFF_LEVELS)
        update_id = self._venue.update_id
        before, old_bids, old_asks = self._told_depth.get(stream.name, (update_id - 1, {}, {}))
        self._told_depth[stream.name] = (update_id, dict(bids), dict(asks))
        if not stream.levels:
            # A diff also says which levels are gone.
            bids, asks = _diff(old_bids, bids), _diff(old_asks, asks)
        return wire.DepthFrame(
            E=now_ms, T=now_ms, s=symbol, ps=self._pair(symbol), U=min(before + 1, update_id), u=update_id, pu=before,
            b=bids, a=asks,
        )  # fmt: skip

    def _pair(self, symbol: Symbol) -> str:
        return self._venue.listings[symbol].pair


def _diff(old: dict[str, str], new: list[tuple[str, str]]) -> list[tuple[str, str]]:
    fresh = dict(new)
    gone = [(p, text(Decimal(0))) for p in old if p not in fresh]
    return [(p, q) for p, q in new if old.get(p) != q] + gone
