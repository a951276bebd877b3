"""No window ever holds more orders than the exchange allows, and reducing orders keep their share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.budget import OrderBudget


@given(st.lists(st.tuples(st.integers(0, 2_000), st.booleans()), max_size=200))
def test_every_window_holds(steps):
    budget, now, sent = OrderBudget(10, 25), 0, []
    for gap, reducing in steps:
        now += gap
        room = budget.room(now, reducing=reducing)
        took = budget.take(now, reducing=reducing)
        assert took == (room > 0)
        if took:
            sent.append((now, reducing))
    for at, _ in sent:
        for window, limit in ((10_000, 10), (60_000, 25)):
            inside = [r for t, r in sent if at - window < t <= at]
            assert len(inside) <= limit


def test_new_risk_leaves_a_fifth_for_reducing():
    budget = OrderBudget(10, 100)
    assert sum(budget.take(0, reducing=False) for _ in range(20)) == 8
    assert sum(budget.take(0, reducing=True) for _ in range(20)) == 2


def test_a_pause_stops_everything_until_it_is_over():
    budget = OrderBudget(10, 100)
    budget.pause(500)
    budget.pause(300)
    assert not budget.take(499, reducing=True)
    assert budget.room(499, reducing=True) == 0
    assert budget.take(500, reducing=True)


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (-1, 5)])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ValueError, match="at least 1"):
        OrderBudget(*limits)
