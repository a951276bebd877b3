"""A flood of alarms is told in part, and counted in whole."""

from __future__ import annotations

from actors.gateway.orders import Alarm
from actors.gateway.seldom import SAID_MAX, SPAN_MS, Seldom


def test_each_kind_is_told_a_few_times_a_minute_and_the_rest_is_counted():
    seldom = Seldom()
    told = [seldom.alarm("a", f"a{n}", n) for n in range(100)]
    assert told[:SAID_MAX] == [[Alarm(f"a{n}")] for n in range(SAID_MAX)]
    assert told[SAID_MAX:] == [[]] * (100 - SAID_MAX)
    # Another kind is not kept back by it.
    assert seldom.alarm("b", "b", 100) == [Alarm("b")]
    assert seldom.alarm("a", "a", SPAN_MS - 1) == []
    [later] = seldom.alarm("a", "later", SPAN_MS)
    assert later.text == f"later (and {100 - SAID_MAX + 1} more of this kind before it)"
    assert seldom.alarm("a", "after", SPAN_MS) == [Alarm("after")]
