"""Equity, margin and liquidation prices of one account. Cross margin, one pool.

Rules
1. Marks come in as a mapping; a symbol that is missing has no price and the caller must not
   ask: entry prices never stand in for marks.
2. Maintenance margin is on entry notional by default, as on the existing platform, because the
   liquidation prices that traders see depend on it; ``maintenance_basis`` may say otherwise.
3. All money is in quote asset. Sums are written as sums, so the order of positions is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from actors.core.instruments import Bracket, Instrument
from actors.core.units import ONE, ZERO, Symbol
from actors.limits.model import AdlOrder, MaintenanceBasis
from actors.subaccount import fees
from actors.subaccount.open_order_exposure import order_exposures
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

NO_INSTRUMENTS: Mapping[Symbol, Instrument] = {}


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
        """Equity that no position, working order or pending fee holds. May be negative."""
        return self.equity - self.margin_used - self.margin_held

    @property
    def shortfall(self) -> Decimal:
        """What equity lacks of the maintenance margin; zero when it lacks nothing."""
        return max(ZERO, self.maintenance - self.equity)

    @property
    def is_bankrupt(self) -> bool:
        """Whether everything must be closed whatever the tiers say: no equity, or no more than is to be maintained."""
        return self.equity <= ZERO or self.ratio >= ONE


def unrealized(positions: tuple[Position, ...], marks: Mapping[Symbol, Decimal]) -> Decimal:
    """Sum of quantity x mark - signed cost."""
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


def bracket_of(brackets: tuple[Bracket, ...], notional: Decimal) -> Bracket:
    """The exchange's bracket for a notional at the mark; the last one for what is above all."""
    for bracket in brackets:
        if notional < bracket.notional_cap:
            return bracket
    return brackets[-1]


def maintenance(
    state: AccountState,
    position: Position,
    mark: Decimal,
    instruments: Mapping[Symbol, Instrument] = NO_INSTRUMENTS,
) -> Decimal:
    """Maintenance margin of one position, in quote asset.

    entry: entry notional x rate. mark: |quantity| x mark x rate. brackets: notional at the mark x the
    bracket's rate - its cumulative amount (Binance, "Leverage and Margin of USD-M Futures"); a symbol
    whose brackets are not known falls back to the account's rate at the mark.
    """
    notional = size(state, position, mark)
    return maintenance_of(state, notional, instruments.get(position.symbol))


def size(state: AccountState, position: Position, mark: Decimal) -> Decimal:
    """The notional that a position's maintenance margin is counted on: at the entry, or at the mark."""
    if state.limits.maintenance_basis is MaintenanceBasis.ENTRY:
        return position.notional
    return abs(position.quantity) * mark


def _largest(state: AccountState, positions: Iterable[Position], marks: Mapping[Symbol, Decimal]) -> Position:
    """The largest of some positions, by what maintenance margin is counted on; of equal ones the first by symbol."""
    return min(positions, key=lambda p: (-size(state, p, marks[p.symbol]), p.symbol))


def maintenance_of(state: AccountState, notional: Decimal, instrument: Instrument | None) -> Decimal:
    """Maintenance margin of a notional in one symbol, by the account's basis; see ``maintenance``."""
    basis = state.limits.maintenance_basis
    if basis is not MaintenanceBasis.BRACKETS or instrument is None or not instrument.brackets:
        return notional * state.maintenance_rate
    bracket = bracket_of(instrument.brackets, notional)
    return notional * bracket.rate - bracket.cumulative


def view(
    state: AccountState,
    marks: Mapping[Symbol, Decimal],
    instruments: Mapping[Symbol, Instrument] = NO_INSTRUMENTS,
) -> MarginView:
    """Everything about the account's margin at ``marks``.

    Raises:
        KeyError: a position's symbol has no mark.
    """
    # One loop instead of a sum each: this runs on every wake.
    profit = exposure = used = ZERO
    for p in state.positions:
        quantity, cost = p.quantity, p.cost
        worth = quantity * marks[p.symbol]
        profit += worth - cost if quantity > ZERO else worth + cost
        exposure += cost
        used += p.margin
    equity = state.balance + profit
    if state.limits.maintenance_basis is MaintenanceBasis.ENTRY:
        needed = exposure * state.maintenance_rate
    else:
        needed = sum((maintenance(state, p, marks[p.symbol], instruments) for p in state.positions), ZERO)
    own = order_exposures(state) if state.orders or state.conditionals else ()
    held = sum((c.margin for c in own), ZERO) if own else ZERO
    if state.pending_fees:
        held += fees.reserve(state)
    return MarginView(
        equity=equity,
        unrealized=profit,
        margin_used=used,
        margin_held=held,
        exposure=exposure,
        maintenance=needed,
        ratio=margin_ratio(needed, equity),
    )


