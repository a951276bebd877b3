"""The paper exchange itself: one master account, matched against L1. Pure; time comes in.

Rules
1. Positions are netted, one way. wallet = deposit + realized - fees + funding, exactly.
2. A market order takes what L1 shows; with ``market_sweep`` the rest trades at worse ticks at
   once, as depth behind the best would let it, else it waits for the next L1.
3. A limit order takes on arrival what it crosses, then rests and fills as maker when crossed.
4. Trade ids rise by one per symbol, order ids by one in all. A client order id is used once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.units import ZERO, Instrument, OrderType, Side, Symbol, plain, quantize_price
from actors.venues.binance.errors import Code
from actors.venues.binance.filters import check_order
from actors.venues.binance.rest import FundingRate, Order, UserTrade
from actors.venues.binance.streams import (
    AccountUpdate,
    BalanceDetail,
    OrderDetail,
    OrderTradeUpdate,
    PositionDetail,
    UpdateDetail,
)
from actors.venues.paper.generator import Quote

SWEEP_TICKS = 3
"""How many ticks further each level of a swept market order trades."""


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new order, parsed."""

    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    reduce_only: bool = False
    client_order_id: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    code: Code
    text: str


class _Order(msgspec.Struct, kw_only=True):
    order_id: int
    request: OrderRequest
    status: str = "NEW"
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    time: int
    updated: int

    @property
    def left(self) -> Decimal:
        return self.request.quantity - self.executed


class _Position(msgspec.Struct):
    amount: Decimal = ZERO
    entry: Decimal = ZERO
    realized: Decimal = ZERO


PaperEvent = OrderTradeUpdate | AccountUpdate


