"""Pykka's public API on our dispatcher, and where it differs from stock Pykka on purpose.

Covers: actors/runtime/cell.py
"""

from __future__ import annotations

import threading

import pykka
import pytest

from actors.core.messages import Ping, Wake
from actors.core.units import Symbol
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.dispatcher import ThreadedDispatcher

WAIT = 5


class Probe(DispatchedActor):
    def __init__(self, start=0):
        super().__init__()
        self.count = start
        self.gate = threading.Event()

    def on_receive(self, message):
        if message == "wait":
            self.gate.wait(WAIT)
        if isinstance(message, BaseException):
            raise message
        self.count += 1
        return self.count

    def add(self, number):
        self.count += number
        return self.count

    def inspect_state(self):
        return self.count


class FailsToStart(Probe):
    def on_start(self):
        raise RuntimeError("no database")


@pytest.fixture
def dispatcher():
    running = ThreadedDispatcher("test")
    running.start()
    yield running
    assert running.stop(WAIT)


@pytest.fixture
def crashes(dispatcher):
    seen = []
    happened = threading.Semaphore(0)
    dispatcher.on_crash = lambda cell, report, error: (seen.append((cell, report, error)), happened.release())
    seen_wait = happened.acquire
    return seen, lambda: seen_wait(timeout=WAIT)


def test_tell_ask_proxy_and_stop_work_as_pykka_documents(dispatcher):
    ref = Probe.start("probe", dispatcher, 10)
    assert isinstance(ref, pykka.ActorRef)
    ref.tell("x")
    assert ref.ask("x", timeout=WAIT) == 12
    assert ref.proxy().add(5).get(timeout=WAIT) == 17
    assert ref.proxy().count.get(timeout=WAIT) == 17
    assert ref.ask(Ping(), timeout=WAIT) is True
    assert ref.stop(timeout=WAIT)
    assert not ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("x")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("x", timeout=WAIT)


def test_without_a_supervisor_a_crash_stops_the_actor_and_loses_nothing_silently(dispatcher):
    dead, done = [], threading.Event()
    dispatcher.on_dead_letter = lambda cell, envelope, why: (dead.append(envelope[0]), done.set())
    blocker = Probe.start("blocker", dispatcher)
    blocker.tell("wait")
    ref = Probe.start("probe", dispatcher)
    ref.tell(ValueError("poison"))
    ref.tell("next")
    blocker.cell.actor.gate.set()
    assert done.wait(WAIT)
    assert dead == ["next"]
    assert not ref.is_alive()


def test_a_stuck_actor_can_still_be_looked_into(dispatcher):
    ref = Probe.start("probe", dispatcher, 5)
    ref.ask("x", timeout=WAIT)
    ref.tell("wait")
    ref.tell(Wake(Symbol("ETHUSDT"), "tick:1"))
    while ref.cell.busy_with is None or ref.cell.busy_with[0] != "wait":
        pass
    snapshot = ref.cell.snapshot()
    assert snapshot.busy_with.content == "'wait'"
    assert [(m.lane, m.kind, m.cause) for m in snapshot.mailbox] == [("market", "Wake", "tick:1")]
    assert ref.cell.actor.inspect_state() == 6
    ref.cell.actor.gate.set()


def test_the_trace_keeps_the_last_messages_in_order(dispatcher):
    ref = Probe.start("probe", dispatcher)
    for n in range(20):
        ref.tell(n)
    ref.ask("end", timeout=WAIT)
    ref.ask("end", timeout=WAIT)
    contents = [t.content for t in ref.cell.snapshot().trace]
    assert contents[-1] == "'end'"
    assert contents[:2] == ["13", "14"] or contents[0] in {"13", "14", "15"}
    assert len(contents) == 8


def test_a_crash_report_holds_message_state_and_traceback(dispatcher, crashes):
    _, wait = crashes
    ref = Probe.start("probe", dispatcher, 41)
    ref.ask("x", timeout=WAIT)
    ref.tell(ValueError("poison"))
    assert wait()
    [report] = ref.cell.snapshot().crashes
    assert (report.message, report.state, report.message_kind) == ("ValueError('poison')", "42", "ValueError")
    assert "on_receive" in report.traceback


def test_a_quarantined_actor_keeps_its_mail_unserved(dispatcher, crashes):
    _, wait = crashes
    ref = Probe.start("probe", dispatcher)
    ref.tell(ValueError("poison"))
    assert wait()
    dispatcher.quarantine(ref.cell)
    ref.tell("kept")
    other = Probe.start("other", dispatcher)
    other.ask("x", timeout=WAIT)
    assert ref.cell.status is Status.QUARANTINED
    assert ref.cell.mailbox.depth() == 1


def test_timers_are_messages(dispatcher):
    ref = Probe.start("probe", dispatcher)
    fired = threading.Event()

    class Timed(DispatchedActor):
        def on_receive(self, message):
            fired.set()

    Timed.start("timed", dispatcher)
    dispatcher.after(1_000_000, dispatcher.cells["timed"], "due")
    assert fired.wait(WAIT)
    assert ref.is_alive()


def test_defer_reply_moves_the_answer_to_whoever_sets_it(dispatcher):
    class Later(DispatchedActor):
        def on_receive(self, message):
            if message == "ask":
                self.future = self.defer_reply()
            else:
                self.future.set("answered")

    ref = Later.start("later", dispatcher)
    answer = ref.ask("ask", block=False)
    ref.tell("go")
    assert answer.get(timeout=WAIT) == "answered"
