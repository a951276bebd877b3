"""Conditional (algo) orders: each waits for a price, then places an ordinary order. Pure."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from actors.core.enums import OrderType
from actors.core.units import ZERO, Symbol, quantize_price
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.orders import OrderRequest, PaperOrder
from actors.venues.paper.reports import text
from actors.venues.paper.rules import check_quantity
from actors.venues.paper.user_events import AlgoBody, AlgoUpdate, PaperEvent
from actors.venues.paper.wire_orders import PlacedAlgo, QueriedAlgo

if TYPE_CHECKING:
    from actors.venues.paper.matching import Exchange

ALGO_TYPES = {
    "STOP": OrderType.LIMIT,
    "STOP_MARKET": OrderType.MARKET,
    "TAKE_PROFIT": OrderType.LIMIT,
    "TAKE_PROFIT_MARKET": OrderType.MARKET,
    "TRAILING_STOP_MARKET": OrderType.MARKET,
}
"""Type of the ordinary order that each conditional type places."""

FIRST_ALGO_ID = 1_000_000_001
"""Far from order ids, as on Binance: a client that keeps both in one table must not confuse them."""

CALLBACK_RATES = (Decimal("0.1"), Decimal(20))
HUNDRED = Decimal(100)


class AlgoRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new conditional order, parsed. ``order`` is placed when it triggers."""

    order_type: str
    order: OrderRequest
    client_algo_id: str = ""
    trigger_price: Decimal = ZERO


class AlgoOrder(msgspec.Struct, kw_only=True):
    """A conditional order and its state. ``extreme`` is the best price since a trailing stop became active."""

    algo_id: int
    request: AlgoRequest
    created: int
    updated: int
    status: str = "NEW"
    triggered: int = 0
    order_id: int = 0
    reason: str = ""
    active: bool = False
    extreme: Decimal = ZERO

    @property
    def is_waiting(self) -> bool:
        """Whether it is still waiting for its price."""
        return self.status == "NEW"