def liquidation_price(
    state: AccountState,
    position: Position,
    marks: Mapping[Symbol, Decimal],
    instruments: Mapping[Symbol, Instrument] = NO_INSTRUMENTS,
) -> Decimal:
    """The mark of ``position`` at which the ratio reaches the first tier t, others standing still.

    It solves t x (balance + profit of the others + q x p - signed cost) = maintenance of the others +
    maintenance at p, where the latter is r x |q| x p - c: r = 0 and a constant on the entry basis, the
    account's rate at the mark, or the rate and cumulative amount of the bracket that p lies in. Not
    below zero. Source of the entry case: the existing platform's dynamic cross price.
    """
    t, q = state.limits.first_tier, position.quantity
    others = tuple(p for p in state.positions if p.symbol != position.symbol)
    needed = sum((maintenance(state, p, marks[p.symbol], instruments) for p in others), ZERO)
    base = state.balance + unrealized(others, marks)
    if state.limits.maintenance_basis is MaintenanceBasis.ENTRY:
        needed += position.notional * state.maintenance_rate
        return max(ZERO, (position.signed_cost + needed / t - base) / q)

    def solved(rate: Decimal, cumulative: Decimal) -> Decimal:
        slope = t * q - rate * abs(q)
        return (needed - cumulative - t * (base - position.signed_cost)) / slope if slope else ZERO

    instrument = instruments.get(position.symbol)
    brackets = () if instrument is None else instrument.brackets
    if state.limits.maintenance_basis is MaintenanceBasis.MARK or not brackets:
        return max(ZERO, solved(state.maintenance_rate, ZERO))
    for bracket in brackets:
        price = solved(bracket.rate, bracket.cumulative)
        if bracket.notional_floor <= abs(q) * price < bracket.notional_cap:
            return price
    return ZERO if position.is_long else max(ZERO, solved(brackets[-1].rate, brackets[-1].cumulative))


def next_cut(
    state: AccountState, marks: Mapping[Symbol, Decimal], instruments: Mapping[Symbol, Instrument]
) -> Position:
    """The position that a tier cuts, and that people are shown as the next one.

    One without known rules only if there is no other. Of equal ones the first by symbol.

    Raises:
        ValueError: there is no position.
    """
    known = tuple(p for p in state.positions if p.symbol in instruments) or state.positions
    if state.limits.adl_order is AdlOrder.LOSERS:
        loser = min(known, key=lambda p: (p.unrealized(marks[p.symbol]), p.symbol))
        if loser.unrealized(marks[loser.symbol]) < ZERO:
            return loser
    return _largest(state, known, marks)


def account_liquidation_price(
    state: AccountState,
    marks: Mapping[Symbol, Decimal],
    instruments: Mapping[Symbol, Instrument] = NO_INSTRUMENTS,
) -> tuple[Symbol, Decimal] | None:
    """The liquidation price of the position that a tier would cut next; the largest, as on the existing platform.

    Returns:
        Its symbol and price; None without positions.
    """
    if not state.positions:
        return None
    cut = next_cut(state, marks, instruments)
    return cut.symbol, liquidation_price(state, cut, marks, instruments)


def static_liquidation_price(state: AccountState, position: Position) -> Decimal:
    """The platform's opening liquidation price: this position alone against the whole balance.

    entry - (balance - floor) / quantity for a long, plus for a short; floor = entry notional x
    maintenance rate / first tier; not below zero.
    """
    floor = position.notional * state.maintenance_rate / state.limits.first_tier
    return round(max(ZERO, (position.signed_cost - state.balance + floor) / position.quantity), 12)
