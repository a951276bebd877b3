"""Conditional orders: they wait for a price, then set off an ordinary one. Pure."""

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
"""Which order each sets off."""

FIRST_ALGO_ID = 1_000_000_001
"""Far from the numbers of orders, as at Binance: a client that keeps both in one table takes equal ones for one."""

CALLBACK_RATES = (Decimal("0.1"), Decimal(20))
HUNDRED = Decimal(100)


class AlgoRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new conditional order, parsed. ``order`` is what it sets off."""

    order_type: str
    order: OrderRequest
    client_algo_id: str = ""
    trigger_price: Decimal = ZERO


class AlgoOrder(msgspec.Struct, kw_only=True):
    """A conditional order and what became of it. ``extreme`` is the best price since a trailing one is active."""

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
    def waits(self) -> bool:
        """Whether it still waits for its price."""
        return self.status == "NEW"


class AlgoBook:
    """All conditional orders.

    Args:
        exchange: where they look at prices and place orders.
        waiting_max: how many may wait, over all symbols.
    """

    def __init__(self, exchange: Exchange, waiting_max: int) -> None:
        self._exchange, self._waiting_max = exchange, waiting_max
        self.all: dict[int, AlgoOrder] = {}
        self._by_client_id: dict[str, int] = {}
        self._waiting: defaultdict[Symbol, dict[int, AlgoOrder]] = defaultdict(dict)
        self._count = 0

    def waits(self, symbol: Symbol) -> bool:
        """Whether any waits for a price of a symbol."""
        return bool(self._waiting.get(symbol))

    def open_of(self, symbol: Symbol | None) -> list[AlgoOrder]:
        """Those that wait, of a symbol or of all."""
        if symbol is not None:
            return list(self._waiting[symbol].values())
        return [a for waiting in list(self._waiting.values()) for a in waiting.values()]

    # -- requests

    def place(self, request: AlgoRequest, now_ms: int) -> tuple[AlgoOrder, list[PaperEvent]]:
        """Take a conditional order.

        Raises:
            ExchangeRefusal: it breaks a rule.
        """
        if not request.client_algo_id:
            request = msgspec.structs.replace(request, client_algo_id=self._exchange.made_id())
        self._check(request)
        algo = AlgoOrder(
            algo_id=FIRST_ALGO_ID + len(self.all), request=request, created=now_ms, updated=now_ms
        )
        self.all[algo.algo_id] = algo
        self._by_client_id[request.client_algo_id] = algo.algo_id
        self._waiting[request.order.symbol][algo.algo_id] = algo
        self._count += 1
        events: list[PaperEvent] = [self.told(algo, now_ms)]
        if request.order_type == "TRAILING_STOP_MARKET" and not request.order.activate_price:
            algo.active = True
            algo.extreme = self._price(algo)
            events.append(self.told(algo, now_ms))
        return algo, events

    def find(self, algo_id: int | None, client_id: str | None) -> AlgoOrder:
        """One by number, else the newest of a client algo id.

        Raises:
            ExchangeRefusal: there is none.
        """
        number = algo_id if algo_id is not None else self._by_client_id.get(client_id or "", 0)
        if number not in self.all:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        return self.all[number]

    def cancel(
        self, algo_id: int | None, client_id: str | None, now_ms: int
    ) -> tuple[AlgoOrder, list[PaperEvent]]:
        """Cancel one that waits.

        Raises:
            ExchangeRefusal: none such waits.
        """
        try:
            algo = self.find(algo_id, client_id)
        except ExchangeRefusal:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED) from None
        if not algo.waits:
            raise ExchangeRefusal(PaperCode.CANCEL_REJECTED)
        return algo, [self._end(algo, "CANCELED", now_ms)]

    def _check(self, request: AlgoRequest) -> None:
        order, exchange = request.order, self._exchange
        exchange.checks.market(order.symbol)
        twin = self.all.get(self._by_client_id.get(request.client_algo_id, 0))
        if twin is not None and twin.waits:
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
        if self._reached(request, self._price_of(order)):
            raise ExchangeRefusal(PaperCode.WOULD_TRIGGER)

    # -- prices

    def on_price(self, symbol: Symbol, now_ms: int) -> list[PaperEvent]:
        """A new price: set off what it reaches."""
        events: list[PaperEvent] = []
        for algo in list(self._waiting[symbol].values()):
            if not algo.waits:
                continue
            price = self._price(algo)
            if algo.request.order_type == "TRAILING_STOP_MARKET":
                events += self._trail(algo, price, now_ms)
            elif self._reached(algo.request, price):
                events += self._set_off(algo, now_ms)
        return events

    def _price_of(self, order: OrderRequest) -> Decimal:
        exchange = self._exchange
        marked = order.working_type == "MARK_PRICE"
        return exchange.mark(order.symbol) if marked else exchange.mid(order.symbol)

    def _price(self, algo: AlgoOrder) -> Decimal:
        return self._price_of(algo.request.order)

    @staticmethod
    def _reached(request: AlgoRequest, price: Decimal) -> bool:
        sign = request.order.side.sign
        # A stop waits for the price to move against it: up for a buy. A take-profit the other way.
        beyond = (price - request.trigger_price) * sign
        return beyond >= ZERO if request.order_type.startswith("STOP") else beyond <= ZERO

    def _trail(self, algo: AlgoOrder, price: Decimal, now_ms: int) -> list[PaperEvent]:
        order = algo.request.order
        sign = order.side.sign
        if not algo.active:
            if (price - order.activate_price) * sign > ZERO:
                return []
            algo.active, algo.extreme = True, price
            return [self.told(algo, now_ms)]
        if (price - algo.extreme) * sign < ZERO:
            algo.extreme = price
        back = algo.extreme * (1 + sign * order.callback_rate / HUNDRED)
        return self._set_off(algo, now_ms) if (price - back) * sign >= ZERO else []

    def _set_off(self, algo: AlgoOrder, now_ms: int) -> list[PaperEvent]:
        algo.status, algo.triggered, algo.updated = "TRIGGERING", now_ms, now_ms
        self._forget(algo)
        events: list[PaperEvent] = [self.told(algo, now_ms)]
        order = self._ordinary(algo)
        if order.quantity == ZERO:
            algo.status, algo.reason = "EXPIRED", "There is no position to close."
            return [*events, self.told(algo, now_ms)]
        try:
            placed, more = self._exchange.place(order, now_ms)
        except ExchangeRefusal as refusal:
            algo.status, algo.reason = "REJECTED", refusal.text
            return [*events, self.told(algo, now_ms)]
        algo.order_id, algo.status = placed.order_id, "TRIGGERED"
        events += [self.told(algo, now_ms), *more]
        return events if placed.is_open else [*events, *self.order_ended(placed, now_ms)]

    def _ordinary(self, algo: AlgoOrder) -> OrderRequest:
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
        """The order that one set off has ended."""
        algo = self.all[order.request.algo_id]
        if algo.status != "TRIGGERED":
            return []
        algo.status, algo.updated = "FINISHED", now_ms
        return [self.told(algo, now_ms)]

    def _end(self, algo: AlgoOrder, status: str, now_ms: int) -> PaperEvent:
        self._forget(algo)
        algo.status, algo.updated = status, now_ms
        return self.told(algo, now_ms)

    def _forget(self, algo: AlgoOrder) -> None:
        del self._waiting[algo.request.order.symbol][algo.algo_id]
        self._count -= 1

    # -- what is told

    def told(self, algo: AlgoOrder, now_ms: int) -> AlgoUpdate:
        """ALGO_UPDATE."""
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

    def placed(self, algo: AlgoOrder) -> PlacedAlgo:
        """The answer to placing one."""
        return PlacedAlgo(**self._base(algo))

    def queried(self, algo: AlgoOrder) -> QueriedAlgo:
        """The answer to asking for one."""
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
            **self._base(algo),
        )

    @staticmethod
    def _base(algo: AlgoOrder) -> dict[str, Any]:
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
