"""What the gateway knows of one order, and the effects that it may ask for. Pure data."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from actors.messages import Fill, OrderAccepted, OrderClosed, OrderIntended, OrderStatus
from actors.units import ZERO, AccountId, ClientOrderId, Symbol


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
    """Effect: tell a human."""

    text: str


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
