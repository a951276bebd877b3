"""Connections that break around a commit: nothing is committed twice, and nothing durable is denied."""

from __future__ import annotations

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.errors import Fenced, NotDurable, StoreBusy, StoreUnreachable
from actors.core.messages import AdjustBalance
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.store import Store
from tests.factories import BUY, D
from tests.persistence.authors import NOW, Author, create, load, rows


def test_a_connection_lost_while_a_batch_is_split_forgets_no_answer(store, dsn, monkeypatch):
    authors = [Author(s) for s in create(store, 4)]
    for author in authors:
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
    batch = [a.batch[0] for a in authors]
    batch[3] = replace(batch[3], previous_sequence=9)
    real, calls = store._transaction, []

    def cut(decisions):
        calls.append(len(decisions))
        if len(calls) == 3:
            with psycopg.connect(dsn, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", (store._connection.info.backend_pid,))
        real(decisions)

    monkeypatch.setattr(store, "_transaction", cut)
    with pytest.raises(StoreUnreachable):
        store.commit(batch)
    results = store.commit(batch)
    assert results[:3] == [None] * 3
    assert isinstance(results[3], NotDurable)
    assert [load(store, a.state).sequence for a in authors] == [1, 1, 1, 0]


@pytest.mark.parametrize("committed_first", [False, True])
def test_a_lost_connection_never_commits_twice_or_loses(store, dsn, monkeypatch, committed_first):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    real = store._transaction

    def cut(decisions):
        monkeypatch.setattr(store, "_transaction", real)
        if committed_first:
            real(decisions)
        with psycopg.connect(dsn, autocommit=True) as killer:
            killer.execute("SELECT pg_terminate_backend(%s)", (store._connection.info.backend_pid,))
        real(decisions)

    monkeypatch.setattr(store, "_transaction", cut)
    if committed_first:
        assert set(store.commit(author.batch)) == {None}
    else:
        with pytest.raises(StoreUnreachable):
            store.commit(author.batch)
        assert set(store.commit(author.batch)) == {None}
    assert load(store, author.state) == author.state
    assert rows(dsn, "SELECT count(*) FROM bulkhead.fill") == [(1,)]


@pytest.mark.parametrize("renews_first", [False, True])
def test_a_landed_commit_is_known_however_long_postgres_stays_away(store, dsn, monkeypatch, renews_first):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    real, reconnect = store._transaction, store._reconnect

    def land_and_lose(decisions):
        monkeypatch.setattr(store, "_transaction", real)
        real(decisions)
        kill_connection(store, dsn)
        real(decisions)

    def away():
        raise StoreUnreachable("still away")

    monkeypatch.setattr(store, "_transaction", land_and_lose)
    monkeypatch.setattr(store, "_reconnect", away)
    with pytest.raises(StoreUnreachable):
        store.commit(author.batch)
    monkeypatch.setattr(store, "_reconnect", reconnect)
    if renews_first:
        with pytest.raises(StoreUnreachable):
            store.renew()
        assert store.renew() == 30
    else:
        store._reconnect()
    assert store.commit(author.batch) == [None] * len(author.batch)
    assert load(store, author.state) == author.state


def test_a_commit_that_lands_while_it_is_tried_again_is_known(store, dsn, monkeypatch):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    real = store._transaction

    def lose(_decisions):
        monkeypatch.setattr(store, "_transaction", land_late)
        kill_connection(store, dsn)
        store._connection.execute("SELECT 1")

    def land_late(decisions):
        monkeypatch.setattr(store, "_transaction", real)
        # The old connection's commit, that the server still had in hand.
        real(decisions)
        real(decisions)

    monkeypatch.setattr(store, "_transaction", lose)
    with pytest.raises(StoreUnreachable):
        store.commit(author.batch)
    assert store.commit(author.batch) == [None] * len(author.batch)
    assert rows(dsn, "SELECT count(*) FROM bulkhead.fill") == [(1,)]


def test_a_doubtful_commit_of_an_owner_that_lost_its_shards_is_not_called_durable(store, dsn, monkeypatch):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    real = store._transaction

    def lose(_decisions):
        monkeypatch.setattr(store, "_transaction", real)
        kill_connection(store, dsn)
        newer = Store.open(dsn)
        newer.acquire("me", 30)
        assert set(newer.commit(author.batch)) == {None}
        newer.close()
        store._connection.execute("SELECT 1")

    monkeypatch.setattr(store, "_transaction", lose)
    assert all(isinstance(r, Fenced) for r in store.commit(author.batch))


def test_a_decision_on_an_old_state_is_not_proven_by_somebody_else_s_sequence(store, dsn, monkeypatch):
    """A guard went on from the same state: the sequence is past the account's decision, the decision is not in it."""
    [state] = create(store)
    account, guard = Author(state), Author(state)
    guard.decide(AdjustBalance(D(5), "DEPOSIT"))
    guard.decide(AdjustBalance(D(7), "DEPOSIT"))
    assert store.commit(guard.batch) == [None, None]
    account.trade(BUY, "0.1")
    real = store._transaction

    def lose(_decisions):
        monkeypatch.setattr(store, "_transaction", real)
        kill_connection(store, dsn)
        store._connection.execute("SELECT 1")

    monkeypatch.setattr(store, "_transaction", lose)
    with pytest.raises(StoreUnreachable):
        store.commit(account.batch)
    assert all(isinstance(r, NotDurable) for r in store.commit(account.batch))
    assert rows(dsn, "SELECT count(*) FROM bulkhead.intent") == [(0,)]


def test_a_lock_on_one_account_s_row_keeps_no_other_waiting(store, dsn):
    states = create(store, 3)
    batch = []
    for state in states:
        author = Author(state)
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        batch += author.batch
    with psycopg.connect(dsn) as platform:
        platform.execute("SELECT 1 FROM sub_accounts WHERE id = 'acct-2' FOR UPDATE")
        results = store.commit(batch)
        assert [r is None for r in results] == [True, False, True]
    with psycopg.connect(dsn) as platform:
        platform.execute("LOCK TABLE bulkhead.audit")
        with pytest.raises(StoreBusy):
            store.with_operator_records(lambda d: d.audit())
    assert store.with_operator_records(lambda d: d.audit()) == []


def kill_connection(store, dsn):
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (store._connection.info.backend_pid,))


def test_accounts_whose_creation_lost_its_connection_are_known_to_be_there_and_others_are_not(store):
    new = [NewAccount(account_id=AccountId(f"new-{n}"), name="x", deposit=D(1)) for n in range(3)]
    ids = [a.account_id for a in new]
    assert not store.has_created(ids, NOW)
    store.create_accounts(new, NOW)
    assert store.has_created(ids, NOW)
    assert not store.has_created(ids, NOW + 1), "somebody else's, of another moment"
    assert not store.has_created([*ids, AccountId("acct-9")], NOW)
