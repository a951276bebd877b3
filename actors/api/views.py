"""What the API shows and takes. Pure: engine objects to plain Structs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.messages import AccountStatus, OrderStatus, Phase, Purpose, RegisterTriggers, Trigger
from actors.runtime.cell import Snapshot
from actors.subaccount import adl, margin
from actors.subaccount.checks import Market
from actors.subaccount.state import AccountState, LiquidationMode
from actors.units import AccountId, ClientOrderId, OrderType, Side, Symbol, TimeInForce


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
    """Everything about one actor: its life, its state, and for an account its triggers."""

    snapshot: Snapshot
    state: Any
    triggers: tuple[Trigger, ...] | None
    every_tick: tuple[Symbol, ...] | None


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
    reason: str = ""


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../fault."""

    reason: str = "asked for"


def account_view(state: AccountState, snapshot: Snapshot, market: Market) -> AccountView:
    """An account as the API shows it."""
    marks = adl.marks_of(state, market)
    view = margin.view(state, marks) if marks is not None else None
    exposure = sum((p.notional for p in state.positions), Decimal(0))
    return AccountView(
        account_id=state.account_id,
        status=state.status,
        phase=state.phase,
        mode=state.mode,
        actor=snapshot.status,
        restarts=snapshot.restarts,
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
    marks = adl.marks_of(state, market)
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


def actor_view(snapshot: Snapshot, state: Any, registered: RegisterTriggers | None) -> ActorView:
    """An actor as the API shows it."""
    return ActorView(
        snapshot=snapshot,
        state=state,
        triggers=registered.triggers if registered else None,
        every_tick=registered.every_tick if registered else None,
    )
