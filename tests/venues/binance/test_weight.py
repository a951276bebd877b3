"""The budget of request weight: no window is ever exceeded, whoever counts, and orders go first."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.venues.binance.weight import SHARES, WINDOW_MS, Urgency, WeightBudget

LIMIT = 100


class SlidingExchange:
    """Counts what reaches it over the last minute, others' requests too."""

    def __init__(self):
        self.seen = deque()

    def reached(self, now_ms, weight):
        self.seen.append((now_ms, weight))
        while self.seen[0][0] <= now_ms - WINDOW_MS:
            self.seen.popleft()
        return sum(w for _, w in self.seen)


class MinuteExchange:
    """Counts anew with each full minute."""

    def __init__(self):
        self.minute, self.used = -1, 0

    def reached(self, now_ms, weight):
        if now_ms // WINDOW_MS != self.minute:
            self.minute, self.used = now_ms // WINDOW_MS, 0
        self.used += weight
        return self.used


steps = st.lists(
    st.tuples(
        st.integers(0, 20_000),  # milliseconds until the next request
        st.sampled_from([1, 2, 5, 30, 40]),
        st.sampled_from(list(Urgency)),
        st.integers(0, 4_000),  # until it reaches the exchange
        st.integers(0, 4_000),  # until its answer is back
    ),
    max_size=120,
)


@pytest.mark.parametrize("kind", [SlidingExchange, MinuteExchange])
@given(steps=steps)
def test_no_window_at_the_exchange_is_exceeded_whatever_the_delays(kind, steps):
    budget, exchange, events, now = WeightBudget(LIMIT), kind(), [], 0
    # Events by time: a request reaches the exchange, or its answer is back.
    for wait, weight, urgency, there, back in steps:
        now += wait
        while events and events[0][0] <= now:
            run(events.pop(0), events, budget, exchange)
        ticket = budget.take(weight, urgency, now)
        if ticket is not None:
            events.append((now + there, "there", ticket, back, None))
            events.sort(key=lambda e: e[0])
    while events:
        run(events.pop(0), events, budget, exchange)


def run(event, events, budget, exchange):
    at, what, ticket, back, told = event
    if what == "there":
        used = exchange.reached(at, ticket.weight)
        assert used <= LIMIT
        events.append((at + back, "back", ticket, 0, used))
        events.sort(key=lambda e: e[0])
    else:
        budget.settle(ticket, at, told, WINDOW_MS - at % WINDOW_MS)


def test_what_others_use_on_the_same_address_counts():
    budget = WeightBudget(LIMIT)
    ticket = budget.take(5, Urgency.ORDERS, 0)
    budget.settle(ticket, 10, 75, 59_990)
    assert budget.used(10) == 75
    assert budget.by_others(10) == 70
    assert budget.take(26, Urgency.ORDERS, 20) is None
    assert budget.take(25, Urgency.ORDERS, 20) is not None
    assert budget.used(WINDOW_MS + 11) == 25


def test_people_leave_room_for_market_data_and_both_for_orders():
    budget = WeightBudget(LIMIT)
    assert budget.take(50, Urgency.PEOPLE, 0)
    assert budget.take(1, Urgency.PEOPLE, 0) is None
    assert budget.take(30, Urgency.MARKET_DATA, 0)
    assert budget.take(1, Urgency.MARKET_DATA, 0) is None
    assert budget.take(20, Urgency.ORDERS, 0)
    assert budget.take(1, Urgency.ORDERS, 0) is None
    assert budget.take(0, Urgency.ORDERS, 0), "what weighs nothing goes"
    assert SHARES[Urgency.ORDERS] == 100


def test_who_must_wait_is_told_until_when():
    budget = WeightBudget(LIMIT)
    tickets = [budget.take(50, Urgency.ORDERS, at) for at in (0, 1_000)]
    assert 0 < budget.wait_ms(1, Urgency.ORDERS, 1_000) < 1_000, "answers may come any moment"
    budget.settle(tickets[0], 2_000, None, 58_000)
    budget.settle(tickets[1], 3_000, None, 57_000)
    assert budget.wait_ms(50, Urgency.ORDERS, 4_000) == 58_000
    assert budget.wait_ms(51, Urgency.ORDERS, 4_000) == 59_000
    assert budget.take(50, Urgency.ORDERS, 61_999) is None
    assert budget.take(50, Urgency.ORDERS, 62_000)


def test_a_request_that_never_left_is_not_counted():
    budget = WeightBudget(LIMIT)
    budget.give_back(budget.take(LIMIT, Urgency.ORDERS, 0))
    assert budget.used(0) == 0
    assert budget.take(LIMIT, Urgency.ORDERS, 0)


def test_when_the_exchange_says_wait_nobody_goes_on():
    budget = WeightBudget(LIMIT)
    budget.pause(5_000)
    budget.pause(3_000)
    assert budget.take(0, Urgency.ORDERS, 4_999) is None
    assert budget.wait_ms(0, Urgency.ORDERS, 4_000) == 1_000
    assert budget.paused_ms(4_000) == 1_000
    assert budget.take(1, Urgency.ORDERS, 5_000)


def test_a_limit_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        WeightBudget(0)
