"""What waits and is under way, in sums."""

from __future__ import annotations

from actors.api.clearing_totals import totals
from actors.clearing.book import group_of
from actors.clearing.view import view
from tests.clearing.world import World, new_risk, order


def test_what_waits_is_counted_by_class_with_its_oldest():
    world, other = World(), World()
    world.place(order("a"), order("b"), new_risk("c"))
    world.wait(40)
    other.place(order("d"))
    other.wait(70)
    seen = {name: view(w.core.state, w.book, w.at) for name, w in (("one", world), ("two", other))}
    found = totals("on", {**seen, "clearing:BTCUSDT": None}, ["clearing:BTCUSDT"])
    assert found.waiting == {"LIQUIDATION": 3, "REDUCING": 0, "NEW_RISK": 1}
    assert found.oldest_ms == {"LIQUIDATION": 70, "REDUCING": 0, "NEW_RISK": 40}
    assert (found.symbols, found.troubled, found.clearing) == (3, ("clearing:BTCUSDT",), "on")


def test_blocks_and_counters_are_summed_over_symbols():
    views = {}
    for name in ("a", "b"):
        world = World()
        world.place(order("a"), order("b"))
        world.wait(10)
        world.grant(group_of(order()))
        world.store()
        views[name] = view(world.core.state, world.book, world.at)
    found = totals("on", views, ())
    assert (found.blocks_in_flight, found.counters["blocks"], found.counters["members"]) == (2, 2, 4)
    assert found.waiting == {"LIQUIDATION": 0, "REDUCING": 0, "NEW_RISK": 0}


def test_without_any_clearing_all_is_nothing():
    found = totals("off", {}, ())
    assert (found.symbols, found.counters, found.blocks_in_flight) == (0, {}, 0)
    assert set(found.waiting.values()) == {0}
