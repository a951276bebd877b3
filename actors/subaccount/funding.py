"""Funding of one account: how much of a settlement is due, by what was held at its time.

It is due for what was held then less what was booked of it before: once, however often it is reported, and again for
the difference when a trade from before the settlement is learned afterwards.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.core.facts import FundingPaid
from actors.core.messages import ApplyFunding
from actors.core.units import ZERO, Symbol
from actors.subaccount.holdings import KEPT_MS, TOLD_MS, Settled, held_at, is_whole_hour, nominal_ms

if TYPE_CHECKING:
    from actors.subaccount.state import AccountState


class Due(msgspec.Struct, frozen=True, gc=False):
    """What is to be booked: of which signed ``quantity``, to which position, and whether that is gone already.

    ``funding_ms`` is the settlement's name, which is that under which it was reported first.
    """

    funding_ms: int
    quantity: Decimal
    position_id: str
    is_closed: bool


def due(state: AccountState, symbol: Symbol, funding_ms: int) -> Due | None:
    """What is due of a settlement; None for nothing, or nothing any more."""
    at_ms = nominal_ms(funding_ms)
    before = _settled(state, symbol, at_ms)
    if before is not None and before.quantity is None:
        return None
    if not is_whole_hour(at_ms) and any(
        s.symbol == symbol and s.funding_ms >= funding_ms for s in state.settled
    ):
        # Of such a time it may not be known what was held, so what is booked of it stays.
        return None
    position = state.position(symbol)
    quantity, position_id = held_at(state.holdings, symbol, position, at_ms)
    booked = _booked(before)
    if quantity == booked:
        return None
    if quantity == ZERO and before is not None:
        position_id = before.position_id
    is_open = position is not None and position.position_id == position_id
    name = funding_ms if before is None else before.funding_ms
    return Due(name, quantity - booked, position_id, not is_open)


def paid(state: AccountState, message: ApplyFunding, wall_ms: int) -> FundingPaid | None:
    """The fact of what is due of a settlement; None if nothing is, or if it is too old to be known."""
    if message.funding_ms < wall_ms - TOLD_MS:
        return None
    found = due(state, message.symbol, message.funding_ms)
    if found is None:
        return None
    return FundingPaid(
        symbol=message.symbol,
        rate=message.rate,
        mark=message.mark,
        amount=-found.quantity * message.mark * message.rate,
        funding_ms=found.funding_ms,
        quantity=found.quantity,
        position_id=found.position_id,
        is_closed=found.is_closed,
    )


def with_settled(state: AccountState, fact: FundingPaid) -> tuple[Settled, ...]:
    """What is booked of all settlements once ``fact`` is; without what is too old to be reported again."""
    before = _settled(state, fact.symbol, nominal_ms(fact.funding_ms))
    now = Settled(fact.symbol, fact.funding_ms, _booked(before) + fact.quantity, fact.position_id)
    oldest = fact.funding_ms - KEPT_MS
    others = [s for s in state.settled if s is not before and s.funding_ms >= oldest]
    return tuple(sorted((*others, now), key=lambda s: (s.symbol, s.funding_ms)))


def _booked(settled: Settled | None) -> Decimal:
    """The signed quantity that is booked of a settlement."""
    return ZERO if settled is None or settled.quantity is None else settled.quantity


def _settled(state: AccountState, symbol: Symbol, at_ms: int) -> Settled | None:
    """What is booked of the settlement of a nominal time."""
    for settled in state.settled:
        if settled.symbol == symbol and nominal_ms(settled.funding_ms) == at_ms:
            return settled
    return None
