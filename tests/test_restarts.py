"""The supervisor's finer rules: who is told, what a start that fails means, who waits for a place, when a probe comes.

Covers: actors/supervision/restarts.py, actors/supervision/settling.py
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from actors.core.errors import BadInput, Fenced, StateLost
from actors.core.messages import Reconsider
from actors.core.records import LoadRecovery
from actors.runtime.cell import Status
from actors.supervision.messages import Quarantine, RestartNow
from actors.supervision.restarts import RESTART_GAP
from actors.supervision.settling import SETTLE_TRIES
from tests.test_quarantine import InATurn
from tests.trees import SECOND, Child, Tree

MANY = [f"a{n}" for n in range(8)]


@pytest.mark.parametrize("name", ["gateway", "writer", "feed"])
def test_only_a_new_router_has_accounts_register_anew(name):
    tree = Tree()
    tree.actors[name].tell("boom")
    tree.run()
    assert tree.cell(name).restarts == 1
    assert [m for m in tree.log("acct-1") if isinstance(m, Reconsider)] == []
    assert (LoadRecovery() in tree.log("writer")) is (name != "feed")


class FailsToStart(Child):
    """Raises at its first starts; ``errors`` outlives the instances."""

    def __init__(self, errors):
        super().__init__()
        self.errors = errors

    def on_start(self):
        if self.errors:
            raise self.errors.pop(0)


def started(tree, *errors):
    tree.accounts["a"] = FailsToStart.start("a", tree.dispatcher, list(errors))
    tree.run(3)
    return tree.cell("a")


def test_a_start_that_fails_for_a_message_s_fault_is_tried_again():
    """There is no message that could be set aside, and an instance that did not start cannot go on."""
    cell = started(Tree(), BadInput("cannot be read"))
    assert (cell.restarts, cell.status) == (1, Status.RUNNING)


def test_a_start_that_no_restart_can_help_is_not_tried_again():
    tree = Tree()
    cell = started(tree, StateLost("not in the database"))
    assert (cell.restarts, cell.status) == (0, Status.QUARANTINED)
    assert tree.halts == []


def test_a_start_that_cannot_be_trusted_halts_the_engine():
    tree = Tree()
    started(tree, Fenced("somebody else"))
    assert len(tree.halts) == 1


def restart_times(tree, names):
    """When each was restarted, in virtual nanoseconds."""
    times = {}

    def after_turn(_cell):
        for name in names:
            if tree.cell(name).restarts and name not in times:
                times[name] = tree.dispatcher.clock.monotonic_ns()

    tree.dispatcher.after_turn = after_turn
    return times


def test_many_restarts_at_once_keep_a_distance_and_a_core_actor_waits_for_none():
    tree = Tree(accounts=MANY)
    times = restart_times(tree, [*MANY, "gateway"])
    for name in [*MANY, "gateway"]:
        tree.dispatcher.hold(tree.cell(name))
    begin = tree.dispatcher.clock.monotonic_ns()
    for name in [*MANY, "gateway"]:
        tree.actors["supervisor"].tell(RestartNow(name))
    tree.run()
    assert times["gateway"] == begin
    assert [times[name] - begin for name in MANY] == [n * RESTART_GAP for n in range(len(MANY))]


def test_an_operator_s_restart_waits_for_no_place():
    tree = Tree(accounts=MANY)
    times = restart_times(tree, MANY)
    begin = tree.dispatcher.clock.monotonic_ns()
    for name in MANY:
        tree.actors["supervisor"].tell(RestartNow(name, by_operator=True))
    tree.run()
    assert set(times.values()) == {begin}


def test_a_turn_that_does_not_end_is_told_of_once():
    tree = Tree()
    with InATurn(tree.cell("acct-1")):
        tree.actors["supervisor"].tell(Quarantine("acct-1"))
        tree.run(SETTLE_TRIES * 0.005 - 0.01)
        assert [a for a in tree.alarms if "in one turn" in a] == []
        tree.run(5)
        assert len([a for a in tree.alarms if "in one turn" in a]) == 1


class Sick(Child):
    """Fails at its start while the cause lasts."""

    cause = True

    def on_start(self):
        if Sick.cause:
            raise RuntimeError("boom")


@pytest.fixture
def sick(monkeypatch):
    monkeypatch.setattr(Sick, "cause", True)
    tree = Tree(accounts=(), cooldown_first_ns=4 * SECOND, cooldown_max_ns=3600 * SECOND, probe_ns=2 * SECOND)
    for name in MANY:
        tree.accounts[name] = Sick.start(name, tree.dispatcher)
    return tree


def test_after_a_probe_that_failed_the_next_one_comes_after_twice_the_time(sick):
    sick.run(0.5)
    assert sick.gate.closers == ("breaker",)
    restarts = []
    for _ in range(600):
        sick.run(0.1)
        total = sum(sick.cell(n).restarts for n in MANY)
        if not restarts or total != restarts[-1][1]:
            restarts.append((round(sick.dispatcher.clock.monotonic_ns() / SECOND, 1), total))
    tries = [at for at, _ in restarts[1:]]
    waits = [round(b - a) for a, b in pairwise(tries)]
    assert len(tries) >= 3
    assert waits[:2] == [8, 16]
    assert all(b[1] - a[1] == 1 for a, b in pairwise(restarts)), "one at a time"


def test_a_parked_one_that_fails_again_brings_no_other_probe_forward(sick):
    sick.run(0.5)
    breaker = sick.actors["supervisor"].cell.actor._parking.breaker
    [trip] = breaker.tripped.values()
    parked = list(trip.parked)
    before = len(sick.dispatcher._timers)
    # Somebody else at the same place: one that an operator started again, say.
    sick.dispatcher.restart(sick.cell(parked[-1]))
    sick.run(0.2)
    assert trip.probe is None
    assert len(sick.dispatcher._timers) == before
    assert sick.cell(parked[-1]).status is Status.CRASHED


def test_when_the_cause_is_gone_all_come_back_and_the_gate_opens(sick):
    sick.run(0.5)
    Sick.cause = False
    sick.run(60)
    assert {sick.cell(name).status for name in MANY} == {Status.RUNNING}
    assert sick.gate.closers == ()
