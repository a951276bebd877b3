"""What the API shows and takes of limits, breaker, conditional orders, sizes and closed positions. Pure."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from actors.core.enums import Breaker, ConditionalKind, LiquidationMode, Purpose, Side
from actors.core.fees import PendingFee
from actors.core.orders import ConditionalOrder
from actors.core.units import ClientOrderId, Symbol
from actors.limits.model import SPECS, Layer, LimitRow, RiskLimits, shown
from actors.subaccount import losses, margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.state import AccountState

Reason = Annotated[str, msgspec.Meta(max_length=500, min_length=1)]
Text = Annotated[str, msgspec.Meta(max_length=100)]


class LimitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../limits: name and value as text, ``off``, or null to go back to what lies below."""

    changes: dict[Text, Text | None]


class ModeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../mode."""

    mode: LiquidationMode


class FeeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../fees: a trade whose fee is pending, and its rate, or its amount in quote asset if it was never told."""

    symbol: Text
    trade_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    rate: Text | None = None
    amount: Text | None = None


class WhyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a breaker is tripped, or everything is closed."""

    reason: Reason = "asked for by an operator"


class SizeMethod(StrEnum):
    """How a size is found."""

    FIXED = "fixed"
    DYNAMIC = "dynamic"
    KELLY = "kelly"


class SizeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../size. Numbers as text; what is left out is taken from the account's own past.

    ``volatility`` is annualized, 0.8 for 80 %; ``win_rate``, ``average_win`` and ``average_loss`` are for Kelly.
    """

    symbol: str
    method: SizeMethod = SizeMethod.DYNAMIC
    signal_strength: str = "0.5"
    volatility: str | None = None
    strategy: Text = ""
    win_rate: str | None = None
    average_win: str | None = None
    average_loss: str | None = None


class SizeView(msgspec.Struct, frozen=True, kw_only=True):
    """A size: notional in quote asset, the quantity that the exchange would take, and how it came about."""

    method: SizeMethod
    symbol: Symbol
    notional: Decimal
    quantity: Decimal
    equity: Decimal
    factors: dict[str, Decimal]
    capped: bool


class ConditionalView(msgspec.Struct, frozen=True, kw_only=True):
    """An order that waits for a price; the ``attempt``-th one of a stop that the exchange refused before."""

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
    strategy: str
    attempt: int


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """What loss limits and breaker make of an account at this moment; money in quote asset.

    ``day_loss`` is negative for a profit, None without prices; ``liquidation_symbol`` and
    ``liquidation_price`` are those of the largest position. ``last_refusal`` names the last order that the
    exchange refused, with its code and words; ``pending_fees`` are of trades whose fee is not booked yet.
    """

    breaker: Breaker
    breaker_reason: str
    breaker_until_ms: int
    closing_out: str
    last_refusal: str
    pending_fees: list[PendingFee]
    consecutive_losses: int
    consecutive_errors: int
    day_start_ms: int
    day_equity: Decimal
    day_loss: Decimal | None
    day_stopped: bool
    cumulative_loss: Decimal | None
    liquidation_symbol: Symbol | None
    liquidation_price: Decimal | None


class ClosedPositionView(msgspec.Struct, frozen=True, kw_only=True):
    """A position that is gone; money in quote asset, ``net`` with fees and funding."""

    position_id: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    realized: Decimal
    fees: Decimal
    funding: Decimal
    net: Decimal
    mae: Decimal
    mfe: Decimal
    strategy: str
    purpose: Purpose
    opened_ms: int
    closed_ms: int


def at_most_8(price: Decimal) -> Decimal:
    """A price with at most eight decimals; zero is 0, not 0E-8."""
    return round(price, 8) or Decimal(0)


def conditional_view(order: ConditionalOrder) -> ConditionalView:
    """A conditional order as the API shows it."""
    placed = order.placed
    return ConditionalView(
        client_order_id=placed.client_order_id,
        kind=placed.kind,
        symbol=placed.symbol,
        side=placed.side,
        quantity=placed.quantity,
        trigger_price=placed.trigger_price,
        callback_rate=placed.callback_rate,
        activation_price=placed.activation_price,
        extreme=order.extreme,
        reduce_only=placed.reduce_only,
        strategy=placed.strategy,
        attempt=placed.attempt,
    )


def risk_view(state: AccountState, market: Market) -> RiskView:
    """An account's risk as the API shows it."""
    marks, risk = marks_of(state, market), state.risk
    equity = margin.equity(state, market)
    liquidation = (
        None if marks is None else margin.account_liquidation_price(state, marks, market.instruments)
    )
    return RiskView(
        breaker=risk.breaker,
        breaker_reason=risk.breaker_reason,
        breaker_until_ms=risk.breaker_until_ms,
        closing_out=risk.closing_out,
        last_refusal=risk.last_refusal,
        pending_fees=list(state.pending_fees),
        consecutive_losses=risk.losses,
        consecutive_errors=risk.errors,
        day_start_ms=risk.day_start_ms,
        day_equity=risk.day_equity,
        day_loss=None if equity is None else losses.daily(state, equity),
        day_stopped=risk.day_stopped,
        cumulative_loss=None if equity is None else losses.cumulative(state, equity),
        liquidation_symbol=liquidation[0] if liquidation else None,
        liquidation_price=at_most_8(liquidation[1]) if liquidation else None,
    )


def limit_rows(limits: RiskLimits, layers: list[Layer]) -> list[LimitRow]:
    """Every limit in force, and the highest layer that names it."""
    source_of = {name: layer.source for layer in layers for name in layer.values}
    return [
        LimitRow(name, shown(getattr(limits, name)), source_of.get(name, "built-in"), spec.kind, spec.text)
        for name, spec in SPECS.items()
    ]
