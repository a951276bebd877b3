"""Orders as the paper exchange keeps them, and the resting ones by price. Pure."""

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
    """A new order, parsed. An empty client order id is made up by the exchange."""

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
    """An order and what became of it. ``expiry`` is the exchange's reason number, "0" for none."""

    order_id: int
    request: OrderRequest
    time: int
    updated: int
    status: str = "NEW"
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    expiry: str = "0"
    shown_as: str = ""
    """A status that this order is shown with instead of its own; a fault."""

    @property
    def left(self) -> Decimal:
        """What is not executed."""
        return self.request.quantity - self.executed

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATUSES

    @property
    def average(self) -> Decimal:
        """The average price of what is executed, zero before that."""
        return self.cost / self.executed if self.executed else ZERO


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the master account. ``commission`` is in ``asset``; none is told where ``asset`` is empty."""

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
        """Whether it bought."""
        return self.side is Side.BUY


class Resting:
    """One symbol's open orders: by id, by side in the order in which they trade, and what they are worth."""

    def __init__(self) -> None:
        self.by_id: dict[int, PaperOrder] = {}
        self.unpriced: dict[int, PaperOrder] = {}
        self.notional = {Side.BUY: ZERO, Side.SELL: ZERO}
        self._sorted: dict[Side, list[tuple[Decimal, int]]] = {Side.BUY: [], Side.SELL: []}

    def add(self, order: PaperOrder) -> None:
        """An order begins to rest."""
        self.by_id[order.order_id] = order
        price = order.request.price
        if price is None:
            self.unpriced[order.order_id] = order
            return
        insort(self._sorted[order.request.side], self._rank(order, price))
        self.notional[order.request.side] += self._worth(order, order.left)

    def remove(self, order: PaperOrder) -> None:
        """An order no longer rests; nothing if it did not."""
        if self.by_id.pop(order.order_id, None) is None:
            return
        price = order.request.price
        if price is None:
            del self.unpriced[order.order_id]
            return
        ranks = self._sorted[order.request.side]
        del ranks[bisect_left(ranks, self._rank(order, price))]
        self.notional[order.request.side] -= self._worth(order, order.left)

    def filled(self, order: PaperOrder, quantity: Decimal) -> None:
        """A resting order is about to be filled by ``quantity``."""
        if order.order_id in self.by_id:
            self.notional[order.request.side] -= self._worth(order, quantity)

    def reached(self, side: Side, price: Decimal) -> list[PaperOrder]:
        """Orders of a side whose limit is at ``price`` or beyond it, best first: buys at or above, sells at or below."""
        ranks = self._sorted[side]
        bound = -price if side is Side.BUY else price
        # All orders at the bound itself count, whatever their ids.
        return [self.by_id[n] for _, n in ranks[: bisect_left(ranks, (bound, 1 << 62))]] if ranks else []

    def __iter__(self) -> Iterator[PaperOrder]:
        return iter(list(self.by_id.values()))

    def __len__(self) -> int:
        return len(self.by_id)

    @staticmethod
    def _rank(order: PaperOrder, price: Decimal) -> tuple[Decimal, int]:
        return (-price if order.request.side is Side.BUY else price, order.order_id)

    @staticmethod
    def _worth(order: PaperOrder, quantity: Decimal) -> Decimal:
        if order.request.reduce_only or order.request.price is None:
            return ZERO
        return quantity * order.request.price


class OrderBook:
    """All orders of the master account by every name that they can be asked for with.

    ``first_number`` is the number of the first one.
    """

    def __init__(self) -> None:
        self.first_number = 1
        self.all: dict[int, PaperOrder] = {}
        self.of_symbol: defaultdict[Symbol, list[PaperOrder]] = defaultdict(list)
        self.resting: defaultdict[Symbol, Resting] = defaultdict(Resting)
        self._by_client_id: dict[str, int] = {}

    def add(self, request: OrderRequest, now_ms: int) -> PaperOrder:
        """Give an order its number."""
        number = self.first_number + len(self.all)
        order = PaperOrder(order_id=number, request=request, time=now_ms, updated=now_ms)
        self.all[order.order_id] = order
        self.of_symbol[request.symbol].append(order)
        self._by_client_id[request.client_order_id] = order.order_id
        return order

    def newest(self, client_order_id: str) -> PaperOrder | None:
        """The newest order of a client order id."""
        return self.all.get(self._by_client_id.get(client_order_id, 0))

    def find(self, symbol: Symbol, order_id: int | None, client_order_id: str | None) -> PaperOrder | None:
        """An order of a symbol by number, else the newest of a client order id."""
        order = self.all.get(order_id) if order_id is not None else self.newest(client_order_id or "")
        return order if order is not None and order.request.symbol == symbol else None

    def open_of(self, symbol: Symbol | None) -> list[PaperOrder]:
        """Open orders of a symbol or of all."""
        if symbol is not None:
            return list(self.resting[symbol]) if symbol in self.resting else []
        return [order for resting in list(self.resting.values()) for order in resting]


def limit_of(request: OrderRequest) -> bool:
    """Whether a request has a price of its own."""
    return request.type is OrderType.LIMIT
