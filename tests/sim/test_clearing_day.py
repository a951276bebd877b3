"""Seeded days in which orders go out as blocks, and in which the process is killed. A failing seed is its own repro."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import pytest

from actors.assembly.simulation.people import LEVERAGE
from actors.assembly.simulation.world import World
from actors.core.enums import Purpose
from actors.core.messages import PlaceOrder
from actors.core.units import NANOS_PER_MS, Nanos
from actors.runtime import simulation
from tests.factories import BUY, ETH, SELL
from tests.sim.days import IN_TESTS, a_day


@pytest.mark.parametrize("seed", IN_TESTS["faults"])
def test_a_day_of_blocks_with_faults_ends_with_exact_books(seed):
    world = a_day(seed, "faults")
    assert world.halts == []
    assert len(world.store.rounds) > 5
    assert len(world.store.members) > 20


@pytest.mark.parametrize("seed", IN_TESTS["kills"])
def test_a_day_of_blocks_in_which_the_process_is_killed_ends_with_exact_books(seed):
    world = a_day(seed, "kills")
    assert world.deaths > 3
    assert len(world.store.rounds) > 10


@pytest.mark.parametrize("seed", IN_TESTS["one by one"])
def test_a_day_in_which_orders_go_one_by_one_and_the_process_is_killed_ends_with_exact_books(seed):
    world = a_day(seed, "one by one")
    assert world.deaths > 3
    assert world.store.rounds == []


@pytest.mark.parametrize("seed", IN_TESTS["out of service"])
def test_a_day_in_which_clearings_give_up_and_are_switched_on_and_off_ends_with_exact_books(seed):
    world = a_day(seed, "out of service")
    assert world.halts == []
    assert world.deaths > 2


def test_a_day_of_blocks_repeats_itself_to_the_last_order():
    def run():
        world = World(104, clearing=True)
        for _ in range(10):
            world.second()
        return world.history(), world.dispatcher.turns, len(world.store.rounds)

    assert run() == run()


def test_a_crowd_costs_the_exchange_few_orders():
    world = World(7, accounts=60, faults=False, clearing=True)
    world.ticks()
    world.run(Nanos(50 * NANOS_PER_MS))
    for ref in world.accounts.values():
        ref.tell(PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.5"), leverage=LEVERAGE, cause="crowd"))
    world.run(Nanos(1_000 * NANOS_PER_MS))
    sent = {t.order_id for t in world.exchange.trades[ETH]}
    assert len(world.store.durable) == 60
    assert all(s.position(ETH).quantity == D("0.5") for s in world.store.durable.values())
    assert len(sent) <= 3
    # Members of one round have one price, to the digits that a price is shown with.
    prices = Counter(part.trade.price for part in world.store.parts.values())
    assert len(prices) <= len(world.store.rounds)
    world.calm(5)
    world.check_quiet()


def small_crowd(world):
    """Eight accounts buy, four of them sell a part of it, and a fall liquidates the others."""
    world.ticks()
    world.run(Nanos(50 * NANOS_PER_MS))
    accounts = list(world.accounts.values())
    for ref in accounts[:8]:
        ref.tell(PlaceOrder(symbol=ETH, side=BUY, quantity=D(12), leverage=LEVERAGE, cause="crowd"))
    world.run(Nanos(300 * NANOS_PER_MS))
    for ref in accounts[:4]:
        ref.tell(PlaceOrder(symbol=ETH, side=SELL, quantity=D(5), reduce_only=True, cause="crowd"))
    world.run(Nanos(200 * NANOS_PER_MS))
    world.generator.shock(ETH, -0.02, 1)
    for _ in range(10):
        world.ticks()
        world.run(Nanos(100 * NANOS_PER_MS))


@pytest.fixture
def one_message_a_turn(monkeypatch):
    monkeypatch.setattr(simulation, "TURN_MESSAGES", 1)


def test_the_crowd_makes_blocks_of_both_kinds():
    world = World(9, faults=False, clearing=True)
    small_crowd(world)
    blocks = {order.purpose for order in world.store.intents.values() if order.cause.startswith("block:")}
    assert blocks == {Purpose.USER, Purpose.LIQUIDATION}


PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.usefixtures("one_message_a_turn")
def test_after_whichever_message_the_process_is_killed_the_books_are_exact(part):
    turn = part
    while True:
        world = World(9, faults=False, clearing=True)
        world.dies_in = turn
        small_crowd(world)
        if not world.deaths:
            assert turn > 200, "a crowd takes more messages"
            return
        world.calm(15)
        world.check_quiet()
        turn += PARTS
