"""Trading days over both changes of the clock, and what cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import BadConfig
from actors.core.trading_day import DayRule

HOUR = 3_600_000


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_plain_day_in_new_york():
    day = DayRule().day_of(ms("2025-07-15T20:00"))
    assert (day.start_ms, day.end_ms) == (ms("2025-07-15T12:00"), ms("2025-07-16T12:00"))
    assert DayRule().day_of(ms("2025-07-15T12:00")) == day
    assert DayRule().day_of(ms("2025-07-15T12:00") - 1).end_ms == day.start_ms


@pytest.mark.parametrize(
    ("inside", "start", "end", "hours"),
    [
        # Clocks go forward on 9 March 2025 at 02:00, between two begins: 8 EST to 8 EDT is 23 hours.
        ("2025-03-09T00:00", "2025-03-08T13:00", "2025-03-09T12:00", 23),
        ("2025-03-09T12:00", "2025-03-09T12:00", "2025-03-10T12:00", 24),
        # And back on 2 November: 25 hours.
        ("2025-11-02T00:00", "2025-11-01T12:00", "2025-11-02T13:00", 25),
        ("2025-11-02T13:00", "2025-11-02T13:00", "2025-11-03T13:00", 24),
    ],
)
def test_both_changes_of_the_clock(inside, start, end, hours):
    day = DayRule().day_of(ms(inside))
    assert (day.start_ms, day.end_ms) == (ms(start), ms(end))
    assert day.end_ms - day.start_ms == hours * HOUR


def test_a_begin_that_the_clock_jumps_over_and_one_that_comes_twice():
    # 02:30 does not exist on 9 March; at the old offset it is 07:30 UTC.
    rule = DayRule("02:30")
    assert rule.day_of(ms("2025-03-09T08:00")).start_ms == ms("2025-03-09T07:30")
    # 01:30 comes twice on 2 November; the first is 05:30 UTC.
    rule = DayRule("01:30")
    assert rule.day_of(ms("2025-11-02T06:00")).start_ms == ms("2025-11-02T05:30")
    assert rule.day_of(ms("2025-11-02T06:31")).start_ms == ms("2025-11-02T05:30")


@given(
    st.integers(0, 2_000_000_000_000),
    st.times().map(lambda t: f"{t.hour:02}:{t.minute:02}"),
    st.sampled_from(["America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_days_follow_each_other_without_gap_or_overlap(wall_ms, begins, zone):
    rule = DayRule(begins, zone)
    day = rule.day_of(wall_ms)
    assert day.start_ms <= wall_ms < day.end_ms
    assert rule.day_of(day.start_ms) == day
    assert rule.day_of(day.end_ms - 1) == day
    assert rule.day_of(day.end_ms).start_ms == day.end_ms


@pytest.mark.parametrize("begins", ["8:00", "24:00", "08:60", "", "noon", "08:00:00"])
def test_a_time_that_cannot_be_is_named(begins):
    with pytest.raises(BadConfig, match="day_begins"):
        DayRule(begins)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "EST5EDT4"])
def test_a_zone_that_cannot_be_is_named(zone):
    with pytest.raises(BadConfig, match="day_zone"):
        DayRule(zone=zone)
