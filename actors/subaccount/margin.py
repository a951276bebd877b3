"""Equity, margin and liquidation prices of one account. Cross margin, one pool.

Rules
1. Marks come in as a mapping; a symbol that is missing has no price and the caller must not
   ask: entry prices never stand in for marks.
2. Maintenance margin is on entry notional, as on the existing platform, because the
   liquidation prices that traders see depend on it.
3. All money is in quote asset. Sums are written as sums, so the order of positions is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.subaccount.state import AccountState, Position
from actors.units import ONE, ZERO, Symbol


class MarginView(msgspec.Struct, frozen=True, gc=False):
    """An account at given marks; everything in quote asset but ``ratio`` and ``usage``."""

    equity: Decimal
    unrealized: Decimal
    margin_used: Decimal
    margin_held: Decimal
    exposure: Decimal
    maintenance: Decimal
    ratio: Decimal

    @property
    def available(self) -> Decimal:
        """Equity that neither positions nor working orders use. May be negative."""
        return self.equity - self.margin_used - self.margin_held


def unrealized(positions: tuple[Position, ...], marks: Mapping[Symbol, Decimal]) -> Decimal:
    """Sum of quantity x (mark - entry)."""
    return sum((p.unrealized(marks[p.symbol]) for p in positions), ZERO)


def margin_ratio(maintenance: Decimal, equity: Decimal) -> Decimal:
    """Maintenance / equity; 1 when equity <= 0 and there is something to maintain (seed 000).

    An account without positions has nothing to maintain and a ratio of 0 at any equity.
    """
    if maintenance == ZERO:
        return ZERO
    if equity <= ZERO:
        return ONE
    return maintenance / equity


def view(state: AccountState, marks: Mapping[Symbol, Decimal]) -> MarginView:
    """Everything about the account's margin at ``marks``.

    Raises:
        KeyError: a position's symbol has no mark.
    """
    profit = unrealized(state.positions, marks)
    exposure = sum((p.notional for p in state.positions), ZERO)
    equity = state.balance + profit
    maintenance = exposure * state.maintenance_rate
    return MarginView(
        equity=equity,
        unrealized=profit,
        margin_used=sum((p.margin for p in state.positions), ZERO),
        margin_held=sum((o.held_margin for o in state.orders), ZERO),
        exposure=exposure,
        maintenance=maintenance,
        ratio=margin_ratio(maintenance, equity),
    )


def liquidation_price(state: AccountState, position: Position, marks: Mapping[Symbol, Decimal]) -> Decimal:
    """The mid of ``position`` at which the ratio reaches the first tier, others standing still.

    entry + (floor - balance - profit of the others) / quantity, where floor = maintenance /
    threshold; not below zero. Source: the existing platform's dynamic cross price.
    """
    others = tuple(p for p in state.positions if p.symbol != position.symbol)
    exposure = sum((p.notional for p in state.positions), ZERO)
    floor = exposure * state.maintenance_rate / state.limits.liquidation_threshold
    base = state.balance + unrealized(others, marks)
    return max(ZERO, position.entry_price + (floor - base) / position.quantity)
