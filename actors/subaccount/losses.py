"""Losses of the day, since the first deposit, and of a strategy; and what they set off. Pure.

Rules
1. Profit and loss are of equity, open positions included: a loss that is not realized is one.
2. What is reached by prices alone is also a trigger (``thresholds``), so it needs no look on every tick.
3. The trading day begins lazily, in front of the first decision after it, with the prices of its begin:
   between the begin and that decision the account held what it holds.

Sources: seed 001 (daily loss), seed 003 (cumulative loss), seed 004 (percent, strategy, breaker).
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import AccountStatus, Breaker
from actors.core.facts import AnyFact, CloseOutBegan, DayBegan, DayEnded, DayStopped
from actors.core.units import ZERO, Symbol
from actors.subaccount import breaker, margin
from actors.subaccount.market import Market, mark
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

CUMULATIVE = "cumulative loss"


def daily(state: AccountState, equity: Decimal) -> Decimal:
    """Loss since the day's begin, in quote asset; negative for a profit, 0 while no day has begun."""
    return state.risk.day_equity - equity if state.risk.day_start_ms else ZERO


def cumulative(state: AccountState, equity: Decimal) -> Decimal:
    """Loss since the first deposit, in quote asset: net deposits and bad debt carried - equity."""
    return state.deposits + state.bad_debt - equity


def daily_limit(state: AccountState) -> Decimal | None:
    """The smaller of the day's two limits, in quote asset; None if neither is set."""
    limits, risk = state.limits, state.risk
    found = [] if limits.max_daily_loss is None else [limits.max_daily_loss]
    if limits.max_daily_loss_percent is not None:
        found.append(limits.max_daily_loss_percent * max(ZERO, risk.day_equity))
    return min(found) if found and risk.day_start_ms else None


def strategy_drawdown(state: AccountState, strategy: str, market: Market) -> Decimal:
    """Loss of the open positions of a strategy / their entry notional; 0 with a profit.

    Realized parts of positions that are still open count, fees and funding too.
    """
    profit = notional = ZERO
    for position in state.positions:
        if position.strategy == strategy:
            value = mark(position, market.ticks[position.symbol], state.limits.mark_source)
            profit += position.unrealized(value) + position.realized - position.fees + position.funding
            notional += position.notional
    return max(ZERO, -profit) / notional if notional else ZERO


def turn_of_day(now: Situation) -> list[AnyFact]:
    """The fact that the account's trading day began, or that none is counted any more; empty while prices are missing."""
    state, start = now.state, now.market.day.start_ms
    if not state.limits.needs_day:
        return [DayEnded()] if state.risk.day_start_ms else []
    if start <= state.risk.day_start_ms:
        return []
    if state.status is AccountStatus.LIQUIDATED:
        return []
    marks = _marks_at_begin(now)
    if marks is None:
        return []
    return [DayBegan(start, state.balance + margin.unrealized(state.positions, marks))]


def _marks_at_begin(now: Situation) -> dict[Symbol, Decimal] | None:
    state, seen = now.state, now.market.day_ticks
    # An account whose first day this is begins with what it has now.
    if seen is None or state.risk.day_start_ms == 0 or any(p.symbol not in seen for p in state.positions):
        return now.marks
    return {p.symbol: mark(p, seen[p.symbol], state.limits.mark_source) for p in state.positions}


def assess(now: Situation) -> Situation:
    """What the loss limits demand now: a stop for the day, a trip of the breaker, the end of everything."""
    state = now.state
    if not state.limits.watches_equity or state.status is AccountStatus.LIQUIDATED:
        return now
    equity = now.equity
    if equity is None:
        return now
    facts: list[AnyFact] = []
    limit, loss = daily_limit(state), daily(state, equity)
    # Of nothing, any loss is too much; but no loss is none.
    if limit is not None and not state.risk.day_stopped and loss >= limit and loss > ZERO:
        facts.append(DayStopped(loss, limit))
    reason = breaker.threshold_reached(state, equity)
    if state.risk.breaker is not Breaker.OPEN and reason:
        facts.append(breaker.trip(state, reason, now.market.wall_ms))
    lifelong = state.limits.max_cumulative_loss
    exposed = state.positions or state.orders or state.conditionals
    if (
        lifelong is not None
        and exposed
        and state.risk.close_out is None
        and cumulative(state, equity) >= lifelong
    ):
        facts.append(CloseOutBegan(CUMULATIVE))
    return now.after(facts)