class AlgoBook:
    """All conditional orders.

    Args:
        exchange: source of prices; triggered orders are placed there.
        waiting_max: maximum number of waiting orders over all symbols.
    """

    def __init__(self, exchange: Exchange, waiting_max: int) -> None:
        self._exchange, self._waiting_max = exchange, waiting_max
        self.all: dict[int, AlgoOrder] = {}
        self._by_client_id: dict[str, int] = {}
        self._waiting: defaultdict[Symbol, dict[int, AlgoOrder]] = defaultdict(dict)
        self._count = 0

    def has_waiting(self, symbol: Symbol) -> bool:
        """Whether any order waits for a price of this symbol."""
        return bool(self._waiting.get(symbol))

    def open_of(self, symbol: Symbol | None) -> list[AlgoOrder]:
        """Waiting orders of a symbol, or of all symbols."""
        if symbol is not None:
            return list(self._waiting[symbol].values())
        return [a for waiting in list(self._waiting.values()) for a in waiting.values()]

    # -- requests

    def place(self, request: AlgoRequest, now_ms: int) -> tuple[AlgoOrder, list[PaperEvent]]:
        """Place a conditional order.

        Raises:
            ExchangeRefusal: it breaks a rule.
        """
        if not request.client_algo_id:
            request = msgspec.structs.replace(request, client_algo_id=self._exchange.new_client_order_id())
        self._check(request)
        algo = AlgoOrder(
            algo_id=FIRST_ALGO_ID + len(self.all), request=request, created=now_ms, updated=now_ms
        )
        self.all[algo.algo_id] = algo
        self._by_client_id[request.client_algo_id] = algo.algo_id
        self._waiting[request.order.symbol][algo.algo_id] = algo
        self._count += 1
        events: list[PaperEvent] = [self.update_event(algo, now_ms)]
        if request.order_type == "TRAILING_STOP_MARKET" and not request.order.activate_price:
            algo.active = True
            algo.extreme = self._working_price(algo.request.order)
            events.append(self.update_event(algo, now_ms))
        return algo, events

    def find(self, algo_id: int | None, client_id: str | None) -> AlgoOrder:
        """Find by algo id, else the newest with this client algo id.

        Raises:
            ExchangeRefusal: no such order.
        """
        number = algo_id if algo_id is not None else self._by_client_id.get(client_id or "", 0)
        if number not in self.all:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        return self.all[number]

    def cancel(
        self, algo_id: int | None, client_id: str | None, now_ms: int
    ) -> tuple[AlgoOrder, list[PaperEvent]]:
        """Cancel a waiting conditional order.

        Raises:
            ExchangeRefusal: no such waiting order.
        """
        try:
            algo = self.find(algo_id, client_id)
        except ExchangeRefusal:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED) from None
        if not algo.is_waiting:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED)
        return algo, [self._end(algo, "CANCELED", now_ms)]

    def _check(self, request: AlgoRequest) -> None:
        order, exchange = request.order, self._exchange
        exchange.checks.quote_of(order.symbol)
        existing = self.all.get(self._by_client_id.get(request.client_algo_id, 0))
        if existing is not None and existing.is_waiting:
            raise ExchangeRefusal(PaperCode.DUPLICATED_CLIENT_ORDER_ID)
        exchange.settings.check_side(order.position_side)
        if self._count >= self._waiting_max:
            raise ExchangeRefusal(PaperCode.MAX_STOP_ORDER_EXCEEDED)
        instrument = exchange.instruments[order.symbol]
        if not order.close_position:
            check_quantity(order, instrument)
        if request.order_type == "TRAILING_STOP_MARKET":
            low, high = CALLBACK_RATES
            if not low <= order.callback_rate <= high:
                raise ExchangeRefusal(PaperCode.INVALID_CALL_BK_RATE)
            return
        if request.trigger_price <= ZERO:
            raise ExchangeRefusal(PaperCode.PRICE_LESS_THAN_ZERO)
        if request.trigger_price % instrument.tick_size:
            raise ExchangeRefusal(PaperCode.PRICE_NOT_INCREASED_BY_TICK_SIZE)
        if self._is_reached(request, self._working_price(order)):
            raise ExchangeRefusal(PaperCode.WOULD_TRIGGER)

    # -- prices

    def on_price(self, symbol: Symbol, now_ms: int) -> list[PaperEvent]:
        """Handle a new price: trigger the orders that it reaches."""
        events: list[PaperEvent] = []
        for algo in list(self._waiting[symbol].values()):
            if not algo.is_waiting:
                continue
            price = self._working_price(algo.request.order)
            if algo.request.order_type == "TRAILING_STOP_MARKET":
                events += self._update_trailing_stop(algo, price, now_ms)
            elif self._is_reached(algo.request, price):
                events += self._trigger(algo, now_ms)
        return events

    def _working_price(self, order: OrderRequest) -> Decimal:
        exchange = self._exchange
        marked = order.working_type == "MARK_PRICE"
        return exchange.mark(order.symbol) if marked else exchange.mid(order.symbol)

    @staticmethod
    def _is_reached(request: AlgoRequest, price: Decimal) -> bool:
        sign = request.order.side.sign
        # A stop buys when the price rises to its trigger, and sells when it falls to it. A take-profit is the opposite.
        beyond = (price - request.trigger_price) * sign
        return beyond >= ZERO if request.order_type.startswith("STOP") else beyond <= ZERO

    def _update_trailing_stop(self, algo: AlgoOrder, price: Decimal, now_ms: int) -> list[PaperEvent]:
        order = algo.request.order
        sign = order.side.sign
        if not algo.active:
            if (price - order.activate_price) * sign > ZERO:
                return []
            algo.active, algo.extreme = True, price
            return [self.update_event(algo, now_ms)]
        if (price - algo.extreme) * sign < ZERO:
            algo.extreme = price
        # A buy trails the lowest price and triggers above it; a sell trails the highest and triggers below it.
        trigger = algo.extreme * (1 + sign * order.callback_rate / HUNDRED)
        return self._trigger(algo, now_ms) if (price - trigger) * sign >= ZERO else []

    def _trigger(self, algo: AlgoOrder, now_ms: int) -> list[PaperEvent]:
        algo.status, algo.triggered, algo.updated = "TRIGGERING", now_ms, now_ms
        self._remove_waiting(algo)
        events: list[PaperEvent] = [self.update_event(algo, now_ms)]
        order = self._triggered_order(algo)
        if order.quantity == ZERO:
            algo.status, algo.reason = "EXPIRED", "There is no position to close."
            return [*events, self.update_event(algo, now_ms)]
        try:
            placed, more = self._exchange.place(order, now_ms)
        except ExchangeRefusal as refusal:
            algo.status, algo.reason = "REJECTED", refusal.text
            return [*events, self.update_event(algo, now_ms)]
        algo.order_id, algo.status = placed.order_id, "TRIGGERED"
        events += [self.update_event(algo, now_ms), *more]
        return events if placed.is_open else [*events, *self.order_ended(placed, now_ms)]

    def _triggered_order(self, algo: AlgoOrder) -> OrderRequest:
        order = algo.request.order
        changes: dict[str, Any] = {
            "client_order_id": algo.request.client_algo_id,
            "orig_type": algo.request.order_type,
            "stop_price": algo.request.trigger_price,
            "algo_id": algo.algo_id,
        }
        if order.close_position:
            amount = self._exchange.positions[order.symbol].amount
            closes = amount * order.side.sign < ZERO
            changes |= {"quantity": abs(amount) if closes else ZERO, "reduce_only": True}
        return msgspec.structs.replace(order, **changes)

    def order_ended(self, order: PaperOrder, now_ms: int) -> list[PaperEvent]:
        """Handle the end of an order that a conditional order placed."""
        algo = self.all[order.request.algo_id]
        if algo.status != "TRIGGERED":
            return []
        algo.status, algo.updated = "FINISHED", now_ms
        return [self.update_event(algo, now_ms)]

    def _end(self, algo: AlgoOrder, status: str, now_ms: int) -> PaperEvent:
        self._remove_waiting(algo)
        algo.status, algo.updated = status, now_ms
        return self.update_event(algo, now_ms)

    def _remove_waiting(self, algo: AlgoOrder) -> None:
        del self._waiting[algo.request.order.symbol][algo.algo_id]
        self._count -= 1

    # -- user events and answers

    def update_event(self, algo: AlgoOrder, now_ms: int) -> AlgoUpdate:
        """ALGO_UPDATE event."""
        order, actual = algo.request.order, self._exchange.orders.all.get(algo.order_id)
        body = AlgoBody(
            caid=algo.request.client_algo_id,
            aid=algo.algo_id,
            at="CONDITIONAL",
            o=algo.request.order_type,
            s=order.symbol,
            S=order.side.value,
            ps=order.position_side,
            f=order.time_in_force,
            q=text(order.quantity),
            X=algo.status,
            ai=str(algo.order_id) if algo.order_id else "",
            ap=text(quantize_price(actual.average)) if actual else "0",
            aq=text(actual.executed) if actual else "0",
            act=actual.request.type.value if actual else "",
            tp=text(algo.request.trigger_price),
            p=text(order.price or ZERO),
            V=order.self_trade,
            wt=order.working_type,
            pm=order.price_match,
            cp=order.close_position,
            pP=order.price_protect,
            R=order.reduce_only,
            tt=algo.triggered,
            gtd=order.good_till_ms,
            rm=algo.reason,
            ia=algo.active,
        )
        return AlgoUpdate(T=now_ms, E=now_ms, o=body)

    def placed_answer(self, algo: AlgoOrder) -> PlacedAlgo:
        """Answer to a new conditional order."""
        return PlacedAlgo(**self._algo_fields(algo))

    def queried_answer(self, algo: AlgoOrder) -> QueriedAlgo:
        """Answer to a query."""
        actual = self._exchange.orders.all.get(algo.order_id)
        return QueriedAlgo(
            actualOrderId=str(algo.order_id) if algo.order_id else "",
            actualPrice=text(quantize_price(actual.average)) if actual else "0",
            actualType=actual.request.type.value if actual else "",
            actualQty=text(actual.executed) if actual else "0",
            tpTriggerPrice="0",
            tpPrice="0",
            slTriggerPrice="0",
            slPrice="0",
            tpOrderType="",
            **self._algo_fields(algo),
        )

    @staticmethod
    def _algo_fields(algo: AlgoOrder) -> dict[str, Any]:
        order = algo.request.order
        return {
            "algoId": algo.algo_id,
            "clientAlgoId": algo.request.client_algo_id,
            "algoType": "CONDITIONAL",
            "orderType": algo.request.order_type,
            "symbol": order.symbol,
            "side": order.side.value,
            "positionSide": order.position_side,
            "timeInForce": order.time_in_force,
            "quantity": text(order.quantity),
            "algoStatus": algo.status,
            "triggerPrice": text(algo.request.trigger_price),
            "price": text(order.price or ZERO),
            "icebergQuantity": None,
            "selfTradePreventionMode": order.self_trade,
            "workingType": order.working_type,
            "priceMatch": order.price_match,
            "closePosition": order.close_position,
            "priceProtect": order.price_protect,
            "reduceOnly": order.reduce_only,
            "activatePrice": text(order.activate_price),
            "callbackRate": text(order.callback_rate),
            "createTime": algo.created,
            "updateTime": algo.updated,
            "triggerTime": algo.triggered,
            "goodTillDate": order.good_till_ms,
        }
