"""When a block's trades are given to its members, and what each member's account is told. Pure.

Rules
1. Trades are pooled for ``round_ms`` at most, or until the block's end.
2. A round has one fee asset. A trade whose fee is not told waits for it, ``FEE_WAIT_MS`` at most.
3. What an account is told follows from the block's facts alone, so it is the same however often it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from actors.clearing.allocation import allocate
from actors.clearing.book import Heard
from actors.clearing.state import Block
from actors.core.clearing_facts import Allocation, BlockEnded, Member, RoundAllocated
from actors.core.enums import OrderClass, OrderStatus
from actors.core.messages import Fill, OrderClosed
from actors.core.trades import Trade
from actors.core.units import ZERO, quantize_price

ROUND_MS = 20
"""How long trades of a block are pooled before they are given to its members;"""

MEMBERS_A_MS = 10
"""one of many a millisecond longer for each so many of them: a round costs each member a decision, of some 0.1 ms,"""

ROUND_MOST_MS = 200
"""and no longer than that."""

FEE_WAIT_MS = 2_000
"""How long a trade waits for its fee; the exchange knows it by then."""


class Due(NamedTuple):
    """The rounds that are due, each with its trades; whether the end follows them; and when to look again."""

    rounds: tuple[tuple[Trade, ...], ...] = ()
    ends: bool = False
    again_ms: int | None = None


def round_ms(members: int) -> int:
    """For how many milliseconds the trades of a block with so many members are pooled.

    For as long as its members take to book a round they could not book the next one.
    """
    return min(ROUND_MOST_MS, ROUND_MS + members // MEMBERS_A_MS)


def due(heard: Heard, members: int, now_ms: int) -> Due:
    """What is to be decided now of a block with so many members."""
    ready: dict[int, Trade] = {}
    pooled_ms, fee_ms = list[int](), list[int]()
    for id_, (trade, heard_ms) in heard.pool.items():
        if trade.fee is not None or now_ms >= heard_ms + FEE_WAIT_MS:
            ready[id_] = trade
            pooled_ms.append(heard_ms + round_ms(members))
        else:
            fee_ms.append(heard_ms + FEE_WAIT_MS)
    closed = heard.closed
    is_complete = closed is not None and heard.executed == closed.executed_quantity
    if ready and not is_complete and now_ms < min(pooled_ms):
        return Due(again_ms=min([*pooled_ms, *fee_ms]))
    by_fee: dict[tuple[str, bool], list[Trade]] = {}
    for id_ in sorted(ready):
        trade = ready[id_]
        by_fee.setdefault((trade.fee_asset, trade.fee is None), []).append(trade)
    rounds = tuple(tuple(trades) for trades in by_fee.values())
    return Due(rounds, is_complete and not fee_ms, min(fee_ms, default=None))


def allocated(block: Block, trades: tuple[Trade, ...], step: Decimal) -> RoundAllocated:
    """The round of these trades.

    Raises:
        StateCorrupt: they are more than the members lack.
    """
    return RoundAllocated(
        block=block.number,
        round_id=max(trade.trade_id for trade in trades),
        trades=trades,
        allocations=allocate(block.lacks(), trades, step),
    )


def ended(block: Block, closed: OrderClosed) -> BlockEnded:
    """The end of a block as the exchange said it."""
    return BlockEnded(
        block=block.number,
        status=closed.status,
        executed=closed.executed_quantity,
        code=closed.code,
        reason=closed.reason[:500],
    )


def pattern(round_: RoundAllocated) -> Trade:
    """What all members' parts of a round have in common: a trade of the whole of it, as of its last one."""
    last = max(round_.trades, key=lambda t: (t.trade_ms, t.trade_id))
    return replace(last, trade_id=round_.round_id, maker=all(t.maker for t in round_.trades))


def fill(member: Member, common: Trade, part: Allocation) -> Fill:
    """A member's part of a round, whose ``pattern`` is given, as a trade of its own order."""
    trade = Trade(
        exchange_order_id=member.order_id,
        trade_id=common.trade_id,
        symbol=common.symbol,
        side=common.side,
        quantity=part.quantity,
        price=quantize_price(part.value / part.quantity),
        fee=None if common.fee is None else part.fee,
        maker=common.maker,
        trade_ms=common.trade_ms,
        fee_asset=common.fee_asset,
        quote_quantity=part.value,
    )
    return Fill(member.account_id, member.client_order_id, trade, member.cause)


def closed_for(block: Block, member: Member, got: Decimal) -> OrderClosed:
    """A member's end in a block that has ended, with ``got`` allocated to it.

    What the exchange surely never had is decided again by its account when it reduces: the decision is seconds old by then.
    """
    end = block.ended
    assert end is not None
    id_, cause = member.client_order_id, member.cause
    if got == member.quantity:
        return OrderClosed(id_, OrderStatus.FILLED, got, cause=cause)
    status = OrderStatus.EXPIRED if end.status is OrderStatus.FILLED else end.status
    again = status is OrderStatus.NEVER_SENT and block.formed.order.order_class is not OrderClass.NEW_RISK
    return OrderClosed(id_, status, got, end.code, end.reason, cause, waited=again, again=again)


class Parts:
    """Each member's parts of a block's rounds: for telling thousands of them without looking through all rounds each time."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._of: dict[str, list[tuple[Trade, Allocation]]] = {}
        for round_ in block.rounds:
            common = pattern(round_)
            for part in round_.allocations:
                self._of.setdefault(part.client_order_id, []).append((common, part))

    def told(self, member: Member) -> list[Fill | OrderClosed]:
        """All that a member's account is told of the block: its fills, and its end if the block has ended."""
        parts = self._of.get(member.client_order_id, ())
        told: list[Fill | OrderClosed] = [fill(member, common, part) for common, part in parts]
        if self.block.ended is not None:
            told.append(closed_for(self.block, member, sum((part.quantity for _, part in parts), ZERO)))
        return told


def fills(members: Iterable[Member], rounds: Iterable[RoundAllocated]) -> Iterator[Fill]:
    """What these rounds are to the members, round by round."""
    by_id = {member.client_order_id: member for member in members}
    for round_ in rounds:
        common = pattern(round_)
        for part in round_.allocations:
            yield fill(by_id[part.client_order_id], common, part)


def ends_of(block: Block) -> list[tuple[Member, OrderClosed]]:
    """What the end of a block is to its members."""
    got = block.allocated()
    return [(member, closed_for(block, member, got[member.client_order_id])) for member in block.members]
