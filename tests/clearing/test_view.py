"""A symbol's clearing as people see it."""

from __future__ import annotations

from decimal import Decimal as D

from actors.clearing.book import QUIET_MS, group_of
from actors.clearing.view import view, waiting_orders
from actors.core.enums import OrderClass, Side
from tests.clearing.world import World, new_risk, order


def seen(world):
    return view(world.core.state, world.book, world.at)


def test_what_waits_is_shown_by_group_with_its_places():
    world = World()
    world.place(
        order("a", quantity="1", shortfall=D(3)), order("b", quantity="2", shortfall=D(7)), new_risk("c")
    )
    world.wait(80)
    liquidation, risk = seen(world).groups
    assert (liquidation.side, liquidation.order_class) == (Side.SELL, OrderClass.LIQUIDATION)
    assert (liquidation.orders, liquidation.quantity, liquidation.shortfall) == (2, D(3), D(10))
    assert (liquidation.oldest_ms, liquidation.wanted, liquidation.in_flight) == (80, True, 0)
    assert (risk.order_class, risk.orders) == (OrderClass.NEW_RISK, 1)
    first, second = waiting_orders(world.book, world.at)[group_of(order())]
    assert [(o.account_id, o.place, o.waited_ms) for o in (first, second)] == [("b", 1, 80), ("a", 2, 80)]


def test_a_block_is_shown_from_its_decision_to_its_end():
    world = World()
    world.place(order("a"), order("b"))
    world.wait(QUIET_MS)
    world.grant(group_of(order()))
    [block] = seen(world).blocks
    assert (block.number, block.members, block.sent, seen(world).slots) == (1, 2, False, 1)
    assert seen(world).not_durable == 1
    world.store()
    world.trade(block.client_order_id, "1.5")
    world.deliver_all()
    world.wait(20)
    [block] = seen(world).blocks
    assert (block.sent, block.executed, block.rounds, seen(world).slots) == (True, D("1.5"), 1, 0)
    world.settle()
    after = seen(world)
    assert (after.blocks, after.groups, after.alone, after.remembered) == ((), (), 0, 1)
    assert (after.counters["blocks"], after.counters["members"], after.counters["rounds"]) == (1, 2, 2)
