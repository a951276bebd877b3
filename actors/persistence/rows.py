"""Decisions to rows; ``loading`` makes states of rows. Pure.

Rules
1. A decision becomes statements in the order of its facts; rows of one table keep that order.
2. Schema ``bulkhead`` holds what a load needs, exactly. The platform's tables are written so
   that its own programs see the same accounts; nothing is read back from them but limits,
   mode, rate and status.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any, assert_never

from actors.core.enums import OrderStatus, OrderType, Purpose
from actors.core.facts import (
    AccountCarried,
    AccountOpened,
    AnyFact,
    BadDebtRecorded,
    BalanceAdjusted,
    BreakerChanged,
    CancelIntended,
    CloseOutBegan,
    CloseOutEnded,
    ConditionalDue,
    ConditionalEnded,
    ConditionalPlaced,
    DayBegan,
    DayEnded,
    DayStopped,
    FillApplied,
    FundingPaid,
    LimitsChanged,
    ModeChanged,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
    PhaseChanged,
    PositionAlerted,
    PositionClosed,
    PositionTakenOver,
    StatusChanged,
    TrailMoved,
)
from actors.core.fees import FeeBooked, FeeLearned
from actors.core.units import ZERO, AccountId, Symbol
from actors.persistence import fee_rows, funding_rows, order_rows, risk_rows, sql
from actors.persistence.row_ids import pending_order_id, row_id, trade_row_id
from actors.subaccount.durability import Persist
from actors.subaccount.margin import static_liquidation_price
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

SHARDS = 256
QUOTE_ASSETS = ("USDT", "USDC", "FDUSD")
HOUSE = "SYSTEM_LIQ"
"""Who takes positions over, in the platform's spelling."""

Statement = tuple[str, tuple[Any, ...]]
"""A name out of ``persistence.sql`` and its parameters."""


@lru_cache(maxsize=250_000)
def shard_of(account_id: AccountId) -> int:
    """The logical shard of an account: a stable hash, never to change."""
    return int.from_bytes(hashlib.blake2b(account_id.encode(), digest_size=8).digest()) % SHARDS


def platform_symbol(symbol: Symbol) -> str:
    """``BTCUSDT`` as the platform stores it: ``BTC/USDT:USDT``; a delivery contract has its day behind that.

    What cannot be taken apart is stored as the exchange spells it: no such symbol is traded here, but if
    something happened in one all the same, that must not be lost, and its account must not fail.
    """
    pair, _, delivery = symbol.partition("_")
    for quote in QUOTE_ASSETS:
        if pair.endswith(quote) and pair != quote:
            return f"{pair.removesuffix(quote)}/{quote}:{quote}" + (f"-{delivery}" if delivery else "")
    return symbol


def when(unix_ms: int) -> datetime:
    """A platform timestamp: UTC without a zone."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).replace(tzinfo=None)


def account_row(first: Persist, last: Persist) -> tuple[Any, ...]:
    """Parameters of ``account_update`` for an account's decisions in one batch."""
    s = last.state
    return (
        s.sequence,
        s.next_order_sequence,
        s.next_position_sequence,
        s.balance,
        s.deposits,
        s.realized,
        s.fees,
        s.funding,
        s.bad_debt,
        s.phase,
        s.refusals,
        s.account_id,
        first.previous_sequence,
    )


