"""Rows of funding, and of what was held in the last day, which it is counted on. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.core.facts import FundingPaid
from actors.core.units import Symbol
from actors.subaccount.holdings import KEPT_MS, Change, begins_hour, of
from actors.subaccount.state import AccountState

Statement = tuple[str, tuple[Any, ...]]


def paid(state: AccountState, fact: FundingPaid) -> Iterator[Statement]:
    """What funding writes, but for balance and open position."""
    if fact.is_closed:
        yield "closed_position_funding", (fact.amount, fact.position_id)
    settlement = (fact.symbol, fact.funding_ms, fact.rate, fact.mark)
    yield "funding_insert", (state.account_id, *settlement, fact.amount, fact.quantity, fact.position_id)
    yield "funding_forget", (state.account_id, fact.funding_ms - KEPT_MS)


def changed(state: AccountState, symbol: Symbol, at_ms: int) -> Iterator[Statement]:
    """What a change of a position at ``at_ms`` writes of what was held until then; mostly nothing."""
    own = of(state.holdings, symbol)
    if not own or not at_ms or at_ms > own[-1].until_ms:
        return
    if at_ms < own[-1].until_ms:
        # It corrected others, or is not the last of its decision.
        yield "held_clear", (state.account_id,)
        for holdings in state.holdings:
            for change in holdings.changes:
                yield "held_upsert", (state.account_id, holdings.symbol, *_values(change))
        return
    yield "held_upsert", (state.account_id, symbol, *_values(own[-1]))
    if begins_hour(own, at_ms):
        yield "held_forget", (state.account_id, at_ms - KEPT_MS)


def _values(change: Change) -> tuple[Any, ...]:
    return change.until_ms, change.quantity, change.position_id
