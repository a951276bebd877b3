"""No window ever holds more orders than the exchange allows, and reducing orders keep their share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.enums import OrderClass
from actors.gateway.budget import ANSWER_MAX_MS, OrderBudget
from actors.gateway.pacing import AHEAD_MS


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


@pytest.mark.parametrize(
    ("used", "groups", "interval_ms"),
    [
        (0, 1, 13),
        (0, 10, 130),
        (0, 30, 391),
        (125, 10, 285),
        (150, 10, 374),
        (199, 1, 96),
        (200, 10, 999),
        (250, 10, 1_999),
    ],
)
def test_groups_are_served_less_often_the_more_they_are_and_the_less_may_be_sent(used, groups, interval_ms):
    budget = OrderBudget(300, 1_200)  # 200 at once
    budget.count_used((used, used), 0)
    assert budget.interval_ms(1, OrderClass.LIQUIDATION, groups) == interval_ms
    # As they come nearer to leaving the window, what is behind the burst may go faster.
    later = [
        budget.interval_ms(at_ms, OrderClass.LIQUIDATION, groups)
        for at_ms in (1, 3_000, 6_000, 9_999, 10_000)
    ]
    assert later == sorted(later, reverse=True)
    assert later[-1] == OrderBudget(300, 1_200).interval_ms(0, OrderClass.LIQUIDATION, groups)


@pytest.mark.parametrize(("used", "groups"), [(250, 20), (299, 1), (300, 1), (400, 1)])
def test_no_interval_is_longer_than_what_is_looked_ahead(used, groups):
    budget = OrderBudget(300, 1_200)
    budget.count_used((used, used), 0)
    assert budget.interval_ms(1, OrderClass.LIQUIDATION, groups) == AHEAD_MS


def test_the_scarcer_window_counts_and_so_does_what_is_under_way_and_what_a_class_may_use():
    budget = OrderBudget(300, 150)
    assert budget.interval_ms(0, OrderClass.LIQUIDATION, 10) == 292
    assert budget.interval_ms(0, OrderClass.REDUCING, 10) == 384
    for _ in range(50):
        assert budget.take(0, OrderClass.LIQUIDATION)
    assert budget.interval_ms(0, OrderClass.LIQUIDATION, 10) == 571


def longest_wait_ms(groups, latency_ms, shortest_ms=200, longest_ms=600, *, spread=True):
    """Each group wants its next slot as soon as it may, for five seconds: how long one waits for it."""
    budget, answers, longest = OrderBudget(300, 1_200), list[int](), 0
    due_ms = dict.fromkeys(range(groups), 0)
    for now_ms in range(0, 5_000, 5):
        while answers and answers[0] <= now_ms:
            budget.answered(answers.pop(0))
        for group, at_ms in sorted(due_ms.items(), key=lambda item: item[1]):
            if at_ms > now_ms:
                break
            longest = max(longest, now_ms - at_ms)
            if not budget.take(now_ms, OrderClass.LIQUIDATION):
                break
            answers.append(now_ms + latency_ms)
            interval_ms = budget.interval_ms(now_ms, OrderClass.LIQUIDATION, groups) if spread else 0
            due_ms[group] = now_ms + min(longest_ms, max(shortest_ms, interval_ms))
    return longest


@given(groups=st.integers(1, 10), latency_ms=st.integers(0, 300))
@settings(max_examples=20, deadline=None)
def test_ten_groups_that_keep_their_distance_hardly_wait_for_a_slot_in_a_crash(groups, latency_ms):
    assert longest_wait_ms(groups, latency_ms) <= 10


def test_ten_groups_that_do_not_use_up_their_burst_and_wait():
    assert longest_wait_ms(10, 50, spread=False) > 400
