"""Out of service is out of service: who is held, quarantined or failed serves nothing, and loses nothing."""

from __future__ import annotations

import sys
from typing import ClassVar

import pykka
import pytest

from actors.core.constants import COMMANDS_MAX, TURN_MESSAGES, TURN_NANOS
from actors.core.errors import Refused
from actors.core.messages import Lane, Message, Wake
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import SWITCH_INTERVAL_SECONDS, ThreadedDispatcher
from actors.runtime.simulation import SeededDispatcher
from tests.factories import ETH


class Of(Message, frozen=True):
    name: str


class Control(Of, frozen=True):
    LANE: ClassVar[Lane] = Lane.CONTROL


class Fill(Of, frozen=True):
    LANE: ClassVar[Lane] = Lane.FILLS


class Command(Of, frozen=True):
    LANE: ClassVar[Lane] = Lane.COMMANDS


ENVELOPES = (
    Wake(ETH, "t"),
    Command("c1"),
    Fill("f1"),
    Control("k1"),
    Command("c2"),
    Fill("f2"),
    Control("k2"),
)
BY_LANE = ["Control k1", "Control k2", "Fill f1", "Fill f2", "Command c1", "Command c2", "Wake ETHUSDT"]


class Keeps(DispatchedActor):
    def __init__(self, log):
        super().__init__()
        self.log = log

    def on_start(self):
        self.log.append("started")

    def on_receive(self, message):
        if isinstance(message, Control) and message.name == "boom":
            raise RuntimeError("boom")
        self.log.append(f"{type(message).__name__} {getattr(message, 'name', '') or message.symbol}")


class Bench:
    def __init__(self, **options):
        self.dispatcher, self.log = SeededDispatcher("t", VirtualClock()), []
        self.dispatcher.on_crash = lambda cell, report, error: None
        self.ref = Keeps.start("a", self.dispatcher, self.log, **options)
        self.cell = self.ref.cell
        self.dispatcher.run_until_quiet()

    def tell(self, *messages):
        for message in messages:
            self.ref.tell(message)
        self.dispatcher.run_until_quiet()

    @property
    def is_conserved(self):
        return self.cell.mailbox.counters().is_conserved


def out_of_service(bench, how):
    if how == "failed":
        bench.tell(Control("boom"))
    elif how == "not up":
        bench.dispatcher.fail(bench.cell, RuntimeError("did not come up"))
    else:
        getattr(bench.dispatcher, how)(bench.cell)


def test_a_timer_fires_in_its_nanosecond_and_not_before():
    bench, fired = Bench(), []
    bench.dispatcher.after(10, bench.cell, Control("ten"))
    bench.dispatcher.after(11, bench.cell, Control("eleven"))
    for now_ns in (9, 10, 11):
        bench.dispatcher._fire_timers(now_ns)
        bench.dispatcher.run_until_quiet()
        fired.append(bench.log[1:])
    assert fired == [[], ["Control ten"], ["Control ten", "Control eleven"]]


@pytest.mark.parametrize("how", ["hold", "quarantine", "failed", "not up"])
def test_who_is_out_of_service_serves_no_lane_and_keeps_everything_for_its_restart(how):
    bench = Bench()
    out_of_service(bench, how)
    bench.log.clear()
    bench.tell(*ENVELOPES)
    assert bench.log == []
    assert bench.cell.mailbox.depth() == len(ENVELOPES)
    assert bench.cell.status is (Status.QUARANTINED if how == "quarantine" else Status.CRASHED)
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert bench.log == ["started", *BY_LANE]
    assert bench.is_conserved


def test_what_waited_before_the_failure_waits_still():
    """All that came while the actor was in the turn that failed, too."""
    bench = Bench()
    for message in (Fill("f0"), Command("c0"), Control("boom"), *ENVELOPES):
        bench.ref.tell(message)
    bench.dispatcher.run_until_quiet()
    assert bench.log == ["started"], "control goes first, and failed"
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert bench.log == [
        "started", "started", "Control k1", "Control k2", "Fill f0", "Fill f1", "Fill f2", "Command c0", "Command c1",
        "Command c2", "Wake ETHUSDT",
    ]  # fmt: skip
    assert bench.is_conserved


def test_restarted_twice_before_its_turn_it_starts_as_often_and_keeps_everything():
    bench = Bench()
    bench.dispatcher.hold(bench.cell)
    bench.tell(*ENVELOPES)
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert [line for line in bench.log[1:] if line != "started"] == BY_LANE
    assert bench.cell.status is Status.RUNNING
    assert bench.is_conserved


def test_one_that_is_made_held_serves_nothing_until_it_is_started():
    bench = Bench(held=True)
    bench.tell(*ENVELOPES)
    assert bench.log == []
    assert bench.cell.status is Status.QUARANTINED
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert bench.log == ["started", *BY_LANE]


