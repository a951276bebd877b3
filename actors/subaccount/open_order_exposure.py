"""What an account's own orders may still open, worked out from what it holds now.

An order is given the part of the position that it reduces in the order of decision; the rest opens. So a
position that goes away under a resting order leaves no order that opens without margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from actors.core.enums import ConditionalStatus, Purpose, Side
from actors.core.facts import AnyFact, CancelIntended, ConditionalEnded
from actors.core.orders import ConditionalOrder, WorkingOrder
from actors.core.units import ZERO, Symbol
from actors.subaccount.state import AccountState


class OrderExposure(msgspec.Struct, frozen=True, gc=False):
    """What one order may still open: quantity, and notional and margin in quote asset."""

    symbol: Symbol
    side: Side
    strategy: str
    quantity: Decimal
    notional: Decimal
    margin: Decimal


def quantities_that_open(state: AccountState) -> Iterator[tuple[WorkingOrder, Decimal]]:
    """Each of the account's own working orders, and how much of it would open."""
    left: dict[tuple[Symbol, Side], Decimal] = {}
    for order in state.orders:
        if order.purpose is not Purpose.USER:
            continue
        key = (order.symbol, order.side)
        if key not in left:
            held = state.position(order.symbol)
            against = held is not None and held.is_long != (order.side is Side.BUY)
            left[key] = abs(held.quantity) if held is not None and against else ZERO
        reducing = min(order.remaining, left[key])
        left[key] -= reducing
        yield order, order.remaining - reducing


def order_exposures(state: AccountState) -> list[OrderExposure]:
    """All that working and conditional orders may still open."""
    found = []
    if state.orders:
        for order, opening in quantities_that_open(state):
            if opening > ZERO:
                intent = order.intent
                notional = opening * order.reference_price
                margin = notional / intent.leverage
                found.append(
                    OrderExposure(order.symbol, order.side, intent.strategy, opening, notional, margin)
                )
    for waiting in state.conditionals:
        placed = waiting.placed
        if placed.margin_reserved > ZERO:
            notional = placed.margin_reserved * placed.leverage
            found.append(
                OrderExposure(
                    placed.symbol,
                    placed.side,
                    placed.strategy,
                    placed.quantity,
                    notional,
                    placed.margin_reserved,
                )
            )
    return found


def may_open(state: AccountState, order: ConditionalOrder) -> bool:
    """Whether a conditional order would open anything if it fired now, whatever it says of itself."""
    placed = order.placed
    if placed.reduce_only:
        return False
    held = state.position(placed.symbol)
    if held is None or placed.margin_reserved > ZERO or held.is_long == (placed.side is Side.BUY):
        return True
    return placed.quantity > abs(held.quantity)


def conditional_cancels(state: AccountState, cause: str, *, keep_closing: bool) -> list[AnyFact]:
    """The ends of the account's conditional orders, or of those that may open risk."""
    return [
        ConditionalEnded(c.client_order_id, ConditionalStatus.CANCELED, cause)
        for c in state.conditionals
        if not keep_closing or may_open(state, c)
    ]


def order_cancels(state: AccountState, orders: Iterable[WorkingOrder], cause: str) -> list[AnyFact]:
    """The cancels of some of the account's working orders, without what was asked for before or has filled."""
    return [
        CancelIntended(state.account_id, o.client_order_id, o.symbol, cause)
        for o in orders
        if not o.cancel_requested and o.remaining > ZERO
    ]


def reduce_only_excess(state: AccountState) -> list[WorkingOrder]:
    """Resting reduce-only orders that would open if they filled, the newest first to go."""
    return [
        order for order, opening in quantities_that_open(state) if opening > ZERO and order.intent.reduce_only
    ]
