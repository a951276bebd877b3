"""What the API takes and shows of accounts: the structs, and how they are made of an account's state. Pure.

Money is in the quote asset; numbers in requests are text, so that no digit is lost on the way.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from actors.api.order_views import ConditionalView, OrderView, conditional_view, order_view
from actors.api.values import LongText, ShortText, at_most_8, decimal_of
from actors.core.enums import AccountStatus, Breaker, LiquidationMode, Phase, Purpose
from actors.core.fees import PendingFee
from actors.core.names import checked_id
from actors.core.records import NewAccount
from actors.core.units import AccountId, Symbol
from actors.persistence.redis.prices import Others, PriceSource, SeenPrice, nobody, seen, to_look_at
from actors.persistence.redis.snapshots import Snapshot
from actors.runtime.cell import Status
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash


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
    reason: LongText = ""


class ModeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../mode."""

    mode: LiquidationMode


class FeeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../fees: a trade whose fee is pending, and the rate of the fee's asset, or the fee in quote asset."""

    symbol: ShortText
    trade_id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    rate: ShortText | None = None
    amount: ShortText | None = None


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """An open position; money in quote asset. None where a price is missing or stale.

    ``mark_source`` says where the mark came from: ``WS`` (the exchange's stream), ``REST`` (the exchange was asked) or ``REDIS``
    (the platform's cache, only shown and never decided by); ``mark_age_ms`` how old it is, or the last one that there was.
    ``liquidation_price`` is for cross margin: the mark at which the account reaches its first ADL tier if no other price
    moves. ``static_liquidation_price`` is of this position alone, as the platform shows it. ``mae`` and ``mfe`` are the
    maximum adverse and favorable excursion: the worst and the best unrealized profit so far.
    """

    account_id: AccountId
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    mark: Decimal | None
    mark_source: PriceSource | None
    mark_age_ms: int | None
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


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account; money in quote asset. None where a price is missing or stale.

    ``last_refusal`` names the last order that the exchange refused, with its code and text; ``pending_fees`` are
    of trades whose fee is not booked yet. ``sequence`` is the account's last decision in the journal, ``state_hash`` that of
    all that its decisions made of it: equal before a stop and after the next start.
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
    sequence: int
    state_hash: str


class ClosedPositionView(msgspec.Struct, frozen=True, kw_only=True):
    """A closed position; money in quote asset, ``net`` with fees and funding."""

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


class KeptPosition(msgspec.Struct, frozen=True, kw_only=True):
    """An open position as Redis has it; its fields are those of ``PositionView``."""

    account_id: AccountId
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    mark: Decimal
    notional: Decimal
    leverage: Decimal
    margin: Decimal
    unrealized: Decimal
    liquidation_price: Decimal


class KeptAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that the engine has not loaded yet, as its last snapshot in Redis has it.

    ``source`` says so, ``age_ms`` how old the numbers are. The other fields are those of ``AccountView``; symbols are
    spelled as the platform does. Only to be looked at: nothing is decided by it.
    """

    account_id: AccountId
    source: Literal["redis"] = "redis"
    age_ms: int
    status: AccountStatus | None
    mode: LiquidationMode | None
    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    available: Decimal
    maintenance: Decimal
    margin_ratio: Decimal
    positions: list[KeptPosition]


def kept_account(snapshot: Snapshot, wall_ms: int) -> KeptAccount:
    """An account as Redis has it."""
    account_id = AccountId(snapshot.sub_account_id)
    return KeptAccount(
        account_id=account_id,
        age_ms=max(0, wall_ms - snapshot.timestamp),
        status=snapshot.status,
        mode=snapshot.liquidation_mode,
        balance=snapshot.balance,
        equity=snapshot.equity_raw,
        margin_used=snapshot.margin_used,
        available=snapshot.available_margin,
        maintenance=snapshot.maintenance_margin,
        margin_ratio=round(snapshot.margin_ratio, 6),
        positions=[
            KeptPosition(
                account_id=account_id,
                symbol=p.symbol,
                quantity=p.quantity if p.side == "LONG" else -p.quantity,
                entry_price=p.entry_price,
                mark=p.mark_price,
                notional=p.notional,
                leverage=p.leverage,
                margin=p.margin,
                unrealized=p.unrealized_pnl,
                liquidation_price=p.liquidation_price,
            )
            for p in snapshot.positions
        ],
    )


def account_view(
    state: AccountState, status: Status, restarts: int, market: Market, others: Others = nobody
) -> AccountView:
    """An account as the API shows it; ``others`` have prices where the exchange gave none."""
    given, market = market, to_look_at(state, market, others)
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
        positions=position_views(state, given, others),
        orders=[order_view(o) for o in state.orders],
        breaker=state.risk.breaker,
        closing_out=state.risk.close_out_reason,
        last_refusal=state.risk.last_refusal,
        pending_fees=list(state.pending_fees),
        conditionals=[conditional_view(c) for c in state.conditionals],
        sequence=state.sequence,
        state_hash=state_hash(state),
    )


def position_views(state: AccountState, market: Market, others: Others = nobody) -> list[PositionView]:
    """An account's positions as the API shows them; ``others`` as of ``account_view``."""
    marks = marks_of(state, to_look_at(state, market, others))
    max_age_ns = state.limits.price_max_age_ns
    return [
        _position_view(state, p, market, marks, seen(p.symbol, market, max_age_ns, others))
        for p in state.positions
    ]


def _position_view(
    state: AccountState, p: Position, market: Market, marks: dict[Symbol, Decimal] | None, price: SeenPrice
) -> PositionView:
    mae, mfe = p.excursions(*(market.extremes(p.symbol, p.since) or (None, None)))
    liquidation = margin.liquidation_price(state, p, marks, market.instruments) if marks else None
    return PositionView(
        account_id=state.account_id,
        symbol=p.symbol,
        quantity=p.quantity,
        entry_price=p.entry_price,
        mark=marks[p.symbol] if marks else None,
        mark_source=price.source if marks else None,
        mark_age_ms=price.age_ms,
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


def new_account(body: AccountBody) -> NewAccount:
    """The account that a request asks for, as the store takes it.

    Raises:
        BadInput: an id that cannot be one, or a number that is none; names it.
    """

    def optional(text: str | None, name: str) -> Decimal | None:
        return None if text is None else decimal_of(text, name)

    return NewAccount(
        account_id=AccountId(checked_id(body.account_id, "account_id")),
        name=body.name or body.account_id,
        deposit=decimal_of(body.deposit, "deposit"),
        mode=body.mode,
        maintenance_rate=decimal_of(body.maintenance_rate, "maintenance_rate"),
        max_leverage=optional(body.max_leverage, "max_leverage"),
        max_notional_per_trade=optional(body.max_notional_per_trade, "max_notional_per_trade"),
        max_total_exposure=optional(body.max_total_exposure, "max_total_exposure"),
        liquidation_threshold=optional(body.liquidation_threshold, "liquidation_threshold"),
    )
