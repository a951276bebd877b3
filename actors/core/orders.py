"""Orders that are not final: those at the exchange, and those that wait in the account for a price."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.constants import RECOVERED_FROM
from actors.core.enums import OrderStatus, OrderType, Purpose, Side
from actors.core.facts import ConditionalPlaced, OrderEnded, OrderIntended
from actors.core.units import ZERO, ClientOrderId, Symbol

TRIGGERED_BY = "trigger:"
"""How the cause of an order begins that a conditional order became."""


def conditional_of(cause: str) -> ClientOrderId | None:
    """The conditional order that a stored order's cause names, if it came of one."""
    return ClientOrderId(cause.removeprefix(TRIGGERED_BY)) if cause.startswith(TRIGGERED_BY) else None


def is_recovered(intent: OrderIntended) -> bool:
    """Whether an order was learned from the exchange, where it has ended: it is never sent."""
    return intent.cause.startswith(RECOVERED_FROM)


class WorkingOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that is not final yet: what we intended, and the trades of it that are booked."""

    intent: OrderIntended
    status: OrderStatus = OrderStatus.INTENDED
    exchange_order_id: int | None = None
    filled: Decimal = ZERO
    trade_ids: tuple[int, ...] = ()
    cancel_requested: bool = False

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its id at the exchange."""
        return self.intent.client_order_id

    @property
    def sequence(self) -> int:
        """Its number among the account's orders."""
        return self.intent.sequence

    @property
    def symbol(self) -> Symbol:
        """What it trades."""
        return self.intent.symbol

    @property
    def side(self) -> Side:
        """BUY or SELL."""
        return self.intent.side

    @property
    def order_type(self) -> OrderType:
        """MARKET or LIMIT."""
        return self.intent.order_type

    @property
    def quantity(self) -> Decimal:
        """Its whole quantity."""
        return self.intent.quantity

    @property
    def price(self) -> Decimal | None:
        """The limit price."""
        return self.intent.price

    @property
    def purpose(self) -> Purpose:
        """Why it exists."""
        return self.intent.purpose

    @property
    def remaining(self) -> Decimal:
        """Quantity that has not traded."""
        return self.intent.quantity - self.filled

    @property
    def reference_price(self) -> Decimal:
        """The price that what it may still open is counted with, in quote asset."""
        intent = self.intent
        price = intent.reference_price or intent.price
        return intent.margin_reserved * intent.leverage / intent.quantity if price is None else price


class ConditionalOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stop, take-profit or trailing stop that waits in the account. The exchange knows nothing of it.

    ``extreme`` is the best price since a trailing stop became active, None before; ``due`` says that
    it met its price already.
    """

    placed: ConditionalPlaced
    extreme: Decimal | None
    due: bool = False

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its id."""
        return self.placed.client_order_id

    @property
    def symbol(self) -> Symbol:
        """What it trades."""
        return self.placed.symbol


def is_refusal(fact: OrderEnded) -> bool:
    """Whether the exchange did not take the order, or ended it by itself."""
    return fact.status.is_refusal


def end_text(status: str, code: int | None, reason: str | None) -> str:
    """How an order ended, with the exchange's own code and words, as in ``REJECTED -2019 No margin``."""
    return " ".join(part for part in (status, str(code) if code else "", reason or "") if part)
