"""The exchange's time: from the monotonic clock, whatever the wall clock does."""

from __future__ import annotations

import pytest

from actors.core.errors import ExchangeUnreachable
from actors.venues.binance.clock import MEASURE_EVERY_NS, ROUND_TRIP_MAX_NS, ExchangeClock

MS = 1_000_000


class Machine:
    def __init__(self):
        self.monotonic, self.wall = 5_000 * MS, 1_700_000_000_000 * MS

    def passes(self, ms, wall_ms=None):
        self.monotonic += ms * MS
        self.wall += (ms if wall_ms is None else wall_ms) * MS


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def clock(machine):
    return ExchangeClock(lambda: machine.monotonic, lambda: machine.wall)


def measure(machine, clock, server_ms, there=10, back=10):
    began = clock.began()
    machine.passes(there + back)
    return clock.measured(began, server_ms)


def test_it_is_unknown_until_it_is_measured(machine, clock):
    with pytest.raises(ExchangeUnreachable):
        clock.now_ms()
    assert clock.doubt()
    assert clock.is_old()
    assert measure(machine, clock, 1_000_000) == 0
    assert clock.now_ms() == 1_000_010
    assert clock.error_ms == 10
    assert not clock.doubt()


@pytest.mark.parametrize("step_ms", [-7_200_000, -2_000, 2_000, 90_000])
def test_a_step_of_the_wall_clock_moves_nothing_and_is_noticed(machine, clock, step_ms):
    measure(machine, clock, 1_000_000)
    machine.passes(100, wall_ms=100 + step_ms)
    assert clock.now_ms() == 1_000_110
    assert f"parted by {step_ms} ms" in clock.doubt()
    measure(machine, clock, 1_000_120)
    assert not clock.doubt()


def test_a_wall_clock_that_is_slewed_gently_is_no_reason_to_doubt(machine, clock):
    measure(machine, clock, 1_000_000)
    machine.passes(50_000, wall_ms=50_200)
    assert not clock.doubt()


def test_drift_is_told_at_the_next_measurement(machine, clock):
    measure(machine, clock, 1_000_000)
    machine.passes(60_000)
    assert clock.is_old()
    # The exchange's clock went two seconds further than ours.
    assert measure(machine, clock, 1_000_010 + 62_000 + 10) == 2_000
    assert clock.now_ms() == 1_062_030
    assert not clock.is_old()
    machine.passes(MEASURE_EVERY_NS // MS - 1)
    assert not clock.is_old()
    machine.passes(1)
    assert clock.is_old()


def test_an_answer_that_took_too_long_says_nothing(machine, clock):
    measure(machine, clock, 1_000_000)
    half = ROUND_TRIP_MAX_NS // MS // 2
    assert measure(machine, clock, 9_000_000, half, half + 1) is None
    assert clock.now_ms() == 1_000_010 + 2 * half + 1
    assert measure(machine, clock, clock.now_ms() + half, half, half) is not None
