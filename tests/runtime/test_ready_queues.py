"""Actors for which all others wait go first, and starve nobody; no wake-up of the worker is lost.

Covers: actors/runtime/dispatcher.py
"""

from __future__ import annotations

import threading
import time

import pytest

from actors.core.constants import CROWD_BACKLOG, TURN_MESSAGES
from actors.core.enums import ReconsiderReason
from actors.core.messages import Reconsider
from actors.runtime.actor import DispatchedActor
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import FIRST_RUN, ThreadedDispatcher
from actors.runtime.simulation import SeededDispatcher

WORK = Reconsider(ReconsiderReason.OPERATOR)


class Ordinary(DispatchedActor):
    def __init__(self, log, again=0):
        super().__init__()
        self.log, self.again = log, again

    def on_receive(self, message):
        self.log.append(self._cell.name)
        if self.again:
            self.again -= 1
            self.actor_ref.tell(message)


class First(Ordinary):
    GOES_FIRST = True


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in 20 s"
        time.sleep(0.001)


@pytest.fixture
def dispatcher():
    made = ThreadedDispatcher("t")
    yield made
    assert made.stop(5)
    assert made.is_working, made.ended_by


def started(dispatcher, *kinds_and_names):
    """Actors that have begun, on a dispatcher whose thread does not run yet."""
    log = []
    refs = [kind.start(name, dispatcher, log, again) for kind, name, again in kinds_and_names]
    return log, refs


def test_who_goes_first_is_served_before_those_who_were_ready_earlier(dispatcher):
    log, refs = started(dispatcher, (Ordinary, "a", 0), (Ordinary, "b", 0), (First, "first", 0))
    for ref in refs:
        ref.tell(WORK)
    assert dispatcher.backlog() == 3
    dispatcher.start()
    until(lambda: len(log) == 3)
    assert log == ["first", "a", "b"]


@pytest.mark.parametrize("make", [ThreadedDispatcher, lambda name: SeededDispatcher(name, VirtualClock())])
def test_more_actors_than_a_few_that_wait_for_their_turn_are_a_crowd(make):
    waiting = make("t")
    refs = [Ordinary.start(f"a{n}", waiting, [], 0) for n in range(CROWD_BACKLOG)]
    assert (waiting.backlog(), waiting.is_crowded()) == (CROWD_BACKLOG, False)
    refs.append(Ordinary.start("one more", waiting, [], 0))
    assert waiting.is_crowded()


def test_who_goes_first_and_never_rests_starves_nobody(dispatcher):
    turns = 5 * FIRST_RUN
    log, refs = started(
        dispatcher, (Ordinary, "a", 3 * TURN_MESSAGES), (First, "first", turns * TURN_MESSAGES)
    )
    for ref in refs:
        ref.tell(WORK)
    dispatcher.start()
    until(lambda: len(log) == 3 * TURN_MESSAGES + 1 + turns * TURN_MESSAGES + 1)
    began = log.index("a")
    assert 0 < began <= FIRST_RUN * TURN_MESSAGES
    between = log.index("a", began + TURN_MESSAGES) - (began + TURN_MESSAGES)
    assert 0 < between <= FIRST_RUN * TURN_MESSAGES, "its next turn"


def test_no_wake_up_is_lost_whoever_sends_and_whenever(dispatcher):
    """A sender looks whether the worker is idle, the worker whether somebody is ready: one of them must see the other."""
    log, refs = started(dispatcher, (First, "one", 0), (First, "two", 0), (Ordinary, "a", 0))
    dispatcher.start()
    count, rounds = 0, 3_000

    def send(ref):
        for _ in range(rounds):
            ref.tell(WORK)
            if len(log) % 7 == 0:
                time.sleep(0)

    for _ in range(3):
        senders = [threading.Thread(target=send, args=(ref,)) for ref in refs]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        count += 3 * rounds
        until(lambda: len(log) == count)  # noqa: B023 - it is waited for here
    for _ in range(300):
        # Each alone, to a worker that sleeps.
        refs[0].tell(WORK)
        count += 1
        until(lambda: len(log) == count)  # noqa: B023


def test_a_timer_wakes_a_worker_that_sleeps(dispatcher):
    log, [ref] = started(dispatcher, (First, "first", 0))
    dispatcher.start()
    until(lambda: dispatcher.backlog() == 0)
    dispatcher.after(20_000_000, ref.cell, WORK)
    dispatcher.after(1_000_000, ref.cell, WORK)
    until(lambda: len(log) == 2)


def test_how_far_the_others_are_behind_is_not_hidden_by_those_who_go_first():
    clock = VirtualClock()
    dispatcher = ThreadedDispatcher("t", clock)  # its thread is never started: the turns are run here
    _, [one, first] = started(dispatcher, (Ordinary, "a", 0), (First, "first", 0))
    for ref in (one, first):
        dispatcher.run_turn(ref.cell)

    def waits(ref, ns):
        ref.tell(WORK)
        clock.advance_to(clock.monotonic_ns() + ns)
        dispatcher.run_turn(ref.cell)
        return dispatcher.stats.lag_ns

    assert waits(one, 50) == 50
    assert waits(first, 20) == 50
    assert waits(first, 70) == 70
    assert waits(one, 10) == 10


def test_a_worker_that_finds_nothing_to_do_lags_behind_nothing(dispatcher):
    log, [ref] = started(dispatcher, (Ordinary, "a", 0))
    ref.tell(WORK)
    time.sleep(0.01)
    dispatcher.start()
    until(lambda: log and dispatcher.stats.lag_ns == 0)
