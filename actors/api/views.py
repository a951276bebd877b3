"""What the API shows and takes. Pure: engine objects to plain Structs."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from actors.api.risk_views import ConditionalView, at_most_8, conditional_view
from actors.core.enums import (
    AccountStatus,
    Breaker,
    LiquidationMode,
    OrderStatus,
    OrderType,
    Phase,
    Purpose,
    Side,
    TimeInForce,
)
from actors.core.fees import PendingFee
from actors.core.messages import Trigger
from actors.core.units import AccountId, ClientOrderId, Symbol
from actors.runtime.cell import CrashReport, Snapshot, Status
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

Text = Annotated[str, msgspec.Meta(max_length=500)]


class Poison(StrEnum):
    """What becomes of the message that brought an account into quarantine."""

    DROP = "drop"
    REPLAY = "replay"


class Released(msgspec.Struct, frozen=True):
    """What a release did with the message that failed."""

    dead_letter_id: int | None
    poison: Poison


class ErrorText(msgspec.Struct, frozen=True):
    """What was wrong and how to cure it; ``code`` is the error's class."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Every error looks like this."""

    error: ErrorText


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An order of a list that has no outcome: ``code`` is TIMEOUT or the error's class."""

    code: str
    message: str


class Pending(msgspec.Struct, frozen=True, tag=True):
    """Accepted, but not durable yet, because Postgres does not answer; the message says what that means."""

    message: str


class Health(msgspec.Struct, frozen=True):
    """``ok``, ``reduce-only`` or ``halted``, and who lets no new risk in."""

    status: str
    closed_by: tuple[str, ...]


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """An open position; money in quote asset. None where a price is missing or stale.

    ``liquidation_price`` is cross: the mark at which the account reaches its first ADL tier, all else
    standing still; the static one looks at this position alone, as the platform shows it. ``mae`` and
    ``mfe`` are the worst and the best unrealized profit so far.
    """

    account_id: AccountId
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    mark: Decimal | None
    notional: Decimal
    leverage: Decimal
    margin: Decimal
    unrealized: Decimal | None
    liquidation_price: Decimal | None
    static_liquidation_price: Decimal
    mae: Decimal
    mfe: Decimal
    realized: Decimal
    fees: Decimal
    funding: Decimal
    strategy: str
    opened_ms: int


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """A working order."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    status: OrderStatus
    purpose: Purpose


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account; money in quote asset. None where a price is missing or stale.

    ``last_refusal`` names the last order that the exchange refused, with its code and words; ``pending_fees`` are
    those of trades whose fee is not booked yet.
    """

    account_id: AccountId
    status: AccountStatus
    phase: Phase
    mode: LiquidationMode
    actor: str
    restarts: int
    balance: Decimal
    equity: Decimal | None
    margin_used: Decimal
    available: Decimal | None
    maintenance: Decimal | None
    margin_ratio: Decimal | None
    bad_debt: Decimal
    breaker: Breaker
    closing_out: str
    last_refusal: str
    pending_fees: list[PendingFee]
    positions: list[PositionView]
    orders: list[OrderView]
    conditionals: list[ConditionalView]


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one actor: its life, its state, and for an account its triggers.

    For an account in quarantine, ``guard`` and ``guarded_state`` are those of its guard.
    """

    snapshot: Snapshot
    state: Any
    triggers: tuple[Trigger, ...] | None
    every_tick: tuple[Symbol, ...] | None
    guard: Snapshot | None
    guarded_state: Any


class TopRow(msgspec.Struct, frozen=True, kw_only=True):
    """One actor in ``top``. ``margin_ratio`` is None without positions or prices."""

    name: str
    kind: str
    status: Status
    depth: int
    oldest_ms: float
    slowest_turn_us: float
    restarts: int
    margin_ratio: Decimal | None


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """An actor, or a family of them, in the supervision tree. ``counts`` is by status."""

    name: str
    status: str
    strategy: str = ""
    group: str = ""
    restarts: int = 0
    last_error: str = ""
    counts: dict[str, int] = {}
    children: list[TreeNode] = []


class CrashView(msgspec.Struct, frozen=True):
    """A failure and whose it was."""

    actor: str
    report: CrashReport


class AnyOrderType(StrEnum):
    """What an order may be; the last three wait in the account until the mid is at their price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../orders. Numbers as text, so that no digit is lost on the way.

    ``callback_rate`` is a fraction: 0.01 trails by 1 %.
    """

    symbol: str
    side: Side
    quantity: str
    order_type: AnyOrderType = AnyOrderType.MARKET
    price: str | None = None
    trigger_price: str | None = None
    callback_rate: str | None = None
    activation_price: str | None = None
    strategy: Annotated[str, msgspec.Meta(max_length=100)] = ""
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    leverage: str | None = None
    account_id: str | None = None


class AccountBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of POST /v1/accounts."""

    account_id: str
    deposit: str
    name: str = ""
    mode: LiquidationMode = LiquidationMode.ADL_30
    maintenance_rate: str = "0.005"
    max_leverage: str | None = None
    max_notional_per_trade: str | None = None
    max_total_exposure: str | None = None
    liquidation_threshold: str | None = None


class AmountBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../balance: a deposit (> 0) or a withdrawal (< 0)."""

    amount: str
    reason: Text = ""


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../fault: raise, after hanging in the turn for ``hang_ms``."""

    reason: Text = "asked for"
    hang_ms: Annotated[int, msgspec.Meta(ge=0, le=120_000)] = 0


class ReasonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../quarantine."""

    reason: Text = "asked for by an operator"


class ReleaseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../release."""

    poison: Poison = Poison.DROP


def account_view(state: AccountState, status: Status, restarts: int, market: Market) -> AccountView:
    """An account as the API shows it."""
    marks = marks_of(state, market)
    view = margin.view(state, marks, market.instruments) if marks is not None else None
    return AccountView(
        account_id=state.account_id,
        status=state.status,
        phase=state.phase,
        mode=state.mode,
        actor=status,
        restarts=restarts,
        balance=state.balance,
        equity=view.equity if view else None,
        margin_used=sum((p.margin for p in state.positions), Decimal(0)),
        available=view.available if view else None,
        maintenance=view.maintenance if view else None,
        margin_ratio=round(view.ratio, 6) if view else None,
        bad_debt=state.bad_debt,
        positions=position_views(state, market),
        orders=[
            OrderView(
                client_order_id=o.client_order_id,
                symbol=o.symbol,
                side=o.side,
                order_type=o.order_type,
                quantity=o.quantity,
                filled=o.filled,
                price=o.price,
                status=o.status,
                purpose=o.purpose,
            )
            for o in state.orders
        ],
        breaker=state.risk.breaker,
        closing_out=state.risk.close_out_reason,
        last_refusal=state.risk.last_refusal,
        pending_fees=list(state.pending_fees),
        conditionals=[conditional_view(c) for c in state.conditionals],
    )


def position_views(state: AccountState, market: Market) -> list[PositionView]:
    """An account's positions as the API shows them."""
    marks = marks_of(state, market)
    return [_position_view(state, p, market, marks) for p in state.positions]


def _position_view(
    state: AccountState, p: Position, market: Market, marks: dict[Symbol, Decimal] | None
) -> PositionView:
    mae, mfe = p.excursions(*(market.extremes(p.symbol, p.since) or (None, None)))
    liquidation = margin.liquidation_price(state, p, marks, market.instruments) if marks else None
    return PositionView(
        account_id=state.account_id,
        symbol=p.symbol,
        quantity=p.quantity,
        entry_price=p.entry_price,
        mark=marks[p.symbol] if marks else None,
        notional=p.notional,
        leverage=round(p.leverage, 4),
        margin=p.margin,
        unrealized=p.unrealized(marks[p.symbol]) if marks else None,
        liquidation_price=None if liquidation is None else at_most_8(liquidation),
        static_liquidation_price=at_most_8(margin.static_liquidation_price(state, p)),
        mae=mae,
        mfe=mfe,
        realized=p.realized,
        fees=p.fees,
        funding=p.funding,
        strategy=p.strategy,
        opened_ms=p.opened_ms,
    )
