"""The only function that changes what a symbol's clearing knows durably.

Rules
1. ``fold(state, fact)`` builds every new state: live, on restart, in replay and in tests.
2. A fact that does not fit raises ``StateCorrupt`` and leaves the old state whole.
3. What members got is exactly what traded, in quantity, value and fee, after every fold; nobody got more than they wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from actors.clearing.state import Block, ClearingState, member_order_id
from actors.core.clearing_facts import (
    BlockEnded,
    BlockFormed,
    BlocksForgotten,
    ClearingFact,
    LostOrderBooked,
    RoundAllocated,
)
from actors.core.clearing_messages import clearing_name
from actors.core.errors import StateCorrupt
from actors.core.units import ZERO


def fold(state: ClearingState, fact: ClearingFact) -> ClearingState:
    """The state after ``fact``.

    Raises:
        StateCorrupt: the fact does not fit the state.
    """
    match fact:
        case BlockFormed():
            return _formed(state, fact)
        case RoundAllocated():
            return _allocated(state, fact)
        case BlockEnded():
            return _ended(state, fact)
        case BlocksForgotten():
            return _forgotten(state, fact)
        case LostOrderBooked():
            return _lost(state, fact)
        case _:
            assert_never(fact)


def folded(state: ClearingState, facts: Iterable[ClearingFact]) -> ClearingState:
    """The state after all ``facts``, in order; its ``sequence`` is as before."""
    for fact in facts:
        state = fold(state, fact)
    return state


def _formed(state: ClearingState, fact: BlockFormed) -> ClearingState:
    order, members, number = fact.order, fact.members, fact.order.sequence
    if order.symbol != state.symbol or order.account_id != clearing_name(state.symbol):
        raise StateCorrupt(f"{state.symbol}: a block of {order.account_id} in {order.symbol} arrived")
    if number != state.next_block:
        raise StateCorrupt(f"{state.symbol}: block {number} does not follow {state.next_block - 1}")
    ids = {member.client_order_id for member in members}
    if not members or len(ids) != len(members):
        raise StateCorrupt(f"{state.symbol}: block {number} has no members, or one of them twice")
    for offset, member in enumerate(members):
        if member.quantity <= ZERO or member.order_id != member_order_id(state.next_order_id + offset):
            raise StateCorrupt(
                f"{state.symbol}: block {number} has {member!r}, with a wrong quantity or order id"
            )
    if sum((member.quantity for member in members), ZERO) != order.quantity:
        raise StateCorrupt(f"{state.symbol}: block {number} is of {order.quantity}, and its members are not")
    for block in state.blocks:
        for member in block.members:
            if member.client_order_id in ids:
                raise StateCorrupt(
                    f"{state.symbol}: {member.client_order_id} is in block {block.number} already"
                )
    return replace(
        state,
        next_block=number + 1,
        next_order_id=state.next_order_id + len(members),
        blocks=(*state.blocks, Block(formed=fact)),
    )


def _allocated(state: ClearingState, fact: RoundAllocated) -> ClearingState:
    block = _live(state, fact.block)
    name = f"{state.symbol}: round {fact.round_id} of block {fact.block}"
    ids = [trade.trade_id for trade in fact.trades]
    if not ids or fact.round_id != max(ids) or len(set(ids)) != len(ids):
        raise StateCorrupt(f"{name} is not named after its last trade, or has one twice")
    if again := set(ids).intersection(trade.trade_id for trade in block.trades):
        raise StateCorrupt(f"{name} has trades of an earlier one: {sorted(again)}")
    order = block.formed.order
    if any((t.symbol, t.side) != (order.symbol, order.side) for t in fact.trades):
        raise StateCorrupt(f"{name} has trades of another symbol or side")
    if len({(t.fee_asset, t.fee is None) for t in fact.trades}) != 1:
        raise StateCorrupt(f"{name} has fees of several assets, or only some of them are known")
    _check_sums(name, fact)
    lacks = block.lacks()
    for part in fact.allocations:
        # An order that is named twice lacks nothing more the second time.
        if part.quantity <= ZERO or part.quantity > lacks.pop(part.client_order_id, ZERO):
            raise StateCorrupt(
                f"{name} gives {part.client_order_id} {part.quantity}, which is more than it lacks"
            )
    return _with(state, replace(block, rounds=(*block.rounds, fact)))


def _check_sums(name: str, fact: RoundAllocated) -> None:
    traded = (
        sum((t.quantity for t in fact.trades), ZERO),
        sum((t.value for t in fact.trades), ZERO),
        sum((t.fee or ZERO for t in fact.trades), ZERO),
    )
    given = (
        sum((a.quantity for a in fact.allocations), ZERO),
        sum((a.value for a in fact.allocations), ZERO),
        sum((a.fee for a in fact.allocations), ZERO),
    )
    if traded != given:
        raise StateCorrupt(f"{name} gives quantity, value and fee {given}, and its trades were {traded}")


def _ended(state: ClearingState, fact: BlockEnded) -> ClearingState:
    block = _live(state, fact.block)
    if not fact.status.is_terminal:
        raise StateCorrupt(f"{state.symbol}: block {fact.block} cannot end as {fact.status}")
    if fact.executed != block.executed:
        raise StateCorrupt(
            f"{state.symbol}: block {fact.block} ended with {fact.executed}, and {block.executed} is allocated"
        )
    return _with(state, replace(block, ended=fact))


def _forgotten(state: ClearingState, fact: BlocksForgotten) -> ClearingState:
    for number in fact.blocks:
        block = state.block(number)
        if block is None or block.ended is None:
            raise StateCorrupt(
                f"{state.symbol}: block {number} is not known, or has not ended; it cannot be forgotten"
            )
    return replace(state, blocks=tuple(b for b in state.blocks if b.number not in fact.blocks))


def _lost(state: ClearingState, fact: LostOrderBooked) -> ClearingState:
    name = f"{state.symbol}: the lost order {fact.client_order_id}"
    if fact.symbol != state.symbol or fact.block < state.next_block:
        raise StateCorrupt(f"{name} is of {fact.symbol}, or its number {fact.block} is used")
    known = {block.client_order_id for block in state.blocks}
    members = {member.client_order_id for block in state.blocks for member in block.members}
    if fact.client_order_id in known | members or fact.client_order_id in state.lost:
        raise StateCorrupt(f"{name} is not lost, or is booked already")
    if not fact.status.is_terminal or not ZERO < fact.executed <= fact.quantity:
        raise StateCorrupt(f"{name} is {fact.status} with {fact.executed} of {fact.quantity}")
    if any(
        (t.symbol, t.side, t.exchange_order_id) != (fact.symbol, fact.side, fact.exchange_order_id)
        or t.quantity <= ZERO
        for t in fact.trades
    ):
        raise StateCorrupt(f"{name} has trades of another symbol, side or order, or of nothing")
    ids = {trade.trade_id for trade in fact.trades}
    if len(ids) != len(fact.trades) or ids & {t.trade_id for block in state.blocks for t in block.trades}:
        raise StateCorrupt(f"{name} has a trade twice, or one of a block's rounds")
    return replace(
        state,
        next_block=fact.block + 1,
        lost=(*state.lost, fact.client_order_id),
        house=state.house + fact.position,
    )


def _live(state: ClearingState, number: int) -> Block:
    block = state.block(number)
    if block is None or block.ended is not None:
        raise StateCorrupt(f"{state.symbol}: block {number} is not known, or has ended")
    return block


def _with(state: ClearingState, changed: Block) -> ClearingState:
    return replace(state, blocks=tuple(changed if b.number == changed.number else b for b in state.blocks))
