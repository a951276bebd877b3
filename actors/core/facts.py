"""What an account decided or learned: the only things that change an account.

Rules
1. Facts are past tense and frozen. ``subaccount.state.fold`` builds every state out of them, and they
   are what the writer stores. A fact carries what came out when it was decided, so that ``fold`` rounds nothing.
2. If you add one, put it into two unions at the end of this file: the one that ``subaccount.fold`` handles it with, and
   ``QuietFact``, unless an operator hears of it (``subaccount.alerts``). mypy names what then lacks it, and a test
   demands it in the golden journal of the next release.
3. Money is in quote asset; times are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from actors.core.enums import (
    AccountStatus,
    Alert,
    Breaker,
    CloseOutScope,
    ConditionalKind,
    ConditionalStatus,
    LiquidationMode,
    OrderClass,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    Side,
    TimeInForce,
)
from actors.core.fees import Commission, FeeBooked, FeeFact
from actors.core.order_tags import OrderTags
from actors.core.trades import Trade
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol


class Fact(msgspec.Struct, frozen=True, gc=False, tag_field="fact"):
    """Something that happened to an account."""


class AccountOpened(Fact, frozen=True, gc=False, tag=True):
    """The first fact of an account: it exists, and owns nothing yet.

    ``maintenance_rate`` is its part of a notional, ``below`` as of ``LimitsBelowChanged``.
    """

    mode: LiquidationMode
    maintenance_rate: Decimal
    below: tuple[tuple[str, str], ...] = ()


class AccountCarried(Fact, frozen=True, gc=False, tag=True):
    """The first fact of an account that is older than its journal: what it was then.

    ``state`` is what ``subaccount.state_codec`` made of it, ``version`` that codec's version.
    """

    version: int
    state: msgspec.Raw


class AdoptedPosition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An open position as the platform had it. ``quantity`` is signed, ``position_id`` that of the platform's row.

    ``cost`` is entry price x quantity without sign, and ``margin`` the initial margin, both in quote asset.
    """

    position_id: str
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    cost: Decimal
    leverage: Decimal
    margin: Decimal
    opened_ms: int


class AccountAdopted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """An account that the platform ran is run here from now on, with what it had at ``adopted_ms``.

    ``balance`` is what it owned then, which is all that we count of it as deposits; what it had realized before is in the
    platform's own tables alone. ``below`` is as of ``LimitsBelowChanged``. It follows nothing, or ``AdoptionUndone``.
    """

    status: AccountStatus
    mode: LiquidationMode
    maintenance_rate: Decimal
    balance: Decimal
    adopted_ms: int
    positions: tuple[AdoptedPosition, ...] = ()
    below: tuple[tuple[str, str], ...] = ()


class AdoptionUndone(Fact, frozen=True, gc=False, tag=True):
    """The account is the platform's again, as it was taken over. Nothing was decided between.

    ``balance`` and the positions in ``symbols`` went back with it.
    """

    balance: Decimal
    symbols: tuple[Symbol, ...] = ()


class BalanceAdjusted(Fact, frozen=True, gc=False, tag=True, omit_defaults=True):
    """A deposit, a withdrawal, or a correction.

    ``by_platform``: it was made there, and stands in the platform's own row and log already.
    """

    amount: Decimal
    reason: str
    by_platform: bool = False


class OrderIntended(Fact, OrderTags, frozen=True, kw_only=True, gc=False, tag=True):
    """An order that we decided to send. ``sequence`` counts the account's orders from 1.

    ``margin_reserved`` is in quote asset, what it held when it was decided; ``reference_price`` is the price
    that what it may still open is counted with. ``tier`` is the ADL tier that a step is of, 0 for an owner's order.
    ``conditional_id`` is the conditional order that it came of, ``attempt`` how often that was refused before.
    ``shortfall`` is what the account lacked of its maintenance margin when a step was decided, in quote asset, never negative.
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
    reference_price: Decimal | None = None
    attempt: int = 0
    conditional_id: ClientOrderId | None = None
    shortfall: Decimal = ZERO

    @property
    def order_class(self) -> OrderClass:
        """Who it goes before: what liquidates, then what only reduces, then new risk."""
        if self.purpose is not Purpose.USER:
            return OrderClass.LIQUIDATION
        return OrderClass.REDUCING if self.reduce_only else OrderClass.NEW_RISK


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

    ``trade`` is what the exchange said, ``fee`` what is booked of it; ``closed_quantity`` of the trade reduced the
    position, the rest opened or added. ``cost``, ``margin``, ``mae`` and ``mfe`` are those of the position that is held
    now (see ``subaccount.position``), zero if none is; ``closing_fee`` is what of ``fee`` falls on the position that
    this trade ended, if it did. ``low`` and ``high`` are the extremes of the mid since the position last changed, None
    when there was no position or they are not known; ``moment`` is the checkpoint that the next extremes count from.
    ``commission`` is None when the fee was taken in quote asset; one without a rate is pending, and ``fee`` is zero
    until it is booked.
    """

    client_order_id: ClientOrderId
    trade: Trade
    fee: Decimal
    closed_quantity: Decimal
    realized: Decimal
    closing_fee: Decimal
    cost: Decimal
    margin: Decimal
    mae: Decimal
    mfe: Decimal
    purpose: Purpose
    tier: int
    order_type: OrderType
    low: Decimal | None = None
    high: Decimal | None = None
    moment: int = 0
    commission: Commission | None = None


