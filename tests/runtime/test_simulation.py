"""The seeded dispatcher repeats itself, and virtual time runs forward only.

Covers: actors/runtime/clock.py
"""

from __future__ import annotations

from random import Random

import pytest

from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import SystemClock, VirtualClock
from actors.runtime.simulation import SeededDispatcher


class Chatter(DispatchedActor):
    """Tells random neighbours until its talk is used up."""

    def __init__(self, log, refs, random):
        super().__init__()
        self.log, self.refs, self.random = log, refs, random

    def on_receive(self, message):
        self.log.append((self.actor_urn, message, self._cell.dispatcher.clock.monotonic_ns()))
        if message > 0:
            self.random.choice(self.refs).tell(message - 1)
            self._cell.dispatcher.after(self.random.randint(1, 100), self._cell, 0)


def run(seed):
    log, refs = [], []
    dispatcher = SeededDispatcher("sim", VirtualClock(), Random(seed))
    for n in range(10):
        refs.append(Chatter.start(f"c{n}", dispatcher, log, refs, Random(seed + n)))
    for ref in refs:
        ref.tell(20)
    dispatcher.run_until(10_000)
    return log


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len(run(1)) == 10 * 41


def test_virtual_time_cannot_go_back():
    clock = VirtualClock(1_000)
    clock.advance_to(5_000_000)
    assert clock.wall_ms() == 1_005
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance_to(4_999_999)


def test_timers_fire_in_order_at_their_time():
    log = []
    dispatcher = SeededDispatcher("sim", VirtualClock())
    ref = Chatter.start("c", dispatcher, log, [], Random(1))
    for due in (30, 10, 20):
        dispatcher.after(due, ref.cell, -due)
    dispatcher.run_until(25)
    assert [(m, at) for _, m, at in log] == [(-10, 10), (-20, 20)]
    assert dispatcher.clock.monotonic_ns() == 25
    dispatcher.run_until(30)
    assert log[2:] == [("c", -30, 30)]


def test_an_endless_conversation_is_noticed():
    class Loop(DispatchedActor):
        def on_receive(self, message):
            self.actor_ref.tell(message)

    dispatcher = SeededDispatcher("sim", VirtualClock())
    Loop.start("loop", dispatcher).tell("again")
    with pytest.raises(RuntimeError, match="not quiet"):
        dispatcher.run_until_quiet(max_turns=50)


def test_the_system_clock_is_unix_time_and_monotonic():
    clock = SystemClock()
    assert clock.wall_ms() > 1_700_000_000_000
    assert clock.monotonic_ns() <= clock.monotonic_ns()
