"""Every message that crosses a mailbox, in the order in which it flows.

Rules
1. Messages are frozen; commands are imperative. Facts, in the past tense, are in ``actors.core.facts``.
2. ``LANE`` says how urgent a message is. Those of the market lane have a ``symbol``, and a
   newer one of the same symbol replaces an older one that waits.
3. ``cause`` names what set a chain of messages off, for example ``tick:BTCUSDT:5123107839020``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from actors.core.enums import (
    AccountStatus,
    CloseOutScope,
    ConditionalKind,
    LiquidationMode,
    OrderStatus,
    OrderType,
    ReconsiderReason,
    Side,
    TimeInForce,
)
from actors.core.order_tags import OrderTags
from actors.core.trades import Trade
from actors.core.units import AccountId, ClientOrderId, Nanos, Symbol


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
    ``received_ns`` is on the engine's monotonic clock; ``delay_ns`` is how old it was already by then. ``by_rest`` says that
    it was asked for, as the stream had none.
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
    delay_ns: Nanos = Nanos(0)
    by_rest: bool = False

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

    ``price`` is a float that was rounded towards the market, so a wake is early, never late. With
    ``touch`` it is the bid that must be at or below it, or the ask at or above.
    """

    symbol: Symbol
    below: bool
    price: float
    touch: bool = False


class RegisterTriggers(Message, frozen=True, gc=False):
    """Account to router: these are all my triggers; forget those of before.

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


class AskRate(Message, frozen=True, gc=False):
    """Account to feed: what was ``symbol`` worth at ``at_ms``? A fee was taken in its base asset."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    symbol: Symbol
    at_ms: int


class AskFunding(Message, frozen=True, gc=False):
    """Account to feed: tell me again what was settled after ``since_ms``; of all symbols if it is empty."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    symbol: Symbol
    since_ms: int


class RateKnown(Message, frozen=True, gc=False):
    """Feed to account: the mean ``rate`` of a symbol from ``begin_ms`` to before ``end_ms``."""

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    begin_ms: int
    end_ms: int
    rate: Decimal
    cause: str = ""


# --- commands: the outside -> account ----------------------------------------------------


class PlaceOrder(Message, OrderTags, frozen=True, kw_only=True, gc=False):
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


class PlaceConditional(Message, OrderTags, frozen=True, kw_only=True, gc=False):
    """Ask an account to send a market order once the mid is at ``trigger_price``.

    A trailing stop takes ``callback_rate`` (0.01 is 1 %) instead, and may take ``activation_price``.
    """

    kind: ConditionalKind
    symbol: Symbol
    side: Side
    quantity: Decimal
    trigger_price: Decimal | None = None
    callback_rate: Decimal | None = None
    activation_price: Decimal | None = None
    reduce_only: bool = False
    leverage: Decimal | None = None
    cause: str = ""


class CancelOrder(Message, frozen=True, gc=False):
    """Ask an account to cancel one of its working or conditional orders."""

    client_order_id: ClientOrderId
    cause: str = ""


class AdjustBalance(Message, frozen=True, gc=False):
    """Deposit (> 0) or withdraw (< 0) quote asset."""

    amount: Decimal
    reason: str


class SettleFee(Message, frozen=True, gc=False):
    """Book a pending fee by hand: at ``rate``, or as ``amount`` of quote asset if the exchange never said it."""

    symbol: Symbol
    trade_id: int
    rate: Decimal | None
    amount: Decimal | None


class SetStatus(Message, frozen=True, gc=False):
    """Freeze (no new risk, liquidation still on) or unfreeze an account."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    status: AccountStatus


class SetMode(Message, frozen=True, gc=False):
    """Another liquidation mode, from the next look at the margin on, which is now."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    mode: LiquidationMode


class PlatformKnown(Message, frozen=True, gc=False, omit_defaults=True):
    """What the platform wrote to the account's row since we did, None where nothing; the limits below it may be others too.

    An account sends it to itself when it is loaded, so that what comes from outside becomes facts of its own; the platform
    watch sends it while the engine runs. Then ``sequence`` is the account's decision that it was compared with, and after
    any other it is refused, so that nothing is booked twice. ``adjustment`` is what was added to the balance or taken off
    (quote asset), ``below`` names and texts of the limits that differ from the built-in ones now.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL

    status: AccountStatus | None = None
    mode: LiquidationMode | None = None
    maintenance_rate: Decimal | None = None
    adjustment: Decimal | None = None
    below: tuple[tuple[str, str], ...] | None = None
    sequence: int | None = None


class SetLimits(Message, frozen=True, gc=False):
    """Change the account's own limits: name and text, None to go back to what lies below."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    changes: tuple[tuple[str, str | None], ...]


class TripBreaker(Message, frozen=True, gc=False):
    """Open the account's breaker by hand: no new risk, resting orders that open it are cancelled."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: str


class ResetBreaker(Message, frozen=True, gc=False):
    """Close the account's breaker; refused during its cooldown."""

    LANE: ClassVar[Lane] = Lane.CONTROL


