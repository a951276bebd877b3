"""What a clearing knows of the moment in which it decides: a fresh price, the depth of the side it needs, and whether accounts wait.

Covers: actors/clearing/actor.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.clearing.actor import PRICE_MAX_AGE_NS
from actors.core.enums import Side
from actors.core.units import Nanos
from tests.clearing.test_lost import actor_of, started
from tests.factories import tick


@pytest.fixture(scope="module")
def clearing():
    """The actor of a symbol, and the book of prices that it reads."""
    built = started()
    return actor_of(built).cell.actor, built.assembly.parts.clearing


def moment(clearing, side=None, *, age_ns=0, split=0, number=[0]):  # noqa: B006 - each tick is newer than the last
    """The moment with a tick of that age."""
    actor, context = clearing
    number[0] += 1
    now_ns = actor._cell.dispatcher.clock.monotonic_ns()
    new = tick(update_id=number[0], event_ms=number[0], received_ns=now_ns)
    new = replace(new, bid_qty=D(3), ask_qty=D(5), received_ns=Nanos(now_ns - age_ns))
    assert context.prices.apply(new)
    context.split_at_depth = split
    return actor._moment(side)


def test_a_price_counts_while_it_is_fresh(clearing):
    assert moment(clearing).mark == 2_000
    assert moment(clearing, age_ns=PRICE_MAX_AGE_NS).mark == 2_000
    assert moment(clearing, age_ns=PRICE_MAX_AGE_NS + 1).mark is None


def test_the_depth_is_of_the_side_that_is_taken_and_only_where_blocks_are_split_by_it(clearing):
    assert moment(clearing, Side.BUY, split=4).depth == 20
    assert moment(clearing, Side.SELL, split=4).depth == 12
    assert moment(clearing, Side.SELL).depth is None
    assert moment(clearing, split=4).depth is None
    assert moment(clearing, Side.BUY, split=4, age_ns=PRICE_MAX_AGE_NS + 1).depth is None


def test_it_knows_whether_accounts_wait_to_decide(clearing, monkeypatch):
    assert not moment(clearing).is_crowded
    monkeypatch.setattr(type(clearing[0]._cell.dispatcher), "is_crowded", lambda _: True)
    assert moment(clearing).is_crowded
