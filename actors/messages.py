"""Every message that crosses a mailbox, in the order in which it flows.

Rules
1. Messages are frozen; commands are imperative, facts are past tense.
2. ``LANE`` says how urgent a message is. Those of the market lane have a ``symbol``, and a
   newer one of the same symbol replaces an older one that waits.
3. Facts are the only things that change an account (``subaccount.state.fold``), and they
   are what the writer stores. If you add one, also teach ``fold`` and ``persistence.rows``.
4. ``cause`` names what set a chain of messages off, for example ``tick:BTCUSDT:5123107839020``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import ClassVar

import msgspec

from actors.units import (
    AccountId,
    ClientOrderId,
    Nanos,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
)


class Lane(IntEnum):
    """Priority class inside a mailbox; the smaller number is served first."""

    CONTROL = 0
    FILLS = 1
    COMMANDS = 2
    MARKET = 3


class Message(msgspec.Struct, frozen=True, gc=False):
    """What all messages share."""

    LANE: ClassVar[Lane] = Lane.COMMANDS


# --- market data: feed -> router -> account ----------------------------------------------


class Tick(Message, frozen=True, gc=False):
    """Best bid and ask of a symbol. Prices in quote asset, quantities in base asset.

    ``mid_float`` is for the router's triggers only, and never for a decision.
    ``received_ns`` is on the engine's monotonic clock.
    """

    LANE: ClassVar[Lane] = Lane.MARKET

    symbol: Symbol
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    update_id: int
    event_ms: int
    received_ns: Nanos
    mid_float: float

    @property
    def mid(self) -> Decimal:
        """(bid + ask) / 2, exact."""
        return (self.bid + self.ask) / 2


class Wake(Message, frozen=True, gc=False):
    """Router to account: look at your margin, a price of yours crossed a trigger.

    One look per symbol is enough: the account reads the newest prices.
    """

    LANE: ClassVar[Lane] = Lane.MARKET

    symbol: Symbol
    cause: str


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """Wake the account when the mid is at or past ``price``: below if ``below``, else above.

    ``price`` is a float that was rounded towards the market, so a wake is early, never late.
    """

    symbol: Symbol
    below: bool
    price: float


class RegisterTriggers(Message, frozen=True, gc=False):
    """Account to router: these are all my triggers; forget those that I told before.

    ``every_tick`` lists symbols on which each tick must wake the account.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    triggers: tuple[Trigger, ...]
    every_tick: tuple[Symbol, ...] = ()


class LoseTriggers(Message, frozen=True, gc=False):
    """Supervisor to router: the account crashed, so wake it on every tick until it registers."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    account_id: AccountId


# --- commands: the outside -> account ----------------------------------------------------


class PlaceOrder(Message, frozen=True, kw_only=True, gc=False):
    """Ask an account to open or close. ``price`` only for LIMIT; ``leverage`` for new risk."""

    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    leverage: Decimal | None = None
    cause: str = ""


class CancelOrder(Message, frozen=True, gc=False):
    """Ask an account to cancel one of its working orders."""

    client_order_id: ClientOrderId
    cause: str = ""


class AdjustBalance(Message, frozen=True, gc=False):
    """Deposit (> 0) or withdraw (< 0) quote asset."""

    amount: Decimal
    reason: str


class AccountStatus(StrEnum):
    """The platform's account status."""

    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    LIQUIDATED = "LIQUIDATED"


class SetStatus(Message, frozen=True, gc=False):
    """Freeze (no new risk, liquidation still on) or unfreeze an account."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    status: AccountStatus


class FaultOnPurpose(Message, frozen=True, gc=False):
    """Make an account's handler raise, after hanging for a while; only sent by the demo and by tests."""

    reason: str
    hang_ms: int = 0


