"""What the gateway knows of one order, and the effects that it may ask for. Pure data."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from actors.facts import OrderIntended, OrderStatus, Purpose
from actors.gateway.messages import Report
from actors.limits import UNKNOWN_QUERY_EVERY
from actors.messages import Fill, OrderAccepted, OrderClosed
from actors.units import NANOS_PER_MS, ZERO, AccountId, ClientOrderId, OrderType, Symbol

IN_FLIGHT_MAX = 60
"""Orders under way at once: a dozen requests of five."""

CLOSE_GRACE_MS = 1_500
"""How long the user stream may lag behind a final status before trades are asked for."""

SENT_MAX_MS = 30_000
"""Longer than any request may take: an order that was sent and never answered is unknown after it."""

FINAL_MARGIN_MS = 500
"""Beyond ``RECV_WINDOW_MS``: the exchange's clock may differ from ours by this much."""

UNREACHABLE_PAUSE_MS = 500
"""Wait before the next try when not even a connection could be made."""

OVERDUE_MS = 3_000
"""How long a market order, or any order without a user stream, may stay silent."""

REMEMBERED_FINALS = 65_536
"""Final orders whose late events are told from those of strangers."""

QUERY_EVERY_MS = UNKNOWN_QUERY_EVERY // NANOS_PER_MS

ASKS_MAX = 8
"""Queries under way at once. Without a bound, a slow moment makes more queries than it can
answer, which makes it slower (found by the demo: 2,000 orders, a stalled event loop)."""


def is_urgent(order: OrderIntended) -> bool:
    """Whether an order goes before others: what liquidates, and market orders that only reduce, stops say."""
    protects = order.reduce_only and order.order_type is OrderType.MARKET
    return protects or order.purpose is not Purpose.USER


class Stage(StrEnum):
    """Where an order is."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    WORKING = "WORKING"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Effect: ask the transport. ``kind`` is place, cancel, query or trades.

    ``timestamp_ms`` is what the request must be signed with.
    """

    kind: str
    symbol: Symbol
    client_order_id: ClientOrderId
    timestamp_ms: int
    order: OrderIntended | None = None
    exchange_order_id: int | None = None


class Deliver(msgspec.Struct, frozen=True):
    """Effect: tell the account."""

    account_id: AccountId
    message: OrderAccepted | Fill | OrderClosed


class Alarm(msgspec.Struct, frozen=True):
    """Effect: tell a human; with ``closes``, also shut the gate for new risk in that name."""

    text: str
    closes: str = ""


Effect = Request | Deliver | Alarm


class Tracked(msgspec.Struct, kw_only=True):
    """One order under way."""

    order: OrderIntended
    stage: Stage = Stage.QUEUED
    exchange_order_id: int | None = None
    executed: Decimal = ZERO
    delivered: Decimal = ZERO
    recount: bool = False
    trade_ids: set[int] = msgspec.field(default_factory=set)
    final: OrderStatus | None = None
    code: int = 0
    reason: str = ""
    signed_ms: int = 0
    asked_ms: int = 0
    asking: bool = False
    cancel_wanted: bool = False
    cancelling: bool = False
    accepted_told: bool = False
    duplicate_code: int = 0
    impostor_told: bool = False

    def is_told_of(self, report: Report) -> bool:
        """Whether a report under this order's id can be of this order."""
        order = self.order
        told = (report.symbol, report.side or order.side, report.quantity or order.quantity)
        return told == (order.symbol, order.side, order.quantity)

    def impostor(self, report: Report) -> list[Effect]:
        """Another order has this one's id at the exchange: one alarm, and nothing of it is ever booked.

        If the exchange refused this one for that, its fate is known: it never was.
        """
        if self.duplicate_code:
            self.final, self.code = OrderStatus.REJECTED, self.duplicate_code
            self.reason = "the exchange has another order of this id open"
        elif self.stage is Stage.SENT:
            self.stage = Stage.UNKNOWN
        if self.impostor_told:
            return []
        self.impostor_told = True
        order = self.order
        return [
            Alarm(
                f"{order.client_order_id}: the exchange has another order under this id ({report.side} "
                f"{report.quantity} {report.symbol}, not {order.side} {order.quantity} {order.symbol}); nothing of "
                "it is booked; find out who sends orders on this master account"
            )
        ]

    @property
    def lacks_trades(self) -> bool:
        """Whether the exchange executed more than what was delivered."""
        if self.exchange_order_id is None:
            return False
        return self.recount or self.delivered != self.executed

    def is_overdue(self, now_ms: int, *, stream_up: bool) -> bool:
        """Whether a working order should have been heard of by now."""
        if self.stage is not Stage.WORKING or self.final is not None:
            return False
        if self.cancel_wanted:
            return True
        expects_news = self.order.order_type is OrderType.MARKET or not stream_up
        return expects_news and now_ms - max(self.asked_ms, self.signed_ms) >= OVERDUE_MS
