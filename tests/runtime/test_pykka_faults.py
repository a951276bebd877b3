"""P1 to P9: what stock Pykka does wrong for us, shown on it, and not shown by our actors.

Both sides run through Pykka's public API: ``start``, ``tell``, ``ask``, ``proxy``, ``stop``.
"""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc

import pykka
import pytest

from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.dispatcher import ThreadedDispatcher

WAIT = 5


class Hold:
    """A message that keeps its actor busy until it is let go."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def wait(self):
        self.begun.set()
        self.go.wait(WAIT)


class Behaviour:
    """The same actor on both runtimes."""

    def on_start(self):
        self.seen = []
        if self.fails_to_start:
            raise RuntimeError("no database")

    def on_receive(self, message):
        if isinstance(message, Hold):
            message.wait()
        elif isinstance(message, BaseException):
            raise message
        else:
            self.seen.append(message)
            return len(self.seen)
        return None

    def add(self, one, two):
        return one + two


class Stock(Behaviour, pykka.ThreadingActor):
    failures = None

    def __init__(self, failures=None, *, fails_to_start=False):
        super().__init__()
        self.failures = [] if failures is None else failures
        self.fails_to_start = fails_to_start

    def on_failure(self, kind, value, traceback):
        self.failures.append(value)


class Ours(Behaviour, DispatchedActor):
    def __init__(self, *, fails_to_start=False):
        super().__init__()
        self.fails_to_start = fails_to_start


class Runtime:
    """A dispatcher, and what its supervisor hears."""

    def __init__(self):
        self.dispatcher = ThreadedDispatcher("p")
        self.failures, self.dead = [], []
        self.heard = threading.Semaphore(0)
        self.dispatcher.on_crash = self.on_crash
        self.dispatcher.on_dead_letter = lambda _cell, envelope, _why: self.dead.append(envelope[0])
        self.dispatcher.start()

    def on_crash(self, _cell, _report, error):
        self.failures.append(error)
        self.heard.release()

    def start(self, name="ours", **options):
        return Ours.start(name, self.dispatcher, **options)

    def wait_for_failure(self):
        assert self.heard.acquire(timeout=WAIT)


@pytest.fixture
def ours():
    runtime = Runtime()
    yield runtime
    assert runtime.dispatcher.stop(WAIT)


@pytest.fixture(autouse=True)
def no_stock_left():
    yield
    pykka.ActorRegistry.stop_all(timeout=WAIT)


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_public_api_is_the_same(ours):
    for ref in (Stock.start(), ours.start()):
        ref.tell("x")
        assert ref.ask("y", timeout=WAIT) == 2
        assert ref.proxy().add(2, 3).get(timeout=WAIT) == 5
        assert ref.proxy().seen.get(timeout=WAIT) == ["x", "y"]
        assert ref.stop(timeout=WAIT)
        assert not ref.is_alive()
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("late")
        with pytest.raises(pykka.ActorDeadError):
            ref.ask("late", timeout=WAIT)


def test_p1_a_failure_under_ask_is_hidden_from_the_supervisor(ours):
    failures = []
    stock = Stock.start(failures)
    with pytest.raises(ZeroDivisionError):
        stock.ask(ZeroDivisionError(), timeout=WAIT)
    assert stock.is_alive()
    assert failures == []

    ref = ours.start()
    with pytest.raises(ZeroDivisionError):
        ref.ask(ZeroDivisionError(), timeout=WAIT)
    ours.wait_for_failure()
    assert isinstance(ours.failures[0], ZeroDivisionError)
    assert ref.cell.status is Status.CRASHED


def test_p2_a_failure_under_tell_ends_the_actor_for_good(ours):
    stock = Stock.start()
    stock.tell(ValueError())
    until(lambda: not stock.is_alive())
    with pytest.raises(pykka.ActorDeadError):
        stock.tell("after")

    ref = ours.start()
    ref.tell(ValueError())
    ours.wait_for_failure()
    ref.tell("after")
    ours.dispatcher.restart(ref.cell)
    assert ref.ask("and on", timeout=WAIT) == 2


def test_p3_what_waited_behind_a_failure_is_dropped_without_a_word(ours):
    hold = Hold()
    failures = []
    stock = Stock.start(failures)
    for message in (hold, ValueError(), "one", "two"):
        stock.tell(message)
    inbox = stock.actor_inbox
    hold.go.set()
    until(lambda: not stock.is_alive())
    until(inbox.empty)
    assert [str(f) for f in failures] == [""]  # of "one" and "two" nobody hears

    hold = Hold()
    ref = ours.start()
    for message in (hold, ValueError(), "one", "two"):
        ref.tell(message)
    hold.go.set()
    ours.wait_for_failure()
    assert [envelope[0] for envelope in ref.cell.mailbox.waiting()] == ["one", "two"]
    ours.dispatcher.restart(ref.cell)
    assert ref.ask("three", timeout=WAIT) == 3
    assert ref.cell.actor.seen == ["one", "two", "three"]


def test_p4_a_tell_that_succeeded_ends_in_a_dead_inbox(ours, monkeypatch):
    stock = Stock.start()
    inbox, is_alive = stock.actor_inbox, pykka.ActorRef.is_alive

    def stopped_just_after_the_check(ref):
        alive = is_alive(ref)
        monkeypatch.setattr(pykka.ActorRef, "is_alive", is_alive)
        ref.stop(timeout=WAIT)
        return alive

    monkeypatch.setattr(pykka.ActorRef, "is_alive", stopped_just_after_the_check)
    stock.tell("lost")
    assert not inbox.empty()
    assert not stock.is_alive()

    for _ in range(200):
        ref, told, go = ours.start(), [], threading.Barrier(2)

        def teller(ref=ref, told=told, go=go):
            go.wait()
            for n in range(50):
                try:
                    ref.tell(n)
                except pykka.ActorDeadError:
                    return
                told.append(n)

        thread = threading.Thread(target=teller)
        thread.start()
        go.wait()
        ref.stop(timeout=WAIT)
        thread.join()
        dead = [m for m in ours.dead if isinstance(m, int)]
        ours.dead.clear()
        assert ref.cell.actor.seen + dead == told
        assert ref.cell.mailbox.counters().is_conserved


def test_p5_system_exit_in_one_actor_stops_all(ours):
    sick, well = Stock.start(), Stock.start()
    sick.tell(SystemExit(1))
    until(lambda: not well.is_alive())

    sick, well = ours.start("sick"), ours.start("well")
    sick.tell(SystemExit(1))
    ours.wait_for_failure()
    sick.tell("kept")
    assert well.ask("x", timeout=WAIT) == 1
    assert sick.cell.status is Status.CRASHED
    assert sick.cell.mailbox.depth() == 1


def test_p6_a_failure_in_on_start_reaches_nobody(ours):
    failures = []
    stock = Stock.start(failures, fails_to_start=True)
    until(lambda: not stock.is_alive())
    assert failures == []

    ref = ours.start(fails_to_start=True)
    ours.wait_for_failure()
    assert "no database" in str(ours.failures[0])
    ours.dispatcher.restart(ref.cell)
    ours.wait_for_failure()
    assert len(ref.cell.crashes) == 2


def test_p7_stop_waits_behind_the_backlog(ours):
    def stopped_behind(ref):
        hold = Hold()
        ref.tell(hold)
        assert hold.begun.wait(WAIT)
        for n in range(30):
            ref.tell(n)
        actor = ref._actor_weakref()
        stopping = ref.stop(block=False)
        hold.go.set()
        stopping.get(timeout=WAIT)
        return len(actor.seen)

    assert stopped_behind(Stock.start()) == 30
    ref = ours.start()
    assert stopped_behind(ref) == 0
    assert len(ours.dead) == 30
    assert ref.cell.mailbox.counters().is_conserved


def test_p8_the_registry_is_a_list_that_everybody_scans(ours):
    refs = [Stock.start() for _ in range(3)]
    assert isinstance(pykka.ActorRegistry._actor_refs, list)
    assert pykka.ActorRegistry.get_all() == refs

    ref = ours.start()
    assert ref not in pykka.ActorRegistry.get_all()
    assert ours.dispatcher.cells["ours"] is ref.cell
    with pytest.raises(ValueError, match="runs already"):
        ours.start()


def test_p9_an_idle_actor_costs_kilobytes_and_a_random_name(ours):
    class Idle(pykka.ThreadingActor):
        def _start_actor_loop(self):
            pass  # the thread is not what is measured

    class Lean(DispatchedActor):
        def on_receive(self, message):
            return None

    def cost(start, count=300):
        start(0)
        gc.collect()
        tracemalloc.start()
        refs = [start(n) for n in range(1, count + 1)]
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size / count, refs

    stock, stock_refs = cost(lambda _n: Idle.start())
    lean, _ = cost(lambda n: Lean.start(f"a{n}", ours.dispatcher))
    pykka.ActorRegistry._actor_refs.clear()  # without their threads they cannot be stopped
    assert lean < stock / 3
    assert stock_refs[0].actor_urn.startswith("urn:uuid:")
    assert ours.start("acct-42").actor_urn == "acct-42"
