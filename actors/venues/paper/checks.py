"""Checks on a new order, in the order in which the exchange applies them. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.core.enums import Side
from actors.core.units import ZERO, Symbol
from actors.venues.paper.brackets import max_notional
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.depth import quantity_up_to
from actors.venues.paper.generator import Quote
from actors.venues.paper.margin import exposure
from actors.venues.paper.orders import OrderRequest
from actors.venues.paper.rules import check_band, check_notional, check_quantity

if TYPE_CHECKING:
    from actors.venues.paper.matching import Exchange

GOOD_TILL_MIN_MS = 600_000


class OrderChecks:
    """New-order checks of one exchange.

    Args:
        exchange: orders, positions and prices to check against.
        open_orders_max: maximum number of open orders per symbol.
    """

    def __init__(self, exchange: Exchange, open_orders_max: int) -> None:
        self._exchange = exchange
        self._open_orders_max = open_orders_max

    def check(self, request: OrderRequest, now_ms: int) -> None:
        """Check a new order.

        Raises:
            ExchangeRefusal: with the code of the first rule that is broken.
        """
        exchange = self._exchange
        quote = self.quote_of(request.symbol)
        existing = exchange.orders.by_client_id(request.client_order_id)
        if existing is not None and existing.is_open:
            raise ExchangeRefusal(PaperCode.DUPLICATED_CLIENT_ORDER_ID)
        exchange.settings.check_side(request.position_side)
        self.check_rules(request, quote)
        if request.time_in_force == "GTD" and request.good_till_ms < now_ms + GOOD_TILL_MIN_MS:
            raise ExchangeRefusal(PaperCode.FUTURE_GOOD_TILL_DATE)
        amount = exchange.positions[request.symbol].amount
        if request.reduce_only and (amount * request.side.sign >= ZERO or request.quantity > abs(amount)):
            raise ExchangeRefusal(PaperCode.REDUCE_ONLY_REJECT)
        if len(exchange.orders.resting[request.symbol]) >= self._open_orders_max:
            raise ExchangeRefusal(PaperCode.MAX_OPEN_ORDER_EXCEEDED)
        self._check_post_only_and_fok(request, quote, now_ms)
        self.check_margin(request, quote)

    def quote_of(self, symbol: Symbol) -> Quote:
        """Current quote of a symbol that is open for trading.

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
        """Check the symbol's filters and price bands.

        Raises:
            ExchangeRefusal: with the code of the first rule that is broken.
        """
        exchange, symbol = self._exchange, request.symbol
        instrument, mark = exchange.instruments[symbol], exchange.mark(symbol)
        check_quantity(request, instrument)
        check_notional(request, instrument, mark)
        check_band(request, exchange.bands[symbol], mark, quote, instrument.tick_size)

    def _check_post_only_and_fok(self, request: OrderRequest, quote: Quote, now_ms: int) -> None:
        if request.time_in_force not in {"GTX", "FOK"} or request.price is None:
            return
        buy = request.side is Side.BUY
        book, side = self._exchange.book, request.side
        available = quantity_up_to(book, quote, side, request.price, now_ms)
        if request.time_in_force == "GTX":
            other = Side.SELL if buy else Side.BUY
            if available or self._exchange.orders.resting[request.symbol].crossed_by(other, request.price):
                raise ExchangeRefusal(PaperCode.GTX_ORDER_REJECT)
        elif available < request.quantity:
            raise ExchangeRefusal(PaperCode.FOK_ORDER_REJECT)

    def check_margin(self, request: OrderRequest, quote: Quote, freed: Decimal = ZERO) -> None:
        """Check that available margin and the leverage bracket cover the order.

        Only the increase of exposure needs margin: an order on the smaller side may add none. Margin needed is that
        increase over leverage, plus the taker fee.

        Args:
            request: the order.
            quote: current quote of its symbol.
            freed: notional on the same side that an amendment replaces.

        Raises:
            ExchangeRefusal: MARGIN_NOT_SUFFICIENT, or MAX_LEVERAGE_RATIO beyond the bracket of this leverage.
        """
        if request.reduce_only:
            return
        exchange, symbol = self._exchange, request.symbol
        buy = request.side is Side.BUY
        # A sell limit below the bid trades at the bid, so it is margined there.
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
        if after > max_notional(leverage):
            raise ExchangeRefusal(PaperCode.MAX_LEVERAGE_RATIO)
        fee = added * exchange.taker_fee
        needed = (after - before) / leverage + fee
        if needed > exchange.asset_margin(exchange.instruments[symbol].quote_asset).available:
            raise ExchangeRefusal(PaperCode.MARGIN_NOT_SUFFICIENT)
