"""Each fault at each step of a block's life, from its members' arrival to its being forgotten: the books are exact after it."""

from __future__ import annotations

import pytest

from actors.core.enums import OrderStatus
from tests.clearing.world import World, new_risk, order, reducing


def _grant(world):
    for group in sorted(world.wants):
        world.grant(group)


def _store(world):
    world.store()


def _deliver(world):
    world.deliver()


def _wait(world):
    world.wait(20)


def _open_at_exchange(world):
    return [id_ for id_, one in world.exchange.items() if one.final is None]


def _trade(world):
    for id_ in _open_at_exchange(world):
        world.trade(id_, "1.1")


def _accept(world):
    for id_ in _open_at_exchange(world):
        world.accept(id_)


def _end(status):
    def end(world):
        for id_ in _open_at_exchange(world):
            executed = world.exchange[id_].executed
            world.end(id_, OrderStatus.EXPIRED if executed else status)

    return end


def _place(make, *accounts):
    def place(world):
        for account in accounts:
            world.new_order(make, account, "0.7")

    return place


def _life(make, end, *, trades):
    traded = [_accept, _deliver, _trade, _deliver, _wait, _store, _trade, _deliver] if trades else []
    return [
        _place(make, "a", "b", "c"),
        _wait,
        _grant,
        _place(make, "d"),
        _store,
        *traded,
        end,
        _deliver,
        _store,
        _deliver,
        _deliver,
        _wait,
        _grant,
        _end(None),
        _deliver,
        _place(make, "e", "f"),
        _wait,
        _grant,
        _store,
        _trade,
        _deliver,
        _end(None),
        _deliver,
        _store,
    ]


LIVES = {
    "filled": _life(order, _end(None), trades=True),
    "expired in part": _life(reducing, _end(OrderStatus.EXPIRED), trades=True),
    "refused": _life(new_risk, _end(OrderStatus.REJECTED), trades=False),
    "never sent": _life(order, _end(OrderStatus.NEVER_SENT), trades=False),
    "new risk, never sent": _life(new_risk, _end(OrderStatus.NEVER_SENT), trades=False),
}

FAULTS = {
    "none": lambda world: None,
    "kill": lambda world: world.kill(),
    "kill, one decision durable": lambda world: world.kill(keep=1),
    "kill, two decisions durable": lambda world: world.kill(keep=2),
    "crash": lambda world: world.crash(),
    "crash, decisions lost": lambda world: world.crash(keep=0),
    "refused": lambda world: (world.refuse(), world.load()),
    "refused, and loaded later": lambda world: world.refuse(),
    "gateway": lambda world: world.gateway_restarts(),
    "cancels": lambda world: [world.cancel(id_) for id_ in world.open_ids()],
    "replacements": lambda world: [world.replace(id_) for id_ in world.open_ids()],
    "questions": lambda world: [world.resync(id_) for id_ in world.open_ids()],
    "three seconds": lambda world: world.wait(3_000),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_a_fault_at_any_step_leaves_exact_books(life, fault):
    for goes_on in (False, True):
        for at_step in range(len(life) + 1):
            world = World()
            for step in life[:at_step]:
                step(world)
            fault(world)
            for step in life[at_step:] if goes_on else ():
                step(world)
            world.settle()


def test_two_faults_one_after_the_other_leave_exact_books():
    life = LIVES["filled"]
    for first in range(3, len(life) + 1):
        for second in range(first, min(first + 6, len(life) + 1)):
            for one, two in (("kill, one decision durable", "kill"), ("crash", "kill"), ("refused", "crash")):
                world = World()
                for at_step, step in enumerate([*life, lambda world: None]):
                    if at_step == first:
                        FAULTS[one](world)
                    if at_step == second:
                        FAULTS[two](world)
                    step(world)
                world.settle()
