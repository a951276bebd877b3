"""How old an event was when it arrived."""

from __future__ import annotations

import pytest

from actors.core.units import NANOS_PER_MS
from actors.venues.binance.event_age import FUTURE_MAX_MS, EventAge

NOW_MS = 1_800_000_000_000


def delay_ms(age, event_ms, at_ms=0, ahead_ms=0, uncertain_ms=0):
    """The delay of an event that comes ``at_ms`` after the begin, to a clock that is ``ahead_ms`` wrong."""
    found = age.delay_ns(event_ms, at_ms * NANOS_PER_MS, NOW_MS + at_ms + ahead_ms, uncertain_ms)
    assert found % NANOS_PER_MS == 0
    return found // NANOS_PER_MS


def test_a_frame_that_waited_in_a_buffer_is_as_old_as_its_own_time():
    assert delay_ms(EventAge(), NOW_MS - 12_000) == 12_000


def test_what_the_clock_leaves_open_is_no_age():
    assert delay_ms(EventAge(), NOW_MS - 300, uncertain_ms=400) == 0
    assert delay_ms(EventAge(), NOW_MS - 300, uncertain_ms=100) == 200


def test_a_clock_that_runs_behind_does_not_make_old_prices_young():
    age, behind = EventAge(), -4_000
    assert delay_ms(age, NOW_MS, ahead_ms=behind) == 0
    assert delay_ms(age, NOW_MS + 1_000 - 12_000, at_ms=1_000, ahead_ms=behind) == 12_000


def test_a_clock_that_runs_ahead_makes_prices_look_old_which_is_safe():
    assert delay_ms(EventAge(), NOW_MS, ahead_ms=11_000) == 11_000


def test_what_was_newest_is_forgotten_because_clocks_drift():
    age = EventAge()
    delays = [
        # Our monotonic clock gains a second in each minute on the exchange's, which is measured each time.
        delay_ms(age, NOW_MS + minute * 59_000, at_ms=minute * 60_000, ahead_ms=-minute * 1_000)
        for minute in range(10)
    ]
    assert max(delays) <= 2_000


def test_a_time_that_cannot_be_is_counted_and_corrects_nothing():
    age = EventAge()
    assert delay_ms(age, NOW_MS + FUTURE_MAX_MS + 1) == 0
    assert age.future == 1
    assert delay_ms(age, NOW_MS) == 0


@pytest.mark.parametrize("event_ms", [0, -1])
def test_an_event_without_a_time_has_no_age(event_ms):
    assert delay_ms(EventAge(), event_ms) == 0
