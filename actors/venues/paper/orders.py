"""Orders of the paper exchange, and resting orders by price. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.units import ZERO, Symbol

OPEN_STATUSES = frozenset({"NEW", "PARTIALLY_FILLED", "NEW_INSURANCE", "NEW_ADL"})


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new order, parsed. The exchange generates a client order id if it is empty."""

    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    reduce_only: bool = False
    client_order_id: str = ""
    self_trade: str = "EXPIRE_MAKER"
    price_match: str = "NONE"
    good_till_ms: int = 0
    close_position: bool = False
    position_side: str = "BOTH"
    orig_type: str = ""
    stop_price: Decimal = ZERO
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    algo_id: int = 0
    activate_price: Decimal = ZERO
    callback_rate: Decimal = ZERO


class PaperOrder(msgspec.Struct, kw_only=True):
    """An order and its state; times in Unix milliseconds. ``expiry`` is the expiry reason code, "0" for none."""

    order_id: int
    request: OrderRequest
    time: int
    updated: int
    status: str = "NEW"
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    expiry: str = "0"
    shown_status: str = ""
    """Fault: a status that this order is shown with instead of its own."""

    @property
    def remaining(self) -> Decimal:
        """Quantity that is not executed."""
        return self.request.quantity - self.executed

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATUSES

    @property
    def average(self) -> Decimal:
        """Average price of the executed quantity; zero without any."""
        return self.cost / self.executed if self.executed else ZERO


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the master account. ``commission`` is in ``asset``, ``realized`` in ``margin_asset``."""

    id: int
    order_id: int
    symbol: Symbol
    side: Side
    price: Decimal
    qty: Decimal
    realized: Decimal
    commission: Decimal
    asset: str
    margin_asset: str
    time: int
    maker: bool

    @property
    def buyer(self) -> bool:
        """Whether the master was the buyer."""
        return self.side is Side.BUY


class RestingOrders:
    """Open orders of one symbol: by id, by side in price-time priority, and their notional."""

    def __init__(self) -> None:
        self.by_id: dict[int, PaperOrder] = {}
        self.notional = {Side.BUY: ZERO, Side.SELL: ZERO}
        self._sorted: dict[Side, list[tuple[Decimal, int]]] = {Side.BUY: [], Side.SELL: []}

    def add(self, order: PaperOrder) -> None:
        """Add a limit order."""
        price = order.request.price
        assert price is not None, "a market order never rests"
        self.by_id[order.order_id] = order
        insort(self._sorted[order.request.side], self._priority(order, price))
        self.notional[order.request.side] += self._margined_notional(order, order.remaining)

    def remove(self, order: PaperOrder) -> None:
        """Remove an order, if it is there."""
        if self.by_id.pop(order.order_id, None) is None:
            return
        price = order.request.price
        assert price is not None
        priorities = self._sorted[order.request.side]
        del priorities[bisect_left(priorities, self._priority(order, price))]
        self.notional[order.request.side] -= self._margined_notional(order, order.remaining)

    def on_fill(self, order: PaperOrder, quantity: Decimal) -> None:
        """Reduce the notional for a fill; call it before the order's executed quantity changes."""
        if order.order_id in self.by_id:
            self.notional[order.request.side] -= self._margined_notional(order, quantity)

    def crossed_by(self, side: Side, price: Decimal) -> list[PaperOrder]:
        """Orders that a trade at ``price`` crosses, best first: buys at or above it, sells at or below it."""
        priorities = self._sorted[side]
        bound = -price if side is Side.BUY else price
        # An id above all others: the search includes every order at the bound itself.
        return (
            [self.by_id[n] for _, n in priorities[: bisect_left(priorities, (bound, 1 << 62))]]
            if priorities
            else []
        )

    def __iter__(self) -> Iterator[PaperOrder]:
        return iter(list(self.by_id.values()))

    def __len__(self) -> int:
        return len(self.by_id)

    @staticmethod
    def _priority(order: PaperOrder, price: Decimal) -> tuple[Decimal, int]:
        return (-price if order.request.side is Side.BUY else price, order.order_id)

    @staticmethod
    def _margined_notional(order: PaperOrder, quantity: Decimal) -> Decimal:
        if order.request.reduce_only or order.request.price is None:
            return ZERO
        return quantity * order.request.price


class OrderStore:
    """All orders of the master account, indexed by order id, symbol and client order id.

    ``first_order_id`` is the id of the first order.
    """

    def __init__(self) -> None:
        self.first_order_id = 1
        self.all: dict[int, PaperOrder] = {}
        self.by_symbol: defaultdict[Symbol, list[PaperOrder]] = defaultdict(list)
        self.resting: defaultdict[Symbol, RestingOrders] = defaultdict(RestingOrders)
        self._by_client_id: dict[str, int] = {}

    def add(self, request: OrderRequest, now_ms: int) -> PaperOrder:
        """Record a new order under the next order id."""
        number = self.first_order_id + len(self.all)
        order = PaperOrder(order_id=number, request=request, time=now_ms, updated=now_ms)
        self.all[order.order_id] = order
        self.by_symbol[request.symbol].append(order)
        self._by_client_id[request.client_order_id] = order.order_id
        return order

    def by_client_id(self, client_order_id: str) -> PaperOrder | None:
        """The newest order with a client order id."""
        return self.all.get(self._by_client_id.get(client_order_id, 0))

    def find(self, symbol: Symbol, order_id: int | None, client_order_id: str | None) -> PaperOrder | None:
        """An order of a symbol by order id, else the newest with the client order id."""
        order = self.all.get(order_id) if order_id is not None else self.by_client_id(client_order_id or "")
        return order if order is not None and order.request.symbol == symbol else None

    def open_of(self, symbol: Symbol | None) -> list[PaperOrder]:
        """Open orders of a symbol, or of all symbols."""
        if symbol is not None:
            return list(self.resting[symbol]) if symbol in self.resting else []
        return [order for resting in list(self.resting.values()) for order in resting]
