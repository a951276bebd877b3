"""Start order, proof of life, restart windows, quarantine and the gate.

Covers: actors/supervision/context.py, actors/supervision/parking.py, actors/supervision/registry.py
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from actors.core.enums import ReconsiderReason
from actors.core.errors import BadInput, Fenced, NotStarted, Overtaken, StateLost
from actors.core.messages import LoseTriggers, Reconsider
from actors.core.records import LoadRecovery, RecordDeadLetter
from actors.runtime.cell import Status
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.supervision import lifecycle
from actors.supervision.messages import Quarantine, RestartNow
from actors.supervision.policy import GiveUp, after_crash
from actors.supervision.registry import ChildSpec
from actors.supervision.strategy import Directive, Strategy
from supervisor import ACCOUNT_POLICY, CHILDREN, GROUPS, GUARD_POLICY
from tests.trees import SECOND, Child, Deaf, Tree, Unbuildable, Waits


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
    cell = tree.cell("acct-1")
    assert cell.status is Status.QUARANTINED
    assert cell.restarts == 5
    assert cell.mailbox.depth() == 2
    assert len(tree.alarms) == 1
    assert "acct-1 is quarantined after 6 failures" in tree.alarms[0]
    tree.actors["supervisor"].tell(RestartNow("acct-1"))
    tree.run()
    assert cell.status is Status.QUARANTINED, "a stale timer must not release it"
    tree.actors["supervisor"].tell(RestartNow("acct-1", by_operator=True))
    tree.run(20)
    tree.accounts["acct-1"].tell("fine")
    tree.run()
    assert tree.log("acct-1") == ["fine"]
    assert tree.registry.quarantined == {}


def test_a_message_at_fault_is_set_aside_and_the_same_instance_goes_on():
    tree = Tree()
    actor = tree.cell("acct-1").actor
    tree.accounts["acct-1"].tell(BadInput("no such thing"))
    tree.accounts["acct-1"].tell("after")
    tree.run()
    assert tree.cell("acct-1").actor is actor
    assert tree.log("acct-1") == ["after"]
    assert tree.cell("acct-1").restarts == 0
    assert [m.message_kind for m in tree.log("writer") if isinstance(m, RecordDeadLetter)] == ["BadInput"]


def test_a_state_that_is_lost_is_quarantined_at_once():
    tree = Tree()
    tree.accounts["acct-1"].tell(StateLost("gone"))
    tree.run()
    assert tree.cell("acct-1").status is Status.QUARANTINED
    assert tree.cell("acct-1").restarts == 0


def test_being_fenced_halts_the_engine_whoever_hears_of_it():
    for name in ("acct-1", "writer"):
        tree = Tree()
        tree.registry.find(name).tell(Fenced("epoch 7"))
        tree.run()
        assert len(tree.halts) == 1
        assert "epoch 7" in tree.halts[0]
        assert not tree.gate.may_send(0)
        tree.gate.extend_lease(10**18)
        assert not tree.gate.may_send(0)


def test_the_rest_of_a_group_is_restarted_in_order_with_the_one_that_failed():
    tree = Tree()
    tree.actors["router"].tell("boom")
    tree.dispatcher.run_until_quiet()
    assert tree.gate.closers == ("feed", "router")
    tree.run()
    assert (tree.cell("router").restarts, tree.cell("feed").restarts) == (1, 1)
    assert tree.gate.closers == ()
    tree.actors["feed"].tell("boom")
    tree.run()
    assert (tree.cell("router").restarts, tree.cell("feed").restarts) == (1, 2)


def test_one_for_all_restarts_all():
    tree = Tree(groups={"market": Strategy.ONE_FOR_ALL})
    tree.actors["feed"].tell("boom")
    tree.run()
    assert (tree.cell("router").restarts, tree.cell("feed").restarts) == (1, 1)


def test_an_actor_that_does_not_come_up_counts_as_failed():
    tree = Tree()
    cell = tree.cell("acct-1")
    tree.accounts["acct-1"].tell("boom")
    tree.run(0.5)
    assert cell.restarts == 1
    cell.status = Status.LOADING  # its state never arrives
    tree.run(15)
    assert cell.restarts == 2
    assert "NotStarted: acct-1 was LOADING 10 s after its restart" in cell.crashes[-1].error
    assert cell.status is Status.RUNNING


def test_while_the_writer_is_away_nobody_is_blamed_for_waiting():
    tree = Tree()
    cell = tree.cell("acct-1")
    tree.accounts["acct-1"].tell("boom")
    tree.run(0.5)
    cell.status = Status.LOADING
    tree.gate.close("writer")
    tree.run(60)
    assert cell.restarts == 1
    tree.gate.open("writer")
    tree.run(15)
    assert cell.restarts == 2


def test_a_failure_in_a_restart_is_a_failure_like_any_other():
    tree = Tree()
    cell = tree.cell("acct-1")
    kind, arguments, keywords = cell.make
    cell.make = (Unbuildable, (), {})
    tree.accounts["acct-1"].tell("boom")
    tree.run(1)
    cell.make = (Deaf, arguments, keywords)
    tree.run(1)
    cell.make = (kind, arguments, keywords)
    tree.run(30)
    assert cell.status is Status.RUNNING
    errors = [c.report.error for c in tree.actors["supervisor"].cell.actor.crashes]
    assert "RuntimeError: cannot be made" in errors
    assert "RuntimeError: cannot start" in errors


MANY = tuple(f"a{n}" for n in range(40))


def test_one_cause_that_fails_many_is_one_alarm_and_few_restarts():
    tree = Tree(accounts=MANY)
    for name in MANY:
        for _ in range(3):
            tree.accounts[name].tell("boom")
    tree.run(60)
    restarts = sum(tree.cell(n).restarts for n in MANY)
    parked = [n for n in MANY if tree.cell(n).status is Status.CRASHED]
    assert restarts < len(MANY)
    assert len(parked) > 30
    assert tree.gate.reduce_only
    assert len([a for a in tree.alarms if "failed alike" in a]) == 1
    assert tree.registry.quarantined == {}


def test_once_the_cause_is_gone_the_parked_come_back_by_themselves():
    tree = Tree(accounts=MANY)
    for name in MANY:
        tree.accounts[name].tell("boom")
    tree.run(30)
    assert all(tree.cell(n).status is Status.RUNNING for n in MANY)
    assert not tree.gate.reduce_only
    tree.accounts["a39"].tell("fine")
    tree.run()
    assert tree.log("a39") == ["fine"]


@pytest.mark.parametrize("way", ["quarantined by hand", "restarted by hand", "fails elsewhere"])
def test_a_probe_that_leaves_another_way_is_followed_by_the_next_one(way):
    tree = Tree(accounts=MANY)
    for name in MANY:
        tree.accounts[name].tell("boom")
    breaker = tree.actors["supervisor"].cell.actor._parking.breaker

    def probing():
        return next((t.probe for t in breaker.tripped.values() if t.probe), None)

    while not probing():
        tree.run(0.5)
    probe = probing()
    tree.run(0.5)
    if way == "quarantined by hand":
        tree.actors["supervisor"].tell(Quarantine(probe))
    elif way == "restarted by hand":
        tree.actors["supervisor"].tell(RestartNow(probe, by_operator=True))
    else:
        tree.accounts[probe].tell(StateLost("elsewhere"))
    tree.run(60)
    assert breaker.tripped == {}
    assert not tree.gate.reduce_only
    assert all(tree.cell(n).status is Status.RUNNING for n in MANY if n not in tree.registry.quarantined)


def test_when_all_parked_are_restarted_by_hand_the_gate_opens():
    tree = Tree(accounts=MANY)
    for name in MANY:
        tree.accounts[name].tell("boom")
    tree.run(3)
    for name in MANY:
        tree.actors["supervisor"].tell(RestartNow(name, by_operator=True))
    tree.run(60)
    assert not tree.gate.reduce_only


def test_a_crash_that_is_read_after_the_quarantine_changes_nothing():
    for error in (StateLost("gone"), BadInput("at fault"), RuntimeError("boom")):
        tree = Tree()
        own = tree.cell("acct-1")
        tree.actors["supervisor"].tell(Quarantine("acct-1"))
        tree.accounts["acct-1"].tell(error)
        tree.dispatcher.run_turn(own)
        tree.run(60)
        assert tree.registry.quarantined["acct-1"].cell is own
        assert own.status is Status.QUARANTINED
        assert tree.accounts["acct-1"].name == "guard:acct-1"
        assert tree.actors["supervisor"].cell.status is Status.RUNNING


def test_an_operator_may_take_a_parked_account_in_hand():
    tree = Tree(accounts=MANY, cooldown_first_ns=3600 * SECOND, cooldown_max_ns=3600 * SECOND)
    for name in MANY:
        tree.accounts[name].tell("boom")
    tree.run(30)
    tree.actors["supervisor"].tell(RestartNow("a20", by_operator=True))
    tree.run()
    assert tree.cell("a20").status is Status.RUNNING
    assert tree.cell("a21").status is Status.CRASHED


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


def test_the_gate_opens_when_a_core_actor_has_come_up_and_not_before():
    tree = Tree()
    cell = tree.cell("gateway")
    good, cell.make = cell.make, (Waits, (), {})
    tree.actors["gateway"].tell("boom")
    tree.run(5)
    assert (cell.restarts, cell.status) == (1, Status.LOADING)
    assert tree.gate.closers == ("gateway",), "restarted, but not up"
    cell.make = good
    tree.run(12)
    assert "NotStarted: gateway was LOADING 10 s after its restart" in cell.crashes[-1].error
    assert (cell.restarts, cell.status) == (2, Status.RUNNING)
    assert tree.gate.closers == ()


def test_a_new_router_hears_from_every_account():
    tree = Tree()
    tree.actors["router"].tell("boom")
    tree.run()
    assert tree.log("acct-1") == tree.log("acct-2") == [Reconsider(ReconsiderReason.ROUTER_RESTARTED)]


def test_a_core_actor_that_keeps_failing_halts_the_engine():
    tree = Tree()
    for _ in range(4):
        tree.actors["gateway"].tell("boom")
    tree.run(20)
    assert tree.gate.closers == ("gateway", "halt")
    assert any("gateway is quarantined" in a for a in tree.alarms)
    assert len(tree.halts) == 1
    assert not tree.gate.may_send(0)


def test_a_projector_that_keeps_failing_takes_no_new_risk_until_an_operator_restarts_it_and_halts_nothing():
    tree = Tree()
    for _ in range(4):
        tree.actors["projector"].tell("boom")
    tree.run(20)
    assert tree.gate.closers == ("projector",)
    assert tree.gate.may_send(0)
    assert tree.cell("projector").status is Status.QUARANTINED
    assert any("no new risk until it runs again: 'bulkhead restart projector'" in a for a in tree.alarms)
    assert tree.halts == []
    tree.actors["supervisor"].tell(RestartNow("projector", by_operator=True))
    tree.run(5)
    assert (tree.cell("projector").status, tree.gate.closers) == (Status.RUNNING, ())


def test_a_projector_beside_another_one_is_not_restarted():
    tree = Tree()
    spec = next(spec for spec in CHILDREN if spec.name == "projector")
    assert spec.directives == {Overtaken: Directive.QUARANTINE}
    cell = tree.cell("projector")
    tree.dispatcher.fail(cell, Overtaken("another projector works on this database"))
    tree.run(20)
    assert (cell.status, cell.restarts, tree.halts) == (Status.QUARANTINED, 0, [])
    assert tree.gate.closers == ("projector",)


def test_an_operator_quarantines_an_account_but_not_the_engine():
    tree = Tree()
    assert tree.actors["supervisor"].ask(Quarantine("acct-2"), block=False) is not None
    tree.actors["supervisor"].tell(Quarantine("writer"))
    tree.run()
    assert tree.cell("acct-2").status is Status.QUARANTINED
    assert tree.actors["writer"].cell.status is Status.RUNNING


NAMES = ("a", "b", "c")


@pytest.fixture
def dispatcher():
    running = ThreadedDispatcher("t")
    running.start()
    yield running
    running.stop(5)


def test_children_start_in_order_and_stop_in_reverse(dispatcher):
    log, actors = [], {}
    specs = tuple(
        ChildSpec(
            name=n, start=lambda _parts, n=n: (log.append(f"{n} started"), Child.start(n, dispatcher, log))[1]
        )
        for n in NAMES
    )
    lifecycle.start(specs, NAMES, None, actors)
    assert lifecycle.stop(specs, NAMES, actors, 5) == []
    assert log == ["a started", "b started", "c started", "c stopped", "b stopped", "a stopped"]
    assert actors == {}


def test_all_stop_under_one_deadline(dispatcher):
    actors, held = {}, threading.Event()
    stuck = ThreadedDispatcher("stuck")
    stuck.start()
    specs = tuple(ChildSpec(name=n, start=lambda _parts, n=n: Child.start(n, stuck)) for n in NAMES)
    lifecycle.start(specs, NAMES, None, actors)
    actors["a"].tell(held)
    began = time.monotonic()
    assert lifecycle.stop(specs, NAMES, actors, 0.6) == ["c", "b", "a"]
    assert time.monotonic() - began < 3
    held.set()
    assert stuck.stop(5)


def test_a_child_that_does_not_answer_did_not_start(dispatcher):
    dispatcher.on_crash = lambda *_: None
    specs = (ChildSpec(name="deaf", start=lambda _parts: Deaf.start("deaf", dispatcher), ready_seconds=0.3),)
    with pytest.raises(NotStarted, match="cannot start"):
        lifecycle.start(specs, ("deaf",), None, {})


@pytest.mark.parametrize("policy", [ACCOUNT_POLICY, GUARD_POLICY, ChildSpec(name="x", start=None).policy])
def test_who_fails_each_time_at_once_is_given_up_though_the_waits_grow(policy):
    history, now = (), 0
    for _ in range(50):
        outcome = after_crash(history, now, policy, 0.99)
        if isinstance(outcome, GiveUp):
            return
        history, now = outcome.history, now + outcome.wait_ns
    raise AssertionError("the limit cannot be reached")


def test_while_the_engine_stops_a_crash_does_not_crash_the_supervisor():
    tree = Tree()
    del tree.actors["router"]
    tree.actors["writer"].stop(block=False)
    tree.accounts["acct-1"].tell("boom")
    tree.run()
    assert tree.actors["supervisor"].cell.status is Status.RUNNING


def test_two_children_of_one_name_are_refused(dispatcher):
    specs = (ChildSpec(name="a", start=lambda _parts: None), ChildSpec(name="a", start=lambda _parts: None))
    with pytest.raises(ValueError, match="different names"):
        lifecycle.start(specs, ("a",), None, {})


def test_children_start_and_stop_by_name_in_the_order_of_the_specs(dispatcher):
    log, actors = [], {}
    specs = tuple(
        ChildSpec(name=n, start=lambda parts, n=n: (parts.append(n), Child.start(n, dispatcher, log))[1])
        for n in NAMES
    )
    made = []
    lifecycle.start(specs, ("c", "a"), made, actors)
    assert (made, list(actors)) == (["a", "c"], ["a", "c"])
    assert lifecycle.stop(specs, ("a", "b"), actors, 5) == []
    assert (log, list(actors)) == (["a stopped"], ["c"])
    with pytest.raises(ValueError, match="d is none of the children"):
        lifecycle.stop(specs, ("d",), actors, 5)


def test_the_engine_s_children_have_a_start_order_and_known_groups():
    assert [spec.name for spec in CHILDREN] == ["writer", "projector", "gateway", "router", "feed"]
    assert {spec.group for spec in CHILDREN} - {""} == set(GROUPS)
