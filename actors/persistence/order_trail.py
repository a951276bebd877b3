"""What became of one order, from its decision to its end: from the journal, and from the tables of blocks.

An account's order leads to the block that it was in, and a block's to its members: each has a client order id, and either
is found by it.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, LiteralString, TypeVar

import msgspec
import psycopg
from msgspec.structs import asdict, replace
from psycopg.rows import dict_row

from actors.core import clearing_fact_codec, fact_codec
from actors.core.clearing_facts import RoundAllocated
from actors.core.clearing_messages import clearing_name
from actors.core.enums import OrderClass, OrderType, Purpose
from actors.core.errors import NotKept
from actors.core.facts import (
    AnyFact,
    CancelIntended,
    FillApplied,
    OrderAcknowledged,
    OrderEnded,
    OrderIntended,
)
from actors.core.fees import FeeBooked
from actors.core.orders import end_text
from actors.core.units import ZERO, AccountId, Symbol, quantize_price
from actors.persistence.archive import tables
from actors.persistence.operator_records import CausedOrder, OperatorRecords

MEMBERS_SHOWN = 50
"""So many members of a block are named; the others are counted."""

TRADES_SHOWN = 500
"""So many trades of the exchange are named that a round is of; the others are counted."""

STEPS_SHOWN = 500
"""So many entries of an order's trail are shown, the first ones; the others are counted."""

ROWS_READ = 20_000
"""So many decisions about one order are read; sums of one that traded more often lack the rest."""

CLOCK_MAY_LAG_MS = 60_000
"""A decision's row is looked for from so long before the order says that it was decided: the wall clock may be set."""

T = TypeVar("T", bound=msgspec.Struct)


class Happened(StrEnum):
    """What may happen to an order."""

    DECIDED = "DECIDED"
    CANCEL_WANTED = "CANCEL_WANTED"
    IN_BLOCK = "IN_BLOCK"
    """A block that has it was decided."""
    ACKNOWLEDGED = "ACKNOWLEDGED"
    TRADED = "TRADED"
    ROUND = "ROUND"
    """Of a block: trades were given to its members."""
    ENDED = "ENDED"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an order; ``at_ms`` is when it was decided or booked, in Unix milliseconds.

    ``order_id`` is the exchange's, or the number that stands for it in a block. ``trade_id`` is that of a trade of the exchange; where ``pooled`` is more than 0, that of a round, which is the highest of
    so many trades, whose ids are ``pooled_trades``, the first of them. ``value`` is what it cost in quote asset. ``fee`` is in ``fee_asset`` (empty: the quote asset), None while
    it is not known.
    """

    at_ms: int
    what: Happened
    text: str = ""
    block: int | None = None
    order_id: int | None = None
    trade_id: int | None = None
    pooled: int = 0
    pooled_trades: tuple[int, ...] = ()
    quantity: Decimal | None = None
    price: Decimal | None = None
    value: Decimal | None = None
    fee: Decimal | None = None
    fee_asset: str = ""


class BlockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A block order. Money in quote asset; ``fee`` in ``fee_asset``, which is ``*`` where it was taken in several.

    ``members`` says how many orders it has; none where the journal had lost it, and the house has what it traded.
    """

    symbol: Symbol
    block: int
    client_order_id: str
    side: str
    order_class: OrderClass
    quantity: Decimal
    executed: Decimal
    value: Decimal
    fee: Decimal
    fee_asset: str
    status: str
    code: int
    reason: str
    formed_ms: int
    ended_ms: int | None
    members: int


class RoundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of a block that were given to its members at once. ``fee`` is None where the exchange did not say it in time."""

    round_id: int
    trades: int
    quantity: Decimal
    value: Decimal
    fee: Decimal | None
    fee_asset: str
    at_ms: int


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One account's order in a block: what of it was ordered there, and what it got."""

    account_id: AccountId
    client_order_id: str
    order_id: int
    quantity: Decimal
    allocated: Decimal
    value: Decimal
    fee: Decimal


class Fee(msgspec.Struct, frozen=True):
    """A sum of fees in one asset; empty is the quote asset."""

    asset: str
    amount: Decimal


