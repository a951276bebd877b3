"""No window ever holds more orders than the exchange allows, and reducing orders keep their share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import OrderClass
from actors.gateway.budget import ANSWER_MAX_MS, OrderBudget


@given(
    st.lists(
        st.tuples(st.integers(0, 2_000), st.sampled_from(OrderClass), st.integers(0, 9_000)), max_size=200
    ),
    st.data(),
)
def test_every_window_holds_wherever_between_sending_and_answer_the_exchange_sees_an_order(steps, data):
    budget, now, arrived, answers = OrderBudget(10, 25), 0, [], []
    for gap, order_class, latency in steps:
        now += gap
        for at in sorted(a for a in answers if a <= now):
            budget.answered(at)
        answers = [a for a in answers if a > now]
        room = budget.ready(now, order_class)
        took = budget.take(now, order_class)
        assert took == (room > 0)
        if took:
            answers.append(now + latency)
            arrived.append(now + data.draw(st.integers(0, latency)))
    for at in arrived:
        for window, limit in ((10_000, 10), (60_000, 25)):
            assert sum(at - window < t <= at for t in arrived) <= limit


def test_what_surely_never_got_there_does_not_count():
    budget = OrderBudget(2, 100)
    assert budget.take(0, OrderClass.LIQUIDATION)
    assert budget.take(0, OrderClass.LIQUIDATION)
    assert not budget.take(0, OrderClass.LIQUIDATION)
    budget.answered(5, counts=False)
    assert budget.take(5, OrderClass.LIQUIDATION)
    budget.answered(6)
    budget.answered(6)
    assert not budget.take(10_005, OrderClass.LIQUIDATION)
    assert budget.take(10_006, OrderClass.LIQUIDATION)


def test_what_the_exchange_counts_beyond_ours_is_counted():
    budget = OrderBudget(10, 100)
    assert budget.take(0, OrderClass.LIQUIDATION)
    budget.count_used((7, 60), 10)
    assert budget.room(10, OrderClass.LIQUIDATION) == 3
    budget.count_used((7, 60), 20)
    assert budget.room(20, OrderClass.LIQUIDATION) == 3
    budget.answered(30)
    # Six others leave the ten seconds, the own one later; 59 others stay in the minute.
    assert budget.room(10_010, OrderClass.LIQUIDATION) == 9
    budget.count_used((10**9, 10**9), 10_020)
    assert budget.room(10_020, OrderClass.LIQUIDATION) == 0


def test_an_answer_that_never_came_does_not_hold_its_place_for_ever():
    budget = OrderBudget(1, 100)
    assert budget.take(0, OrderClass.LIQUIDATION)
    assert not budget.take(ANSWER_MAX_MS - 1, OrderClass.LIQUIDATION)
    assert not budget.take(ANSWER_MAX_MS, OrderClass.LIQUIDATION)
    assert budget.take(ANSWER_MAX_MS + 10_000, OrderClass.LIQUIDATION)
    assert budget.under_way == 1


def test_new_risk_leaves_a_fifth_for_reducing():
    budget = OrderBudget(10, 100)
    assert sum(budget.take(0, OrderClass.NEW_RISK) for _ in range(20)) == 8
    assert sum(budget.take(0, OrderClass.LIQUIDATION) for _ in range(20)) == 2


def test_a_pause_stops_everything_until_it_is_over():
    budget = OrderBudget(10, 100)
    budget.pause(500)
    budget.pause(300)
    assert not budget.take(499, OrderClass.LIQUIDATION)
    assert budget.room(499, OrderClass.LIQUIDATION) == 0
    assert budget.room(500, OrderClass.LIQUIDATION) == 10
    assert budget.take(500, OrderClass.LIQUIDATION)


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (-1, 5)])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ValueError, match="at least 1"):
        OrderBudget(*limits)


def test_what_left_a_window_is_not_looked_at_again():
    # Each answer tells what the exchange counts: at hundreds a second, all of a minute must not be added up each time.
    budget = OrderBudget(10**6, 10**6)
    for now in range(20_000, 120_000, 10):
        assert budget.take(now, OrderClass.LIQUIDATION)
        budget.answered(now)
    budget.count_used((0, 0), 200_000)
    assert [len(window.times) for window in budget._windows] == [0, 0]
    assert budget.room(200_000, OrderClass.LIQUIDATION) == 10**6