class CloseOut(Message, frozen=True, gc=False, omit_defaults=True):
    """Start a close-out (people's emergency stop): trip the breaker, cancel and close everything."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: str
    scope: CloseOutScope = CloseOutScope.ACCOUNT


class CallOff(Message, frozen=True, gc=False):
    """Call the account's close-out off, whatever it is of; with ``FLEET`` only one of the fleet."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    scope: CloseOutScope = msgspec.field(name="begun_as", default=CloseOutScope.ACCOUNT)


class Reopen(Message, frozen=True, gc=False):
    """Let a LIQUIDATED account that has money trade again."""

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: str


class ApplyFunding(Message, frozen=True, gc=False):
    """Funding of a symbol is due: ``rate`` of the notional at ``mark`` of what was held at ``funding_ms``.

    Longs pay a positive rate to shorts. Telling it twice books it once.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    rate: Decimal
    mark: Decimal
    funding_ms: int
    cause: str = ""


class FaultOnPurpose(Message, frozen=True, gc=False):
    """Make an account's handler raise, after hanging for a while; only sent by the demo and by tests."""

    reason: str
    hang_ms: int = 0


class Reconsider(Message, frozen=True, gc=False, omit_defaults=True):
    """Look at your margin again: a timer, an operator, or rules that are known now.

    ``incarnation`` is that of the actor whose timer it is: those of an earlier one go on.
    """

    LANE: ClassVar[Lane] = Lane.CONTROL

    reason: ReconsiderReason = msgspec.field(name="cause")
    incarnation: int = 0

    @property
    def cause(self) -> str:
        """How orders and rows name it."""
        if self.reason is ReconsiderReason.FEES:
            return f"{self.reason}:{self.incarnation}"
        return self.reason.value


class Ping(Message, frozen=True, gc=False):
    """Answered with ``True`` by every actor: it is responsive."""

    LANE: ClassVar[Lane] = Lane.CONTROL


# --- exchange events: gateway -> account -------------------------------------------------


class OrderAccepted(Message, frozen=True, gc=False):
    """The exchange confirmed the order."""

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    exchange_order_id: int
    cause: str = ""


class Fill(Message, frozen=True, gc=False):
    """One trade of one of the account's orders; ``end`` if the order has ended with it (``with_ends``)."""

    LANE: ClassVar[Lane] = Lane.FILLS

    account_id: AccountId
    client_order_id: ClientOrderId
    trade: Trade
    cause: str = ""
    end: OrderClosed | None = None


class FeeKnown(Message, frozen=True, gc=False):
    """What the exchange took for a trade whose fill did not say; ``fee_asset`` as of ``Trade``."""

    LANE: ClassVar[Lane] = Lane.FILLS

    symbol: Symbol
    trade_id: int
    fee: Decimal
    fee_asset: str
    cause: str = ""


class BookRecovered(Message, frozen=True, kw_only=True, gc=False):
    """Engine to account: an order of yours that your journal does not know, as after a restored backup; it has ended.

    ``trades`` are all of its trades, oldest first; ``placed_ms`` is the exchange's time.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    exchange_order_id: int
    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    status: OrderStatus
    placed_ms: int
    trades: tuple[Trade, ...]

    @property
    def cause(self) -> str:
        """How its row names it, and the orders that it sets off."""
        return f"history:{self.exchange_order_id}"


class OrderClosed(Message, frozen=True, gc=False):
    """The order is final at the exchange, with ``executed_quantity`` in all.

    The account ends the order only once its fills add up to that. ``waited`` says that it was never
    sent, because it waited here for the exchange's limits, which is not a refusal; with
    ``again`` the account decides again.
    """

    LANE: ClassVar[Lane] = Lane.FILLS

    client_order_id: ClientOrderId
    status: OrderStatus
    executed_quantity: Decimal
    code: int = 0
    reason: str = ""
    cause: str = ""
    waited: bool = False
    again: bool = False

    def __repr__(self) -> str:
        # A trace cuts long lines, and the reason is what they are read for.
        code = f" {self.code}" if self.code else ""
        why = f"{self.status}{code} {self.reason}".rstrip()
        return f"OrderClosed({self.client_order_id} {why}, executed {self.executed_quantity})"


def with_ends(delivered: Iterable[tuple[AccountId, Message]]) -> list[tuple[AccountId, Message]]:
    """Messages to accounts, with the end of each order in the last of its fills: one decision instead of two.

    An order's end says nothing but that it has ended, so it may come before what else was to be told after the fill.
    """
    found: list[tuple[AccountId, Message]] = []
    last: dict[ClientOrderId, int] = {}
    for account_id, message in delivered:
        if isinstance(message, Fill):
            last[message.client_order_id] = len(found)
        elif isinstance(message, OrderClosed):
            at = last.pop(message.client_order_id, None)
            if at is not None and isinstance(fill := found[at][1], Fill):
                found[at] = (account_id, replace(fill, end=message))
                continue
        found.append((account_id, message))
    return found
