"""What is projected of clearing: blocks, whose orders they were, and what each round gave them. Pure.

These rows are for people; nothing in the program decides by them but what a start counts of the last minute's orders.
"""

from __future__ import annotations

from typing import assert_never

from actors.core.clearing_facts import (
    BlockEnded,
    BlockFormed,
    BlocksForgotten,
    ClearingFact,
    LostOrderBooked,
    RoundAllocated,
)
from actors.core.enums import OrderClass, OrderStatus
from actors.core.units import ZERO
from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import DecidedClearing
from actors.persistence.projection.positions import HOUSE_POSITION
from actors.persistence.projection.tables import Table

BLOCK = Table(
    "bulkhead.block",
    ("symbol", "block"),
    """symbol block client_order_id side class quantity executed value fee fee_asset status code reason formed_ms
    ended_ms""",
    adds=("executed", "value", "fee"),
)

MEMBER = Table(
    "bulkhead.block_member",
    ("symbol", "block", "client_order_id"),
    "symbol block client_order_id account_id order_id quantity allocated value fee",
    adds=("allocated", "value", "fee"),
)

ROUND = Table(
    "bulkhead.block_round",
    ("symbol", "block", "round_id"),
    "symbol block round_id trades quantity value fee fee_asset at_ms",
)

SEVERAL_ASSETS = "*"
"""Stands for the assets of a block's fees where they are several, whose sum says nothing."""


def project(batch: Batch, decided: DecidedClearing, fact: ClearingFact) -> None:
    """What a fact of clearing writes."""
    symbol = decided.state.symbol
    match fact:
        case BlockFormed():
            _formed(batch, decided, fact)
        case RoundAllocated():
            _allocated(batch, decided, fact)
        case BlockEnded():
            batch.of(BLOCK).change(
                symbol,
                fact.block,
                status=fact.status,
                code=fact.code,
                reason=fact.reason,
                ended_ms=decided.wall_ms,
            )
        case BlocksForgotten():
            pass  # people may go on asking
        case LostOrderBooked():
            _lost(batch, decided, fact)
        case _:
            assert_never(fact)


def _formed(batch: Batch, decided: DecidedClearing, fact: BlockFormed) -> None:
    order = fact.order
    batch.of(BLOCK).insert(
        order.symbol,
        order.sequence,
        client_order_id=order.client_order_id,
        side=order.side,
        quantity=order.quantity,
        executed=ZERO,
        value=ZERO,
        fee=ZERO,
        fee_asset="",
        status=OrderStatus.INTENDED,
        code=0,
        reason="",
        formed_ms=decided.wall_ms,
        ended_ms=None,
        **{"class": order.order_class},
    )
    for member in fact.members:
        batch.of(MEMBER).insert(
            order.symbol,
            order.sequence,
            member.client_order_id,
            account_id=member.account_id,
            order_id=member.order_id,
            quantity=member.quantity,
            allocated=ZERO,
            value=ZERO,
            fee=ZERO,
        )


def _allocated(batch: Batch, decided: DecidedClearing, fact: RoundAllocated) -> None:
    symbol = decided.state.symbol
    quantity = sum((trade.quantity for trade in fact.trades), ZERO)
    value = sum((trade.value for trade in fact.trades), ZERO)
    fee = sum((trade.fee or ZERO for trade in fact.trades), ZERO)
    batch.of(BLOCK).change(
        symbol,
        fact.block,
        executed=quantity,
        value=value,
        fee=fee,
        fee_asset=_fee_asset(decided, fact),
    )
    batch.of(ROUND).insert(
        symbol,
        fact.block,
        fact.round_id,
        trades=len(fact.trades),
        quantity=quantity,
        value=value,
        fee=fee if _is_fee_known(fact) else None,
        fee_asset=fact.trades[0].fee_asset,
        at_ms=decided.wall_ms,
    )
    for part in fact.allocations:
        batch.of(MEMBER).change(
            symbol,
            fact.block,
            part.client_order_id,
            allocated=part.quantity,
            value=part.value,
            fee=part.fee,
        )


LOST = "lost with the journal: the house has what it traded"
"""The reason that the rows of such orders have."""


def _lost(batch: Batch, decided: DecidedClearing, fact: LostOrderBooked) -> None:
    """An order without members here; of which class it was only the lost journal knew."""
    known = [trade for trade in fact.trades if trade.fee is not None]
    assets = {trade.fee_asset for trade in known}
    batch.of(BLOCK).insert(
        fact.symbol,
        fact.block,
        client_order_id=fact.client_order_id,
        side=fact.side,
        quantity=fact.quantity,
        executed=fact.executed,
        value=sum((trade.value for trade in fact.trades), ZERO),
        fee=sum((trade.fee or ZERO for trade in known), ZERO),
        fee_asset=SEVERAL_ASSETS if len(assets) > 1 else next(iter(assets), ""),
        status=fact.status,
        code=0,
        reason=LOST,
        formed_ms=fact.placed_ms,
        ended_ms=decided.wall_ms,
        **{"class": OrderClass.NEW_RISK},
    )
    batch.of(HOUSE_POSITION).put(fact.symbol, quantity=fact.position)


def _is_fee_known(fact: RoundAllocated) -> bool:
    return all(trade.fee is not None for trade in fact.trades)


def _fee_asset(decided: DecidedClearing, fact: RoundAllocated) -> str:
    """That of all rounds of the block so far; a round has one."""
    block = decided.state.block(fact.block)
    rounds = (fact,) if block is None else block.rounds
    assets = {round_.trades[0].fee_asset for round_ in rounds if _is_fee_known(round_)}
    return SEVERAL_ASSETS if len(assets) > 1 else next(iter(assets), "")
