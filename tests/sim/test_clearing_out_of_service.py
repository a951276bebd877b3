"""A whole engine with a clearing that fails past its restarts, whose rows cannot be read, or that is switched off meanwhile.

Covers: actors/clearing/actor.py, actors/clearing/bypass.py
"""

from __future__ import annotations

from actors.assembly.simulation.people import LEVERAGE
from actors.assembly.simulation.world import World
from actors.core.enums import Purpose
from actors.core.messages import PlaceOrder
from actors.core.units import NANOS_PER_MS, Nanos
from actors.runtime.cell import Status
from actors.subaccount.pipeline import Accepted, Rejected
from actors.supervision.messages import RestartNow
from tests.factories import BTC, BUY, ETH, SELL, D

NAME = "clearing:ETHUSDT"


def run(world, ms):
    world.run(Nanos(ms * NANOS_PER_MS))


def started(accounts=12, **more):
    world = World(11, accounts=accounts, faults=False, random_order=False, clearing=True, **more)
    world.ticks()
    run(world, 100)
    return world


def buy(world, count, quantity="2"):
    for ref in list(world.accounts.values())[:count]:
        ref.tell(PlaceOrder(symbol=ETH, side=BUY, quantity=D(quantity), leverage=LEVERAGE, cause="crowd"))


def fail_past_restarts(world):
    """Its mailbox has one message after another that it cannot handle."""
    for _ in range(8):
        world.actors[NAME].tell("no such message")
    for _ in range(40):
        world.ticks()
        run(world, 500)


def restart(world):
    world.actors["supervisor"].tell(RestartNow(NAME, by_operator=True))
    run(world, 500)


def with_block_in_flight():
    """Members of a block of which the exchange has not said anything yet."""
    world = started()
    buy(world, 8)
    while not world.store.members:
        run(world, 1)
    assert sum(len(s.orders) for s in world.store.durable.values()) == 8
    return world, list(world.store.members)


def placed(world, account, symbol, side=BUY, quantity="0.1", **more):
    message = PlaceOrder(
        symbol=symbol, side=side, quantity=D(quantity), leverage=LEVERAGE, cause="one", **more
    )
    answer = world.accounts[account].ask(message, block=False)
    run(world, 1_000)
    return answer.get(timeout=0)


def open_members(world, ids):
    return [o for s in world.store.durable.values() for o in s.orders if o.client_order_id in ids]


def test_past_its_restarts_members_get_their_parts_and_only_its_symbol_takes_no_new_risk():
    world, members = with_block_in_flight()
    fail_past_restarts(world)
    cell = world.actors[NAME].cell
    assert cell.status is Status.BYPASSED
    assert world.halts == []
    assert open_members(world, members) == []
    assert all(s.position(ETH).quantity == D(2) for s in list(world.store.durable.values())[:8])
    [alarm] = [a for a in world.alarms if "cannot go on as it is" in a]
    assert "no such message" in alarm or "does not understand" in alarm
    assert "'bulkhead restart clearing:ETHUSDT'" in alarm
    assert (world.gate.closers, world.gate.closed_symbols) == ((), frozenset({ETH}))
    refused = placed(world, "acct-1", ETH)
    assert isinstance(refused, Rejected)
    assert "takes no new risk in ETHUSDT at present" in refused.rejections[0].text
    assert isinstance(placed(world, "acct-1", BTC, quantity="0.01"), Accepted)
    # What reduces goes, and goes by itself.
    rounds = len(world.store.rounds)
    for account in ("acct-1", "acct-2", "acct-3"):
        message = PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), reduce_only=True, cause="out")
        world.accounts[account].tell(message)
    run(world, 2_000)
    assert all(world.store.durable[a].position(ETH).quantity == D(1) for a in ("acct-1", "acct-2", "acct-3"))
    assert len(world.store.rounds) == rounds
    restart(world)
    assert cell.status is Status.RUNNING
    assert world.gate.closed_symbols == frozenset()
    buy(world, 8, "1")
    run(world, 2_000)
    assert len(world.store.rounds) > rounds
    world.calm(15)
    world.check_quiet()


