"""Maintenance margin of an account after all its open and waiting orders have filled. Pure.

Per symbol, everything counts on one side: which of two opposite orders fills first is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from actors.core.enums import Side
from actors.core.units import ZERO, Symbol
from actors.limits.model import MaintenanceBasis
from actors.subaccount import margin
from actors.subaccount.market import Market, mark_at
from actors.subaccount.open_order_exposure import OrderExposure
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState


def notionals(
    state: AccountState,
    positions: Iterable[Position],
    order_exposures: Iterable[OrderExposure],
    marks: Mapping[Symbol, Decimal],
    market: Market,
) -> dict[Symbol, Decimal]:
    """By symbol, the notional that maintenance margin would be counted on, in quote asset.

    Args:
        state: whose basis of maintenance and source of marks count.
        positions: what is held, each with its mark in ``marks``.
        order_exposures: what orders may still open; one of a symbol without a price counts at its own.
        marks: of the positions.
        market: what values a symbol that is not held yet.
    """
    found: dict[Symbol, Decimal] = {}
    for position in positions:
        found[position.symbol] = margin.size(state, position, marks[position.symbol])
    at_entry = state.limits.maintenance_basis is MaintenanceBasis.ENTRY
    for one in order_exposures:
        tick = market.ticks.get(one.symbol)
        if at_entry or tick is None:
            notional = one.notional
        else:
            held = marks.get(one.symbol) if one.symbol in found else None
            is_long = one.side is Side.BUY
            notional = one.quantity * (held or mark_at(tick, state.limits.mark_source, is_long=is_long))
        found[one.symbol] = found.get(one.symbol, ZERO) + notional
    return found


def maintenance(state: AccountState, notional_of: Mapping[Symbol, Decimal], market: Market) -> Decimal:
    """Maintenance margin of notionals by symbol, in quote asset, by the account's basis."""
    rules = market.instruments
    return sum((margin.maintenance_of(state, n, rules.get(s)) for s, n in notional_of.items()), ZERO)
