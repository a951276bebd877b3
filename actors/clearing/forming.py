"""Which of a group's orders go out with a slot, and the block that they make. Pure.

Rules
1. The largest shortfall goes first, then the longest wait; new risk by its wait alone.
2. A market order was decided at the price of that time: after ``STALE_MS`` it is not sent but decided again.
3. An account has one order in a block: the fills of two would have one trade id, and whose fee is told later could not be said.
4. An order is never cut: a block is of whole orders, as many as its limits take, at least one. What one account may order is
   within the exchange's maximum by the account's own checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from actors.clearing.book import Waiting
from actors.clearing.effects import Moment
from actors.clearing.state import ClearingState, member_order_id
from actors.core.clearing_facts import BlockFormed, Member
from actors.core.clearing_messages import Group, clearing_name
from actors.core.constants import ORDER_MAX_AGE_MS
from actors.core.enums import OrderClass, OrderType, Purpose
from actors.core.facts import OrderIntended
from actors.core.order_ids import Origin, client_order_id
from actors.core.units import ONE, ZERO, AccountId

STALE_MS = 2_000
"""How old a decision may be that trades at any price."""


class Chosen(NamedTuple):
    """What becomes of a group's orders at a grant; the others go on waiting.

    ``taken`` go out now, ``stale`` are decided again, ``expired`` waited so long that they end. ``is_split`` says that the
    exchange's maximum quantity left some out.
    """

    taken: tuple[Waiting, ...]
    stale: tuple[Waiting, ...]
    expired: tuple[Waiting, ...]
    is_split: bool


def is_expired(waiting: Waiting, wall_ms: int) -> bool:
    """Whether an order that opens risk has waited for so long that its market is gone."""
    is_new_risk = waiting.order.order_class is OrderClass.NEW_RISK
    return is_new_risk and wall_ms - waiting.since_ms > ORDER_MAX_AGE_MS


def choose(waiting: Iterable[Waiting], market_max: Decimal, at: Moment) -> Chosen:
    """Whom a slot of their group takes."""
    fresh: list[Waiting] = []
    stale: list[Waiting] = []
    expired: list[Waiting] = []
    for one in waiting:
        if is_expired(one, at.wall_ms):
            expired.append(one)
        elif at.wall_ms - one.fresh_ms > STALE_MS:
            stale.append(one)
        else:
            fresh.append(one)
    fresh.sort(key=service_key)
    taken: list[Waiting] = []
    total, is_split = ZERO, False
    owners: set[AccountId] = set()
    for one in fresh:
        if one.order.account_id in owners:
            continue
        total += one.order.quantity
        is_split = ZERO < market_max < total
        if taken and (is_split or (at.depth is not None and total > at.depth)):
            break
        taken.append(one)
        owners.add(one.order.account_id)
    return Chosen(tuple(taken), tuple(stale), tuple(expired), is_split and len(taken) < len(fresh))


def service_key(one: Waiting) -> tuple[Decimal, int, int]:
    """By which the orders of one group go out, the smallest first."""
    order = one.order
    shortfall = ZERO if order.order_class is OrderClass.NEW_RISK else order.shortfall
    return -shortfall, one.since_ms, one.number


def formed(
    state: ClearingState, group: Group, taken: Sequence[Waiting], origin: Origin, at: Moment
) -> BlockFormed:
    """The block that these orders of one group make."""
    orders = [one.order for one in taken]
    number, owner = state.next_block, AccountId(clearing_name(group.symbol))
    is_liquidation = group.order_class is OrderClass.LIQUIDATION
    block = OrderIntended(
        account_id=owner,
        sequence=number,
        client_order_id=client_order_id(origin, owner, number),
        symbol=group.symbol,
        side=group.side,
        order_type=OrderType.MARKET,
        quantity=sum((order.quantity for order in orders), ZERO),
        price=None,
        time_in_force=orders[0].time_in_force,
        reduce_only=all(order.reduce_only for order in orders),
        leverage=ONE,
        margin_reserved=ZERO,
        purpose=Purpose.LIQUIDATION if is_liquidation else Purpose.USER,
        tier=0,
        decided_ms=at.wall_ms,
        cause=f"block:{number}",
        shortfall=sum((order.shortfall for order in orders), ZERO),
    )
    members = tuple(
        Member(o.account_id, o.client_order_id, o.quantity, member_order_id(state.next_order_id + n), o.cause)
        for n, o in enumerate(orders)
    )
    return BlockFormed(order=block, members=members)
