"""Orders that the journal lost and that no account here can be given: the house has what they traded. Pure."""

from __future__ import annotations

from actors.clearing.state import ClearingState
from actors.core.clearing_facts import LostOrderBooked
from actors.core.clearing_messages import clearing_name
from actors.core.messages import BookRecovered
from actors.core.order_ids import FleetId, sequence_of
from actors.core.units import AccountId


def for_the_house(state: ClearingState, message: BookRecovered, fleet: FleetId) -> LostOrderBooked | None:
    """What the house books of an order; None if it has it already. ``fold`` says whether it fits.

    A block keeps the number that it had, unless that was used since, so that no later one has it; an account's order gets the
    next one.
    """
    if message.client_order_id in state.lost:
        return None
    number = sequence_of(message.client_order_id, fleet, AccountId(clearing_name(state.symbol)))
    return LostOrderBooked(
        block=max(number or 0, state.next_block),
        client_order_id=message.client_order_id,
        exchange_order_id=message.exchange_order_id,
        symbol=message.symbol,
        side=message.side,
        quantity=message.quantity,
        status=message.status,
        placed_ms=message.placed_ms,
        trades=message.trades,
    )
