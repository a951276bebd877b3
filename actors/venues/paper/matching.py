"""The paper exchange itself: one master account, matched against L1. Pure; time comes in.

Rules
1. Positions are netted, one way. wallet = deposit + realized - fees + funding, exactly.
2. A market order takes what L1 shows; with ``market_sweep`` the rest trades at worse ticks at
   once, as depth behind the best would let it, else it waits for the next L1.
3. A limit order takes on arrival what it crosses, then rests and fills as maker when crossed.
4. An order that would meet one of the master's own, at L1 or better, is subject to self-trade
   prevention first: by its own mode the resting one ends, or it, or both, or they trade.
5. Trade ids rise by one per symbol, order ids by one in all. A client order id is used once
   among open orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.instruments import Instrument
from actors.core.units import ZERO, Symbol
from actors.venues.paper import reports
from actors.venues.paper.account import MasterAccount
from actors.venues.paper.algo import AlgoBook
from actors.venues.paper.amend import Amendments
from actors.venues.paper.checks import OrderChecks
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.generator import Quote
from actors.venues.paper.orders import OrderBook, OrderRequest, PaperOrder, Trade
from actors.venues.paper.rules import matched_price
from actors.venues.paper.user_events import PaperEvent

SWEEP_TICKS = 3
"""How many ticks further each level of a swept market order trades."""

OPEN_ORDERS_MAX = 200
CONDITIONAL_ORDERS_MAX = 200
"""The exchange's: open orders of a symbol, conditional orders over all symbols."""

EXPIRY_SELF_TRADE = "1"
EXPIRY_IOC = "2"
EXPIRY_IOC_SELF_TRADE = "3"
EXPIRY_REDUCE_ONLY = "4"
EXPIRY_TIME = "0"