class OrderTrail(CausedOrder, frozen=True, kw_only=True):
    """An order, all that happened to it, and its company.

    ``reference_price`` is the touch that it was checked at when it was decided, ``average_price`` what it paid; ``worse_by``
    is by how much of the reference that was worse for its owner, negative when it was better. ``value`` is in quote asset.
    ``in_block`` is the last block that it was in, None when it was in none; ``earlier_blocks`` are those before, which were
    never sent. A block's own trail has itself as ``in_block``, and ``members``: the first of them by what they got, and
    ``more_members`` are not named.
    """

    reference_price: Decimal | None = None
    average_price: Decimal | None = None
    worse_by: Decimal | None = None
    value: Decimal = ZERO
    fees: tuple[Fee, ...] = ()
    pending_fees: int = 0
    shortfall: Decimal = ZERO
    steps: tuple[Step, ...] = ()
    more_steps: int = 0
    is_block: bool = False
    in_block: BlockRecord | None = None
    earlier_blocks: tuple[int, ...] = ()
    members: tuple[MemberRecord, ...] = ()
    more_members: int = 0


def order_trail(connection: psycopg.Connection[Any], client_order_id: str) -> OrderTrail | None:
    """The trail of an account's order, or of a block.

    Returns:
        None when neither has that id.
    """
    order = OperatorRecords(connection).order(client_order_id)
    if order is not None:
        return _of_order(connection, order)
    [*blocks] = _all(connection, BlockRecord, BLOCK, client_order_id)
    return _of_block(connection, blocks[0]) if blocks else None


# -- an account's order


def _of_order(connection: psycopg.Connection[Any], order: CausedOrder) -> OrderTrail:
    blocks = _all(connection, BlockRecord, BLOCKS_OF_MEMBER, order.client_order_id)
    block = blocks[-1] if blocks else None
    rounds = [] if block is None else _rounds(connection, block)
    told = Told({one.round_id: one.trades for one in rounds})
    is_whole = False
    for wall_ms, fact in _facts(connection, order):
        is_whole = is_whole or isinstance(fact, OrderIntended)
        told.hear(fact, wall_ms)
    archived = None if is_whole else tables.said(connection, order.account_id, 0)
    if archived is not None:
        raise NotKept(
            f"what became of {order.client_order_id} step by step is not in the journal: {archived}"
        )
    steps = _with_trades(connection, block, told.steps)
    steps += [_formed_step(of, order.decided_ms) for of in blocks]
    # By time, but the decision first, whatever became of the clock since.
    steps.sort(key=lambda step: (step.what is not Happened.DECIDED, step.at_ms))
    columns = connection.execute(WHEN_DECIDED, (order.client_order_id,)).fetchone()
    reference_price, shortfall = columns or (None, ZERO)
    trades = [step for step in told.steps if step.what is Happened.TRADED]
    executed = sum((step.quantity or ZERO for step in trades), ZERO)
    value = sum((step.value or ZERO for step in trades), ZERO)
    average = quantize_price(value / executed) if executed else None
    return OrderTrail(
        **asdict(order),
        reference_price=reference_price,
        average_price=average,
        worse_by=_worse_by(order.side, average, reference_price),
        value=value,
        fees=_fees(trades),
        pending_fees=sum(step.fee is None for step in trades),
        shortfall=shortfall,
        steps=tuple(steps[:STEPS_SHOWN]),
        more_steps=max(0, len(steps) - STEPS_SHOWN),
        in_block=block,
        earlier_blocks=tuple(of.block for of in blocks[:-1]),
    )


def _facts(connection: psycopg.Connection[Any], order: CausedOrder) -> Iterator[tuple[int, AnyFact]]:
    """What the account's own journal says of its order, with the wall's time."""
    since_ms = order.decided_ms - CLOCK_MAY_LAG_MS
    rows = connection.execute(NAMING, (order.account_id, since_ms, order.client_order_id.encode(), ROWS_READ))
    for wall_ms, version, facts in rows:
        for fact in fact_codec.decode(version, facts):
            of = fact.pending if isinstance(fact, FeeBooked) else fact
            if getattr(of, "client_order_id", None) == order.client_order_id:
                yield wall_ms, fact


