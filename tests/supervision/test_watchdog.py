"""The watchdog names who is stuck, on what and where, while it is stuck."""

from __future__ import annotations

import threading
import time

import pytest

from actors.runtime.actor import DispatchedActor
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.supervision.gate import TradingGate
from actors.supervision.watchdog import Watchdog, WatchdogPolicy, stack_of

WAIT = 10
MS = 1_000_000


class Looper(DispatchedActor):
    """Loops in Python, as a stuck strategy does, until it is let go."""

    def __init__(self):
        super().__init__()
        self.let_go = False

    def on_receive(self, message):
        if message == "loop":
            self.loop_for_ever()
        if message == "boom":
            raise RuntimeError("boom")

    def loop_for_ever(self):
        while not self.let_go:
            pass


class Kennel:
    def __init__(self, **policy):
        self.dispatcher = ThreadedDispatcher("kennel")
        self.dispatcher.start()
        self.gate, self.alarms, self.halts = TradingGate(), [], []
        self.watchdog = Watchdog(
            [self.dispatcher], self.gate, self.alarms.append, self.halts.append,
            WatchdogPolicy(look_every_ns=5 * MS, turn_deadline_ns=50 * MS, **policy),
        )  # fmt: skip
        self.watchdog.start()

    def until(self, condition):
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, (self.alarms, self.halts)
            time.sleep(0.005)


@pytest.fixture
def kennel():
    made = []

    def make(**policy):
        made.append(Kennel(**policy))
        return made[-1]

    yield make
    for one in made:
        one.watchdog.stop()
        assert one.dispatcher.stop(WAIT)


def test_an_endless_loop_is_named_with_its_line_while_it_lasts_and_once(kennel):
    k = kennel()
    ref = Looper.start("acct-42", k.dispatcher)
    ref.tell("loop")
    ref.tell("waits")
    k.until(lambda: k.watchdog.stuck)
    [stuck] = k.watchdog.stuck
    assert (stuck.actor, stuck.message_kind, stuck.message) == ("acct-42", "str", "'loop'")
    assert stuck.for_ms >= 50
    assert "loop_for_ever" in stuck.stack
    assert k.gate.closers == ("watchdog",)
    assert "acct-42 has been in one turn" in k.alarms[0]
    assert "in loop_for_ever" in k.alarms[0]
    snapshot = ref.cell.snapshot()
    assert snapshot.busy_with.content == "'loop'"
    assert [m.content for m in snapshot.mailbox] == ["'waits'"]
    time.sleep(0.1)
    assert len(k.watchdog.stuck) == 1
    ref.cell.actor.let_go = True
    k.until(lambda: k.gate.closers == ())
    assert k.alarms[1:] == ["acct-42 came out of its long turn"]
    assert k.halts == []


def test_an_idle_or_a_busy_dispatcher_is_not_stuck(kennel):
    k = kennel()
    refs = [Looper.start(f"a{n}", k.dispatcher) for n in range(50)]
    for n in range(20_000):
        refs[n % 50].tell("fine")
        if n % 100 == 0:
            time.sleep(0.001)
    k.until(lambda: k.dispatcher.stats.messages >= 20_000)
    time.sleep(0.2)
    assert [s.actor for s in k.watchdog.stuck] == []
    assert k.gate.closers == ()


def test_past_the_halt_time_the_engine_is_given_up_once(kennel):
    k = kennel(halt_ns=120 * MS)
    ref = Looper.start("acct-7", k.dispatcher)
    ref.tell("loop")
    k.until(lambda: k.halts)
    assert "acct-7 holds the thread of all actors of kennel" in k.halts[0]
    time.sleep(0.1)
    assert len(k.halts) == 1
    ref.cell.actor.let_go = True


def test_a_dispatcher_whose_thread_ended_is_a_halt(kennel):
    k = kennel()
    k.dispatcher.on_crash = lambda *_: (_ for _ in ()).throw(RuntimeError("the handler of crashes failed"))
    threading.excepthook, kept = (lambda _args: None), threading.excepthook
    try:
        Looper.start("a", k.dispatcher).tell("boom")
        k.until(lambda: k.halts)
    finally:
        threading.excepthook = kept
    assert "the thread of dispatcher kennel has ended" in k.halts[0]


def test_messages_that_wait_long_stop_new_risk_until_they_do_not(kennel):
    k = kennel(lag_high_ns=100 * MS, lag_low_ns=20 * MS)
    k.watchdog.stop()
    k.dispatcher.lag_ns = lambda: 150 * MS
    k.watchdog.look(k.dispatcher)
    assert k.gate.closers == ("overload",)
    k.dispatcher.lag_ns = lambda: 50 * MS
    k.watchdog.look(k.dispatcher)
    assert k.gate.closers == ("overload",), "between the marks nothing changes"
    k.dispatcher.lag_ns = lambda: 10 * MS
    k.watchdog.look(k.dispatcher)
    assert k.gate.closers == ()
    assert len(k.alarms) == 1


def test_an_idle_dispatcher_lags_by_nothing_whatever_its_last_turn_was(kennel):
    k = kennel()
    k.dispatcher.stats.lag_ns = 10**12
    assert k.dispatcher.lag_ns() == 0


def test_a_thread_that_is_gone_has_no_stack():
    assert stack_of(None) == "the thread is gone"
