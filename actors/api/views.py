"""What the API shows and takes. Pure: engine objects to plain Structs."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from actors.facts import AccountStatus, LiquidationMode, OrderStatus, Phase, Purpose
from actors.messages import Trigger
from actors.runtime.cell import CrashReport, Snapshot, Status
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.state import AccountState
from actors.units import AccountId, ClientOrderId, OrderType, Side, Symbol, TimeInForce

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


class Health(msgspec.Struct, frozen=True):
    """``ok``, ``reduce-only`` or ``halted``, and who lets no new risk in."""

    status: str
    closed_by: tuple[str, ...]


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """An open position; money in quote asset. None where a price is missing or stale."""

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
    """An account; money in quote asset. None where a price is missing or stale."""

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
    maintenance: Decimal
    margin_ratio: Decimal | None
    bad_debt: Decimal
    positions: list[PositionView]
    orders: list[OrderView]


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


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../orders. Numbers as text, so that no digit is lost on the way."""

    symbol: str
    side: Side
    quantity: str
    order_type: OrderType = OrderType.MARKET
    price: str | None = None
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
    exposure = sum((p.notional for p in state.positions), Decimal(0))
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
        maintenance=exposure * state.maintenance_rate,
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
    )


def position_views(state: AccountState, market: Market) -> list[PositionView]:
    """An account's positions as the API shows them."""
    marks = marks_of(state, market)
    return [
        PositionView(
            account_id=state.account_id,
            symbol=p.symbol,
            quantity=p.quantity,
            entry_price=p.entry_price,
            mark=marks[p.symbol] if marks else None,
            notional=p.notional,
            leverage=round(p.leverage, 4),
            margin=p.margin,
            unrealized=p.unrealized(marks[p.symbol]) if marks else None,
            liquidation_price=round(margin.liquidation_price(state, p, marks), 8) if marks else None,
        )
        for p in state.positions
    ]
