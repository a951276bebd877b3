"""What a symbol's clearing is. ``clearing.fold`` alone changes it, by facts.

It holds blocks alone: what waits is in ``clearing.book``, and lost with the process.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.clearing_facts import BlockEnded, BlockFormed, Member, RoundAllocated
from actors.core.orders import WorkingOrder
from actors.core.trades import Trade
from actors.core.units import ZERO, ClientOrderId, Symbol

ORDER_IDS_BELOW = 9_000_000_000_000_000
"""Members' order ids count down from here: below 2^53, so that every JSON reader keeps them, and far above the exchange's."""


MEMBERS_MAX = 1_000_000_000_000
"""More members than a symbol ever has: an order id that is no further below ``ORDER_IDS_BELOW`` is a member's."""


def member_order_id(number: int) -> int:
    """The id that the ``number``-th member of a symbol's blocks has for its owner; from 1."""
    return ORDER_IDS_BELOW - number


def is_member_order_id(order_id: int) -> bool:
    """Whether an order's number was given by a clearing, and not by the exchange."""
    return order_id >= ORDER_IDS_BELOW - MEMBERS_MAX


class Block(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A block order, what of it was allocated, and its end if it has one."""

    formed: BlockFormed
    rounds: tuple[RoundAllocated, ...] = ()
    ended: BlockEnded | None = None

    @property
    def number(self) -> int:
        """It counts the symbol's blocks from 1."""
        return self.formed.order.sequence

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its id at the exchange."""
        return self.formed.order.client_order_id

    @property
    def members(self) -> tuple[Member, ...]:
        """Whose orders it is."""
        return self.formed.members

    @property
    def executed(self) -> Decimal:
        """What was allocated, in base asset."""
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def trades(self) -> tuple[Trade, ...]:
        """The exchange's trades that were allocated."""
        return tuple(trade for round_ in self.rounds for trade in round_.trades)

    def allocated(self) -> dict[ClientOrderId, Decimal]:
        """What each member has got, zero included, in base asset; a call looks at all rounds."""
        got = {member.client_order_id: ZERO for member in self.members}
        for round_ in self.rounds:
            for part in round_.allocations:
                got[part.client_order_id] += part.quantity
        return got

    def lacks(self) -> dict[ClientOrderId, Decimal]:
        """What each member still lacks of its quantity, zero included, in base asset."""
        got = self.allocated()
        return {m.client_order_id: m.quantity - got[m.client_order_id] for m in self.members}

    def working(self) -> WorkingOrder:
        """It as the gateway takes over the orders of an earlier run."""
        trades = self.trades
        return WorkingOrder(
            intent=self.formed.order,
            exchange_order_id=trades[-1].exchange_order_id if trades else None,
            filled=self.executed,
            trade_ids=tuple(sorted(trade.trade_id for trade in trades)),
        )


class ClearingState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that a symbol's clearing knows durably. ``sequence`` counts its durable decisions.

    ``blocks`` has those that are not forgotten, ascending by number; ``next_order_id`` numbers members (``member_order_id``).
    ``lost`` are the orders that the house has because the journal had lost them, ``house`` is what it has of them, in base
    asset, signed.
    """

    symbol: Symbol
    sequence: int = 0
    next_block: int = 1
    next_order_id: int = 1
    blocks: tuple[Block, ...] = ()
    lost: tuple[ClientOrderId, ...] = ()
    house: Decimal = ZERO

    def block(self, number: int) -> Block | None:
        """The block of that number, if it is not forgotten."""
        for block in self.blocks:
            if block.number == number:
                return block
        return None

    @property
    def live(self) -> tuple[Block, ...]:
        """Blocks that have not ended."""
        return tuple(block for block in self.blocks if block.ended is None)
