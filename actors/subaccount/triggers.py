"""At which prices an account must be woken: the only floats that an account makes.

For a threshold t, f(p) = t x equity(p) - maintenance = f(p0) + sum of c_i x (p_i - p0_i) with
c_i = t x signed quantity_i, and the account breaches t when f <= 0. Each of n symbols gets the
share 1/n of the slack f(p0): while every symbol moves against the account by less than
f(p0) / (n x |c_i|), f stays above zero whatever the others do. One price per symbol follows,
below the market for a long, above it for a short.

Rules
1. A wake is early or exact, never late: prices are rounded towards the market, by more than
   the router's own float mid can be off.
2. No prices, or a breach already: wake on every tick.
3. While a step works, or waits for its own timer, a price decides nothing: no triggers at all.
   The step's fill, its end or the timer assesses anew (measured: waking 800 such accounts on
   every tick cost nine tenths of the router's throughput).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.limits import WARNING_DISTANCE
from actors.messages import Phase, Trigger
from actors.subaccount import margin
from actors.subaccount.adl import has_step
from actors.subaccount.state import AccountState
from actors.units import ZERO, Symbol

OUTWARD = 2.0**-48
"""Relative rounding towards the market. A float mid of two decimals is off by at most three
half-ulps, 3 x 2**-53; converting the trigger itself adds one more."""


class Triggers(msgspec.Struct, frozen=True, gc=False):
    """What to register with the router."""

    prices: tuple[Trigger, ...]
    every_tick: tuple[Symbol, ...]


def threshold(state: AccountState) -> Decimal:
    """The next margin ratio at which something must be decided."""
    first = state.limits.liquidation_threshold
    return first if state.phase is Phase.WARNING else first - WARNING_DISTANCE


def triggers(state: AccountState, marks: Mapping[Symbol, Decimal] | None) -> Triggers:
    """The account's triggers at ``marks``; None when a mark is missing or stale."""
    if not state.positions:
        return Triggers((), ())
    if has_step(state) or state.phase is Phase.STUCK or state.retry_at_ns:
        return Triggers((), ())
    if marks is None or state.phase not in {Phase.HEALTHY, Phase.WARNING}:
        return Triggers((), state.symbols)
    view = margin.view(state, marks)
    t = threshold(state)
    slack = t * view.equity - view.maintenance
    if slack <= ZERO:
        return Triggers((), state.symbols)
    share = slack / len(state.positions)
    found = []
    for position in state.positions:
        distance = share / (t * position.quantity)
        price = marks[position.symbol] - distance
        if price > ZERO:
            below = position.quantity > 0
            found.append(Trigger(position.symbol, below, towards_market(price, below=below)))
    return Triggers(tuple(found), ())


def towards_market(price: Decimal, *, below: bool) -> float:
    """``price`` as a float, rounded up for a trigger below the market, down for one above."""
    return float(price) * (1.0 + OUTWARD if below else 1.0 - OUTWARD)