def test_resumed_it_goes_on_with_what_waited_and_without_a_start():
    bench = Bench()
    out_of_service(bench, "failed")
    bench.tell(*ENVELOPES)
    bench.dispatcher.resume(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert bench.log == ["started", *BY_LANE]


def test_a_stopped_actor_is_not_restarted_and_its_name_is_free():
    bench = Bench()
    dead = []
    bench.dispatcher.on_dead_letter = lambda cell, envelope, why: dead.append(envelope[0])
    bench.dispatcher.hold(bench.cell)
    bench.tell(*ENVELOPES)
    bench.dispatcher.stop_cell(bench.cell)
    bench.dispatcher.restart(bench.cell)
    bench.dispatcher.run_until_quiet()
    assert bench.log == ["started"]
    assert bench.cell.restarts == 0
    assert sorted(map(repr, dead)) == sorted(map(repr, ENVELOPES))
    assert bench.is_conserved
    again = Keeps.start("a", bench.dispatcher, bench.log)
    assert again.cell is not bench.cell
    with pytest.raises(ValueError, match="'a' runs already"):
        Keeps.start("a", bench.dispatcher, bench.log)


# -- turns


class Ticks(DispatchedActor):
    """Each message takes as long as it says."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.handled = clock, 0

    def on_receive(self, message):
        self.handled += 1
        self.clock.advance_to(self.clock.monotonic_ns() + int(message.name))


def turning(*durations):
    dispatcher = SeededDispatcher("t", VirtualClock())
    ref = Ticks.start("a", dispatcher, dispatcher.clock)
    dispatcher.run_until_quiet()
    for duration in durations:
        ref.tell(Fill(str(duration)))
    return dispatcher, ref.cell


def test_a_turn_ends_after_as_many_messages_as_it_may_have():
    dispatcher, cell = turning(*[1] * (TURN_MESSAGES + 1))
    dispatcher._one_turn()
    assert (cell.actor.handled, cell.mailbox.depth()) == (TURN_MESSAGES, 1)
    dispatcher.run_until_quiet()
    assert cell.actor.handled == TURN_MESSAGES + 1
    assert cell.mailbox.counters().is_conserved


@pytest.mark.parametrize(("first", "handled"), [(TURN_NANOS, 3), (TURN_NANOS + 1, 1)])
def test_a_turn_ends_after_its_time(first, handled):
    dispatcher, cell = turning(first, 0, 0)
    dispatcher._one_turn()
    assert cell.actor.handled == handled
    dispatcher.run_until_quiet()
    assert cell.actor.handled == 3


def test_the_longest_turn_is_remembered():
    dispatcher, cell = turning(5_000, 70_000)
    dispatcher.run_until_quiet()
    assert cell.slowest_ns == 75_000, "one turn"
    cell.mailbox.put((Fill("90000"), None, 0))
    dispatcher.ready(cell)
    dispatcher.run_until_quiet()
    cell.mailbox.put((Fill("10"), None, 0))
    dispatcher.ready(cell)
    dispatcher.run_until_quiet()
    assert cell.slowest_ns == 90_000


# -- who is stopped, or full


def test_who_tells_a_stopped_actor_is_told_so_and_who_asks_gets_it_as_the_answer():
    bench = Bench()
    bench.dispatcher.stop_cell(bench.cell)
    with pytest.raises(pykka.ActorDeadError, match="a is stopped"):
        bench.dispatcher.post(bench.cell, Fill("f"), None)
    future = pykka.ThreadingFuture()
    bench.dispatcher.post(bench.cell, Fill("f"), future)
    with pytest.raises(pykka.ActorDeadError, match="a is stopped"):
        future.get(timeout=1)


def test_who_tells_one_command_too_many_is_refused_and_who_asks_gets_it_as_the_answer():
    bench = Bench()
    bench.dispatcher.hold(bench.cell)
    for n in range(COMMANDS_MAX):
        bench.dispatcher.post(bench.cell, Command(str(n)), None)
    with pytest.raises(Refused, match="commands wait already"):
        bench.dispatcher.post(bench.cell, Command("too many"), None)
    future = pykka.ThreadingFuture()
    bench.dispatcher.post(bench.cell, Command("too many"), future)
    with pytest.raises(Refused, match="commands wait already"):
        future.get(timeout=1)
    assert bench.cell.mailbox.depth() == COMMANDS_MAX
    assert bench.is_conserved


# -- threads


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    yield sys.setswitchinterval
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("before", "after"), [(0.005, SWITCH_INTERVAL_SECONDS), (0.00005, 0.00005)])
def test_threads_change_quickly_and_not_less_quickly_than_somebody_wished(interval, before, after):
    interval(before)
    dispatcher = ThreadedDispatcher("t")
    dispatcher.start()
    assert dispatcher.stop(5)
    assert sys.getswitchinterval() == pytest.approx(after)


def test_a_dispatcher_with_nothing_to_do_lags_behind_nothing():
    dispatcher = ThreadedDispatcher("t")
    dispatcher.stats.lag_ns = 5_000
    assert (dispatcher.lag_ns(), dispatcher.backlog()) == (0, 0)
    dispatcher.running = Bench().cell
    assert dispatcher.lag_ns() == 5_000
    dispatcher.running = None
    dispatcher.ready(Bench().cell)
    assert (dispatcher.lag_ns(), dispatcher.backlog()) == (5_000, 1)
