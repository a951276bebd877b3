"""A live trace is bounded in rate and time, and ends by itself."""

from __future__ import annotations

import pytest

from actors.core.errors import BadInput
from actors.core.messages import OrderAccepted
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.runtime.tap import Tap

SECOND = 1_000_000_000


class Quiet(DispatchedActor):
    def on_receive(self, message):
        return None


def test_it_takes_what_the_rate_allows_and_counts_the_rest():
    tap = Tap(0, 10, 3)
    for n in range(5):
        assert tap.take(n, n, 1)
    assert [m for m, _, _ in tap.read()] == [0, 1, 2]
    assert tap.skipped == 2
    assert tap.take("next second", SECOND, 1)
    assert [m for m, _, _ in tap.read()] == ["next second"]
    assert tap.read() == []


def test_it_ends_with_its_time():
    tap = Tap(5, 2, 3)
    assert tap.take("x", 5 + 2 * SECOND - 1, 1)
    assert not tap.take("x", 5 + 2 * SECOND, 1)


def test_a_reader_that_went_away_costs_bounded_memory():
    tap = Tap(0, 600, 2)
    for n in range(100):
        tap.take(n, n * SECOND, 1)
    assert [m for m, _, _ in tap.read()] == [96, 97, 98, 99]


@pytest.mark.parametrize(
    ("seconds", "rate", "text"), [(0, 1, "seconds 0"), (601, 1, "601"), (1, 0, "rate 0"), (1, 1001, "1001")]
)
def test_bounds_out_of_range_are_named(seconds, rate, text):
    with pytest.raises(BadInput, match=text):
        Tap(0, seconds, rate)


def test_the_actor_drops_a_tap_that_nobody_ended():
    dispatcher = SeededDispatcher("t", VirtualClock())
    ref = Quiet.start("q", dispatcher)
    dispatcher.run_until_quiet()
    ref.cell.tap = tap = Tap(0, 1, 10)
    ref.tell(OrderAccepted("c", 1))
    dispatcher.run_until_quiet()
    assert len(tap.read()) == 1
    dispatcher.run_until(2 * SECOND)
    ref.tell(OrderAccepted("c", 1))
    dispatcher.run_until_quiet()
    assert ref.cell.tap is None


def test_one_follower_at_a_time():
    cell = Quiet.start("q", SeededDispatcher("t", VirtualClock())).cell
    assert cell.follow(Tap(0, 1, 10), 0)
    assert not cell.follow(Tap(0, 1, 10), SECOND - 1)
    assert cell.follow(Tap(0, 1, 10), SECOND)


class Ending(Tap):
    """A tap whose time is up, and somebody new comes while the actor's thread asks it."""

    def take(self, message, at_ns, took_ns):
        self.cell.follow(self.fresh, at_ns)
        return super().take(message, at_ns, took_ns)


def test_the_actor_puts_no_new_follower_s_tap_away():
    cell = Quiet.start("q", SeededDispatcher("t", VirtualClock())).cell
    old = Ending(0, 1, 10)
    old.cell, old.fresh = cell, Tap(2 * SECOND, 1, 10)
    assert cell.follow(old, 0)
    cell.remember("message", 2 * SECOND, 1)
    assert cell.tap is old.fresh
    cell.unfollow(old)
    assert cell.tap is old.fresh


class Leaving(Tap):
    """A tap whose reader goes while the actor's thread asks it."""

    def take(self, message, at_ns, took_ns):
        self.cell.unfollow(self)
        return super().take(message, at_ns, took_ns)


def test_a_reader_that_leaves_in_the_middle_of_a_turn_hurts_nobody():
    cell = Quiet.start("q", SeededDispatcher("t", VirtualClock())).cell
    tap = Leaving(0, 1, 10)
    tap.cell = cell
    assert cell.follow(tap, 0)
    cell.remember("message", 0, 1)
    assert cell.tap is None
