"""The first of a crowd do not use up the time of those behind them, and nobody else is delayed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.enums import OrderClass
from actors.gateway.budget import CATCH_UP_MS, OrderBudget, usable
from actors.gateway.orders import IN_FLIGHT_MAX
from actors.gateway.pacing import AHEAD_MS, BURST_MIN, burst_of, pause_ms

LIQUIDATION, REDUCING, NEW_RISK = OrderClass
PER_10S, PER_MINUTE = 300, 1_200
STEP_MS = 20


def sent_of(arrivals, order_class, *, until_ms, latency_ms=40, limits=(PER_10S, PER_MINUTE)):
    """When each order is sent; ``arrivals`` is how many orders arrive when."""
    budget, waiting, sent, answers = OrderBudget(*limits), 0, [], []
    for now in range(0, until_ms, STEP_MS):
        while answers and answers[0] <= now:
            budget.answered(answers.pop(0))
        waiting += arrivals.get(now, 0)
        while waiting and budget.take(now, order_class):
            waiting -= 1
            sent.append(now)
            answers.append(now + latency_ms)
    return sent


def in_windows(sent, length_ms):
    return [sum(at - length_ms < t <= at for t in sent) for at in sent]


@pytest.mark.parametrize(("order_class", "burst"), [(LIQUIDATION, 200), (REDUCING, 150), (NEW_RISK, 75)])
def test_a_share_of_the_window_is_sent_at_once_and_the_rest_evenly_over_the_window(order_class, burst):
    assert burst_of(PER_10S, order_class) == burst
    sent = sent_of({0: PER_10S}, order_class, until_ms=10_000, latency_ms=0)
    at_once = [t for t in sent if t < 2 * STEP_MS]
    assert len(at_once) in {burst, burst + 1}
    assert len(sent) == usable(PER_10S, order_class), "all that the class may use, by the end of the window"
    for second in range(1, 10):
        a_second = sum(second * 1_000 <= t < (second + 1) * 1_000 for t in sent)
        assert abs(a_second - (usable(PER_10S, order_class) - burst) / 10) <= 2


def test_nobody_is_delayed_while_there_are_few():
    dozens = dict.fromkeys(range(0, 120000, 10000), BURST_MIN)
    sent = sent_of(dozens, NEW_RISK, until_ms=120_000)
    assert sent == [now for now, count in dozens.items() for _ in range(count)]
    singly = dict.fromkeys(range(0, 120000, 200), 1)
    assert sent_of(singly, NEW_RISK, until_ms=120_000) == list(singly)


def test_a_limit_of_a_few_dozen_is_not_paced():
    assert sent_of({0: 50}, LIQUIDATION, until_ms=STEP_MS, limits=(BURST_MIN, 100)) == [0] * BURST_MIN


def test_a_crowd_uses_nearly_all_of_each_minute():
    sent = sent_of({0: 5_000}, LIQUIDATION, until_ms=120_000)
    for minute in range(2):
        a_minute = sum(minute * 60_000 <= t < (minute + 1) * 60_000 for t in sent)
        assert 0.97 * PER_MINUTE <= a_minute <= PER_MINUTE
    assert max(in_windows(sent, 10_000)) <= PER_10S
    assert max(in_windows(sent, 60_000)) <= PER_MINUTE


CROWDS = st.dictionaries(
    st.integers(0, 60_000 // STEP_MS - 1).map(lambda n: n * STEP_MS),
    st.integers(1, 900),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(CROWDS, st.sampled_from(OrderClass), st.sampled_from([0, 40, 200]))
def test_whoever_is_first_in_a_crowd_waits_for_a_fraction_of_a_second(crowds, order_class, latency_ms):
    """Without pacing the next one waits for up to ten seconds, and up to half a minute after 1,200 of them."""
    sent = sent_of(crowds, order_class, until_ms=90_000, latency_ms=latency_ms)
    arrived, last = 0, 0
    times = sorted(crowds.items())
    for number, at in enumerate(sent):
        while times and arrived <= number:
            since, count = times.pop(0)
            arrived += count
            last = max(last, since) if number == arrived - count else last
        assert at - last <= 200
        last = at


def test_the_last_order_of_a_burst_is_no_fewer_than_a_lower_class_gets_by_its_pace():
    budget = OrderBudget(440, 880)
    for _ in range(219):
        assert budget.take(0, LIQUIDATION)
        budget.answered(0)
    # What reduces has one order left of its burst of 220; the pace of new risk would have been four by now.
    assert [budget.ready(7_000, order_class) for order_class in OrderClass] == [74, 1, 1]


@given(
    st.integers(1, 500), st.integers(1, 2_000),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 40), st.sampled_from(OrderClass)), max_size=40),
)  # fmt: skip
def test_no_class_gets_ahead_of_a_higher_one_by_its_pace(per_10s, per_minute, steps):
    budget, now = OrderBudget(per_10s, per_minute), 0
    for gap, count, order_class in steps:
        now += gap
        for _ in range(count):
            ready = [budget.ready(now, c) for c in OrderClass]
            assert ready == sorted(ready, reverse=True)
            allowed = ready[list(OrderClass).index(order_class)] > 0
            assert budget.take(now, order_class) == allowed
            if not allowed:
                break
            budget.answered(now)


@given(
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 60), st.integers(0, 3_000)), max_size=60),
    st.data(),
)
def test_windows_that_are_paced_hold_wherever_the_exchange_sees_an_order(steps, data):
    budget, now, arrived, answers = OrderBudget(60, 150), 0, [], []
    for gap, count, latency in steps:
        now += gap
        for at in sorted(a for a in answers if a <= now):
            budget.answered(at)
        answers = [a for a in answers if a > now]
        for _ in range(count):
            if not budget.take(now, LIQUIDATION):
                break
            answers.append(now + latency)
            arrived.append(now + data.draw(st.integers(0, latency)))
    assert max(in_windows(arrived, 10_000), default=0) <= 60
    assert max(in_windows(arrived, 60_000), default=0) <= 150


def test_a_pause_is_that_of_the_highest_even_rate_that_never_fills_the_window():
    # None of those in it leaves before its end: what is left lasts until then.
    assert pause_ms(100, [1_000] * 200, 1_000, 10_000) == 100
    assert pause_ms(100, [], 1_000, 10_000) == 100
    # Half of them leave after a second: until then there are 100, and 150 and those 100 until the end.
    assert pause_ms(100, [2_000] * 100 + [11_000] * 100, 11_000, 10_000) == 50
    assert pause_ms(10, [2_000] * 100 + [11_000] * 100, 11_000, 10_000) == 100
    # They leave evenly: nearly as many may be sent, and what is left besides.
    evenly = range(1_000, 11_000, 50)
    assert 33 <= pause_ms(100, evenly, 11_000, 10_000) <= 36
    assert 9_900 >= pause_ms(1, [1_000] * 200, 1_100, 10_000) >= 9_899


@given(st.integers(1, 300), st.lists(st.integers(0, 10_000), max_size=300))
def test_at_that_pause_the_window_never_fills_before_the_next_one_leaves(room, ages):
    now, times = 10_000, sorted(10_000 - age for age in ages if age < 10_000)
    pause = pause_ms(room, times, now, 10_000)
    for gone, since in enumerate(times):
        assert (since + 10_000 - now) / pause <= room + gone + 1e-6
    assert 10_000 / pause <= room + len(times) + 1e-6


def test_how_many_are_ready_soon_is_what_the_pace_brings_until_then():
    budget = OrderBudget(PER_10S, 10**6)
    for now in range(200):
        assert budget.take(now, LIQUIDATION)
        budget.answered(now)
    # A hundred are left for ten seconds: one each hundred milliseconds.
    assert budget.ready(200, LIQUIDATION) == 0
    assert budget.ready(200, LIQUIDATION, 1_000) == 10
    assert budget.ready(5_000, LIQUIDATION) in {1, 2}, "what was not used is made up for a moment only"
    assert budget.ready(5_000, LIQUIDATION, 10 * CATCH_UP_MS) <= 25


def test_what_is_in_flight_is_bounded_for_each_class():
    for order_class in OrderClass:
        budget = OrderBudget(10**5, 10**6)
        took = sum(budget.take(0, order_class) for _ in range(2 * IN_FLIGHT_MAX))
        assert took == usable(IN_FLIGHT_MAX, order_class)


# -- groups of orders


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
    assert budget.interval_ms(1, LIQUIDATION, groups) == interval_ms
    # As they come nearer to leaving the window, what is behind the burst may go faster.
    later = [budget.interval_ms(at_ms, LIQUIDATION, groups) for at_ms in (1, 3_000, 6_000, 9_999, 10_000)]
    assert later == sorted(later, reverse=True)
    assert later[-1] == OrderBudget(300, 1_200).interval_ms(0, LIQUIDATION, groups)


@pytest.mark.parametrize(("used", "groups"), [(250, 20), (299, 1), (300, 1), (400, 1)])
def test_no_interval_is_longer_than_what_is_looked_ahead(used, groups):
    budget = OrderBudget(300, 1_200)
    budget.count_used((used, used), 0)
    assert budget.interval_ms(1, LIQUIDATION, groups) == AHEAD_MS


def test_the_scarcer_window_counts_and_so_does_what_is_under_way_and_what_a_class_may_use():
    budget = OrderBudget(300, 150)
    assert budget.interval_ms(0, LIQUIDATION, 10) == 292
    assert budget.interval_ms(0, REDUCING, 10) == 384
    for _ in range(50):
        assert budget.take(0, LIQUIDATION)
    assert budget.interval_ms(0, LIQUIDATION, 10) == 571


@pytest.mark.parametrize(
    ("limit", "used", "interval_ms"),
    [(10, 0, 300), (10, 9, 3_000), (36, 0, 83), (38, 0, 81), (10, 10, 3_000)],
)
def test_a_limit_that_a_burst_uses_up_has_nothing_behind_it(limit, used, interval_ms):
    budget = OrderBudget(limit, 1_200)
    budget.count_used((used, used), 0)
    assert budget.interval_ms(1, LIQUIDATION, 1) == interval_ms


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
            if not budget.take(now_ms, LIQUIDATION):
                break
            answers.append(now_ms + latency_ms)
            interval_ms = budget.interval_ms(now_ms, LIQUIDATION, groups) if spread else 0
            due_ms[group] = now_ms + min(longest_ms, max(shortest_ms, interval_ms))
    return longest


@given(groups=st.integers(1, 10), latency_ms=st.integers(0, 300))
@settings(max_examples=20, deadline=None)
def test_ten_groups_that_keep_their_distance_hardly_wait_for_a_slot_in_a_crash(groups, latency_ms):
    assert longest_wait_ms(groups, latency_ms) <= 10


def test_ten_groups_that_do_not_use_up_their_burst_and_wait():
    assert longest_wait_ms(10, 50, spread=False) > 400
