"""Connections that break around a commit: nothing is committed twice, and nothing durable is denied."""

from __future__ import annotations

import time
from threading import Event, Thread

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.errors import Fenced, NotDurable, StoreBusy, StoreUnreachable
from actors.core.messages import AdjustBalance
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence import journal
from actors.persistence.journal import JournalEnd
from actors.persistence.messages import Committed
from actors.persistence.store import Store
from tests.factories import BUY, D
from tests.persistence.authors import NOW, Author, create, load, rows

WAIT = 20


def test_a_connection_lost_while_a_batch_is_split_forgets_no_answer(store, dsn, monkeypatch):
    authors = [Author(s) for s in create(store, 4)]
    for author in authors:
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
    batch = [a.batch[0] for a in authors]
    batch[3] = replace(batch[3], cause="a NUL \0 that Postgres does not take")
    real, calls = store._transaction, []

    def cut(decisions):
        calls.append(len(decisions))
        if len(calls) == 3:
            kill_connection(store, dsn)
        return real(decisions)

    monkeypatch.setattr(store, "_transaction", cut)
    with pytest.raises(StoreUnreachable):
        store.commit(batch)
    results = store.commit(batch)
    assert results[:3] == [None] * 3
    assert isinstance(results[3], NotDurable)
    assert [load(store, a.state).sequence for a in authors] == [1, 1, 1, 0]


def test_a_commit_that_was_cut_off_before_it_landed_is_made_again(store, dsn, monkeypatch):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    cut_before_the_commit(monkeypatch, store, dsn)
    with pytest.raises(StoreUnreachable):
        store.commit(author.batch)
    assert set(store.commit(author.batch)) == {None}
    assert load(store, author.state) == author.state
    assert rows(dsn, "SELECT count(*) FROM bulkhead.trade_key") == [(1,)]


def test_a_commit_whose_answer_was_lost_is_known_to_have_landed(store, dsn, monkeypatch):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    cut_in(monkeypatch, store, dsn, "_landed")
    assert set(store.commit(author.batch)) == {None}
    assert load(store, author.state) == author.state
    assert rows(dsn, "SELECT count(*) FROM bulkhead.trade_key") == [(1,)]
    # Where it stands was not answered: the projector has to look.
    assert store.handover() == Committed(0)
    assert_goes_on(store, author)


@pytest.mark.parametrize("renews_first", [False, True])
def test_a_landed_commit_is_known_however_long_postgres_stays_away(store, dsn, monkeypatch, renews_first):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    reconnect = store._reconnect

    def away():
        raise StoreUnreachable("still away")

    cut_in(monkeypatch, store, dsn, "_landed")
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


@pytest.mark.parametrize(
    "when", ["_learn_fates", "_fence", "learn", "following", "append", "while it waits for it"]
)
def test_a_commit_that_lands_while_it_is_tried_again_is_known(store, dsn, monkeypatch, when):
    """The server still had the old connection's commit to do: it may land at any step of the next try."""
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    cut_before_the_commit(monkeypatch, store, dsn)
    appended = Event()
    late = Thread(target=land, args=(dsn, author.batch, appended))
    with pytest.raises(StoreUnreachable):
        store.commit(author.batch)
    assert rows(dsn, "SELECT count(*) FROM bulkhead.trade_key") == [(0,)]

    holder = {"learn": store._end, "following": store._end, "append": journal}.get(when, store)
    if when == "while it waits for it":
        late.start()
        assert appended.wait(WAIT)
    else:
        real = getattr(holder, when)

        def landing(*arguments):
            monkeypatch.setattr(holder, when, real)
            land(dsn, author.batch)
            return real(*arguments)

        monkeypatch.setattr(holder, when, landing)
    assert store.commit(author.batch) == [None] * len(author.batch)
    assert rows(dsn, "SELECT count(*) FROM bulkhead.trade_key") == [(1,)]
    assert load(store, author.state) == author.state
    if late.ident:
        late.join()
    assert_goes_on(store, author)


def test_a_doubtful_commit_of_an_owner_that_lost_its_shards_is_not_called_durable(store, dsn, monkeypatch):
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    real = store._transaction

    def lose(decisions):
        monkeypatch.setattr(store, "_transaction", real)
        real(decisions)
        kill_connection(store, dsn)
        newer = Store.open(dsn)
        newer.acquire("me", 30)
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
    assert rows(dsn, "SELECT count(*) FROM bulkhead.journal WHERE sequence > 2") == [(0,)]


def test_a_lock_that_somebody_holds_on_the_platform_s_rows_keeps_no_decision_waiting(store, dsn):
    authors = [Author(state) for state in create(store, 3)]
    for author in authors:
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
    with psycopg.connect(dsn) as platform:
        platform.execute("SELECT 1 FROM sub_accounts WHERE id = 'acct-2' FOR UPDATE")
        assert store.commit([author.batch[0] for author in authors]) == [None, None, None]
    with psycopg.connect(dsn) as platform:
        platform.execute("LOCK TABLE bulkhead.audit")
        with pytest.raises(StoreBusy):
            store.with_operator_records(lambda d: d.audit())
    assert store.with_operator_records(lambda d: d.audit()) == []


def kill_connection(store, dsn):
    with psycopg.connect(dsn, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (store._connection.info.backend_pid,))


def cut_in(monkeypatch, store, dsn, name):
    """The next call of a method finds its connection cut."""
    real = getattr(store, name)

    def cut(*_arguments):
        monkeypatch.setattr(store, name, real)
        kill_connection(store, dsn)
        store._connection.execute("SELECT 1")

    monkeypatch.setattr(store, name, cut)


def cut_before_the_commit(monkeypatch, store, dsn):
    """The next rows are appended, and the connection is cut before their COMMIT was sent."""
    real = journal.append

    def append(*arguments):
        monkeypatch.setattr(journal, "append", real)
        real(*arguments)
        kill_connection(store, dsn)

    monkeypatch.setattr(journal, "append", append)


def land(dsn, decisions, appended=None):
    """What the server does for a connection that is gone: the same rows, at last committed.

    With ``appended`` this is set before the commit, which then comes when somebody waits for those rows.
    """
    end = JournalEnd()
    with psycopg.connect(dsn) as connection:
        end.learn(connection, {d.stream for d in decisions})
        found, refusals = end.following(decisions)
        assert not any(refusals)
        journal.append(connection, found, decisions[-1].wall_ms)
        if appended is not None:
            appended.set()
            until_somebody_waits_for(connection.info.backend_pid, dsn)


def until_somebody_waits_for(pid, dsn):
    deadline = time.monotonic() + WAIT
    with psycopg.connect(dsn, autocommit=True) as watching:
        while not watching.execute(WAITING_FOR, (pid,)).fetchall():
            assert time.monotonic() < deadline, "nobody waits for the rows that are about to be committed"
            time.sleep(0.01)


WAITING_FOR = "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"


def assert_goes_on(store, author):
    done = len(author.batch)
    author.trade(BUY, "0.1")
    assert set(store.commit(author.batch[done:])) == {None}
    assert load(store, author.state) == author.state


def test_accounts_whose_creation_lost_its_connection_are_known_to_be_there_and_others_are_not(store):
    new = [NewAccount(account_id=AccountId(f"new-{n}"), name="x", deposit=D(1)) for n in range(3)]
    ids = [a.account_id for a in new]
    assert not store.has_created(ids, NOW)
    store.create_accounts(new, NOW)
    assert store.has_created(ids, NOW)
    assert not store.has_created(ids, NOW + 1), "somebody else's, of another moment"
    assert not store.has_created([*ids, AccountId("acct-9")], NOW)
