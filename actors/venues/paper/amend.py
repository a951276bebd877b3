"""Order amendment and its history. Pure."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.units import Symbol
from actors.venues.paper.codes import ExchangeRefusal, PaperCode
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.reports import text
from actors.venues.paper.user_events import PaperEvent
from actors.venues.paper.wire_orders import Amendment, Change, OrderAmendment

if TYPE_CHECKING:
    from actors.venues.paper.matching import Exchange


class Amendments:
    """Order amendments on one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._history: defaultdict[int, list[OrderAmendment]] = defaultdict(list)
        self._made = 0

    def history(self, order_id: int) -> list[OrderAmendment]:
        """Amendments of an order, newest first."""
        return list(reversed(self._history.get(order_id, [])))

    def amend(  # noqa: PLR0913 - the endpoint's parameters
        self,
        symbol: Symbol,
        order_id: int | None,
        client_id: str | None,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        now_ms: int,
    ) -> tuple[PaperOrder, int, list[PaperEvent]]:
        """Change price and quantity. The order loses its time priority and is matched again at the new price.

        Returns:
            The order, the id of the amendment, and the user events.

        Raises:
            ExchangeRefusal: no such open limit order, nothing to change, or a rule is broken.
        """
        exchange = self._exchange
        order = exchange.orders.find(symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        old = order.request
        if old.type is not OrderType.LIMIT or old.price is None or old.side is not side:
            raise ExchangeRefusal(
                PaperCode.INVALID_SIDE if old.side is not side else PaperCode.INVALID_ORDER_TYPE
            )
        if (quantity, price) == (old.quantity, old.price):
            raise ExchangeRefusal(PaperCode.SAME_ORDER)
        new = msgspec.structs.replace(old, quantity=quantity, price=price)
        quote = exchange.checks.quote_of(symbol)
        exchange.checks.check_rules(new, quote)
        exchange.checks.check_margin(new, quote, freed=order.remaining * old.price + order.executed * price)
        exchange.orders.resting[symbol].remove(order)
        order.request, order.updated = new, now_ms
        self._made += 1
        self._record(order, old.price, old.quantity, now_ms)
        if quantity <= order.executed:
            return order, self._made, exchange.end(order, "CANCELED", now_ms)
        events: list[PaperEvent] = [exchange.order_event(order, "AMENDMENT", now_ms)]
        exchange.match(order, now_ms, events)
        return order, self._made, events

    def _record(self, order: PaperOrder, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        request, history = order.request, self._history[order.order_id]
        history.append(
            OrderAmendment(
                amendmentId=self._made,
                symbol=request.symbol,
                pair=request.symbol,
                orderId=order.order_id,
                clientOrderId=request.client_order_id,
                time=now_ms,
                amendment=Amendment(
                    price=Change(text(price), text(request.price or price)),
                    origQty=Change(text(quantity), text(request.quantity)),
                    count=len(history) + 1,
                    modifyId=self._made,
                ),
            )
        )