def test_steps_that_waited_are_decided_again_and_go_one_by_one():
    world = started()
    buy(world, 8, "12")
    run(world, 2_000)
    world.generator.shock(ETH, -0.02, 1)
    steps = []
    while not steps:
        world.ticks()
        run(world, 5)
        steps = [o for s in world.store.durable.values() for o in s.orders if o.purpose is not Purpose.USER]
    fail_past_restarts(world)
    assert world.actors[NAME].cell.status is Status.BYPASSED
    assert [o for s in world.store.durable.values() for o in s.orders] == []
    world.calm(15)
    world.check_quiet()


def test_members_of_a_block_that_cannot_be_read_stay_as_they_are_by_name_until_the_row_is_back():
    world, members = with_block_in_flight()
    world.store.unreadable_clearings = {ETH}
    world.actors[NAME].tell("no such message")
    for _ in range(20):
        world.ticks()
        run(world, 500)
    assert world.actors[NAME].cell.status is Status.BYPASSED
    assert {o.client_order_id for o in open_members(world, members)} == set(members)
    [alarm] = [a for a in world.alarms if "cannot go on as it is" in a]
    assert "its row of sequence 1 in bulkhead.journal" in alarm
    # An account that starts again asks after its order: not at the exchange, which never had it by its own id.
    for number in range(1, 9):
        world.actors["supervisor"].tell(RestartNow(f"acct-{number}", by_operator=True))
    world.actors["gateway"].tell("no such message")
    for _ in range(30):
        world.ticks()
        run(world, 500)
    assert {o.client_order_id for o in open_members(world, members)} == set(members)
    named = [a for a in world.alarms if "what becomes of these orders is unknown" in a]
    asked = {o.client_order_id for o in world.actors[NAME].cell.actor.inspect_held()}
    assert asked
    assert all(any(id_ in text for text in named) for id_ in asked)
    # All else goes on.
    assert isinstance(placed(world, "acct-11", BTC, quantity="0.01"), Accepted)
    world.store.unreadable_clearings = set()
    restart(world)
    run(world, 5_000)
    assert open_members(world, members) == []
    assert world.actors[NAME].cell.actor.inspect_held() == ()
    world.calm(15)
    world.check_quiet()


def test_a_start_with_a_clearing_that_cannot_be_read_holds_its_members_and_nothing_else():
    world, members = with_block_in_flight()
    world.store.unreadable_clearings = {ETH}
    world.kill()
    for _ in range(40):
        world.ticks()
        run(world, 500)
    assert world.actors[NAME].cell.status is Status.BYPASSED
    assert {o.client_order_id for o in open_members(world, members)} == set(members)
    assert {o.client_order_id for o in world.actors[NAME].cell.actor.inspect_held()} == set(members)
    assert any("clearing:ETHUSDT cannot be read: its row of sequence 1" in a for a in world.alarms)
    named = " ".join(a for a in world.alarms if "what becomes of these orders is unknown" in a)
    assert all(id_ in named for id_ in members)
    assert isinstance(placed(world, "acct-0", BTC, quantity="0.01"), Accepted)
    assert isinstance(placed(world, "acct-11", ETH), Rejected)
    world.store.unreadable_clearings = set()
    restart(world)
    run(world, 5_000)
    assert open_members(world, members) == []
    assert isinstance(placed(world, "acct-11", ETH), Accepted)
    world.calm(15)
    world.check_quiet()


def test_switched_off_between_two_runs_the_members_of_blocks_are_seen_to_their_ends():
    world, members = with_block_in_flight()
    world.clearing = False
    world.kill()
    assert [name for name in world.actors if name.startswith("clearing:")] == [NAME]
    for _ in range(20):
        world.ticks()
        run(world, 500)
    assert world.actors[NAME].cell.status is Status.RUNNING
    assert open_members(world, members) == []
    ends = {i: world.store.intents[i] for i in members}
    assert len(ends) == 8
    rounds = len(world.store.rounds)
    buy(world, 12, "1")
    run(world, 3_000)
    assert all(s.position(ETH).quantity >= D(1) for s in world.store.durable.values())
    assert len(world.store.rounds) == rounds, "a block was formed"
    world.calm(15)
    world.check_quiet()