class Told:
    """What the facts of one order say, one after another.

    Args:
        pooled: how many trades of the exchange each round has that the order may have had a part in.
    """

    def __init__(self, pooled: Mapping[int, int]) -> None:
        self.steps: list[Step] = []
        self._pooled = pooled

    def hear(self, fact: AnyFact, at_ms: int) -> None:
        """One more fact of the order."""
        match fact:
            case OrderIntended():
                self._add(fact.decided_ms, Happened.DECIDED, text=_reason(fact))
            case CancelIntended():
                self._add(at_ms, Happened.CANCEL_WANTED, text=fact.cause)
            case OrderAcknowledged():
                self._add(at_ms, Happened.ACKNOWLEDGED, order_id=fact.exchange_order_id)
            case FillApplied():
                self._trade(fact, at_ms)
            case FeeBooked():
                booked = fact.pending
                fee = booked.amount if booked.asset else fact.fee
                self.steps = [
                    replace(step, fee=fee, fee_asset=booked.asset)
                    if step.trade_id == booked.trade_id
                    else step
                    for step in self.steps
                ]
            case OrderEnded():
                self._add(at_ms, Happened.ENDED, text=end_text(fact.status, fact.code, fact.reason))
            case _:
                pass

    def _trade(self, fact: FillApplied, at_ms: int) -> None:
        trade, taken = fact.trade, fact.commission
        fee: Decimal | None = fact.fee
        if taken is not None:
            fee = None if taken.rate is None else taken.amount
        self._add(
            at_ms,
            Happened.TRADED,
            trade_id=trade.trade_id,
            # What a trade cost is said where it is a part of a round.
            pooled=0 if trade.quote_quantity is None else self._pooled.get(trade.trade_id, 1),
            quantity=trade.quantity,
            price=trade.price,
            value=trade.value,
            fee=fee,
            fee_asset="" if taken is None else taken.asset,
        )

    def _add(self, at_ms: int, what: Happened, **more: Any) -> None:
        self.steps.append(Step(at_ms=at_ms, what=what, **more))


def _reason(order: OrderIntended) -> str:
    return f"{order.purpose} tier {order.tier}" if order.tier else order.purpose


def _formed_step(block: BlockRecord, decided_ms: int) -> Step:
    waited = Decimal(max(0, block.formed_ms - decided_ms)) / 1_000
    others = block.members - 1
    company = f"with {others:,} other{'s'[: others != 1]}"
    text = f"after {waited:.3f} s of waiting, in block {block.block} of {block.symbol} {company}"
    return Step(
        at_ms=block.formed_ms,
        what=Happened.IN_BLOCK,
        text=text,
        block=block.block,
        quantity=block.quantity,
    )


def _fees(trades: Iterable[Step]) -> tuple[Fee, ...]:
    sums: dict[str, Decimal] = {}
    for step in trades:
        if step.fee is not None:
            sums[step.fee_asset] = sums.get(step.fee_asset, ZERO) + step.fee
    return tuple(Fee(asset, amount) for asset, amount in sorted(sums.items()))


def _worse_by(side: str, average: Decimal | None, reference: Decimal | None) -> Decimal | None:
    if average is None or not reference:
        return None
    return round((average - reference) / reference * (1 if side == "BUY" else -1), 8)


# -- a block


def _of_block(connection: psycopg.Connection[Any], block: BlockRecord) -> OrderTrail:
    rounds = _rounds(connection, block)
    members = _all(connection, MemberRecord, MEMBERS, block.symbol, block.block, MEMBERS_SHOWN)
    is_liquidation = block.order_class is OrderClass.LIQUIDATION
    text = f"of {block.members:,} orders" if block.members else "lost with the journal"
    steps = [Step(at_ms=block.formed_ms, what=Happened.DECIDED, text=text)]
    steps += _with_trades(connection, block, [_round_step(one) for one in rounds])
    if block.ended_ms is not None:
        end = end_text(block.status, block.code, block.reason)
        steps.append(Step(at_ms=block.ended_ms, what=Happened.ENDED, text=end))
    is_told = block.ended_ms is not None and (block.code or block.reason)
    return OrderTrail(
        client_order_id=block.client_order_id,
        account_id=AccountId(clearing_name(block.symbol)),
        symbol=block.symbol,
        side=block.side,
        order_type=OrderType.MARKET,
        quantity=str(block.quantity),
        filled=str(block.executed),
        purpose=Purpose.LIQUIDATION if is_liquidation else Purpose.USER,
        tier=0,
        status=block.status,
        decided_ms=block.formed_ms,
        cause=f"block:{block.block}",
        end_code=block.code if is_told else None,
        end_reason=block.reason if is_told else None,
        trade_ids=[one.round_id for one in rounds],
        became=None,
        end=end_text(block.status, block.code, block.reason) if is_told else "",
        average_price=quantize_price(block.value / block.executed) if block.executed else None,
        value=block.value,
        fees=(Fee(block.fee_asset, block.fee),) if rounds or not block.members else (),
        pending_fees=sum(one.fee is None for one in rounds),
        steps=tuple(steps[:STEPS_SHOWN]),
        is_block=True,
        in_block=block,
        members=tuple(members),
        more_members=block.members - len(members),
    )


