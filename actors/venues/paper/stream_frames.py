"""Frames of the market streams. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from actors.core.units import Symbol
from actors.venues.paper import wire_streams as wire
from actors.venues.paper.generator import Quote
from actors.venues.paper.market import INTERVALS, MINUTE_MS, PublicTrade, merged_klines
from actors.venues.paper.market_endpoints import MarketEndpoints
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.reports import text
from actors.venues.paper.stream_names import Stream, parse_stream
from actors.venues.paper.venue import PaperVenue

encode = msgspec.json.Encoder().encode
DIFF_LEVELS = 20


def book_ticker(quote: Quote, update_id: int, pair: str, now_ms: int) -> bytes:
    """A bookTicker frame: a quote."""
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


def aggregate_trade(symbol: Symbol, trade: PublicTrade, now_ms: int) -> bytes:
    """An aggTrade frame: a public trade."""
    quantity = text(trade.quantity)
    return encode(
        wire.AggTradeFrame(
            E=now_ms, s=symbol, a=trade.id, p=text(trade.price), q=quantity, nq=quantity, f=trade.id, l=trade.id,
            T=trade.time, m=trade.buyer_maker,
        )
    )  # fmt: skip


def single_trade(symbol: Symbol, trade: PublicTrade, now_ms: int) -> bytes:
    """A trade frame: a public trade."""
    return encode(
        wire.TradeFrame(
            E=now_ms, T=trade.time, s=symbol, t=trade.id, p=text(trade.price), q=text(trade.quantity), m=trade.buyer_maker
        )
    )  # fmt: skip


def forced_order(order: PaperOrder, pair: str, now_ms: int) -> bytes:
    """A forceOrder frame: a liquidation."""
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
    """Frames of the streams that are published periodically.

    Args:
        venue: source of market data.
    """

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue
        self._market = MarketEndpoints(venue)
        self._last_depth: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {}

    def start_depth(self, names: Iterable[str], now_ms: int) -> None:
        """Record the current order book as the base of the first diff of each new depth stream.

        Without it, a client could not connect a REST snapshot, taken between its subscription and the first event, to
        that event by update ids.
        """
        for stream in filter(None, map(parse_stream, names)):
            symbol = stream.symbol
            if (
                stream.kind == "depth"
                and stream.name not in self._last_depth
                and symbol in self._venue.exchange.quotes
            ):
                bids, asks = self._market.levels(symbol, stream.levels or DIFF_LEVELS, now_ms)
                self._last_depth[stream.name] = (self._venue.update_id, dict(bids), dict(asks))

    def frame_of(self, stream: Stream, now_ms: int) -> bytes | None:
        """A frame of a stream; None without data."""
        symbols = [stream.symbol] if stream.symbol is not None else list(self._venue.exchange.quotes)
        symbols = [s for s in symbols if s in self._venue.exchange.quotes and s not in self._venue.halted]
        if not symbols:
            return None
        if stream.kind == "depth":
            return encode(self._depth(stream, symbols[0], now_ms))
        if stream.kind == "kline":
            return encode(self._kline(symbols[0], stream.interval, now_ms))
        made = {"markPrice": self._mark_price, "ticker": self._ticker, "miniTicker": self._mini_ticker}[
            stream.kind
        ]
        if stream.symbol is not None:
            return encode(made(symbols[0], now_ms))
        return encode([made(s, now_ms) for s in symbols])

    def contract(self, symbol: Symbol, now_ms: int) -> bytes:
        """A contractInfo frame: a new listing, or a change of one."""
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

    def _mark_price(self, symbol: Symbol, now_ms: int) -> Any:
        p = self._market.premium_of(symbol, now_ms)
        return wire.MarkPriceFrame(
            E=now_ms, s=symbol, p=p.markPrice, i=p.indexPrice, P=p.estimatedSettlePrice, r=p.lastFundingRate,
            ap=p.markPrice, T=p.nextFundingTime,
        )  # fmt: skip

    def _ticker(self, symbol: Symbol, now_ms: int) -> Any:
        d = self._market.ticker_of(symbol, now_ms)
        return wire.TickerFrame(
            E=now_ms, s=symbol, ps=self._pair(symbol), p=d.priceChange, P=d.priceChangePercent, w=d.weightedAvgPrice,
            c=d.lastPrice, Q=d.lastQty, o=d.openPrice, h=d.highPrice, l=d.lowPrice, v=d.volume, q=d.quoteVolume,
            O=d.openTime, C=d.closeTime, F=d.firstId, L=d.lastId, n=d.count,
        )  # fmt: skip

    def _mini_ticker(self, symbol: Symbol, now_ms: int) -> Any:
        d = self._market.ticker_of(symbol, now_ms)
        return wire.MiniTickerFrame(
            E=now_ms, s=symbol, ps=self._pair(symbol), c=d.lastPrice, o=d.openPrice, h=d.highPrice, l=d.lowPrice,
            v=d.volume, q=d.quoteVolume,
        )  # fmt: skip

    def _kline(self, symbol: Symbol, interval: str, now_ms: int) -> Any:
        minutes, market = INTERVALS[interval], self._venue.market.of(symbol)
        kline = merged_klines(market.klines, minutes)[-1]
        closes = kline.open_ms + minutes * MINUTE_MS - 1
        body = wire.KlineBody(
            t=kline.open_ms, T=closes, s=symbol, i=interval, f=kline.first_id, L=market.last_id, o=text(kline.open),
            c=text(kline.close), h=text(kline.high), l=text(kline.low), v=text(kline.volume), n=kline.count,
            x=now_ms > closes, q=text(kline.quote_volume), V=text(kline.taker_buy_volume),
            Q=text(kline.taker_buy_quote_volume),
        )  # fmt: skip
        return wire.KlineFrame(E=now_ms, s=symbol, k=body)

    def _depth(self, stream: Stream, symbol: Symbol, now_ms: int) -> Any:
        bids, asks = self._market.levels(symbol, stream.levels or DIFF_LEVELS, now_ms)
        update_id = self._venue.update_id
        before, old_bids, old_asks = self._last_depth.get(stream.name, (update_id - 1, {}, {}))
        self._last_depth[stream.name] = (update_id, dict(bids), dict(asks))
        if not stream.levels:
            # A diff has quantity 0 for levels that are gone.
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
