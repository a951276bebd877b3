"""Ten thousand accounts of one symbol at once: a handful of orders, and exact books."""

from __future__ import annotations

from decimal import Decimal as D

from msgspec.structs import replace

from actors.clearing.book import CROWD_MOST_MS
from tests.clearing.world import INSTRUMENT, World, order

ACCOUNTS = 10_000


def test_ten_thousand_accounts_are_a_handful_of_orders_and_their_books_are_exact():
    world = World(replace(INSTRUMENT, market_max_qty=D(100_000)))
    orders = [
        order(f"account-{n}", quantity=D(1 + n * 37 % 5_000) / 1_000, shortfall=D(n % 11))
        for n in range(ACCOUNTS)
    ]
    world.place(orders[0])
    world.grant(next(iter(world.wants)))
    for first in range(1, ACCOUNTS, 512):
        world.place(*orders[first : first + 512])
        world.wait(5)
    [alone] = world.exchange
    world.end(alone)
    world.deliver_all()
    world.wait(CROWD_MOST_MS)
    world.grant(next(iter(world.wants)))
    world.store()
    block = list(world.exchange)[-1]
    for n, part in enumerate(("0.1", "0.37", "0.2")):
        world.trade(block, round(world.exchange[block].order.quantity * D(part), 3), 2_000 - n, "7.0000001")
    world.deliver_all()
    world.wait(20)
    world.settle()
    assert len(world.exchange) == 2
    assert world.book.counters.members == ACCOUNTS - 1
