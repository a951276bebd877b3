"""Matching engine: orders of one master account, matched against quotes (L1). Pure; the time is an argument.

Rules
1. Positions are net, in one-way mode. wallet = deposit + realized - fees + funding, exactly.
2. A market order takes the order book level by level (``depth.py``), at most as far from the mark price as the symbol's
   price band allows. What the book does not have expires.
3. A limit order takes the levels that it crosses on arrival. The rest becomes a resting order and fills as maker when a
   later quote crosses it, with the quantity that the touch has then.
4. Before an order takes liquidity at a price, it meets the master's own resting orders at that price or better.
   Self-trade prevention decides by the taker's mode: the maker expires, the taker expires, both, or they trade.
5. Trade ids increase by one per symbol, order ids by one over all symbols. A client order id is unique among open
   orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import Side
from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.paper import reports
from actors.venues.paper.account import MasterAccount
from actors.venues.paper.algo import AlgoBook
from actors.venues.paper.amend import Amendments
from actors.venues.paper.checks import OrderChecks
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.depth import DepthModel
from actors.venues.paper.generator import Quote
from actors.venues.paper.orders import OrderRequest, OrderStore, PaperOrder, Trade
from actors.venues.paper.rules import matched_price
from actors.venues.paper.user_events import PaperEvent

OPEN_ORDERS_MAX = 200
CONDITIONAL_ORDERS_MAX = 200
"""Binance's limits: open orders per symbol, conditional orders over all symbols."""

EXPIRY_SELF_TRADE = "1"
EXPIRY_IOC = "2"
EXPIRY_IOC_SELF_TRADE = "3"
EXPIRY_REDUCE_ONLY = "4"
EXPIRY_MARKET = "9"
EXPIRY_TIME = "0"


