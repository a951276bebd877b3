"""The timer looks at what something may come of, and at every order within seconds, but not at all of them each time."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.gateway.check_schedule import CHECKS_MIN, ROUND_TURNS
from actors.gateway.messages import Outcome, Surveyed
from actors.gateway.orders import Request, Tracked
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, account, market
from tests.gateway.test_protocol import T0, answered, asked, core_of, report, submit


@pytest.fixture
def order():
    [intended] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    return replace(intended, decided_ms=T0)


def resting(order, count):
    """A gateway with so many limit orders at the exchange, told by the stream."""
    core = core_of(10**9, 10**9)
    core.connected(T0)
    core.surveyed(Surveyed(asked_ms=T0, orders=(), positions={}), T0)
    for number in range(count):
        id_ = f"bh-x-{number}"
        placed = replace(order, client_order_id=id_, order_type=OrderType.LIMIT, price=D(1000))
        submit(core, placed)
        core.budget.answered(T0)
        core.reported(report(placed), T0)
        core.answered(answered(placed, Outcome.OK, report=report(placed)), T0)
    return core


def checks(core, monkeypatch, now):
    """How many orders the timer checks."""
    seen = []
    monkeypatch.setattr(Tracked, "lacks_trades", property(lambda tracked: seen.append(tracked) or False))
    core.check_orders(now)
    monkeypatch.undo()
    return len({t.order.client_order_id for t in seen})


def test_the_timer_does_not_walk_all_orders_that_rest(order, monkeypatch):
    core = resting(order, 6_000)
    core.check_orders(T0 + 100)
    assert checks(core, monkeypatch, T0 + 200) <= CHECKS_MIN
    # What something happened to is looked at the next time.
    cut = core.tracked["bh-x-5"]
    core.reported(report(cut.order, executed="1"), T0 + 250)  # a trade that the stream does not tell
    assert asked(core.check_orders(T0 + 2_000)) == ["trades"]


def test_every_order_is_looked_at_within_seconds_whatever_was_missed(order):
    core = resting(order, 6_000)
    core.check_orders(T0 + 100)
    core.tracked["bh-x-3"].cancel_wanted = True  # and nobody said so
    core.tracked["bh-x-3"].asked_ms = 0
    found = [asked(core.check_orders(T0 + 200 + 100 * n)) for n in range(ROUND_TURNS)]
    assert ["query"] in found


def test_what_a_survey_did_not_list_is_asked_after_soon_however_many_rest(order):
    core = resting(order, 3_000)
    core.check_orders(T0 + 100)
    listed = tuple(report(t.order) for i, t in core.tracked.items() if i != "bh-x-7")
    effects = core.surveyed(Surveyed(asked_ms=T0 + 5_000, orders=listed, positions={}), T0 + 5_000)
    assert [e.client_order_id for e in effects if isinstance(e, Request)] == ["bh-x-7"]
