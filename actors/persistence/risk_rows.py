"""Rows of what limits remember: the account's risk, its own limits, conditional orders, closed positions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

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
from actors.core.orders import is_refusal
from actors.persistence import funding_rows, order_rows
from actors.subaccount.state import AccountState

Statement = tuple[str, tuple[Any, ...]]


def statements(state: AccountState, facts: Sequence[AnyFact], wall_ms: int) -> Iterator[Statement]:
    """What the facts of one decision, which led to ``state``, write beside orders, fills and balance."""
    for fact in facts:
        yield from _of_fact(state, fact, wall_ms)
    if any(_changes_risk(state, fact) for fact in facts):
        yield "risk_upsert", _risk(state)


def _changes_risk(state: AccountState, fact: AnyFact) -> bool:
    match fact:
        case (
            DayBegan()
            | DayEnded()
            | DayStopped()
            | BreakerChanged()
            | CloseOutBegan()
            | CloseOutEnded()
            | LimitsChanged()
        ):
            return True
        case BalanceAdjusted():
            return state.risk.day_start_ms != 0
        case PositionClosed():
            return state.limits.max_consecutive_losses is not None
        case OrderEnded() if is_refusal(fact):
            return True
        case OrderAcknowledged() | OrderEnded() | FillApplied():
            return state.limits.max_consecutive_errors is not None
        case (
            OrderIntended()
            | CancelIntended()
            | ConditionalPlaced()
            | TrailMoved()
            | ConditionalDue()
            | ConditionalEnded()
            | FeeLearned()
            | FeeBooked()
            | PositionTakenOver()
            | PositionAlerted()
            | FundingPaid()
            | PhaseChanged()
            | StatusChanged()
            | BadDebtRecorded()
            | ModeChanged()
            | AccountOpened()
            | AccountCarried()
        ):
            return False
        case _:
            assert_never(fact)


def _risk(state: AccountState) -> tuple[Any, ...]:
    r = state.risk
    return (
        state.account_id,
        r.day_start_ms,
        r.day_equity,
        r.day_stopped,
        r.losses,
        r.errors,
        r.breaker,
        r.breaker_reason,
        r.breaker_until_ms,
        r.breaker_by_hand,
        r.close_out_reason,
        r.last_refusal,
    )


def _of_fact(state: AccountState, fact: AnyFact, wall_ms: int) -> Iterator[Statement]:
    match fact:
        case PositionClosed():
            yield "closed_position_insert", _closed(state, fact)
        case FundingPaid():
            yield from funding_rows.paid(state, fact)
        case LimitsChanged():
            for name, text in fact.changes:
                if text is None:
                    yield "limit_unset", (state.account_id, name)
                else:
                    yield "limit_set", (state.account_id, name, text, wall_ms)
        case ConditionalPlaced():
            yield "conditional_insert", order_rows.values(order_rows.CONDITIONAL, fact)
        case TrailMoved():
            yield "conditional_moved", (fact.extreme, fact.client_order_id)
        case ConditionalDue():
            yield "conditional_due", (fact.client_order_id,)
        case ConditionalEnded():
            yield "conditional_ended", (fact.status, fact.reason, fact.order_id, fact.client_order_id)
        case (
            OrderIntended()
            | CancelIntended()
            | OrderAcknowledged()
            | FillApplied()
            | OrderEnded()
            | DayBegan()
            | DayEnded()
            | DayStopped()
            | BreakerChanged()
            | CloseOutBegan()
            | CloseOutEnded()
            | FeeLearned()
            | FeeBooked()
            | BalanceAdjusted()
            | PositionTakenOver()
            | PositionAlerted()
            | PhaseChanged()
            | StatusChanged()
            | BadDebtRecorded()
            | ModeChanged()
            | AccountOpened()
            | AccountCarried()
        ):
            return
        case _:
            assert_never(fact)


def _closed(state: AccountState, fact: PositionClosed) -> tuple[Any, ...]:
    return (
        fact.position_id,
        state.account_id,
        fact.symbol,
        fact.quantity,
        fact.entry_price,
        fact.realized,
        fact.fees,
        fact.funding,
        fact.mae,
        fact.mfe,
        fact.strategy,
        fact.purpose,
        fact.opened_ms,
        fact.closed_ms,
    )
