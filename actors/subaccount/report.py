"""One account's risk report: how it did, how far it is from its best, and what to worry about. Pure.

The curve is of equity: net deposits, then the net result of each closed position in time, then the equity of
now. Source: seed 004 (``_calculate_portfolio_metrics``, ``EmergencyStop``, ``RiskMonitor``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Protocol

import msgspec

from actors.core.units import ZERO, Symbol
from actors.subaccount import losses
from actors.subaccount.margin import unrealized
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

LEVELS = ((Decimal("0.20"), "CRITICAL"), (Decimal("0.15"), "HIGH"), (Decimal("0.10"), "MEDIUM"))
"""Seed 004: above a drawdown of 20 %, 15 %, 10 %."""

TRADES_FOR_VALUE_AT_RISK = 30
QUANTILE = Decimal("0.05")

ALERT_DRAWDOWN, ALERT_POSITIONS, ALERT_DAILY_LOSS = Decimal("0.15"), 15, Decimal("0.08")
REDUCE_DRAWDOWN = Decimal("0.25")
STOP_DRAWDOWN, STOP_POSITIONS, STOP_DAILY_LOSS = Decimal("0.30"), 20, Decimal("0.15")
"""Seed 004's thresholds: what is worth a word, what asks for reducing, what asks for an emergency stop."""


class Closed(Protocol):
    """What the report needs of a closed position."""

    @property
    def net(self) -> Decimal:
        """What it brought, fees and funding included; quote asset."""
        ...

    @property
    def strategy(self) -> str:
        """Its tag."""
        ...

    @property
    def opened_ms(self) -> int:
        """Unix milliseconds."""
        ...

    @property
    def closed_ms(self) -> int:
        """Unix milliseconds."""
        ...


class RiskLevel(StrEnum):
    """How far an account is below its best."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class StrategyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy's positions did; ``win_rate`` and ``average_hold_s`` of the closed ones, None without any."""

    strategy: str
    open_positions: int
    closed_positions: int
    total_pnl: Decimal
    win_rate: Decimal | None
    average_hold_s: Decimal | None


class RiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """Money in quote asset. ``sharpe_ratio`` and ``value_at_risk`` are per closed position."""

    portfolio_value: Decimal
    total_pnl: Decimal
    peak: Decimal
    drawdown: Decimal
    risk_level: RiskLevel
    sharpe_ratio: Decimal
    value_at_risk: Decimal
    positions: int
    long_positions: int
    short_positions: int
    exposure: Decimal
    daily_loss_share: Decimal
    strategies: list[StrategyReport]
    alerts: list[str]
    recommendations: list[str]


def drawdown(peak: Decimal, value: Decimal) -> Decimal:
    """(peak - value) / peak; 0 for an account that never had anything."""
    return (peak - value) / peak if peak > ZERO else ZERO


def risk_level(drawdown_: Decimal) -> RiskLevel:
    """The level of a drawdown; a bound itself belongs to the level below."""
    for bound, level in LEVELS:
        if drawdown_ > bound:
            return RiskLevel(level)
    return RiskLevel.LOW


def sharpe_ratio(curve: Sequence[Decimal]) -> Decimal:
    """Mean / population standard deviation of the changes of a curve; 0 where nothing varies."""
    changes = [b - a for a, b in pairwise(curve)]
    if not changes:
        return ZERO
    mean = sum(changes, ZERO) / len(changes)
    deviation = (sum(((c - mean) ** 2 for c in changes), ZERO) / len(changes)).sqrt()
    return mean / deviation if deviation > ZERO else ZERO


def value_at_risk(results: Sequence[Decimal]) -> Decimal:
    """The 5 % quantile of the last 30 results, between neighbours in proportion; 0 with 30 or fewer."""
    if len(results) <= TRADES_FOR_VALUE_AT_RISK:
        return ZERO
    last = sorted(results[-TRADES_FOR_VALUE_AT_RISK:])
    place = QUANTILE * (len(last) - 1)
    below = int(place)
    return last[below] + (last[below + 1] - last[below]) * (place - below)


