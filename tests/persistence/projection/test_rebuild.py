"""Our tables made once more from the journal: the same rows, and not a row of the platform's touched."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from actors.core.enums import AccountStatus
from actors.core.errors import StateCorrupt
from actors.core.messages import AdjustBalance, SetLimits, SetStatus
from actors.persistence import schema
from actors.persistence.connection import connect
from actors.persistence.projection import rebuild as module
from actors.persistence.projection.rebuild import rebuild
from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from tests.factories import WIDE, D
from tests.persistence.authors import Author
from tests.persistence.projection.lives import commit, live, ours, platform, project_all
from tests.persistence.test_last_release import read


def rebuilt(dsn, progress=lambda _done, _all: None):
    connection = connect(dsn)
    try:
        return rebuild(connection, progress)
    finally:
        connection.close()


def spoil(dsn):
    """What somebody's hand, or a fault of ours, may do to our tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM bulkhead.fill")
        connection.execute("UPDATE bulkhead.intent SET filled = 0, status = 'INTENDED'")
        connection.execute(
            "UPDATE bulkhead.account SET balance = 1, deposits = 1, realized = 0, fees = 0, funding = 0, bad_debt = 0"
        )
        connection.execute("DELETE FROM bulkhead.account_risk")
        connection.execute("DELETE FROM bulkhead.snapshot")


@pytest.mark.parametrize("seeds", [range(40, 52), range(52, 64)])
def test_rebuilt_is_row_by_row_what_was_made_live(store, dsn, seeds, monkeypatch):
    commit(store, live(store, seeds, monkeypatch))
    project_all(dsn, 23)
    before = ours(dsn, but=("snapshot",)), platform(dsn)
    assert sum(map(len, before[0].values())) > 100
    spoil(dsn)
    assert ours(dsn, but=("snapshot",)) != before[0]
    monkeypatch.setattr(module, "AT_ONCE", 50)
    told = []
    count = rebuilt(dsn, lambda done, of: told.append((done, of)))
    assert (ours(dsn, but=("snapshot",)), platform(dsn)) == before
    assert told[-1] == (count, count)
    assert len(told) > 3


def test_after_it_the_projection_goes_on_where_it_was(store, dsn, monkeypatch):
    decisions = live(store, range(4), monkeypatch)
    middle = len(decisions) // 2
    commit(store, decisions[:middle])
    project_all(dsn)
    commit(store, decisions[middle:])
    before = platform(dsn)
    count = rebuilt(dsn)
    assert platform(dsn) == before, "what is behind the cursor is for the projector"
    project_all(dsn)
    assert platform(dsn) != before
    said = ours(dsn, but=("snapshot",))
    assert rebuilt(dsn) > count
    assert ours(dsn, but=("snapshot",)) == said


def test_one_that_is_killed_in_the_middle_changed_nothing(store, dsn, monkeypatch):
    commit(store, live(store, range(3), monkeypatch))
    project_all(dsn)
    before = ours(dsn), platform(dsn)
    monkeypatch.setattr(module, "AT_ONCE", 10)

    def killed(done, _all):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(dsn, killed)
    assert (ours(dsn), platform(dsn)) == before


def test_a_journal_with_a_row_missing_or_unreadable_changes_nothing(store, dsn, monkeypatch):
    commit(store, live(store, range(2), monkeypatch, events=20))
    project_all(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.journal SET version = 99 WHERE position = 9")
    before = ours(dsn)
    with pytest.raises(StateCorrupt, match="later release"):
        rebuilt(dsn)
    assert ours(dsn) == before
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM bulkhead.journal WHERE position >= 9")
    with pytest.raises(StateCorrupt, match="no row behind position 8"):
        rebuilt(dsn)
    assert ours(dsn) == before


def test_a_parked_account_comes_as_far_as_it_was(store, dsn, monkeypatch):
    decisions = live(store, range(3), monkeypatch)
    commit(store, decisions)
    projection = Projection(dsn)
    projection.begin()
    bad = next(d for d in decisions if d.stream == "life-1" and d.state.sequence == 9)
    from actors.persistence.projection import accounts

    real = accounts.project_state

    def fails(batch, decided):
        if (decided.stream, decided.sequence) == (bad.stream, 9):
            raise ValueError("spoiled")
        real(batch, decided)

    monkeypatch.setattr(accounts, "project_state", fails)
    while found := projection.read(1):
        projection.project(found)
    assert list(projection.parked) == ["life-1"]
    monkeypatch.setattr(accounts, "project_state", real)
    before = ours(dsn, but=("snapshot",)), platform(dsn)
    rebuilt(dsn)
    assert (ours(dsn, but=("snapshot",)), platform(dsn)) == before
    assert projection.release("life-1") > 0
    projection.close()
    said = ours(dsn, but=("snapshot",))
    rebuilt(dsn)
    assert ours(dsn, but=("snapshot",)) == said


def test_what_was_there_before_the_journal_comes_back_and_what_came_since_is_on_top(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
        connection.execute(Path(schema.__file__).with_name("bulkhead_6.sql").read_text())
    store = Store.open(dsn, WIDE)
    store.acquire("this release", 30)
    state = next(s for s in store.load(None) if s.status == "ACTIVE" and not s.orders and not s.conditionals)
    author = Author(state)
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    author.decide(SetLimits((("max_positions", "3"),)))
    author.decide(SetStatus(AccountStatus.FROZEN))
    assert set(store.commit(author.batch)) == {None}
    assert D(0) < state.balance != author.state.balance
    store.close()
    project_all(dsn)
    before = ours(dsn, but=("snapshot",)), platform(dsn)
    assert len(before[0]["fill"]) > 2
    spoil(dsn)
    rebuilt(dsn)
    assert (ours(dsn, but=("snapshot",)), platform(dsn)) == before
