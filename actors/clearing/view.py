"""A symbol's clearing as people see it. Pure, but for looking from another thread, which copies in one step."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.clearing.book import Book, Line
from actors.clearing.effects import Moment
from actors.clearing.forming import service_key
from actors.clearing.state import Block, ClearingState
from actors.core.clearing_messages import Group
from actors.core.enums import OrderClass, Side
from actors.core.safe_copy import pairs
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol


class WaitingOrder(msgspec.Struct, frozen=True):
    """An order that waits, and its place in its group, from 1."""

    account_id: AccountId
    client_order_id: ClientOrderId
    quantity: Decimal
    shortfall: Decimal
    waited_ms: int
    place: int


class WaitingGroup(msgspec.Struct, frozen=True):
    """What waits of one side and class. ``wanted`` says that the gateway was asked for a slot."""

    side: Side
    order_class: OrderClass
    orders: int
    quantity: Decimal
    shortfall: Decimal
    oldest_ms: int
    wanted: bool
    in_flight: int


class BlockView(msgspec.Struct, frozen=True):
    """A block that has not ended. ``sent`` is False until its decision is durable."""

    number: int
    client_order_id: ClientOrderId
    side: Side
    order_class: OrderClass
    members: int
    quantity: Decimal
    executed: Decimal
    rounds: int
    sent: bool


class ClearingView(msgspec.Struct, frozen=True):
    """A symbol's clearing. Quantities in base asset; counters since the process started."""

    symbol: Symbol
    sequence: int
    groups: tuple[WaitingGroup, ...]
    blocks: tuple[BlockView, ...]
    alone: int
    slots: int
    not_durable: int
    remembered: int
    counters: dict[str, int]


def view(state: ClearingState, book: Book, at: Moment) -> ClearingView:
    """What people see."""
    forming = dict(pairs(book.forming))
    return ClearingView(
        symbol=state.symbol,
        sequence=state.sequence,
        groups=tuple(
            _group(group, line, at)
            for group, line in sorted(pairs(book.lines))
            if line.waiting or line.in_flight
        ),
        blocks=tuple(_block(block, sent=block.number not in forming) for block in state.live),
        alone=len(book.alone),
        slots=sum(1 for one in forming.values() if one.slot),
        not_durable=len(book.pending),
        remembered=len(state.blocks) - len(state.live),
        counters=msgspec.structs.asdict(book.counters),
    )


def waiting_orders(book: Book, at: Moment) -> dict[Group, tuple[WaitingOrder, ...]]:
    """All orders that wait, each group's in the order in which they go out."""
    found = {}
    for group, line in pairs(book.lines):
        ones = sorted([one for _, one in pairs(line.waiting)], key=service_key)
        found[group] = tuple(
            WaitingOrder(
                one.order.account_id,
                one.order.client_order_id,
                one.order.quantity,
                one.order.shortfall,
                max(0, at.wall_ms - one.since_ms),
                place,
            )
            for place, one in enumerate(ones, 1)
        )
    return {group: ones for group, ones in found.items() if ones}


def _group(group: Group, line: Line, at: Moment) -> WaitingGroup:
    waiting = [one for _, one in pairs(line.waiting)]
    return WaitingGroup(
        side=group.side,
        order_class=group.order_class,
        orders=len(waiting),
        quantity=sum((one.order.quantity for one in waiting), ZERO),
        shortfall=sum((one.order.shortfall for one in waiting), ZERO),
        oldest_ms=max((at.wall_ms - one.since_ms for one in waiting), default=0),
        wanted=line.wanted_ms is not None,
        in_flight=len(line.in_flight),
    )


def _block(block: Block, *, sent: bool) -> BlockView:
    order = block.formed.order
    return BlockView(
        number=block.number,
        client_order_id=block.client_order_id,
        side=order.side,
        order_class=order.order_class,
        members=len(block.members),
        quantity=order.quantity,
        executed=block.executed,
        rounds=len(block.rounds),
        sent=sent,
    )
