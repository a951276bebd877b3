"""Quarantine: who stands where, when nobody may be displaced, and how an account comes back.

Covers: actors/supervision/dead_letters.py, actors/supervision/quarantine.py
"""

from __future__ import annotations

import pytest

from actors.core.errors import StateLost
from actors.core.records import LiftQuarantine, RecordQuarantine
from actors.runtime.cell import Status
from actors.supervision.messages import Crashed, Quarantine, Release, RestartNow, StillQuarantined
from tests.trees import Child, Tree


def test_while_in_quarantine_a_guard_stands_where_the_account_stood():
    tree = Tree()
    tree.actors["supervisor"].tell(Quarantine("acct-1", "odd fills"))
    tree.run()
    guard = tree.accounts["acct-1"]
    assert guard.name == "guard:acct-1"
    assert guard.cell.status is Status.RUNNING
    guard.tell("a fill")
    tree.run()
    assert guard.cell.actor.log == ["a fill"]
    [record] = [m for m in tree.log("writer") if isinstance(m, RecordQuarantine)]
    assert (record.account_id, record.reason) == ("acct-1", "odd fills")
    tree.actors["supervisor"].tell(Release("acct-1"))
    tree.run()
    assert tree.accounts["acct-1"].name == "acct-1"
    assert tree.cell("acct-1").status is Status.RUNNING
    assert not guard.is_alive()
    assert LiftQuarantine("acct-1") in tree.log("writer")


def test_a_guard_that_fails_again_and_again_is_an_alarm_and_the_account_is_still_releasable():
    tree = Tree()
    tree.actors["supervisor"].tell(Quarantine("acct-1"))
    tree.run()
    for _ in range(6):
        tree.accounts["acct-1"].tell("boom")
    tree.run(20)
    assert any("NOBODY WATCHES acct-1" in a for a in tree.alarms)
    assert tree.actors["supervisor"].cell.actor.inspect_state()["unguarded"] == ["acct-1"]
    tree.actors["supervisor"].tell(Release("acct-1"))
    tree.run()
    assert tree.cell("acct-1").status is Status.RUNNING
    assert tree.actors["supervisor"].cell.actor.inspect_state()["unguarded"] == []


def test_an_account_that_was_left_in_quarantine_gets_its_guard_and_no_start():
    tree = Tree()
    held = tree.accounts["acct-9"] = Child.start("acct-9", tree.dispatcher, held=True)
    tree.actors["supervisor"].tell(StillQuarantined("acct-9", "yesterday's"))
    tree.run()
    assert held.cell.status is Status.QUARANTINED
    assert tree.accounts["acct-9"].name == "guard:acct-9"
    assert any("acct-9 is still in quarantine: yesterday's" in a for a in tree.alarms)


class InATurn:
    """A cell that seems to be in the middle of a turn."""

    def __init__(self, cell):
        self.mailbox = cell.mailbox

    def __enter__(self):
        self.mailbox.in_hand = 1

    def __exit__(self, *_):
        self.mailbox.in_hand = 0


def test_nobody_takes_a_place_while_a_turn_there_is_not_over():
    tree = Tree()
    own = tree.cell("acct-1")
    with InATurn(own):
        tree.actors["supervisor"].tell(Quarantine("acct-1"))
        tree.run(3)
        assert tree.accounts["acct-1"].cell is own
        assert any("has been in one turn for over a second, so guard waits" in a for a in tree.alarms)
    tree.run()
    guard = tree.accounts["acct-1"].cell
    assert guard.name == "guard:acct-1"
    with InATurn(guard):
        tree.actors["supervisor"].tell(Release("acct-1"))
        tree.run()
        assert tree.accounts["acct-1"].cell is guard
    tree.run()
    assert tree.accounts["acct-1"].cell is own


def test_an_operator_s_restart_waits_for_the_turn_too():
    tree = Tree()
    cell = tree.cell("acct-1")
    with InATurn(cell):
        tree.actors["supervisor"].tell(RestartNow("acct-1", by_operator=True))
        tree.run()
        assert cell.restarts == 0
    tree.run()
    assert (cell.restarts, cell.status) == (1, Status.RUNNING)


class Moving(dict):
    """Who is in quarantine; the account goes there while somebody asks."""

    def get(self, key, default=None):
        found = super().get(key, default)
        self.tree.actors["supervisor"].tell(Quarantine("acct-1"))
        self.tree.run()
        self.tree.registry.quarantined = dict(self)
        return found