def _round_step(one: RoundRecord) -> Step:
    return Step(
        at_ms=one.at_ms,
        what=Happened.ROUND,
        trade_id=one.round_id,
        pooled=one.trades,
        quantity=one.quantity,
        price=quantize_price(one.value / one.quantity),
        value=one.value,
        fee=one.fee,
        fee_asset=one.fee_asset,
    )


# -- reading


def _rounds(connection: psycopg.Connection[Any], block: BlockRecord) -> list[RoundRecord]:
    return _all(connection, RoundRecord, ROUNDS, block.symbol, block.block)


def _with_trades(
    connection: psycopg.Connection[Any], block: BlockRecord | None, steps: Sequence[Step]
) -> list[Step]:
    """The steps, with the exchange's trades of each round, as the clearing's journal has them."""
    if block is None or not any(step.pooled for step in steps):
        return list(steps)
    stream = clearing_name(block.symbol)
    until_ms = LAST_MS if block.ended_ms is None else block.ended_ms + CLOCK_MAY_LAG_MS
    span = block.formed_ms - CLOCK_MAY_LAG_MS, until_ms
    trades: dict[int, tuple[int, ...]] = {}
    for version, facts in connection.execute(ROUNDS_IN_JOURNAL, (stream, *span, ROWS_READ)):
        for fact in clearing_fact_codec.decode(version, facts):
            if isinstance(fact, RoundAllocated) and fact.block == block.block:
                trades[fact.round_id] = tuple(t.trade_id for t in fact.trades)[:TRADES_SHOWN]
    return [
        replace(step, pooled_trades=trades.get(step.trade_id or 0, ())) if step.pooled else step
        for step in steps
    ]


def _all(
    connection: psycopg.Connection[Any], kind: type[T], statement: LiteralString, *values: object
) -> list[T]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found: Sequence[dict[str, Any]] = cursor.execute(statement, values).fetchall()
    return [msgspec.convert(row, kind) for row in found]


# A row that names the order has its id among its bytes; whether a fact is of it, its fields say.
NAMING: LiteralString = """
    SELECT wall_ms, version, facts FROM bulkhead.journal
    WHERE stream = %s AND wall_ms >= %s AND position(%s::bytea IN facts) > 0
    ORDER BY sequence LIMIT %s"""

ROUNDS_IN_JOURNAL: LiteralString = """
    SELECT version, facts FROM bulkhead.journal
    WHERE stream = %s AND wall_ms BETWEEN %s AND %s AND position('RoundAllocated'::bytea IN facts) > 0
    ORDER BY sequence LIMIT %s"""

LAST_MS = 2**62
"""Later than anything."""

WHEN_DECIDED: LiteralString = """
    SELECT reference_price, shortfall FROM bulkhead.intent WHERE client_order_id = %s"""

_BLOCK: LiteralString = """
    SELECT b.symbol, b.block, b.client_order_id, b.side, b.class AS order_class, b.quantity, b.executed, b.value, b.fee,
        b.fee_asset, b.status, b.code, b.reason, b.formed_ms, b.ended_ms,
        (SELECT count(*) FROM bulkhead.block_member m WHERE m.symbol = b.symbol AND m.block = b.block) AS members
    FROM bulkhead.block b"""

BLOCK: LiteralString = _BLOCK + " WHERE b.client_order_id = %s"

OF_MEMBER: LiteralString = """
    WHERE (b.symbol, b.block) IN (
        SELECT m.symbol, m.block FROM bulkhead.block_member m WHERE m.client_order_id = %s
    ) ORDER BY b.block"""

BLOCKS_OF_MEMBER: LiteralString = _BLOCK + OF_MEMBER

MEMBERS: LiteralString = """
    SELECT account_id, client_order_id, order_id, quantity, allocated, value, fee
    FROM bulkhead.block_member WHERE symbol = %s AND block = %s
    ORDER BY allocated DESC, quantity DESC, client_order_id LIMIT %s"""

ROUNDS: LiteralString = """
    SELECT round_id, trades, quantity, value, fee, fee_asset, at_ms
    FROM bulkhead.block_round WHERE symbol = %s AND block = %s ORDER BY round_id"""