class Exchange(MasterAccount):
    """The matching engine over the master account's books.

    Args:
        instruments: the symbols' trading rules.
        deposit: USDT at the start.
        taker_fee: share of the value of what takes.
        maker_fee: share of the value of what rested.
        market_sweep: see rule 2.
        open_orders_max: resting orders of a symbol.
        conditional_orders_max: waiting algo orders of all symbols.
        other_deposits: other assets at the start.
    """

    def __init__(  # noqa: PLR0913 - the exchange's constants
        self,
        instruments: Mapping[Symbol, Instrument],
        deposit: Decimal,
        taker_fee: Decimal = Decimal("0.0005"),
        maker_fee: Decimal = Decimal("0.0002"),
        *,
        market_sweep: bool = True,
        open_orders_max: int = OPEN_ORDERS_MAX,
        conditional_orders_max: int = CONDITIONAL_ORDERS_MAX,
        other_deposits: Mapping[str, Decimal] | None = None,
    ) -> None:
        super().__init__(instruments, deposit, taker_fee, maker_fee, other_deposits)
        self.orders = OrderBook()
        self.trades: defaultdict[Symbol, list[Trade]] = defaultdict(list)
        self.sweep = market_sweep
        self.checks = OrderChecks(self, open_orders_max)
        self.algo = AlgoBook(self, conditional_orders_max)
        self.amendments = Amendments(self)
        self.fees_untold = 0
        """So many fills more are told without their fee; a fault."""
        self.shown_next: list[str] = []
        """Statuses that the next orders are shown with instead of their own; a fault."""
        self._dated: dict[int, PaperOrder] = {}
        self._ids_made = 0
        self._first_trade = 1
        self._next_trade: defaultdict[Symbol, int] = defaultdict(lambda: self._first_trade)

    def number_from(self, first: int) -> None:
        """Orders, and trades of each symbol, are numbered from here on; before the first one."""
        self.orders.first_number = self._first_trade = first

    # -- market

    def on_quote(self, quote: Quote, now_ms: int) -> list[PaperEvent]:
        """A new L1: rest what does not cross, fill what does, set off what it triggers."""
        self.quotes[quote.symbol] = quote
        events: list[PaperEvent] = []
        if self._dated:
            events += self._end_dated(now_ms)
        resting = self.orders.resting.get(quote.symbol)
        if resting:
            for side, best, size in (
                (Side.BUY, quote.ask, quote.ask_qty),
                (Side.SELL, quote.bid, quote.bid_qty),
            ):
                left = size
                for order in resting.reached(side, best):
                    left -= self._fill_resting(order, left, order.request.price or best, now_ms, events)
                for order in [o for o in resting.unpriced.values() if o.request.side is side]:
                    # A market order that waits still takes.
                    self._meet_own(order, best, now_ms, events)
                    left -= self._fill_resting(order, left, best, now_ms, events)
        if self.algo.waits(quote.symbol):
            events += self.algo.on_price(quote.symbol, now_ms)
        return events

    def _fill_resting(
        self, order: PaperOrder, size: Decimal, price: Decimal, now_ms: int, events: list[PaperEvent]
    ) -> Decimal:
        if not order.is_open:
            return ZERO
        quantity = min(order.left, size)
        request = order.request
        if request.reduce_only:
            # What it could reduce may be gone since it was placed.
            held = max(ZERO, -self.positions[request.symbol].amount * request.side.sign)
            quantity = min(quantity, held)
            if held == ZERO:
                events += self.end(order, "EXPIRED", now_ms, EXPIRY_REDUCE_ONLY)
        if quantity <= ZERO or not order.is_open:
            return ZERO
        events += self.trade(order, quantity, price, now_ms, maker=request.type is OrderType.LIMIT)
        return quantity

    def _end_dated(self, now_ms: int) -> list[PaperEvent]:
        events: list[PaperEvent] = []
        for order in list(self._dated.values()):
            if not order.is_open:
                del self._dated[order.order_id]
            elif order.request.good_till_ms <= now_ms:
                del self._dated[order.order_id]
                events += self.end(order, "EXPIRED", now_ms, EXPIRY_TIME)
        return events

    # -- orders

    def place(self, request: OrderRequest, now_ms: int) -> tuple[PaperOrder, list[PaperEvent]]:
        """Take an order.

        Raises:
            ExchangeRefusal: it breaks a rule; it is not recorded.
        """
        request = self._completed(request)
        self.checks.check(request, now_ms)
        return self.take(request, now_ms)

    def take(self, request: OrderRequest, now_ms: int) -> tuple[PaperOrder, list[PaperEvent]]:
        """Take an order that was checked, or that the exchange makes itself."""
        order = self.orders.add(request, now_ms)
        if self.shown_next:
            order.shown_as = self.shown_next.pop(0)
        events: list[PaperEvent] = [self.told(order, "NEW", now_ms)]
        self.match(order, now_ms, events)
        return order, events

    def made_id(self) -> str:
        """A client order id of the exchange's making."""
        self._ids_made += 1
        return f"web_{self._ids_made:020d}"

    def cancel(
        self, symbol: Symbol, order_id: int | None, client_id: str | None, now_ms: int
    ) -> tuple[PaperOrder, list[PaperEvent]]:
        """Cancel an open order.

        Raises:
            ExchangeRefusal: there is no such open order.
        """
        order = self.orders.find(symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED)
        return order, self.end(order, "CANCELED", now_ms)

    def query(self, symbol: Symbol, order_id: int | None, client_id: str | None) -> PaperOrder:
        """One order, open or ended.

        Raises:
            ExchangeRefusal: there is none.
        """
        order = self.orders.find(symbol, order_id, client_id)
        if order is None:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        return order

    def user_trades(
        self, symbol: Symbol, from_id: int | None, order_id: int | None, limit: int
    ) -> list[Trade]:
        """Trades of a symbol: from an id on oldest first, or of one order, or the newest."""
        trades = self.trades[symbol]
        if order_id is not None:
            trades = [t for t in trades if t.order_id == order_id]
        if from_id is not None:
            return [t for t in trades if t.id >= from_id][:limit]
        return trades[-limit:]

    def _completed(self, request: OrderRequest) -> OrderRequest:
        quote = self.quotes.get(request.symbol)
        if request.price_match != "NONE" and quote is not None and request.symbol in self.instruments:
            tick = self.instruments[request.symbol].tick_size
            price = matched_price(request.price_match, request.side, quote, tick)
            request = msgspec.structs.replace(request, price=price)
        if not request.client_order_id:
            request = msgspec.structs.replace(request, client_order_id=self.made_id())
        return request

    # -- matching

    def match(self, order: PaperOrder, now_ms: int, events: list[PaperEvent]) -> None:
        """Let an order take what it can; what is left of it rests, or ends."""
        request, quote = order.request, self.quotes[order.request.symbol]
        buy, limit = request.side is Side.BUY, request.price
        level, size = (quote.ask, quote.ask_qty) if buy else (quote.bid, quote.bid_qty)
        step = self.instruments[request.symbol].tick_size * SWEEP_TICKS * request.side.sign
        while (
            order.is_open and level > ZERO and (limit is None or (level - limit) * request.side.sign <= ZERO)
        ):
            # The master's own orders at this price or better are met before anybody else's.
            self._meet_own(order, level, now_ms, events)
            if not order.is_open or size <= ZERO:
                break
            events += self.trade(order, min(order.left, size), level, now_ms, maker=False)
            if limit is not None or not self.sweep:
                break
            level, size = level + step, size * 2
        if order.is_open and limit is not None:
            self._meet_own(order, limit, now_ms, events)
        if not order.is_open:
            return
        if request.time_in_force == "IOC":
            events += self.end(order, "EXPIRED", now_ms, EXPIRY_IOC)
            return
        self.orders.resting[request.symbol].add(order)
        if request.good_till_ms:
            self._dated[order.order_id] = order

    def _meet_own(self, order: PaperOrder, bound: Decimal, now_ms: int, events: list[PaperEvent]) -> None:
        request = order.request
        other = Side.SELL if request.side is Side.BUY else Side.BUY
        mode = request.self_trade
        for maker in self.orders.resting[request.symbol].reached(other, bound):
            if mode == "NONE":
                self._trade_with(maker, order, now_ms, events)
            if mode in {"EXPIRE_MAKER", "EXPIRE_BOTH"}:
                events += self.end(maker, "EXPIRED_IN_MATCH", now_ms, EXPIRY_SELF_TRADE)
            if mode in {"EXPIRE_TAKER", "EXPIRE_BOTH"}:
                ioc = request.time_in_force == "IOC"
                reason = EXPIRY_IOC_SELF_TRADE if ioc else EXPIRY_SELF_TRADE
                events += self.end(order, "EXPIRED_IN_MATCH", now_ms, reason)
            if not order.is_open:
                return

    def _trade_with(
        self, maker: PaperOrder, taker: PaperOrder, now_ms: int, events: list[PaperEvent]
    ) -> None:
        quantity = min(maker.left, taker.left)
        price = maker.request.price
        if price is None:
            return
        number = self._next_trade[maker.request.symbol]
        events += self.trade(maker, quantity, price, now_ms, maker=True)
        # Both sides of one trade have its number.
        self._next_trade[maker.request.symbol] = number
        events += self.trade(taker, quantity, price, now_ms, maker=False)

    def trade(  # noqa: PLR0913 - a trade has that many parts
        self,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        now_ms: int,
        *,
        maker: bool,
        execution: str = "TRADE",
    ) -> list[PaperEvent]:
        """Fill a part of an order at a price, and book it."""
        request = order.request
        resting = self.orders.resting[request.symbol]
        resting.filled(order, quantity)
        order.executed += quantity
        order.cost += quantity * price
        order.updated = now_ms
        order.status = "PARTIALLY_FILLED" if order.left > ZERO else "FILLED"
        if order.left == ZERO:
            resting.remove(order)
        number = self._next_trade[request.symbol]
        self._next_trade[request.symbol] = number + 1
        booked = self.book(request.symbol, request.side, quantity, price, number, now_ms, maker=maker)
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
        return self._tell_trade(order, trade, execution, now_ms)

    def _tell_trade(self, order: PaperOrder, trade: Trade, execution: str, now_ms: int) -> list[PaperEvent]:
        fee_told = self.fees_untold == 0
        self.fees_untold -= not fee_told
        events: list[PaperEvent] = [
            reports.trade_lite(order, trade, now_ms),
            self.account_told("ORDER", now_ms, symbol=trade.symbol, other_asset=trade.asset),
            reports.order_update(
                order, execution, now_ms, trade, self._open_notional(trade.symbol), fee_told=fee_told
            ),
        ]
        if order.request.algo_id and not order.is_open:
            events += self.algo.order_ended(order, now_ms)
        return events

    def end(self, order: PaperOrder, status: str, now_ms: int, reason: str = "0") -> list[PaperEvent]:
        """An order ends without being filled."""
        self.orders.resting[order.request.symbol].remove(order)
        order.status, order.updated, order.expiry = status, now_ms, reason
        execution = "EXPIRED" if status == "EXPIRED_IN_MATCH" else status
        events: list[PaperEvent] = [self.told(order, execution, now_ms)]
        if order.request.algo_id:
            events += self.algo.order_ended(order, now_ms)
        return events

    def told(self, order: PaperOrder, execution: str, now_ms: int) -> PaperEvent:
        """What the user stream says of an order that did not trade."""
        return reports.order_update(order, execution, now_ms, None, self._open_notional(order.request.symbol))

    def _open_notional(self, symbol: Symbol) -> tuple[Decimal, Decimal]:
        notional = self.orders.resting[symbol].notional
        return notional[Side.BUY], notional[Side.SELL]
