"""What the gateway knows of one order, and its effects: what the actor is to do. Pure data."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from actors.core.clearing_messages import Grant, OrderDone, StepUnderWay, is_clearing
from actors.core.constants import UNKNOWN_QUERY_EVERY
from actors.core.enums import OrderClass, OrderStatus, OrderType
from actors.core.facts import OrderIntended
from actors.core.messages import FeeKnown, Fill, OrderAccepted, OrderClosed
from actors.core.units import NANOS_PER_MS, ZERO, AccountId, ClientOrderId, Symbol
from actors.gateway.messages import Report

IN_FLIGHT_MAX = 120
"""Orders under way at once: what two dozen connections carry in batches of five, should the websocket be away."""

CLOSE_GRACE_MS = 1_500
"""How long the user stream may lag behind a final status before trades are asked for."""

SENT_MAX_MS = 30_000
"""Longer than any request may take: an order that was sent and never answered is unknown after it."""

FINAL_MARGIN_MS = 500
"""Beyond the venue's window: the exchange's clock may differ from what we measured by this much."""

UNREACHABLE_PAUSE_MS = 500
"""Wait before the next try when no connection could be made, or it ended without an answer; doubled each time."""

UNREACHABLE_PAUSE_MAX_MS = 8_000
"""The longest such wait."""

OVERDUE_MS = 3_000
"""How long nothing may be heard of a market order before it is queried, and queried again."""

UNPROVEN_MS = 1_000
"""How long nothing may be heard of any order before it is queried, once, while the user stream is not proven."""

SURVEY_EVERY_MS = 15_000
"""How often all open orders and positions are asked for: three times 45 of 2,400 weights a minute."""

SURVEY_UNPROVEN_MS = 5_000
"""The same while the user stream is not proven."""

SURVEY_APART_MS = 2_000
"""The least time between two surveys, whatever causes them: what went wrong for one order may have for all."""

REMEMBERED_FINALS = 65_536
"""Final orders that are remembered, so that their late events are not taken for foreign orders."""

QUERY_EVERY_MS = UNKNOWN_QUERY_EVERY // NANOS_PER_MS

QUERIES_MAX = 8
"""Queries under way at once. Without a bound, a slow exchange or event loop gets more queries than it can answer,
which makes it slower (found by the demo: 2,000 orders, a stalled event loop)."""


class Stage(StrEnum):
    """Where an order is."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    WORKING = "WORKING"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Effect: ask the transport. ``kind`` is place, cancel, query, trades, or fees: trades for another purpose.

    ``timestamp_ms`` is what the request must be signed with.
    """

    kind: str
    symbol: Symbol
    client_order_id: ClientOrderId
    timestamp_ms: int
    order: OrderIntended | None = None
    exchange_order_id: int | None = None


class Survey(msgspec.Struct, frozen=True):
    """Effect: ask for all open orders and all positions of the master, in one call each."""

    asked_ms: int


class History(msgspec.Struct, frozen=True):
    """Effect: ask for all orders and trades of a symbol since then, in Unix milliseconds on the exchange's clock."""

    symbol: Symbol
    since_ms: int
    asked_ms: int


class RenewStream(msgspec.Struct, frozen=True):
    """Effect: the user stream is not reliable; reconnect it, with a new key if need be."""


class Deliver(msgspec.Struct, frozen=True):
    """Effect: send a message to the owner of an order: an account, or the clearing whose block it is."""

    account_id: AccountId
    message: OrderAccepted | Fill | FeeKnown | OrderClosed | StepUnderWay


class ToClearing(msgspec.Struct, frozen=True):
    """Effect: send a message to a symbol's clearing, if there is one."""

    symbol: Symbol
    message: Grant | OrderDone


class Alarm(msgspec.Struct, frozen=True):
    """Effect: an alarm; with ``closes``, also close the gate for new risk in that name."""

    text: str
    closes: str = ""


Effect = Request | Survey | History | RenewStream | Deliver | ToClearing | Alarm