def test_a_guard_is_never_taken_for_its_account():
    tree = Tree()
    own, registry = tree.accounts["acct-1"], tree.registry
    asked = registry.quarantined = Moving()
    asked.tree = tree
    assert registry.find("acct-1") is own, "it went into quarantine between the two questions"
    assert tree.accounts["acct-1"].name == "guard:acct-1"
    assert own in registry.own_actors()
    assert not [ref for ref in registry.own_actors() if ref.name.startswith("guard:")]


class Watched(dict):
    """Accounts by id; says who stands there each time that an account leaves quarantine."""

    def __delitem__(self, key):
        self.seen = self.tree.accounts[key].name
        super().__delitem__(key)


def test_a_released_account_stands_in_its_place_before_it_leaves_quarantine():
    tree = Tree()
    tree.registry.quarantined = watched = Watched()
    watched.tree = tree
    tree.actors["supervisor"].tell(Quarantine("acct-1"))
    tree.run()
    tree.actors["supervisor"].tell(Release("acct-1"))
    tree.run()
    assert watched.seen == "acct-1"
    assert not watched


def quarantined_twice(tree, how):
    """Once more while a guard stands there already."""
    if how == "by hand":
        tree.actors["supervisor"].tell(Quarantine("acct-1", "again"))
    else:
        # What failed before the quarantine was told is read after it.
        cell = tree.registry.quarantined["acct-1"].cell
        cell.status = Status.CRASHED
        report = cell.report(None, StateLost("gone"), 0, 0)
        tree.actors["supervisor"].tell(Crashed(cell, report, StateLost("gone")))


@pytest.mark.parametrize("how", ["by hand", "by a failure"])
def test_a_second_quarantine_changes_nothing_of_who_stands_where(how):
    tree = Tree()
    tree.actors["supervisor"].tell(Quarantine("acct-1", "odd fills"))
    tree.run()
    own, guard = tree.registry.quarantined["acct-1"], tree.accounts["acct-1"]
    quarantined_twice(tree, how)
    tree.run()
    assert tree.registry.quarantined["acct-1"] is own
    assert own.name == "acct-1"
    assert tree.accounts["acct-1"] is guard
    assert guard.cell.status is Status.RUNNING
    guard.tell("a fill")
    tree.run()
    assert guard.cell.actor.log == ["a fill"], "it watches still"
    assert len([m for m in tree.log("writer") if isinstance(m, RecordQuarantine)]) == 1
    tree.actors["supervisor"].tell(Release("acct-1"))
    tree.run()
    assert tree.accounts["acct-1"] is own
    assert (own.cell.status, guard.is_alive()) == (Status.RUNNING, False)


def test_a_guard_that_comes_late_does_not_take_the_place_of_a_released_account():
    """The guard waits for the end of a turn; meanwhile an operator releases the account."""
    tree = Tree()
    own = tree.cell("acct-1")
    with InATurn(own):
        tree.actors["supervisor"].tell(Quarantine("acct-1"))
        tree.run(0.052)
        tree.actors["supervisor"].tell(Release("acct-1"))
        tree.run(0.004)
        assert tree.accounts["acct-1"].cell is own
    # The turn is over; the release looks at it before the guard does.
    tree.run()
    assert tree.accounts["acct-1"].cell is own
    assert tree.registry.quarantined == {}
    assert own.status is Status.RUNNING
    assert "guard:acct-1" not in tree.dispatcher.cells


def test_who_quarantines_an_account_that_is_just_being_released_is_told_that_it_was_not_done():
    tree = Tree()
    own, supervisor = tree.cell("acct-1"), tree.actors["supervisor"]
    with InATurn(own):
        answers = []
        for message in (Quarantine("acct-1"), Release("acct-1"), Quarantine("acct-1")):
            answers.append(supervisor.ask(message, block=False))
            tree.run(0.05)
    tree.run()
    assert [answer.get(timeout=1) for answer in answers] == [True, True, False]
    assert tree.accounts["acct-1"].cell is own
    assert own.status is Status.RUNNING
    assert supervisor.ask(Quarantine("acct-1"), block=False) is not None
    tree.run()
    assert tree.accounts["acct-1"].name == "guard:acct-1"


def test_an_account_s_guard_cannot_be_quarantined_as_an_account():
    tree = Tree()
    tree.actors["supervisor"].tell(Quarantine("acct-1"))
    tree.run()
    tree.actors["supervisor"].tell(Quarantine("guard:acct-1"))
    tree.actors["supervisor"].tell(Release("guard:acct-1"))
    tree.run()
    assert list(tree.registry.quarantined) == ["acct-1"]
    assert tree.accounts["acct-1"].cell.status is Status.RUNNING