def grouped(decisions: Sequence[Persist]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """All statements, table by table, runs of one kind together."""
    group_of = {name: i for i, names in enumerate(sql.TABLE_ORDER) for name in names}
    groups: list[list[Statement]] = [[] for _ in sql.TABLE_ORDER]
    for decision in decisions:
        for statement in statements(decision):
            groups[group_of[statement[0]]].append(statement)
    return [
        (name, [parameters for _, parameters in run])
        for group in groups
        for name, run in groupby(group, key=lambda s: s[0])
    ]


def statements(decision: Persist) -> Iterator[Statement]:
    """The statements of a decision, besides its account's row, in order."""
    state, at = decision.state, when(decision.wall_ms)
    balance = _balance_before(decision)
    before = balance
    for number, fact in enumerate(decision.facts):
        yield from _fact_rows(state, fact, at)
        change, reason = _balance_change(fact)
        if change != ZERO:
            id_ = row_id("log", state.account_id, state.sequence, number)
            after = before + change
            trade_id = _balance_trade(state, fact)
            yield "balance_log", (id_, state.account_id, before, after, change, reason, trade_id, at)
            before = after
    yield from risk_rows.statements(state, decision.facts, decision.wall_ms)
    if before != balance:
        yield "balance_delta", (before - balance, at, state.account_id)


def _balance_before(decision: Persist) -> Decimal:
    return decision.state.balance - sum((_balance_change(f)[0] for f in decision.facts), ZERO)


def _balance_change(fact: AnyFact) -> tuple[Decimal, str]:
    match fact:
        case BalanceAdjusted():
            return fact.amount, fact.reason
        case FillApplied():
            reason = "LIQUIDATION" if fact.purpose is Purpose.LIQUIDATION else "TRADE_PNL"
            if fact.purpose is Purpose.ADL:
                reason = f"ADL_TIER{fact.tier}"
            elif fact.purpose is Purpose.CLOSE_OUT:
                reason = "CLOSE_OUT"
            return fact.realized - fact.fee, reason
        case PositionTakenOver():
            return fact.realized - fact.fee, "ADMIN_TAKEOVER"
        case BadDebtRecorded():
            return fact.amount, "BAD_DEBT"
        case FundingPaid():
            return fact.amount, "FUNDING"
        case FeeBooked():
            return -fact.fee, "FEE"
        case (
            OrderIntended()
            | CancelIntended()
            | OrderAcknowledged()
            | OrderEnded()
            | ConditionalPlaced()
            | TrailMoved()
            | ConditionalDue()
            | ConditionalEnded()
            | DayBegan()
            | DayEnded()
            | DayStopped()
            | BreakerChanged()
            | CloseOutBegan()
            | CloseOutEnded()
            | FeeLearned()
            | PositionClosed()
            | PositionAlerted()
            | PhaseChanged()
            | StatusChanged()
            | LimitsChanged()
            | ModeChanged()
            | AccountOpened()
            | AccountCarried()
        ):
            return ZERO, ""
        case _:
            assert_never(fact)


def _balance_trade(state: AccountState, fact: AnyFact) -> str | None:
    """The row of the trade that changed the balance: its first leg, as what only opens has none that closes."""
    match fact:
        case FillApplied():
            return trade_row_id(state, fact.trade, int(fact.closed_quantity == ZERO))
        case FeeBooked():
            return trade_row_id(state, fact.pending, int(fact.pending.closed_quantity == ZERO))
        case _:
            return None


def _fact_rows(  # noqa: PLR0912 - one branch per fact
    state: AccountState, fact: AnyFact, at: datetime
) -> Iterator[Statement]:
    match fact:
        case OrderIntended():
            yield from _intent_rows(fact, at)
        case CancelIntended():
            yield "intent_cancel", (fact.client_order_id,)
        case OrderAcknowledged():
            yield "intent_acknowledged", (fact.exchange_order_id, fact.client_order_id)
            yield (
                "pending_acknowledged",
                (str(fact.exchange_order_id), pending_order_id(fact.client_order_id)),
            )
        case OrderEnded():
            yield "intent_ended", (fact.status, fact.code, fact.reason, fact.client_order_id)
            yield from _pending_order_end(fact, at)
        case FillApplied():
            yield from _fill_rows(state, fact, at)
        case PositionTakenOver():
            yield from _takeover_rows(state, fact, at)
        case ModeChanged():
            yield "mode", (fact.mode, at, state.account_id)
        case StatusChanged():
            yield "status", (fact.status, at, state.account_id)
        case FeeLearned():
            yield from fee_rows.learned(fact)
        case FeeBooked():
            yield from fee_rows.booked(state, fact)
            yield from _position_rows(state, fact.pending.symbol)
        case FundingPaid() | PositionAlerted():
            yield from _position_rows(state, fact.symbol)
        case (
            ConditionalPlaced()
            | TrailMoved()
            | ConditionalDue()
            | ConditionalEnded()
            | DayBegan()
            | DayEnded()
            | DayStopped()
            | BreakerChanged()
            | CloseOutBegan()
            | CloseOutEnded()
            | BalanceAdjusted()
            | PositionClosed()
            | PhaseChanged()
            | BadDebtRecorded()
            | LimitsChanged()
            | AccountOpened()
            | AccountCarried()
        ):
            return
        case _:
            assert_never(fact)


def _intent_rows(fact: OrderIntended, at: datetime) -> Iterator[Statement]:
    yield "intent_insert", order_rows.values(order_rows.INTENT, fact)
    if fact.order_type is OrderType.LIMIT:
        yield (
            "pending_insert",
            (
                pending_order_id(fact.client_order_id),
                fact.account_id,
                platform_symbol(fact.symbol),
                "LONG" if fact.side.sign > 0 else "SHORT",
                fact.price,
                fact.quantity,
                fact.leverage,
                at,
            ),
        )


def _pending_order_end(fact: OrderEnded, at: datetime) -> Iterator[Statement]:
    filled = fact.status is OrderStatus.FILLED
    status = "FILLED" if filled else "EXPIRED" if fact.status is OrderStatus.EXPIRED else "CANCELLED"
    yield (
        "pending_ended",
        (status, at if filled else None, None if filled else at, pending_order_id(fact.client_order_id)),
    )


def _fill_rows(state: AccountState, fact: FillApplied, at: datetime) -> Iterator[Statement]:
    trade = fact.trade
    yield (
        "fill_insert",
        (
            fee_rows.EXCHANGE,
            trade.symbol,
            trade.trade_id,
            fact.client_order_id,
            state.account_id,
            trade.exchange_order_id,
            trade.side,
            trade.quantity,
            trade.price,
            fact.fee,
            trade.maker,
            trade.trade_ms,
            fact.closed_quantity,
            fact.realized,
            *fee_rows.columns_of(fact),
        ),
    )
    yield from fee_rows.pending(state, fact)
    yield from funding_rows.changed(state, trade.symbol, trade.trade_ms)
    yield "intent_filled", (trade.quantity, trade.exchange_order_id, fact.client_order_id)
    position = state.position(trade.symbol)
    opened = trade.quantity - fact.closed_quantity
    symbol = platform_symbol(trade.symbol)
    if fact.closed_quantity > ZERO:
        action, status = _closing_action(fact)
        share = fact.fee * fact.closed_quantity / trade.quantity
        yield (
            "trade_insert",
            _trade_row(state, fact, fact.closed_quantity, share, fact.realized, action, 0, at),
        )
        if position is None or opened > ZERO:
            closed = (status, fact.realized, at, None, None, state.account_id, symbol)
            yield "platform_position_close", (*closed[:1], False, *closed[1:])
            yield "position_delete", (state.account_id, trade.symbol)
    if position is not None:
        yield "position_upsert", _exact_position(state, position)
        yield "platform_position_upsert", _platform_position(state, position)
    if opened > ZERO:
        fresh = position is not None and position.realized == ZERO and abs(position.quantity) == opened
        share = fact.fee - (fact.fee * fact.closed_quantity / trade.quantity)
        yield "trade_insert", _trade_row(state, fact, opened, share, None, "OPEN" if fresh else "ADD", 1, at)


def _closing_action(fact: FillApplied) -> tuple[str, str]:
    if fact.purpose is Purpose.LIQUIDATION:
        return "LIQUIDATE", "LIQUIDATED"
    if fact.purpose is Purpose.ADL:
        return f"ADL_TIER{fact.tier}", "CLOSED"
    if fact.purpose is Purpose.CLOSE_OUT:
        return "CLOSE_OUT", "CLOSED"
    return ("LIMIT_CLOSE" if fact.order_type is OrderType.LIMIT else "CLOSE"), "CLOSED"


def _trade_row(  # noqa: PLR0913 - one argument per column that differs between the legs of a fill
    state: AccountState,
    fact: FillApplied,
    quantity: Decimal,
    fee: Decimal,
    realized: Decimal | None,
    action: str,
    leg: int,
    at: datetime,
) -> tuple[Any, ...]:
    trade = fact.trade
    signed = (state.account_id, trade.symbol, trade.side, quantity, trade.price, trade.trade_id, leg)
    return (
        trade_row_id(state, trade, leg),
        state.account_id,
        str(trade.exchange_order_id),
        fact.client_order_id,
        platform_symbol(trade.symbol),
        trade.side,
        fact.order_type,
        trade.price,
        quantity,
        quantity * trade.price,
        fee,
        realized,
        action,
        hashlib.sha256(":".join(map(str, signed)).encode()).hexdigest(),
        at,
    )


def _takeover_rows(state: AccountState, fact: PositionTakenOver, at: datetime) -> Iterator[Statement]:
    closed = (
        "TAKEN_OVER",
        True,
        fact.realized,
        at,
        HOUSE,
        at,
        state.account_id,
        platform_symbol(fact.symbol),
    )
    yield "platform_position_close", closed
    yield "position_delete", (state.account_id, fact.symbol)
    yield "house_add", (fact.symbol, fact.quantity)
    yield from funding_rows.changed(state, fact.symbol, fact.taken_ms)


def _position_rows(state: AccountState, symbol: Symbol) -> Iterator[Statement]:
    held = state.position(symbol)
    if held is not None:
        yield "position_upsert", _exact_position(state, held)


def _exact_position(state: AccountState, p: Position) -> tuple[Any, ...]:
    return (
        p.position_id,
        state.account_id,
        p.symbol,
        p.quantity,
        p.cost,
        p.margin,
        p.realized,
        p.opened_ms,
        p.peak,
        p.fees,
        p.funding,
        p.mae,
        p.mfe,
        p.since,
        p.strategy,
        ",".join(p.alerts),
    )


def _platform_position(state: AccountState, p: Position) -> tuple[Any, ...]:
    return (
        p.position_id,
        state.account_id,
        platform_symbol(p.symbol),
        "LONG" if p.quantity > 0 else "SHORT",
        p.entry_price,
        abs(p.quantity),
        p.notional,
        round(p.leverage, 8),
        p.margin,
        static_liquidation_price(state, p),
        p.realized,
        when(p.opened_ms),
    )
