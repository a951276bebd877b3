"""What waits for the exchange's limits, as people see it: who is when. Pure, callable from any thread.

How long something will wait is a forecast at the pace of now: what arrives meanwhile and goes first is not in it, and a
group of orders counts as one order.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.clearing_messages import Group, clearing_name
from actors.core.enums import OrderClass, Side
from actors.core.units import ZERO, AccountId, ClientOrderId, Symbol
from actors.gateway.budget import OrderBudget
from actors.gateway.orders import Stage, Tracked
from actors.gateway.send_queue import SendQueue

ROWS_MAX = 100
"""How many are listed; thousands may wait."""


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One that waits, at its place in the order of service, from 1.

    ``account_id`` is a symbol's clearing where a group waits; that has no ``client_order_id`` yet, and ``orders`` of them.
    ``quantity`` is an order's, in base asset; zero for a group. ``shortfall`` is in quote asset, ``since_ms`` Unix milliseconds, ``expected_wait_ms`` from now on.
    """

    place: int = 0
    order_class: OrderClass = msgspec.field(name="class")
    symbol: Symbol
    side: Side
    account_id: AccountId
    client_order_id: ClientOrderId | None
    orders: int
    quantity: Decimal = ZERO
    shortfall: Decimal
    since_ms: int = 0
    expected_wait_ms: int = 0


class WaitingList(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders and groups wait, the first of them, and how long the longest wait has been, of any and of liquidations."""

    total: int
    longest_ms: int
    longest_liquidation_ms: int
    rows: tuple[WaitingRow, ...]


def waiting(
    queue: SendQueue,
    tracked: Mapping[ClientOrderId, Tracked],
    budget: OrderBudget,
    now_ms: int,
    wall_ahead_ms: int,
) -> WaitingList:
    """What waits, in the order of service; ``now_ms`` never goes back, the wall clock is ``wall_ahead_ms`` ahead of it."""
    forecast = budget.forecast(now_ms)
    rows: list[WaitingRow] = []
    for key, what in queue.first_of_all(ROWS_MAX):
        row = _of_group(what, queue) if isinstance(what, Group) else _of_order(what, tracked)
        if row is None:
            continue  # it left just now
        place, since_ms = len(rows) + 1, key.since_ms + wall_ahead_ms
        wait_ms = forecast.wait_ms(place - 1, row.order_class)
        rows.append(replace(row, place=place, since_ms=since_ms, expected_wait_ms=wait_ms))
    since = queue.longest_since()
    return WaitingList(
        total=len(queue),
        longest_ms=now_ms - min(since.values(), default=now_ms),
        longest_liquidation_ms=now_ms - since.get(OrderClass.LIQUIDATION, now_ms),
        rows=tuple(rows),
    )


def _of_group(group: Group, queue: SendQueue) -> WaitingRow | None:
    want = queue.wanted(group)
    if want is None:
        return None
    return WaitingRow(
        order_class=group.order_class,
        symbol=group.symbol,
        side=group.side,
        account_id=AccountId(clearing_name(group.symbol)),
        client_order_id=None,
        orders=want.orders,
        shortfall=want.shortfall,
    )


def _of_order(id_: ClientOrderId, tracked: Mapping[ClientOrderId, Tracked]) -> WaitingRow | None:
    known = tracked.get(id_)
    if known is None or known.stage is not Stage.QUEUED:
        return None
    order = known.order
    return WaitingRow(
        order_class=order.order_class,
        symbol=order.symbol,
        side=order.side,
        account_id=order.account_id,
        client_order_id=id_,
        orders=1,
        quantity=order.quantity,
        shortfall=order.shortfall,
    )