def alerts(drawdown_: Decimal, positions: int, daily_loss_share: Decimal) -> list[str]:
    """What is worth a word."""
    found = []
    if drawdown_ > ALERT_DRAWDOWN:
        found.append(f"high: a drawdown of {drawdown_:.2%} exceeds {ALERT_DRAWDOWN:.0%}")
    if positions > ALERT_POSITIONS:
        found.append(f"medium: {positions} positions exceed {ALERT_POSITIONS}")
    if daily_loss_share > ALERT_DAILY_LOSS:
        found.append(f"high: a daily loss of {daily_loss_share:.2%} exceeds {ALERT_DAILY_LOSS:.0%}")
    return found


def recommendations(drawdown_: Decimal, positions: int, daily_loss_share: Decimal) -> list[str]:
    """What to do about it: reduce, or stop everything."""
    reasons = []
    if drawdown_ > STOP_DRAWDOWN:
        reasons.append(f"a drawdown above {STOP_DRAWDOWN:.0%}")
    if risk_level(drawdown_) is RiskLevel.CRITICAL:
        reasons.append("a critical drawdown")
    if positions > STOP_POSITIONS:
        reasons.append(f"more than {STOP_POSITIONS} positions")
    if daily_loss_share > STOP_DAILY_LOSS:
        reasons.append(f"a daily loss above {STOP_DAILY_LOSS:.0%}")
    found = [f"emergency stop: {', '.join(reasons)}"] if reasons else []
    if drawdown_ > REDUCE_DRAWDOWN:
        found.append(f"reduce positions: a drawdown above {REDUCE_DRAWDOWN:.0%}")
    return found


def report(now: Situation, closed: Sequence[Closed]) -> RiskReport | None:
    """An account's report.

    Args:
        now: the account at the present prices.
        closed: its closed positions, oldest first.

    Returns:
        None while a position has no fresh price.
    """
    state, marks = now.state, now.marks
    if marks is None:
        return None
    value = state.balance + unrealized(state.positions, marks)
    curve = list(accumulate((c.net for c in closed), initial=state.deposits))
    peak = max(*curve, value)
    found, count = drawdown(peak, value), len(state.positions)
    day_loss = losses.daily(state, value)
    share = max(ZERO, day_loss) / state.risk.day_equity if state.risk.day_equity > ZERO else ZERO
    longs = sum(p.is_long for p in state.positions)
    return RiskReport(
        portfolio_value=value,
        total_pnl=-losses.cumulative(state, value),
        peak=peak,
        drawdown=found,
        risk_level=risk_level(found),
        sharpe_ratio=sharpe_ratio(curve),
        value_at_risk=value_at_risk([c.net for c in closed]),
        positions=count,
        long_positions=longs,
        short_positions=count - longs,
        exposure=sum((abs(p.quantity) * marks[p.symbol] for p in state.positions), ZERO),
        daily_loss_share=share,
        strategies=_strategies(state, marks, closed),
        alerts=alerts(found, count, share),
        recommendations=recommendations(found, count, share),
    )


def _strategies(
    state: AccountState, marks: Mapping[Symbol, Decimal], closed: Sequence[Closed]
) -> list[StrategyReport]:
    found = []
    for name in sorted({p.strategy for p in state.positions} | {c.strategy for c in closed}):
        held = [p for p in state.positions if p.strategy == name]
        past = [c for c in closed if c.strategy == name]
        profit = sum((p.unrealized(marks[p.symbol]) + p.realized - p.fees + p.funding for p in held), ZERO)
        held_ms = sum(c.closed_ms - c.opened_ms for c in past)
        found.append(
            StrategyReport(
                strategy=name,
                open_positions=len(held),
                closed_positions=len(past),
                total_pnl=profit + sum((c.net for c in past), ZERO),
                win_rate=Decimal(sum(c.net > ZERO for c in past)) / len(past) if past else None,
                average_hold_s=Decimal(held_ms) / 1_000 / len(past) if past else None,
            )
        )
    return found