class Exchange:
    """The matching engine and the master account's books."""

    def __init__(
        self,
        instruments: Mapping[Symbol, Instrument],
        deposit: Decimal,
        taker_fee: Decimal = Decimal("0.0005"),
        maker_fee: Decimal = Decimal("0.0002"),
        *,
        market_sweep: bool = True,
    ) -> None:
        self.instruments = instruments
        self.wallet = deposit
        self.fees = ZERO
        self.realized = ZERO
        self.funding = ZERO
        self.funding_rates: list[FundingRate] = []
        self.quotes: dict[Symbol, Quote] = {}
        self.positions: defaultdict[Symbol, _Position] = defaultdict(_Position)
        self.trades: defaultdict[Symbol, list[UserTrade]] = defaultdict(list)
        self._taker_fee, self._maker_fee = taker_fee, maker_fee
        self._sweep = market_sweep
        self._orders: dict[int, _Order] = {}
        self._by_client_id: dict[str, int] = {}
        self._open: defaultdict[Symbol, dict[int, _Order]] = defaultdict(dict)
        self._next_trade: defaultdict[Symbol, int] = defaultdict(lambda: 1)

    # -- market

    def on_quote(self, quote: Quote, now_ms: int) -> list[PaperEvent]:
        """A new L1: rest what does not cross, fill what does."""
        self.quotes[quote.symbol] = quote
        waiting = self._open.get(quote.symbol)
        if not waiting:
            return []
        events: list[PaperEvent] = []
        sizes = {Side.BUY: quote.ask_qty, Side.SELL: quote.bid_qty}
        for order in list(waiting.values()):
            side, request = order.request.side, order.request
            best = quote.ask if side is Side.BUY else quote.bid
            if request.price is not None and (best - request.price) * side.sign > ZERO:
                continue
            quantity = min(order.left, sizes[side])
            if request.reduce_only:
                # What it could reduce may be gone since it was placed.
                held = max(ZERO, -self.positions[quote.symbol].amount * side.sign)
                quantity = min(quantity, held)
                if held == ZERO:
                    events += self._end(order, "EXPIRED", now_ms)
            if quantity > ZERO:
                sizes[side] -= quantity
                maker = request.type is OrderType.LIMIT
                events += self._trade(order, quantity, request.price or best, now_ms, maker=maker)
        return events

    # -- orders

    def place(self, request: OrderRequest, now_ms: int) -> tuple[Order | Refusal, list[PaperEvent]]:
        """Take an order."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal, []
        order_id = len(self._orders) + 1
        order = _Order(order_id=order_id, request=request, time=now_ms, updated=now_ms)
        self._orders[order_id] = order
        self._by_client_id[request.client_order_id] = order_id
        self._open[request.symbol][order_id] = order
        events: list[PaperEvent] = [self._update(order, "NEW", now_ms)]
        events += self._take(order, now_ms)
        return self.view(order), events

    def cancel(
        self, symbol: Symbol, order_id: int | None, client_id: str | None, now_ms: int
    ) -> tuple[Order | Refusal, list[PaperEvent]]:
        """Cancel an open order."""
        order = self._find(symbol, order_id, client_id)
        if order is None or order.order_id not in self._open[symbol]:
            return Refusal(Code.CANCEL_REJECTED, "Unknown order sent."), []
        events = self._end(order, "CANCELED", now_ms)
        return self.view(order), events

    def query(self, symbol: Symbol, order_id: int | None, client_id: str | None) -> Order | Refusal:
        """One order, open or ended."""
        order = self._find(symbol, order_id, client_id)
        return Refusal(Code.NO_SUCH_ORDER, "Order does not exist.") if order is None else self.view(order)

    def open_orders(self, symbol: Symbol | None) -> list[Order]:
        """Open orders of one symbol or of all."""
        symbols = [symbol] if symbol else list(self._open)
        return [self.view(order) for s in symbols for order in self._open[s].values()]

    def all_orders(self, symbol: Symbol, from_id: int, limit: int) -> list[Order]:
        """Orders of a symbol from an id on, oldest first."""
        found = [o for o in self._orders.values() if o.request.symbol == symbol and o.order_id >= from_id]
        return [self.view(order) for order in found[:limit]]

    def user_trades(
        self, symbol: Symbol, from_id: int | None, order_id: int | None, limit: int
    ) -> list[UserTrade]:
        """Trades of a symbol: from an id on oldest first, or of one order, or the newest."""
        trades = self.trades[symbol]
        if order_id is not None:
            trades = [t for t in trades if t.orderId == order_id]
        if from_id is not None:
            return [t for t in trades if t.id >= from_id][:limit]
        return trades[-limit:]

    def unrealized(self, symbol: Symbol) -> Decimal:
        """Profit of the netted position at the mid."""
        position, quote = self.positions[symbol], self.quotes.get(symbol)
        if quote is None:
            return ZERO
        return position.amount * ((quote.bid + quote.ask) / 2 - position.entry)

    def settle_funding(self, symbol: Symbol, rate: Decimal, now_ms: int) -> FundingRate:
        """Settle funding of the netted position at the mid: longs pay a positive rate.

        Raises:
            ValueError: there is no price yet.
        """
        quote = self.quotes.get(symbol)
        if quote is None:
            raise ValueError(f"{symbol} has no price yet")
        mark = (quote.bid + quote.ask) / 2
        paid = self.positions[symbol].amount * mark * rate
        self.wallet -= paid
        self.funding -= paid
        settled = FundingRate(symbol=symbol, fundingRate=rate, fundingTime=now_ms, markPrice=plain(mark))
        self.funding_rates.append(settled)
        return settled

    def view(self, order: _Order) -> Order:
        """An order as the API shows it."""
        request = order.request
        average = quantize_price(order.cost / order.executed) if order.executed else ZERO
        return Order(
            orderId=order.order_id,
            symbol=request.symbol,
            status=order.status,
            clientOrderId=request.client_order_id,
            price=request.price or ZERO,
            avgPrice=average,
            origQty=request.quantity,
            executedQty=order.executed,
            cumQuote=order.cost,
            timeInForce=request.time_in_force,
            type=request.type,
            side=request.side,
            reduceOnly=request.reduce_only,
            origType=request.type,
            time=order.time,
            updateTime=order.updated,
        )

    # -- inside

    def _refusal(self, request: OrderRequest) -> Refusal | None:
        instrument = self.instruments.get(request.symbol)
        if instrument is None:
            return Refusal(Code.BAD_SYMBOL, "Invalid symbol.")
        if request.client_order_id in self._by_client_id:
            return Refusal(Code.CLIENT_ORDER_ID_DUPLICATED, "ClientOrderId is duplicated.")
        quote = self.quotes.get(request.symbol)
        if quote is None:
            return Refusal(Code.INVALID_MESSAGE, "There is no market yet.")
        mid = (quote.bid + quote.ask) / 2
        code = check_order(
            instrument, request.type, request.quantity, request.price, mid, reduce_only=request.reduce_only
        )
        if code is not None:
            return Refusal(code, f"{code.name}: quantity {request.quantity}, price {request.price}")
        amount = self.positions[request.symbol].amount
        if request.reduce_only and (amount * request.side.sign >= ZERO or request.quantity > abs(amount)):
            return Refusal(Code.REDUCE_ONLY_REJECT, "ReduceOnly Order is rejected.")
        return None

    def _find(self, symbol: Symbol, order_id: int | None, client_id: str | None) -> _Order | None:
        if order_id is None and client_id is not None:
            order_id = self._by_client_id.get(client_id)
        order = self._orders.get(order_id) if order_id is not None else None
        return order if order is not None and order.request.symbol == symbol else None

    def _take(self, order: _Order, now_ms: int) -> list[PaperEvent]:
        request, quote = order.request, self.quotes[order.request.symbol]
        buy = request.side is Side.BUY
        best, size = (quote.ask, quote.ask_qty) if buy else (quote.bid, quote.bid_qty)
        crosses = request.price is None or (best - request.price) * request.side.sign <= ZERO
        if request.time_in_force == "GTX" and crosses:
            return self._end(order, "EXPIRED", now_ms)
        if request.time_in_force == "FOK" and not (crosses and size >= request.quantity):
            return self._end(order, "EXPIRED", now_ms)
        events: list[PaperEvent] = []
        tick = self.instruments[request.symbol].tick_size * SWEEP_TICKS * request.side.sign
        price = best
        while crosses and order.left > ZERO and size > ZERO and price > ZERO:
            events += self._trade(order, min(order.left, size), price, now_ms, maker=False)
            price, size = price + tick, size * 2
            if request.price is not None or not self._sweep:
                break
        if request.time_in_force == "IOC" and order.left > ZERO:
            events += self._end(order, "EXPIRED", now_ms)
        return events

    def _trade(
        self, order: _Order, quantity: Decimal, price: Decimal, now_ms: int, *, maker: bool
    ) -> list[PaperEvent]:
        request = order.request
        realized = self._move(request.symbol, quantity * request.side.sign, price)
        fee = quantity * price * (self._maker_fee if maker else self._taker_fee)
        self.wallet += realized - fee
        self.realized += realized
        self.fees += fee
        order.executed += quantity
        order.cost += quantity * price
        order.updated = now_ms
        order.status = "PARTIALLY_FILLED" if order.left > ZERO else "FILLED"
        if order.left == ZERO:
            self._open[request.symbol].pop(order.order_id, None)
        trade = UserTrade(
            id=self._next_trade[request.symbol],
            orderId=order.order_id,
            symbol=request.symbol,
            side=request.side,
            price=price,
            qty=quantity,
            quoteQty=quantity * price,
            realizedPnl=realized,
            commission=fee,
            commissionAsset="USDT",
            time=now_ms,
            buyer=request.side is Side.BUY,
            maker=maker,
        )
        self._next_trade[request.symbol] += 1
        self.trades[request.symbol].append(trade)
        return [self._account_update(request.symbol, now_ms), self._update(order, "TRADE", now_ms, trade)]

    def _move(self, symbol: Symbol, signed: Decimal, price: Decimal) -> Decimal:
        """Net a trade into the position; returns what it realized."""
        position = self.positions[symbol]
        before = position.amount
        after = before + signed
        realized = ZERO
        if before * signed >= ZERO:
            cost = abs(before) * position.entry + abs(signed) * price
            position.entry = quantize_price(cost / abs(after)) if after else ZERO
        else:
            closed = min(abs(before), abs(signed))
            realized = closed * (price - position.entry) * (1 if before > ZERO else -1)
            if after * before <= ZERO:
                position.entry = price if after else ZERO
        position.amount = after
        position.realized += realized
        return realized

    def _end(self, order: _Order, status: str, now_ms: int) -> list[PaperEvent]:
        order.status, order.updated = status, now_ms
        self._open[order.request.symbol].pop(order.order_id, None)
        return [self._update(order, status, now_ms)]

    def _update(
        self, order: _Order, execution: str, now_ms: int, trade: UserTrade | None = None
    ) -> OrderTradeUpdate:
        request = order.request
        detail = OrderDetail(
            s=request.symbol,
            c=request.client_order_id,
            S=request.side,
            o=request.type,
            f=request.time_in_force,
            q=request.quantity,
            p=request.price or ZERO,
            ap=quantize_price(order.cost / order.executed) if order.executed else ZERO,
            x=execution,
            X=order.status,
            i=order.order_id,
            l=trade.qty if trade else ZERO,
            z=order.executed,
            L=trade.price if trade else ZERO,
            n=trade.commission if trade else ZERO,
            N="USDT" if trade else None,
            T=now_ms,
            t=trade.id if trade else 0,
            m=trade.maker if trade else False,
            R=request.reduce_only,
            rp=trade.realizedPnl if trade else ZERO,
        )
        return OrderTradeUpdate(now_ms, now_ms, detail)

    def _account_update(self, symbol: Symbol, now_ms: int) -> AccountUpdate:
        position = self.positions[symbol]
        held = PositionDetail(
            s=symbol, pa=position.amount, ep=position.entry, cr=position.realized, up=self.unrealized(symbol)
        )
        balance = BalanceDetail("USDT", self.wallet, self.wallet)
        return AccountUpdate(now_ms, now_ms, UpdateDetail("ORDER", (balance,), (held,)))