class Exchange(MasterAccount):
    """Matching engine over the master account.

    Args:
        instruments: the symbols' trading rules.
        deposit: USDT at the start.
        taker_fee: taker fee rate, as a share of notional.
        maker_fee: maker fee rate, as a share of notional.
        open_orders_max: maximum number of open orders per symbol.
        conditional_orders_max: maximum number of waiting algo orders over all symbols.
        other_deposits: other assets at the start.
    """

    def __init__(  # noqa: PLR0913 - the exchange's parameters
        self,
        instruments: Mapping[Symbol, Instrument],
        deposit: Decimal,
        taker_fee: Decimal = Decimal("0.0005"),
        maker_fee: Decimal = Decimal("0.0002"),
        *,
        open_orders_max: int = OPEN_ORDERS_MAX,
        conditional_orders_max: int = CONDITIONAL_ORDERS_MAX,
        other_deposits: Mapping[str, Decimal] | None = None,
    ) -> None:
        super().__init__(instruments, deposit, taker_fee, maker_fee, other_deposits)
        self.orders = OrderStore()
        self.trades: defaultdict[Symbol, list[Trade]] = defaultdict(list)
        self.book = DepthModel(self.instruments)
        self.checks = OrderChecks(self, open_orders_max)
        self.algo = AlgoBook(self, conditional_orders_max)
        self.amendments = Amendments(self)
        self.taken = self.paid_for_depth = ZERO
        """Notional that orders took from the book, and what of it they paid beyond the price of L1."""
        self.fills_without_fee = 0
        """Fault: number of fills still to be published without their fee."""
        self.next_shown_statuses: list[str] = []
        """Fault: statuses that the next new orders are shown with instead of their own."""
        self._gtd_orders: dict[int, PaperOrder] = {}
        self._client_ids_made = 0
        self._first_trade = 1
        self._next_trade: defaultdict[Symbol, int] = defaultdict(lambda: self._first_trade)

    def start_ids_at(self, first: int) -> None:
        """Set the first order id, and the first trade id of each symbol; call it before the first order."""
        self.orders.first_order_id = self._first_trade = first

    # -- market

    def on_quote(self, quote: Quote, now_ms: int) -> list[PaperEvent]:
        """Handle a new quote: expire GTD orders, fill crossed resting orders, trigger conditional orders."""
        self.quotes[quote.symbol] = quote
        self.book.on_quote(quote, now_ms)
        events: list[PaperEvent] = []
        if self._gtd_orders:
            events += self._expire_gtd_orders(now_ms)
        resting = self.orders.resting.get(quote.symbol)
        if resting:
            for side, best in ((Side.BUY, quote.ask), (Side.SELL, quote.bid)):
                self._fill_crossed(resting.crossed_by(side, best), quote, best, now_ms, events)
        if self.algo.has_waiting(quote.symbol):
            events += self.algo.on_price(quote.symbol, now_ms)
        return events

    def shown(self, symbol: Symbol, now_ms: int) -> Quote:
        """L1 as the market sees it: the last quote without what orders have taken from it."""
        return self.book.shown(self.quotes[symbol], now_ms)

    def _fill_crossed(
        self, crossed: list[PaperOrder], quote: Quote, best: Decimal, now_ms: int, events: list[PaperEvent]
    ) -> None:
        """Fill resting orders of one side that the touch has reached, with the quantity that it has."""
        if not crossed:
            return
        side = crossed[0].request.side
        touch = next(self.book.levels(quote, side, now_ms), None)
        if touch is None or touch.price != best:
            return
        left = touch.quantity
        for order in crossed:
            left -= self._fill_resting(order, left, order.request.price or best, now_ms, events)
        self.book.take(quote.symbol, side, touch, touch.quantity - left, now_ms)

    def _fill_resting(
        self, order: PaperOrder, size: Decimal, price: Decimal, now_ms: int, events: list[PaperEvent]
    ) -> Decimal:
        if not order.is_open:
            return ZERO
        quantity = min(order.remaining, size)
        request = order.request
        if request.reduce_only:
            # The position may have been reduced since the order was placed.
            reducible = max(ZERO, -self.positions[request.symbol].amount * request.side.sign)
            quantity = min(quantity, reducible)
            if reducible == ZERO:
                events += self.end(order, "EXPIRED", now_ms, EXPIRY_REDUCE_ONLY)
        if quantity <= ZERO or not order.is_open:
            return ZERO
        events += self.trade(order, quantity, price, now_ms, maker=True)
        return quantity

    def _expire_gtd_orders(self, now_ms: int) -> list[PaperEvent]:
        events: list[PaperEvent] = []
        for order in list(self._gtd_orders.values()):
            if not order.is_open:
                del self._gtd_orders[order.order_id]
            elif order.request.good_till_ms <= now_ms:
                del self._gtd_orders[order.order_id]
                events += self.end(order, "EXPIRED", now_ms, EXPIRY_TIME)
        return events

    # -- orders

    def place(self, request: OrderRequest, now_ms: int) -> tuple[PaperOrder, list[PaperEvent]]:
        """Check and accept a new order.

        Raises:
            ExchangeRefusal: it breaks a rule; the order is not recorded.
        """
        request = self._with_defaults(request, now_ms)
        self.checks.check(request, now_ms)
        return self.accept(request, now_ms)

    def accept(self, request: OrderRequest, now_ms: int) -> tuple[PaperOrder, list[PaperEvent]]:
        """Accept an order without checks: it was checked before, or the exchange itself creates it."""
        order = self.orders.add(request, now_ms)
        if self.next_shown_statuses:
            order.shown_status = self.next_shown_statuses.pop(0)
        events: list[PaperEvent] = [self.order_event(order, "NEW", now_ms)]
        self.match(order, now_ms, events)
        return order, events

    def new_client_order_id(self) -> str:
        """Generate a client order id, as Binance does for an order without one."""
        self._client_ids_made += 1
        return f"web_{self._client_ids_made:020d}"

    def cancel(
        self, symbol: Symbol, order_id: int | None, client_id: str | None, now_ms: int
    ) -> tuple[PaperOrder, list[PaperEvent]]:
        """Cancel an open order.

        Raises:
            ExchangeRefusal: no such open order.
        """
        order = self.orders.find(symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED)
        return order, self.end(order, "CANCELED", now_ms)

    def query(self, symbol: Symbol, order_id: int | None, client_id: str | None) -> PaperOrder:
        """Find an order, open or ended.

        Raises:
            ExchangeRefusal: no such order.
        """
        order = self.orders.find(symbol, order_id, client_id)
        if order is None:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        return order

    def user_trades(
        self, symbol: Symbol, from_id: int | None, order_id: int | None, limit: int
    ) -> list[Trade]:
        """Trades of a symbol: from an id on (oldest first), of one order, or the newest."""
        trades = self.trades[symbol]
        if order_id is not None:
            trades = [t for t in trades if t.order_id == order_id]
        if from_id is not None:
            return [t for t in trades if t.id >= from_id][:limit]
        return trades[-limit:]

    def _with_defaults(self, request: OrderRequest, now_ms: int) -> OrderRequest:
        quote = self.quotes.get(request.symbol)
        if request.price_match != "NONE" and quote is not None and request.symbol in self.instruments:
            price = matched_price(request.price_match, request.side, self.book, quote, now_ms)
            request = msgspec.structs.replace(request, price=price)
        if not request.client_order_id:
            request = msgspec.structs.replace(request, client_order_id=self.new_client_order_id())
        return request

    # -- matching

    def match(self, order: PaperOrder, now_ms: int, events: list[PaperEvent]) -> None:
        """Match a new or amended order; the rest becomes a resting order, or expires if it is IOC or a market order.

        Each pass of the loop is one price: first the master's own orders at this price or better, then the level's
        quantity.
        """
        request, quote = order.request, self.quotes[order.request.symbol]
        bound = self._worst_price(request)
        touch = quote.ask if request.side is Side.BUY else quote.bid
        for level in self.book.levels(quote, request.side, now_ms):
            if (level.price - bound) * request.side.sign > ZERO:
                break
            # Rule 4: own orders come before the liquidity of others at the same price.
            self._prevent_self_trade(order, level.price, now_ms, events)
            if not order.is_open:
                break
            quantity = min(order.remaining, level.quantity)
            self.book.take(request.symbol, request.side, level, quantity, now_ms)
            self.taken += quantity * level.price
            self.paid_for_depth += quantity * abs(level.price - touch)
            events += self.trade(order, quantity, level.price, now_ms, maker=False)
            if order.remaining == ZERO:
                break
        # The rest will rest at its limit, so no own order may remain on the other side up to that price.
        if order.is_open and request.price is not None:
            self._prevent_self_trade(order, request.price, now_ms, events)
        if not order.is_open:
            return
        if request.price is None or request.time_in_force == "IOC":
            reason = EXPIRY_MARKET if request.price is None else EXPIRY_IOC
            events += self.end(order, "EXPIRED", now_ms, reason)
            return
        self.orders.resting[request.symbol].add(order)
        if request.good_till_ms:
            self._gtd_orders[order.order_id] = order

    def _worst_price(self, request: OrderRequest) -> Decimal:
        """The limit of an order; of a market order the price band, which is Binance's ``marketTakeBound`` here."""
        if request.price is not None:
            return request.price
        band = self.bands[request.symbol]
        return self.mark(request.symbol) * (band.up if request.side is Side.BUY else band.down)

    def _prevent_self_trade(
        self, order: PaperOrder, bound: Decimal, now_ms: int, events: list[PaperEvent]
    ) -> None:
        request = order.request
        other = Side.SELL if request.side is Side.BUY else Side.BUY
        mode = request.self_trade
        for maker in self.orders.resting[request.symbol].crossed_by(other, bound):
            if mode == "NONE":
                self._trade_with_own(maker, order, now_ms, events)
            if mode in {"EXPIRE_MAKER", "EXPIRE_BOTH"}:
                events += self.end(maker, "EXPIRED_IN_MATCH", now_ms, EXPIRY_SELF_TRADE)
            if mode in {"EXPIRE_TAKER", "EXPIRE_BOTH"}:
                ioc = request.time_in_force == "IOC"
                reason = EXPIRY_IOC_SELF_TRADE if ioc else EXPIRY_SELF_TRADE
                events += self.end(order, "EXPIRED_IN_MATCH", now_ms, reason)
            if not order.is_open:
                return

    def _trade_with_own(
        self, maker: PaperOrder, taker: PaperOrder, now_ms: int, events: list[PaperEvent]
    ) -> None:
        quantity = min(maker.remaining, taker.remaining)
        price = maker.request.price
        if price is None:
            return
        number = self._next_trade[maker.request.symbol]
        events += self.trade(maker, quantity, price, now_ms, maker=True)
        # Both sides of one trade have the same trade id.
        self._next_trade[maker.request.symbol] = number
        events += self.trade(taker, quantity, price, now_ms, maker=False)

    def trade(  # noqa: PLR0913 - the parts of a trade
        self,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        now_ms: int,
        *,
        maker: bool,
        execution: str = "TRADE",
    ) -> list[PaperEvent]:
        """Fill ``quantity`` of an order at ``price``, book the trade, and return its user events."""
        request = order.request
        resting = self.orders.resting[request.symbol]
        resting.on_fill(order, quantity)
        order.executed += quantity
        order.cost += quantity * price
        order.updated = now_ms
        order.status = "PARTIALLY_FILLED" if order.remaining > ZERO else "FILLED"
        if order.remaining == ZERO:
            resting.remove(order)
        number = self._next_trade[request.symbol]
        self._next_trade[request.symbol] = number + 1
        booked = self.book_trade(request.symbol, request.side, quantity, price, number, now_ms, maker=maker)
        trade = Trade(
            id=number,
            order_id=order.order_id,
            symbol=request.symbol,
            side=request.side,
            price=price,
            qty=quantity,
            realized=booked.realized,
            commission=booked.fee,
            asset=booked.fee_asset,
            margin_asset=self.instruments[request.symbol].quote_asset,
            time=now_ms,
            maker=maker,
        )
        self.trades[request.symbol].append(trade)
        return self._trade_events(order, trade, execution, now_ms)

    def _trade_events(self, order: PaperOrder, trade: Trade, execution: str, now_ms: int) -> list[PaperEvent]:
        show_fee = self.fills_without_fee == 0
        self.fills_without_fee -= not show_fee
        events: list[PaperEvent] = [
            reports.trade_lite(order, trade, now_ms),
            self.account_update_event("ORDER", now_ms, symbol=trade.symbol, other_asset=trade.asset),
            reports.order_update(
                order, execution, now_ms, trade, self._open_notional(trade.symbol), show_fee=show_fee
            ),
        ]
        if order.request.algo_id and not order.is_open:
            events += self.algo.order_ended(order, now_ms)
        return events

    def end(self, order: PaperOrder, status: str, now_ms: int, reason: str = "0") -> list[PaperEvent]:
        """End an order that is not filled: cancelled, expired or rejected. Returns its user events."""
        self.orders.resting[order.request.symbol].remove(order)
        order.status, order.updated, order.expiry = status, now_ms, reason
        execution = "EXPIRED" if status == "EXPIRED_IN_MATCH" else status
        events: list[PaperEvent] = [self.order_event(order, execution, now_ms)]
        if order.request.algo_id:
            events += self.algo.order_ended(order, now_ms)
        return events

    def order_event(self, order: PaperOrder, execution: str, now_ms: int) -> PaperEvent:
        """ORDER_TRADE_UPDATE of an order without a trade."""
        return reports.order_update(order, execution, now_ms, None, self._open_notional(order.request.symbol))

    def _open_notional(self, symbol: Symbol) -> tuple[Decimal, Decimal]:
        notional = self.orders.resting[symbol].notional
        return notional[Side.BUY], notional[Side.SELL]
