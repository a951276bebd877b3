"""Random days of one symbol's clearing: orders, grants, trades and faults of all kinds, by a seed.

python -m tests.clearing.play 1000        as many seeds, from 0 on
"""

from __future__ import annotations

import random
import sys
from decimal import Decimal as D

from actors.core.enums import OrderStatus, Side
from tests.clearing.world import INSTRUMENT, World, new_risk, order, reducing

MAKERS = (order, order, reducing, new_risk)
ENDS = (None, None, OrderStatus.REJECTED, OrderStatus.NEVER_SENT, OrderStatus.CANCELED)


def _place(world, dice):
    for _ in range(dice.choice((1, 1, 2, 5))):
        make, account = dice.choice(MAKERS), f"account-{dice.randrange(12)}"
        side = dice.choice((Side.BUY, Side.SELL, Side.SELL))
        world.new_order(make, account, str(D(dice.randint(1, 9_000)) / 1_000), side, dice.randrange(50))


def _grant(world, dice):
    if world.wants:
        world.grant(dice.choice(sorted(world.wants)))


def _store(world, dice):
    world.store(dice.randint(1, 3))


def _exchange_id(world, dice):
    open_ids = [id_ for id_, one in world.exchange.items() if one.final is None]
    return dice.choice(open_ids) if open_ids else None


def _trade(world, dice):
    if id_ := _exchange_id(world, dice):
        one = world.exchange[id_].order
        asset, fee = dice.choice((("", "0.0123"), ("", "0.0123"), ("BNB", "0.00007"), ("", None)))
        part = one.quantity * dice.randint(1, 10) / 10
        part -= part % INSTRUMENT.step_size
        world.trade(id_, part, D(dice.randint(190_000, 210_000)) / 100, fee, asset)


def _end(world, dice):
    if id_ := _exchange_id(world, dice):
        status = dice.choice(ENDS)
        if world.exchange[id_].executed and status is not None:
            status = OrderStatus.EXPIRED
        world.end(id_, status)


def _accept(world, dice):
    if id_ := _exchange_id(world, dice):
        world.accept(id_)


def _deliver(world, dice):
    for _ in range(dice.randint(1, 5)):
        world.deliver(dice.choice((0, 0, 0, dice.randrange(9))), keep=dice.random() < 0.1)


def _cancel(world, dice):
    if open_ids := world.open_ids():
        world.cancel(dice.choice(open_ids))


def _replace(world, dice):
    if open_ids := world.open_ids():
        world.replace(dice.choice(open_ids))


def _resync(world, dice):
    if open_ids := world.open_ids():
        world.resync(dice.choice(open_ids))


def _wait(world, dice):
    world.wait(dice.choice((1, 5, 10, 20, 100, 300, 1_000)))


def _wait_long(world, dice):
    world.wait(dice.choice((2_500, 31_000)))


def _refuse(world, dice):
    world.refuse(dice.randint(0, 2))
    for _ in range(dice.randrange(3)):
        _QUIET[dice.randrange(len(_QUIET))](world, dice)
    world.load()


def _crash(world, dice):
    world.crash(dice.choice((None, 0, 1)))


def _kill(world, dice):
    world.kill(dice.randint(0, 2))


def _gateway_restarts(world, dice):
    world.gateway_restarts()


_QUIET = (_place, _deliver, _trade, _wait, _grant)
OFTEN = (_place, _grant, _store, _trade, _end, _deliver, _wait)
FAULTS = (_accept, _cancel, _replace, _resync, _wait_long, _refuse, _crash, _kill, _gateway_restarts)


def play(seed, steps=120):
    """A day by a seed, with all checks; the world after it."""
    dice = random.Random(seed)
    world = World(depth=dice.choice((None, None, D(12))))
    world.late_ms = dice.choice((0, 0, 7))
    faults = FAULTS if seed % 3 else ()
    try:
        for _ in range(steps):
            chosen = dice.choice(faults) if faults and dice.random() < 0.15 else dice.choice(OFTEN)
            chosen(world, dice)
        world.settle()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    return world


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        play(number)