class OrderEnded(Fact, frozen=True, gc=False, tag=True):
    """Nothing more will happen to the order; its reserved margin is free."""

    client_order_id: ClientOrderId
    status: OrderStatus
    code: int
    reason: str


class PositionTakenOver(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The house took a position over at ``price``; no exchange order.

    ``fee`` is what the account paid for that in quote asset, as the exchange's taker would have;
    ``taken_ms`` when it was, which is the wall's time, as there is no trade.
    """

    symbol: Symbol
    quantity: Decimal
    price: Decimal
    realized: Decimal
    fee: Decimal = ZERO
    taken_ms: int = 0


class PhaseChanged(Fact, frozen=True, gc=False, tag=True, omit_defaults=True):
    """The liquidation state machine moved. No further step comes before ``retry_at_ms``, 0 for no wait.

    ``refusals`` counts rounds of steps in a row that the exchange refused, ``unsent`` those that it surely never got,
    or that somebody cancelled; the second is written down only when there are any.
    """

    phase: Phase
    refusals: int
    retry_at_ms: int
    unsent: int = 0


class StatusChanged(Fact, frozen=True, gc=False, tag=True):
    """ACTIVE, FROZEN or LIQUIDATED."""

    status: AccountStatus


class BadDebtRecorded(Fact, frozen=True, gc=False, tag=True):
    """Loss beyond the balance, carried by the house: the balance is lifted to zero by it."""

    amount: Decimal


class PositionClosed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A position is gone; what it was. Follows the fact that took the last of it.

    ``realized`` excludes ``fees`` and ``funding``; ``mae`` (<= 0) and ``mfe`` (>= 0) are the worst and
    the best unrealized profit that it had; ``quantity`` is the most that was held, signed.
    """

    position_id: str
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    realized: Decimal
    fees: Decimal
    funding: Decimal
    mae: Decimal
    mfe: Decimal
    strategy: str
    purpose: Purpose
    opened_ms: int
    closed_ms: int

    @property
    def net(self) -> Decimal:
        """What the position brought in all."""
        return self.realized - self.fees + self.funding


class FundingPaid(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Funding of one position at ``funding_ms``: ``amount`` > 0 was received, < 0 was paid.

    amount = -signed quantity x mark x rate (Binance USD-M). ``quantity`` was held then, less what was booked
    of the same settlement before. ``position_id`` is the position that held it, which may be closed already.
    """

    symbol: Symbol
    rate: Decimal
    mark: Decimal
    amount: Decimal
    funding_ms: int
    quantity: Decimal
    position_id: str
    is_closed: bool


class PositionAlerted(Fact, frozen=True, gc=False, tag=True):
    """The monitor reported, once, that a position is too old or loses too much."""

    symbol: Symbol
    alert: Alert
    value: Decimal
    limit: Decimal


class DayBegan(Fact, frozen=True, gc=False, tag=True):
    """The account's trading day began at ``start_ms`` with ``equity``."""

    start_ms: int
    equity: Decimal


class DayEnded(Fact, frozen=True, gc=False, tag=True):
    """No limit is measured from the begin of the trading day any more, so none is counted. With one again, one begins."""


class DayStopped(Fact, frozen=True, gc=False, tag=True):
    """The day's loss reached its limit: no new risk until the next day."""

    loss: Decimal
    limit: Decimal


class BreakerChanged(Fact, frozen=True, gc=False, tag=True):
    """The account's breaker moved; ``until_ms`` ends the cooldown. One opened by hand is closed by hand."""

    breaker: Breaker
    reason: str
    until_ms: int
    by_hand: bool = False


class CloseOutBegan(Fact, frozen=True, gc=False, tag=True):
    """Everything must be closed, for ``reason``, which is never empty."""

    reason: str
    scope: CloseOutScope = CloseOutScope.ACCOUNT


class CloseOutEnded(Fact, frozen=True, gc=False, tag=True):
    """Everything is closed, or the close-out was called off."""


class LimitsChanged(Fact, frozen=True, gc=False, tag=True):
    """The account's own limits: name and text, None to go back to the default that lies below."""

    changes: tuple[tuple[str, str | None], ...]


class LimitsBelowChanged(Fact, frozen=True, gc=False, tag=True):
    """Limits below the account's own (settings, the platform's rules) are others than when it last decided.

    ``below`` has name and text of all of them that differ from the built-in ones, by name.
    """

    below: tuple[tuple[str, str], ...]


class MaintenanceRateChanged(Fact, frozen=True, gc=False, tag=True):
    """The platform gave the account another maintenance rate: its part of a notional."""

    rate: Decimal


class ModeChanged(Fact, frozen=True, gc=False, tag=True):
    """Another liquidation mode."""

    mode: LiquidationMode


class ConditionalPlaced(Fact, OrderTags, frozen=True, kw_only=True, gc=False, tag=True):
    """An order that waits in the account for a price. ``sequence`` as of ``OrderIntended``.

    ``trigger_price`` is None for a trailing stop, whose ``callback_rate`` is a fraction of the best
    price since the checkpoint ``moment``; ``extreme`` is that price, None until ``activation_price`` is reached. The
    ``attempt``-th of a protective order that the exchange refused before fires no sooner than ``not_before_ms``.
    """

    account_id: AccountId
    sequence: int
    client_order_id: ClientOrderId
    kind: ConditionalKind
    symbol: Symbol
    side: Side
    quantity: Decimal
    trigger_price: Decimal | None
    callback_rate: Decimal | None
    activation_price: Decimal | None
    extreme: Decimal | None
    reduce_only: bool
    leverage: Decimal
    margin_reserved: Decimal
    decided_ms: int
    moment: int
    cause: str
    attempt: int = 0
    not_before_ms: int = 0


class TrailMoved(Fact, frozen=True, gc=False, tag=True):
    """A trailing stop saw a better price, or became active."""

    client_order_id: ClientOrderId
    extreme: Decimal


class ConditionalDue(Fact, frozen=True, gc=False, tag=True):
    """A conditional order met its price, and waits until what else closes the position is cancelled."""

    client_order_id: ClientOrderId


class ConditionalEnded(Fact, frozen=True, gc=False, tag=True):
    """A conditional order is gone, its margin free. ``order_id`` is the order that it became, if any."""

    client_order_id: ClientOrderId
    status: ConditionalStatus
    reason: str
    order_id: ClientOrderId | None = None


OrderFact = OrderIntended | CancelIntended | OrderAcknowledged | FillApplied | OrderEnded
ConditionalFact = ConditionalPlaced | TrailMoved | ConditionalDue | ConditionalEnded
RiskFact = DayBegan | DayEnded | DayStopped | BreakerChanged | CloseOutBegan | CloseOutEnded
MoneyFact = BalanceAdjusted | FundingPaid | FeeFact | BadDebtRecorded
PositionFact = PositionTakenOver | PositionClosed | PositionAlerted
AccountFact = (
    PhaseChanged | StatusChanged | LimitsChanged | LimitsBelowChanged | MaintenanceRateChanged | ModeChanged
    | AdoptionUndone
)  # fmt: skip
FirstFact = AccountOpened | AccountCarried | AccountAdopted
AnyFact = OrderFact | ConditionalFact | RiskFact | MoneyFact | PositionFact | AccountFact | FirstFact
"""All of them; whoever takes facts apart ends with ``assert_never``, so mypy names what forgets a new one."""

QuietFact = (
    OrderIntended | OrderAcknowledged | OrderEnded | CancelIntended
    | PositionClosed | PositionTakenOver | FundingPaid | FeeBooked | BalanceAdjusted
    | TrailMoved | ConditionalDue | DayBegan | DayEnded | CloseOutEnded
    | StatusChanged | LimitsChanged | LimitsBelowChanged | MaintenanceRateChanged | ModeChanged
    | AccountOpened | AccountCarried | AccountAdopted | AdoptionUndone
)  # fmt: skip
"""Those that no operator is alerted of by themselves, the most frequent first."""


def begins(facts: Sequence[AnyFact]) -> bool:
    """Whether an account begins with these facts of one decision."""
    return bool(facts) and isinstance(facts[0], FirstFact)
