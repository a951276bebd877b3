"""Who waits sees its place, and about how long it will still wait."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.clearing_messages import Group, ReplaceStep
from actors.core.enums import OrderClass
from actors.core.order_messages import Submit
from actors.core.units import Symbol
from actors.gateway.budget import OrderBudget
from actors.gateway.waiting import ROWS_MAX
from tests.factories import BUY, ETH
from tests.gateway.test_protocol import T0
from tests.gateway.test_service_order import order_of
from tests.gateway.test_slots import want

LIQUIDATION, REDUCING, NEW_RISK = OrderClass
WALL_AHEAD = 5_000


def list_of(core, now_ms=T0):
    return core.send_policy.waiting(core.tracked, now_ms, WALL_AHEAD)


@pytest.fixture
def paused(core):
    core.budget.pause(T0 + 700)
    return core


def test_all_that_waits_is_listed_in_the_order_of_service(paused):
    small = order_of(LIQUIDATION, "a1", 1, shortfall=D(5), decided_ms=T0 - 300)
    opens = [replace(order_of(NEW_RISK, f"a{n}", n), decided_ms=T0 - 100) for n in (2, 3)]
    paused.submit(Submit((small, *opens), ()), T0)
    block = Group(Symbol("BTCUSDT"), BUY, LIQUIDATION)
    paused.wall_ahead_ms = WALL_AHEAD
    want(paused, block, T0, orders=40, shortfall="70", since_ms=T0 + WALL_AHEAD - 200)
    found = list_of(paused)
    assert [(r.place, r.account_id, r.order_class, r.orders, r.shortfall) for r in found.rows] == [
        (1, "clearing:BTCUSDT", LIQUIDATION, 40, D(70)),
        (2, "a1", LIQUIDATION, 1, D(5)),
        (3, "a2", NEW_RISK, 1, D(0)),
        (4, "a3", NEW_RISK, 1, D(0)),
    ]
    assert [r.client_order_id for r in found.rows] == [None, "bh-x-1", "bh-x-2", "bh-x-3"]
    assert [r.since_ms - T0 - WALL_AHEAD for r in found.rows] == [-200, -300, -100, -100]
    assert {r.symbol for r in found.rows} == {"BTCUSDT", ETH}
    assert {r.expected_wait_ms for r in found.rows} == {700}, "the exchange said to wait"
    assert (found.total, found.longest_ms, found.longest_liquidation_ms) == (4, 300, 300)
    spoken = msgspec.to_builtins(found.rows[0])
    assert (spoken["class"], spoken["place"], spoken["shortfall"]) == ("LIQUIDATION", 1, "70")


def test_nothing_waits(core):
    found = list_of(core)
    assert (found.total, found.rows, found.longest_ms, found.longest_liquidation_ms) == (0, (), 0, 0)


def test_who_left_is_not_listed_and_who_comes_after_the_hundredth_is_counted(paused):
    orders = [replace(order_of(NEW_RISK, f"a{n}", n), decided_ms=T0) for n in range(ROWS_MAX + 20)]
    paused.submit(Submit(tuple(orders), ()), T0)
    paused.replace_step(ReplaceStep("a0", ETH, orders[0].client_order_id), T0)
    found = list_of(paused)
    assert (found.total, len(found.rows)) == (ROWS_MAX + 19, ROWS_MAX)
    assert found.rows[0].account_id == "a1"
    assert found.longest_liquidation_ms == 0


def forecast_of(budget, order_class, count, now=0):
    forecast = budget.forecast(now)
    return [forecast.wait_ms(ahead, order_class) for ahead in range(count)]


def test_a_burst_waits_for_nothing_and_who_comes_after_it_for_the_pace():
    waits = forecast_of(OrderBudget(300, 10**6), LIQUIDATION, 301)
    assert waits[:200] == [0] * 200
    assert (waits[200], waits[201], waits[299]) == (100, 200, 10_000)
    assert waits[300] >= 10_000


def test_who_is_beyond_all_that_a_window_holds_waits_for_the_next_ones():
    waits = forecast_of(OrderBudget(2, 10**6), LIQUIDATION, 6)
    assert waits == [0, 0, 10_000, 10_000, 20_000, 20_000]


@given(
    st.integers(1, 400), st.integers(1, 1_500), st.sampled_from(OrderClass),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 90)), max_size=20),
)  # fmt: skip
def test_the_first_one_waits_as_forecast_at_most_and_no_one_less_than_who_is_before_it(
    per_10s, per_minute, order_class, steps
):
    budget, now = OrderBudget(per_10s, per_minute), 0
    for gap, count in steps:
        now += gap
        for _ in range(count):
            if not budget.take(now, order_class):
                break
            budget.answered(now)
    waits = forecast_of(budget, order_class, 50, now)
    assert waits == sorted(waits)
    assert budget.take(now + waits[0] + 1, order_class)
