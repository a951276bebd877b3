"""What a symbol's clearing decided or learned: the only things that change it.

A block order is one order at the exchange for many accounts' orders, its members. Rules as of ``core.facts``: past tense,
frozen, and a fact carries what came out when it was decided, so that folding rounds nothing. Money is in quote asset; times
are Unix milliseconds.
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import OrderStatus, Side
from actors.core.facts import Fact, OrderIntended
from actors.core.trades import Trade
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol


class Member(Fact, frozen=True, gc=False):
    """One account's order in a block, with what of it the block orders.

    ``order_id`` is the number that the account's order has for its owner, as if it were alone at the exchange.
    """

    account_id: AccountId
    client_order_id: ClientOrderId
    quantity: Decimal
    order_id: int
    cause: str = ""


class BlockFormed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A block order that we decided to send. Durable before it is sent.

    ``order`` is it as the gateway sends it: its ``account_id`` is the clearing's own name, its ``sequence`` the block's
    number, its quantity the sum of its members' (or of its part of them, when it was split).
    """

    order: OrderIntended
    members: tuple[Member, ...]


class Allocation(Fact, frozen=True, gc=False):
    """One member's part of a round; ``value`` is what it costs, quantity times price, exact, and ``fee`` as of ``Trade``."""

    client_order_id: ClientOrderId
    quantity: Decimal
    value: Decimal
    fee: Decimal


class RoundAllocated(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Trades of a block since its last round, given to its members.

    ``round_id`` is the highest trade id of the round: the trade id of each member's fill. Quantities, values and fees sum
    exactly to those of ``trades``.
    """

    block: int
    round_id: int
    trades: tuple[Trade, ...]
    allocations: tuple[Allocation, ...]


class BlockEnded(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Nothing more will happen to a block at the exchange. ``executed`` is what traded of it in all."""

    block: int
    status: OrderStatus
    executed: Decimal
    code: int = 0
    reason: str = ""


class BlocksForgotten(Fact, frozen=True, gc=False, tag=True):
    """All members' accounts have booked these blocks to their end; nothing of them can be asked for any more."""

    blocks: tuple[int, ...]


class LostOrderBooked(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The house has what an order of ours traded that the journal lost with a restored backup, and that has ended.

    It was a block, whose members only the lost journal knew, or of an account that was created after the backup.
    ``block`` is its number among the symbol's blocks here; ``trades`` are all of its trades.
    """

    block: int
    client_order_id: ClientOrderId
    exchange_order_id: int
    symbol: Symbol
    side: Side
    quantity: Decimal
    status: OrderStatus
    placed_ms: int
    trades: tuple[Trade, ...]

    @property
    def executed(self) -> Decimal:
        """What traded of it, in base asset."""
        return sum((trade.quantity for trade in self.trades), ZERO)

    @property
    def position(self) -> Decimal:
        """What the house has more by it, in base asset, signed."""
        return self.executed * self.side.sign


ClearingFact = BlockFormed | RoundAllocated | BlockEnded | BlocksForgotten | LostOrderBooked
"""All of them; whoever takes facts apart ends with ``assert_never``."""
