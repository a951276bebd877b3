"""Everything that a new order is refused for, in the exchange's order. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.core.enums import Side
from actors.core.units import ZERO, Symbol
from actors.venues.paper.brackets import most_at
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.generator import Quote
from actors.venues.paper.margin import exposure
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.rules import check_band, check_quantity, check_value

if TYPE_CHECKING:
    from actors.venues.paper.matching import Exchange

GOOD_TILL_LEAST_MS = 600_000


class OrderChecks:
    """The checks over one exchange.

    Args:
        exchange: whose books they look at.
        open_orders_max: resting orders of a symbol.
    """

    def __init__(self, exchange: Exchange, open_orders_max: int) -> None:
        self._exchange = exchange
        self._open_orders_max = open_orders_max

    def check(self, request: OrderRequest, now_ms: int) -> None:
        """Refuse what the exchange would.

        Raises:
            ExchangeRefusal: the first rule that is broken.
        """
        exchange = self._exchange
        quote = self.market(request.symbol)
        twin = exchange.orders.newest(request.client_order_id)
        if twin is not None and twin.is_open:
            raise ExchangeRefusal(PaperCode.DUPLICATED_CLIENT_ORDER_ID)
        exchange.settings.check_side(request.position_side)
        self.check_rules(request, quote)
        if request.time_in_force == "GTD" and request.good_till_ms < now_ms + GOOD_TILL_LEAST_MS:
            raise ExchangeRefusal(PaperCode.FUTURE_GOOD_TILL_DATE)
        amount = exchange.positions[request.symbol].amount
        if request.reduce_only and (amount * request.side.sign >= ZERO or request.quantity > abs(amount)):
            raise ExchangeRefusal(PaperCode.REDUCE_ONLY_REJECT)
        if len(exchange.orders.resting[request.symbol]) >= self._open_orders_max:
            raise ExchangeRefusal(PaperCode.MAX_OPEN_ORDER_EXCEEDED)
        self._check_immediacy(request, quote)
        self.check_margin(request, quote)

    def market(self, symbol: Symbol) -> Quote:
        """The L1 that a symbol trades at.

        Raises:
            ExchangeRefusal: not listed, not trading, or no price yet.
        """
        if symbol not in self._exchange.instruments:
            raise ExchangeRefusal(PaperCode.BAD_SYMBOL)
        if self._exchange.status.get(symbol, "TRADING") != "TRADING":
            raise ExchangeRefusal(PaperCode.INVALID_SYMBOL_STATUS)
        quote = self._exchange.quotes.get(symbol)
        if quote is None:
            raise ExchangeRefusal(PaperCode.PERCENT_PRICE, "There is no market yet.")
        return quote

    def check_rules(self, request: OrderRequest, quote: Quote) -> None:
        """Filters and bands.

        Raises:
            ExchangeRefusal: the first that is broken.
        """
        exchange, symbol = self._exchange, request.symbol
        instrument, mark = exchange.instruments[symbol], exchange.mark(symbol)
        check_quantity(request, instrument)
        check_value(request, instrument, mark)
        check_band(request, exchange.bands[symbol], mark, quote, instrument.tick_size)

    def _check_immediacy(self, request: OrderRequest, quote: Quote) -> None:
        if request.time_in_force not in {"GTX", "FOK"} or request.price is None:
            return
        buy = request.side is Side.BUY
        touch, size = (quote.ask, quote.ask_qty) if buy else (quote.bid, quote.bid_qty)
        crosses = (touch - request.price) * request.side.sign <= ZERO
        if request.time_in_force == "GTX":
            other = Side.SELL if buy else Side.BUY
            if crosses or self._exchange.orders.resting[request.symbol].reached(other, request.price):
                raise ExchangeRefusal(PaperCode.GTX_ORDER_REJECT)
        elif not crosses or size < request.quantity:
            raise ExchangeRefusal(PaperCode.FOK_ORDER_REJECT)

    def check_margin(self, request: OrderRequest, quote: Quote, freed: Decimal = ZERO) -> None:
        """Whether the account can carry what the order would make of it.

        Args:
            request: the order.
            quote: L1 of its symbol.
            freed: notional of its side that it replaces.

        Raises:
            ExchangeRefusal: no, or not at this leverage.
        """
        if request.reduce_only:
            return
        exchange, symbol = self._exchange, request.symbol
        buy = request.side is Side.BUY
        # A sell below the bid trades at the bid.
        price = request.price or quote.ask if buy else max(request.price or ZERO, quote.bid)
        added = request.quantity * price - freed
        notional = exchange.positions[symbol].amount * exchange.mark(symbol)
        open_notional = exchange.orders.resting[symbol].notional
        bids, asks = open_notional[Side.BUY], open_notional[Side.SELL]
        before = exposure(notional, bids, asks)
        after = exposure(notional, bids + added, asks) if buy else exposure(notional, bids, asks + added)
        if after <= before:
            return
        leverage = exchange.settings.leverage_of(symbol)
        if after > most_at(leverage):
            raise ExchangeRefusal(PaperCode.MAX_LEVERAGE_RATIO)
        fee = added * exchange.taker_fee
        needed = (after - before) / leverage + fee
        if needed > exchange.asset_margin(exchange.instruments[symbol].quote_asset).available:
            raise ExchangeRefusal(PaperCode.MARGIN_NOT_SUFFICIENT)