class VenueRules(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's properties that decide when an order's fate is known, and how fast orders may be sent.

    ``recv_window_ms`` is for how long it honours a signed request, ``future_tolerance_ms`` how far ahead of
    its own clock a request may be signed; orders per ten seconds and per minute until it says otherwise.
    """

    recv_window_ms: int
    future_tolerance_ms: int
    orders_per_10s: int
    orders_per_minute: int


class Place(NamedTuple):
    """Where an order stands in the queue: the longest wait first, ``number`` breaks ties."""

    since_ms: int
    number: int


class Tracked(msgspec.Struct, kw_only=True):
    """One order under way. Times are the gateway's, except ``signed_venue_ms``: the exchange's.

    ``had_turn``: it was granted a slot that ran out, or its turn of new risk was used and it could not be sent.
    """

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
    queued_ms: int = 0
    place: Place = Place(0, 0)
    had_turn: bool = False
    signed_ms: int = 0
    signed_venue_ms: int = 0
    asked_ms: int = 0
    heard_ms: int = 0
    stated: str = ""
    unlisted_ms: int = 0
    cancel_sent: bool = False
    query_pending: bool = False
    cancel_wanted: bool = False
    cancelling: bool = False
    acceptance_delivered: bool = False
    awaits_survey: bool = False
    predates_stream: bool = False
    of_earlier_life: bool = False
    awaits_history: bool = False
    duplicate_code: int = 0
    conflict_alarmed: bool = False

    def matches(self, report: Report) -> bool:
        """Whether a report under this order's id can be of this order, by symbol, side and quantity."""
        order = self.order
        said = (report.symbol, report.side or order.side, report.quantity or order.quantity)
        return said == (order.symbol, order.side, order.quantity)

    def id_conflict(self, report: Report) -> list[Effect]:
        """Another order has this one's id at the exchange: one alarm, and nothing of it is ever booked.

        If the exchange refused this one for that, its fate is known: it never was.
        """
        if self.duplicate_code:
            self.final, self.code = OrderStatus.REJECTED, self.duplicate_code
            self.reason = "the exchange has another order of this id open"
        elif self.stage is Stage.SENT:
            self.stage = Stage.UNKNOWN
        if self.conflict_alarmed:
            return []
        self.conflict_alarmed = True
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

    @property
    def returns_to_waiting(self) -> bool:
        """Whether its owner is to decide again, should the exchange never have got it.

        A life that ended kept it from being sent, not the exchange. New risk ends with that life; a liquidation follows
        from its account's state, and a block's members are its clearing's affair.
        """
        order = self.order
        reduces = order.order_class is OrderClass.REDUCING and order.order_type is OrderType.MARKET
        return self.of_earlier_life and reduces and not is_clearing(order.account_id)

    def is_idle(self, *, proven: bool) -> bool:
        """Whether the timer has nothing to do for it until something is heard of it."""
        if self.query_pending or self.awaits_survey or self.awaits_history or self.stage is Stage.QUEUED:
            return True
        if self.stage is not Stage.WORKING or self.final is not None or self.cancel_wanted:
            return False
        asked_once = proven or self.asked_ms > self.signed_ms
        return self.order.order_type is not OrderType.MARKET and asked_once and not self.lacks_trades

    def is_overdue(self, now_ms: int, *, proven: bool) -> bool:
        """Whether a working order must be queried, as something should have been heard of it by now."""
        if self.stage is not Stage.WORKING or self.final is not None:
            return False
        if self.cancel_wanted:
            return True
        if self.stated:
            return False  # the next survey shows it; thousands may have a new status at once
        if self.order.order_type is OrderType.MARKET:
            return now_ms - max(self.asked_ms, self.signed_ms) >= OVERDUE_MS
        # What rests is found by surveys; it is queried once, so that the stream can be proven.
        return not proven and self.asked_ms <= self.signed_ms and now_ms - self.signed_ms >= UNPROVEN_MS
