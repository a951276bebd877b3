"""State shared by the endpoints of one paper exchange. Pure; the time is an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.core.units import Symbol
from actors.venues.paper.algo import AlgoOrder
from actors.venues.paper.codes import ExchangeRefusal, PaperCode, missing
from actors.venues.paper.config import PaperConfig, listings
from actors.venues.paper.faults import ExchangeClock, Faults
from actors.venues.paper.generator import Quote
from actors.venues.paper.instruments import Listing
from actors.venues.paper.limits import RateWindows
from actors.venues.paper.listen_keys import ListenKeys
from actors.venues.paper.market import Market
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.requests import Params
from actors.venues.paper.user_events import PaperEvent
from actors.venues.paper.wire_orders import ErrorAnswer

encode = msgspec.json.Encoder().encode


class Reply(msgspec.Struct, kw_only=True):
    """An HTTP answer, and the user events to publish before it."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}
    events: list[PaperEvent] = []
    delay_s: float = 0.0
    reset: bool = False
    """Fault: reset the connection instead of answering."""


def answer(value: Any, events: list[PaperEvent] | None = None) -> Reply:
    """A successful answer."""
    return Reply(body=encode(value), events=events or [])


def error_reply(refusal: ExchangeRefusal) -> Reply:
    """An error answer."""
    return Reply(status=refusal.status, body=encode(ErrorAnswer(int(refusal.code), refusal.text)))


class PaperVenue:
    """Exchange, market, listings, limits, faults and keys of one paper exchange.

    Args:
        config: options.
    """

    def __init__(self, config: PaperConfig) -> None:
        self.config = config
        self.listings: dict[Symbol, Listing] = listings(config)
        limits = config.rate_limits
        self.exchange = Exchange(
            {s: listing.instrument for s, listing in self.listings.items()},
            config.wallet_balance,
            config.taker_fee,
            config.maker_fee,
            open_orders_max=limits.open_orders_per_symbol,
            conditional_orders_max=limits.conditional_orders,
            other_deposits={"BNB": config.bnb_balance},
        )
        self.exchange.settings.fee_burn = config.bnb_burn
        self.market = Market()
        self.windows = RateWindows(limits, config.ban_after, config.ban_seconds * 1_000)
        self.faults = Faults()
        self.clock = ExchangeClock()
        self.listen_keys = ListenKeys(
            f"{config.api_key}:{config.seed}", int(config.listen_key_minutes * 60_000)
        )
        self.keys = {config.api_key: config.api_secret}
        self.halted: set[Symbol] = set()
        self.countdowns: dict[Symbol, int] = {}
        self.forced_orders: list[PaperOrder] = []
        self.margin_changes: list[tuple[int, Symbol, int, str]] = []
        self.update_id = 0
        self.shock: Callable[[Symbol | None, float, float], None] = lambda _s, _f, _t: None
        self.list_symbol: Callable[[Listing], None] = lambda _l: None
        self.contract_changed: Callable[[Symbol, int], None] = lambda _s, _n: None
        self.liquidated: Callable[[PaperOrder, int], None] = lambda _o, _n: None
        self.feed_state = "generated"
        self.silent_streams: set[str] = set()
        """Subscriptions on a route that does not carry the stream; shown in the state."""

    def quote(self, quote: Quote, now_ms: int) -> list[PaperEvent]:
        """Send a quote to the market data history and to matching."""
        self.update_id += 1
        self.market.add(quote, self.exchange.instruments[quote.symbol].step_size, now_ms)
        return self.exchange.on_quote(quote, now_ms)

    def on_time(self, now_ms: int) -> list[PaperEvent]:
        """Handle the passing of time: cancel orders whose countdown has ended."""
        events: list[PaperEvent] = []
        for symbol, due in list(self.countdowns.items()):
            if now_ms >= due:
                del self.countdowns[symbol]
                events += self.cancel_all(symbol, now_ms)
        return events

    def cancel_all(self, symbol: Symbol, now_ms: int) -> list[PaperEvent]:
        """Cancel all open orders of a symbol."""
        events: list[PaperEvent] = []
        for order in self.exchange.orders.open_of(symbol):
            if order.is_open:
                events += self.exchange.end(order, "CANCELED", now_ms)
        return events

    def cancel_all_algos(self, symbol: Symbol, now_ms: int) -> list[PaperEvent]:
        """Cancel all waiting conditional orders of a symbol."""
        events: list[PaperEvent] = []
        waiting: list[AlgoOrder] = self.exchange.algo.open_of(symbol)
        for algo in waiting:
            events += self.exchange.algo.cancel(algo.algo_id, None, now_ms)[1]
        return events

    def record_forced_order(self, order: PaperOrder, now_ms: int) -> None:
        """Record an order that the exchange created to close a position."""
        self.forced_orders.append(order)
        self.liquidated(order, now_ms)

    # -- symbol parameters

    def symbol(self, params: Params) -> Symbol:
        """The mandatory symbol of a request.

        Raises:
            ExchangeRefusal: missing, or not listed.
        """
        text = params.get("symbol", "")
        if not text:
            raise missing("symbol")
        symbol = Symbol(text.upper())
        if symbol not in self.exchange.instruments:
            raise ExchangeRefusal(PaperCode.BAD_SYMBOL)
        return symbol

    def symbols(self, params: Params) -> list[Symbol]:
        """The symbol of a request, or all symbols without one.

        Raises:
            ExchangeRefusal: not listed.
        """
        return [self.symbol(params)] if params.get("symbol") else list(self.exchange.instruments)