class Reconsider(Message, frozen=True, gc=False):
    """A timer's message: look at your margin again (ADL back-off, stale prices)."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    cause: str


class Ping(Message, frozen=True, gc=False):
    """Answered with ``True`` by every actor: proof of life."""

    LANE: ClassVar[Lane] = Lane.CONTROL


# --- facts: what an account decided or learned -------------------------------------------


class Purpose(StrEnum):
    """Why an order exists."""

    USER = "USER"
    ADL = "ADL"
    LIQUIDATION = "LIQUIDATION"


class OrderStatus(StrEnum):
    """Life of an order. The last five are terminal."""

    INTENDED = "INTENDED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    NEVER_SENT = "NEVER_SENT"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self not in {OrderStatus.INTENDED, OrderStatus.ACKNOWLEDGED}


class Phase(StrEnum):
    """Where an account stands in its liquidation."""

    HEALTHY = "HEALTHY"
    WARNING = "WARNING"
    REDUCING = "REDUCING"
    LIQUIDATING = "LIQUIDATING"
    LIQUIDATED = "LIQUIDATED"
    STUCK = "STUCK"


class Fact(msgspec.Struct, frozen=True, gc=False, tag_field="fact"):
    """Something that happened to an account, for good."""


class BalanceAdjusted(Fact, frozen=True, gc=False, tag=True):
    """A deposit, a withdrawal, or a correction that the platform made beside us."""

    amount: Decimal
    reason: str


class OrderIntended(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """An order that we decided to send. ``sequence`` counts the account's orders from 1.

    ``margin_reserved`` is in quote asset and is held until the order ends or fills.
    """

    account_id: AccountId
    sequence: int
    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    leverage: Decimal
    margin_reserved: Decimal
    purpose: Purpose
    tier: int
    decided_ms: int
    cause: str


class CancelIntended(Fact, frozen=True, gc=False, tag=True):
    """We decided to cancel a working order."""

    account_id: AccountId
    client_order_id: ClientOrderId
    symbol: Symbol
    cause: str


class OrderAcknowledged(Fact, frozen=True, gc=False, tag=True):
    """The exchange has the order."""

    client_order_id: ClientOrderId
    exchange_order_id: int


class FillApplied(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A trade of the exchange, booked. ``realized`` excludes ``fee``; both in quote asset.

    ``closed_quantity`` of ``quantity`` reduced the position, the rest opened or added.
    """

    client_order_id: ClientOrderId
    exchange_order_id: int
    trade_id: int
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    maker: bool
    trade_ms: int
    closed_quantity: Decimal
    realized: Decimal
    purpose: Purpose
    tier: int
    order_type: OrderType


class OrderEnded(Fact, frozen=True, gc=False, tag=True):
    """Nothing more will happen to the order; its reserved margin is free."""

    client_order_id: ClientOrderId
    status: OrderStatus
    code: int
    reason: str


class PositionTakenOver(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The house took a position over at ``price`` (mode TAKEOVER); no exchange order."""

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    realized: Decimal


class PhaseChanged(Fact, frozen=True, gc=False, tag=True):
    """The liquidation state machine moved."""

    phase: Phase
    refusals: int
    retry_at_ns: Nanos


class StatusChanged(Fact, frozen=True, gc=False, tag=True):
    """ACTIVE, FROZEN or LIQUIDATED."""

    status: AccountStatus


class BadDebtRecorded(Fact, frozen=True, gc=False, tag=True):
    """Loss beyond the balance, carried by the house: the balance is lifted to zero by it."""

    amount: Decimal


OrderFact = OrderIntended | CancelIntended | OrderAcknowledged | FillApplied | OrderEnded
AnyFact = OrderFact | BalanceAdjusted | PositionTakenOver | PhaseChanged | StatusChanged | BadDebtRecorded


# --- exchange events: gateway -> account -------------------------------------------------


class OrderAccepted(Message, frozen=True, gc=False):
    """The exchange confirmed the order."""

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    exchange_order_id: int
    cause: str = ""


class Fill(Message, frozen=True, kw_only=True, gc=False):
    """One trade of one of our orders. ``fee`` in quote asset, positive when paid."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    client_order_id: ClientOrderId
    exchange_order_id: int
    trade_id: int
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    maker: bool
    trade_ms: int
    cause: str = ""


class OrderClosed(Message, frozen=True, gc=False):
    """The order is final at the exchange, with ``executed_quantity`` in all.

    The account ends the order only once its fills add up to that.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    status: OrderStatus
    executed_quantity: Decimal
    code: int = 0
    reason: str = ""
    cause: str = ""
