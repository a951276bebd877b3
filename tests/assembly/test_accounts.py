"""Accounts restored at the start, and created while the engine runs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.assembly.accounts import creation, restore
from actors.core.enums import Phase
from actors.core.errors import BadInput, StoreUnreachable
from actors.core.facts import CloseOutBegan
from actors.core.records import NewAccount, QuarantineRecord
from actors.runtime.cell import Status
from actors.supervision.messages import Quarantine, StillQuarantined
from tests.assembly.test_build import Built
from tests.factories import D, account, position
from tests.sink import Sink


class Store:
    """Accounts, some of which cannot be read; it can lose its connection after a commit."""

    def __init__(self, *states):
        self.states = {s.account_id: s for s in states}
        self.unreadable, self.records, self.created, self.loses = {}, [], [], False

    def load(self, ids):
        return [self.states[i] for i in (ids or self.states)]

    def with_operator_records(self, call):
        return call(self)

    def quarantined(self):
        return self.records

    def create_accounts(self, accounts, wall_ms):
        self.created += [(a.account_id, wall_ms) for a in accounts]
        self.states |= {a.account_id: replace(account(), account_id=a.account_id) for a in accounts}
        if self.loses:
            self.loses = False
            raise StoreUnreachable("after the commit")

    def has_created(self, ids, wall_ms):
        return [(i, wall_ms) for i in ids] == self.created

    def ask(self, query):
        return query.run(self)


@pytest.fixture
def built():
    made = Built()
    made.assembly.actors["supervisor"] = Sink.start("supervisor", made.dispatcher)
    made.assembly.start("writer", "gateway", "router", prove=False)
    made.run()
    return made


def named(name, **changes):
    return replace(account(**changes), account_id=name)


def test_those_with_positions_start_first_and_each_from_its_state(built):
    said = []
    store = Store(named("a"), named("b", positions=[position()]))
    restore(built.assembly, store, said.append)
    assert list(built.assembly.accounts) == ["b", "a"]
    built.run()
    assert built.assembly.accounts["b"].cell.actor.state.positions
    assert said == ["restoring 2 accounts"]
    assert built.got("supervisor") == []


def test_what_is_being_liquidated_or_closed_starts_before_all_else(built):
    closing = replace(account().risk, close_out=CloseOutBegan("odd prices"))
    store = Store(
        named("a", positions=[position()]),
        named("b", positions=[position()], phase=Phase.REDUCING),
        named("c", risk=closing),
        named("d"),
    )
    restore(built.assembly, store, lambda _text: None)
    assert list(built.assembly.accounts) == ["b", "c", "a", "d"]


def test_who_was_in_quarantine_stays_there_and_who_cannot_be_served_goes_there(built):
    store = Store(named("a"), named("b"), named("no id\n"))
    store.records = [
        QuarantineRecord(account_id="a", reason="odd fills", since_ms=1, error="E", traceback="T", state="S")
    ]
    store.unreadable = {"c": "status LIMBO"}
    restore(built.assembly, store, lambda _text: None)
    built.run()
    accounts = built.assembly.accounts
    assert accounts["a"].cell.status is accounts["c"].cell.status is Status.QUARANTINED
    assert accounts["b"].cell.status is Status.RUNNING
    assert accounts["a"].cell.crashes[0].error == "E"
    still, bad_id, unreadable = built.got("supervisor")
    assert still == StillQuarantined("a", "odd fills")
    assert isinstance(bad_id, Quarantine)
    assert "cannot be an id" in bad_id.reason
    assert unreadable == Quarantine("c", "its rows cannot be read: status LIMBO")


def new(name):
    return NewAccount(
        account_id=name, name=name, deposit=D(1), max_notional_per_trade=D(1), max_total_exposure=D(1)
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [(["router"], "uses itself"), (["guard:x"], "uses itself"), (["a", "a"], "comes twice")],
)
def test_ids_that_cannot_be_are_refused_before_anything_is_written(built, names, text):
    with pytest.raises(BadInput, match=text):
        creation(built.assembly, [new(n) for n in names], 1)


def test_a_creation_whose_connection_was_lost_after_the_commit_is_not_done_twice(built):
    store = Store()
    store.loses = True
    create = creation(built.assembly, [new("x")], 7)
    with pytest.raises(StoreUnreachable):
        create.run(store)
    assert create.run_again(store) == 1
    assert store.created == [("x", 7)]
    assert list(built.assembly.accounts) == ["x"]
