"""Start order, proof of life, restart windows, quarantine and the gate."""

from __future__ import annotations

from itertools import pairwise

import pykka
import pytest

from actors.messages import LoseTriggers, Reconsider
from actors.persistence.messages import LoadRecovery, RecordDeadLetter
from actors.runtime.actor import DispatchedActor
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.gate import TradingGate
from actors.runtime.restart import RestartPolicy
from actors.runtime.simulation import SeededDispatcher
from supervisor import ChildSpec, Crashed, Quarantine, RestartNow, Supervisor, start_in_order, stop_in_reverse


class Child(DispatchedActor):
    def __init__(self, log=None):
        super().__init__()
        self.log = [] if log is None else log

    def on_receive(self, message):
        if message == "boom":
            raise RuntimeError("boom")
        self.log.append(message)

    def on_stop(self):
        self.log.append(f"{self.actor_urn} stopped")


class Deaf(Child):
    def on_start(self):
        raise RuntimeError("cannot start")


SECOND = 1_000_000_000


class Tree:
    def __init__(self):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.accounts, self.actors, self.alarms, self.gate = {}, {}, [], TradingGate()
        policies = {"gateway": RestartPolicy(max_restarts=2)}
        self.actors["supervisor"] = Supervisor.start(
            "supervisor", self.dispatcher, self.accounts, self.actors, policies, self.gate, self.alarms.append
        )
        self.dispatcher.on_crash = lambda cell, report, _e: self.actors["supervisor"].tell(
            Crashed(cell, report)
        )
        for name in ("writer", "gateway", "router"):
            self.actors[name] = Child.start(name, self.dispatcher)
        for name in ("acct-1", "acct-2"):
            self.accounts[name] = Child.start(name, self.dispatcher)
        self.dispatcher.run_until_quiet()

    def run(self, seconds=1):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + int(seconds * SECOND))

    def log(self, name):
        return (self.accounts.get(name) or self.actors[name]).cell.actor.log


def test_a_crashed_account_comes_back_alone_and_its_poison_is_kept():
    tree = Tree()
    tree.accounts["acct-1"].tell("boom")
    tree.accounts["acct-1"].tell("after")
    tree.run()
    assert tree.log("acct-1") == ["after"]
    assert tree.accounts["acct-1"].cell.restarts == 1
    assert tree.accounts["acct-2"].cell.restarts == 0
    [letter] = [m for m in tree.log("writer") if isinstance(m, RecordDeadLetter)]
    assert (letter.actor, letter.message) == ("acct-1", "'boom'")
    assert tree.log("router") == [LoseTriggers("acct-1")]
    assert not tree.gate.reduce_only


def test_past_the_window_it_is_quarantined_alone_and_an_operator_brings_it_back():
    tree = Tree()
    for _ in range(8):
        tree.accounts["acct-1"].tell("boom")
    tree.run(20)
    cell = tree.accounts["acct-1"].cell
    assert cell.status is Status.QUARANTINED
    assert cell.restarts == 5
    assert cell.mailbox.depth() == 2
    assert len(tree.alarms) == 1
    assert "acct-1 is quarantined after 6 failures" in tree.alarms[0]
    tree.actors["supervisor"].tell(RestartNow("acct-1"))
    tree.run()
    assert cell.status is Status.QUARANTINED, "a stale timer must not release it"
    tree.actors["supervisor"].tell(RestartNow("acct-1", by_operator=True))
    tree.accounts["acct-1"].tell("fine")
    tree.run(20)
    assert tree.log("acct-1") == ["fine"]


def test_waits_between_restarts_grow():
    tree = Tree()
    crashes = []
    original = tree.dispatcher.on_crash
    tree.dispatcher.on_crash = lambda *a: (crashes.append(tree.dispatcher.clock.monotonic_ns()), original(*a))
    for _ in range(5):
        tree.accounts["acct-1"].tell("boom")
    tree.run(20)
    waits = [b - a for a, b in pairwise(crashes)]
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_while_the_gateway_is_away_no_new_risk_and_then_it_recovers():
    tree = Tree()
    tree.actors["gateway"].tell("boom")
    tree.dispatcher.run_until_quiet()
    assert tree.gate.closers == ("gateway",)
    tree.run()
    assert not tree.gate.reduce_only
    assert LoadRecovery() in tree.log("writer")


def test_a_new_router_hears_from_every_account():
    tree = Tree()
    tree.actors["router"].tell("boom")
    tree.run()
    assert tree.log("acct-1") == tree.log("acct-2") == [Reconsider("router restarted")]


def test_a_core_actor_that_keeps_failing_keeps_the_gate_shut():
    tree = Tree()
    for _ in range(4):
        tree.actors["gateway"].tell("boom")
    tree.run(20)
    assert tree.gate.closers == ("gateway",)
    assert any("gateway is quarantined" in a for a in tree.alarms)


def test_an_operator_quarantines_an_account_but_not_the_engine():
    tree = Tree()
    assert tree.actors["supervisor"].ask(Quarantine("acct-2"), block=False) is not None
    tree.actors["supervisor"].tell(Quarantine("writer"))
    tree.run()
    assert tree.accounts["acct-2"].cell.status is Status.QUARANTINED
    assert tree.actors["writer"].cell.status is Status.RUNNING


@pytest.fixture
def dispatcher():
    running = ThreadedDispatcher("t")
    running.start()
    yield running
    running.stop(5)


def test_children_start_in_order_and_stop_in_reverse(dispatcher):
    log, actors = [], {}
    specs = tuple(
        ChildSpec(name=n, start=lambda n=n: (log.append(f"{n} started"), Child.start(n, dispatcher, log))[1])
        for n in ("a", "b", "c")
    )
    start_in_order(specs, actors)
    assert stop_in_reverse(specs, actors, 5) == []
    assert log == ["a started", "b started", "c started", "c stopped", "b stopped", "a stopped"]
    assert actors == {}


def test_a_child_that_does_not_answer_did_not_start(dispatcher):
    dispatcher.on_crash = lambda *_: None
    specs = (ChildSpec(name="deaf", start=lambda: Deaf.start("deaf", dispatcher), ready_seconds=0.3),)
    with pytest.raises(pykka.Timeout):
        start_in_order(specs, {})


def test_two_children_of_one_name_are_refused(dispatcher):
    specs = (ChildSpec(name="a", start=lambda: None), ChildSpec(name="a", start=lambda: None))
    with pytest.raises(ValueError, match="different names"):
        start_in_order(specs, {})
