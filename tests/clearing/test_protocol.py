"""What becomes of orders between the writer and the gateway, and of a block's events.

Covers: actors/clearing/book.py, actors/clearing/forming.py, actors/clearing/rounds.py, actors/clearing/waiting.py
Covers: actors/core/clearing_messages.py
"""

from __future__ import annotations

from decimal import Decimal as D

from tests.clearing.world import World, group_of, order


def test_an_order_without_company_goes_alone_at_once_with_its_slot():
    world = World()
    world.place(order("a"))
    [want] = world.wants.values()
    assert (want.orders, want.group) == (1, group_of(order("a")))
    world.grant(want.group)
    [sent] = world.exchange.values()
    assert sent.order.account_id == "a"
    assert not world.journal
    world.settle()
    assert world.stored.sequence == 0


def test_those_that_wait_together_go_out_as_one_block():
    world = World()
    world.place(order("a", quantity="1"), order("b", quantity="2"))
    assert not world.wants
    world.wait(10)
    [group] = world.wants
    world.grant(group)
    assert not world.exchange
    world.store()
    [sent] = world.exchange.values()
    assert sent.order.quantity == D(3)
    world.settle()
    assert {i.account_id: o.filled for o in world.owned.values() for i in [o.intent]} == {
        "a": D(1),
        "b": D(2),
    }
