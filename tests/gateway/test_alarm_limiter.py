"""A flood of alarms is told in part, and counted in whole."""

from __future__ import annotations

from actors.gateway.alarm_limiter import ALARMS_MAX, WINDOW_MS, AlarmLimiter
from actors.gateway.orders import Alarm


def test_each_kind_is_told_a_few_times_a_minute_and_the_rest_is_counted():
    limiter = AlarmLimiter()
    told = [limiter.alarm("a", f"a{n}", n) for n in range(100)]
    assert told[:ALARMS_MAX] == [[Alarm(f"a{n}")] for n in range(ALARMS_MAX)]
    assert told[ALARMS_MAX:] == [[]] * (100 - ALARMS_MAX)
    # Another kind is not kept back by it.
    assert limiter.alarm("b", "b", 100) == [Alarm("b")]
    assert limiter.alarm("a", "a", WINDOW_MS - 1) == []
    [later] = limiter.alarm("a", "later", WINDOW_MS)
    assert later.text == f"later (and {100 - ALARMS_MAX + 1} more of this kind before it)"
    assert limiter.alarm("a", "after", WINDOW_MS) == [Alarm("after")]
