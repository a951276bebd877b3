"""The projection on a real Postgres: once, whatever breaks; the same rows by every way; parked, released, compared.

Covers: actors/persistence/projection/accounts.py, actors/persistence/projection/conditionals.py
Covers: actors/persistence/projection/money.py, actors/persistence/projection/orders.py
Covers: actors/persistence/projection/positions.py, actors/persistence/projection/trades.py
Covers: actors/persistence/projection/decided.py, actors/persistence/projection/spelling.py
Covers: actors/persistence/projection/batch.py, actors/persistence/projection/balances.py
Covers: actors/persistence/projection/rows.py, actors/persistence/projection/risk.py
Covers: actors/persistence/projection/row_ids.py, actors/persistence/shards.py
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal as D

import psycopg
import pytest
from msgspec.structs import replace

from actors.core.constants import SNAPSHOT_EVERY
from actors.core.enums import AccountStatus, LiquidationMode
from actors.core.errors import Overtaken, StateCorrupt, StoreUnreachable
from actors.core.messages import AdjustBalance, PlatformKnown, SetMode, SetStatus
from actors.persistence import journal, loading
from actors.persistence.projection.decided import of_handover
from actors.persistence.projection.store import Projection
from actors.subaccount.state_codec import state_hash
from tests.factories import BUY, ETH, SELL
from tests.persistence.authors import TRADE_IDS, Author, create
from tests.persistence.projection.lives import commit, copy_of, differing, live, ours, platform, project_all


def ask(dsn, query, *values):
    """What a table says as it is."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values).fetchall()


def change(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def projection(store, dsn):
    opened = Projection(dsn)
    opened.begin()
    opened.project(opened.read(100))
    opened.alarms, opened.left_out = [], []
    opened.on_foreign, opened.on_parked = opened.alarms.append, opened.left_out.append
    yield opened
    opened.close()


# -- one journal, the same rows


@pytest.mark.parametrize("seeds", [range(12), range(12, 24)])
def test_handed_over_or_read_at_once_or_one_by_one_the_rows_are_the_same(store, dsn, seeds, monkeypatch):
    handed = commit(store, live(store, seeds, monkeypatch))
    store.close()
    at_once, one_by_one = copy_of(dsn), copy_of(dsn)
    projection = Projection(dsn)
    projection.begin()
    projection.project(projection.read(handed[0].first - 1))
    for committed in handed:
        projection.project(of_handover(committed))
    projection.close()
    project_all(at_once, 10_000)
    project_all(one_by_one, 1)
    said = ours(dsn, but=("snapshot",)), platform(dsn)
    assert sum(map(len, said[0].values())) >= 100
    for other in (at_once, one_by_one):
        assert differing(said, (ours(other, but=("snapshot",)), platform(other))) == []
    assert ask(dsn, "SELECT count(*) FROM bulkhead.parked") == [(0,)]


def test_the_tables_say_what_the_accounts_are(store, dsn, monkeypatch):
    decisions = live(store, range(20, 26), monkeypatch)
    commit(store, decisions)
    project_all(dsn)
    for state in {d.stream: d.state for d in decisions}.values():
        id_ = state.account_id
        [found] = ask(
            dsn,
            "SELECT sequence, balance, realized, fees, funding, bad_debt, phase, platform_balance FROM bulkhead.account "
            "WHERE account_id = %s", id_,
        )  # fmt: skip
        s = state
        assert found == (
            s.sequence, s.balance, s.realized, s.fees, s.funding, s.bad_debt, s.phase, s.balance
        )  # fmt: skip
        assert ask(dsn, "SELECT current_balance, status, liquidation_mode FROM sub_accounts WHERE id = %s", id_) == [
            (s.balance, s.status, s.mode)
        ]  # fmt: skip
        held = ask(
            dsn, "SELECT symbol, quantity, cost, fees FROM bulkhead.position WHERE account_id = %s", id_
        )
        assert sorted(held) == sorted((p.symbol, p.quantity, p.cost, p.fees) for p in s.positions)
        opened = ask(
            dsn, "SELECT count(*) FROM virtual_positions WHERE status = 'OPEN' AND sub_account_id = %s", id_
        )
        assert opened == [(len(s.positions),)]
        working = (
            "SELECT client_order_id, filled FROM bulkhead.intent WHERE account_id = %s AND end_code IS NULL"
        )
        assert sorted(ask(dsn, working, id_)) == sorted((o.client_order_id, o.filled) for o in s.orders)
        waiting = ask(dsn, "SELECT client_order_id FROM bulkhead.conditional WHERE status = 'WAITING' AND account_id = %s", id_)  # fmt: skip
        assert sorted(c for (c,) in waiting) == sorted(c.client_order_id for c in s.conditionals)
        changed = ask(dsn, "SELECT sum(change_amount) FROM balance_logs WHERE sub_account_id = %s", id_)
        assert changed == [(s.balance,)]


# -- once


class _Cut:
    """A connection whose server ends it before its n-th statement, or after the commit and before the answer to it."""

    def __init__(self, connection, dsn, left):
        self._connection, self._dsn, self.left = connection, dsn, left

    def _step(self):
        self.left -= 1
        if self.left == 0:
            pid = self._connection.info.backend_pid
            with psycopg.connect(self._dsn, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    def execute(self, *arguments):
        self._step()
        return self._connection.execute(*arguments)

    def cursor(self):
        self._step()
        return self._connection.cursor()

    @contextmanager
    def transaction(self):
        with self._connection.transaction():
            yield
            self._step()
        self.left -= 1
        if self.left == 0:
            self._connection.close()
            raise psycopg.OperationalError("the answer to a commit was lost")

    def __getattr__(self, name):
        return getattr(self._connection, name)


def test_whatever_statement_the_connection_is_lost_at_each_decision_is_projected_once(
    store, dsn, monkeypatch
):
    commit(store, live(store, range(30, 33), monkeypatch, events=25))
    store.close()
    reference = copy_of(dsn)
    project_all(reference, 20)
    projection, cuts, number = Projection(dsn), 0, 0
    real = projection._connected
    projection.begin()
    while True:
        number += 1
        cut = _Cut(real(), dsn, number % 25 + 1)
        monkeypatch.setattr(projection, "_connected", lambda cut=cut: cut)
        try:
            found = projection.read(20)
            if not found:
                break
            projection.project(found)
        except StoreUnreachable:
            cuts += 1
        monkeypatch.setattr(projection, "_connected", real)
        projection.begin()
    projection.close()
    assert cuts > 10
    assert (ours(dsn, but=("snapshot",)), platform(dsn)) == (
        ours(reference, but=("snapshot",)),
        platform(reference),
    )


def test_two_projectors_do_not_project_twice(store, dsn, projection):
    other = Projection(dsn)
    other.begin()
    author = Author(create(store)[0])
    author.trade(BUY, "0.1")
    assert set(store.commit(author.batch)) == {None}
    found, same = projection.read(100), other.read(100)
    projection.project(found)
    with pytest.raises(Overtaken, match="another projector"):
        other.project(same)
    other.close()
    assert ask(dsn, "SELECT count(*) FROM bulkhead.fill") == [(1,)]


# -- what cannot be projected


@pytest.fixture
def spoiled(store, dsn, projection):
    """Three accounts that traded; a row of the second's is in the way."""
    authors = [Author(state) for state in create(store, 3)]
    projection.project(projection.read(100))
    authors[0].trade(BUY, "0.1")
    authors[1].trade(BUY, "0.1", trade_id=77)
    order_id = authors[1].batch[0].facts[0].client_order_id
    change(
        dsn,
        "INSERT INTO bulkhead.fill (exchange, symbol, trade_id, client_order_id, account_id, exchange_order_id, side, "
        f"quantity, price, fee, maker, trade_ms, closed_quantity, realized) VALUES ('binance-usdm', '{ETH}', 77, "
        f"'{order_id}', 'x', 1, 'BUY', 1, 1, 0, false, 1, 0, 0)",
    )
    authors[2].trade(BUY, "0.1")
    mixed = [d for same in zip(*(a.batch for a in authors), strict=True) for d in same]
    assert set(store.commit(mixed)) == {None}
    for author in authors:
        author.batch = []
    return authors


def test_one_bad_decision_leaves_out_its_account_alone_and_a_release_projects_what_it_missed(
    store, dsn, projection, spoiled
):
    projection.project(projection.read(100))
    [left_out] = projection.left_out
    assert (left_out.stream, left_out.sequence) == ("acct-2", 3)
    assert "fill_once" in left_out.error
    assert ask(dsn, "SELECT stream, sequence, position FROM bulkhead.parked") == [tuple(left_out[:3])]
    assert ask(dsn, "SELECT account_id, sequence FROM bulkhead.account ORDER BY 1") == [
        ("acct-1", 4), ("acct-2", 2), ("acct-3", 4)
    ]  # fmt: skip
    # Later ones are left out too, also by a projector that starts after.
    spoiled[1].trade(BUY, "0.1")
    assert set(store.commit(spoiled[1].batch)) == {None}
    projection.close()
    projection.begin()
    projection.project(projection.read(100))
    assert ask(dsn, "SELECT sequence FROM bulkhead.account WHERE account_id = 'acct-2'") == [(2,)]
    with pytest.raises(StateCorrupt, match="fill_once"):
        projection.release("acct-2")
    assert projection.parked == {"acct-2": left_out.position}
    change(dsn, "DELETE FROM bulkhead.fill WHERE account_id = 'x'")
    assert projection.release("acct-2") == 6
    assert projection.parked == {}
    state = spoiled[1].state
    assert ask(dsn, "SELECT sequence, balance FROM bulkhead.account WHERE account_id = 'acct-2'") == [
        (state.sequence, state.balance)
    ]
    assert ask(dsn, "SELECT current_balance FROM sub_accounts WHERE id = 'acct-2'") == [(state.balance,)]
    spoiled[1].batch = []
    spoiled[1].trade(SELL, "0.2")
    assert set(store.commit(spoiled[1].batch)) == {None}
    projection.project(projection.read(100))
    assert ask(dsn, "SELECT count(*) FROM bulkhead.position WHERE account_id = 'acct-2'") == [(0,)]


def test_who_releases_on_another_connection_is_believed(store, dsn, projection, spoiled):
    projection.project(projection.read(100))
    change(dsn, "DELETE FROM bulkhead.fill WHERE account_id = 'x'")
    other = Projection(dsn)
    other.begin()
    assert other.release("acct-2") == 2
    other.close()
    spoiled[1].trade(BUY, "0.1")
    assert set(store.commit(spoiled[1].batch)) == {None}
    projection.project(projection.read(100))
    assert ask(dsn, "SELECT sequence FROM bulkhead.account WHERE account_id = 'acct-2'") == [(8,)]


def test_who_releases_between_reading_and_projecting_is_believed_too(store, dsn, projection, spoiled):
    projection.project(projection.read(100))
    change(dsn, "DELETE FROM bulkhead.fill WHERE account_id = 'x'")
    spoiled[1].trade(BUY, "0.1")
    assert set(store.commit(spoiled[1].batch)) == {None}
    found, cursor = projection.read(100), projection.cursor
    other = Projection(dsn)
    other.begin()
    other.release("acct-2")
    other.close()
    projection.project(found)
    assert projection.cursor == cursor
    projection.project(projection.read(100))
    assert len(projection.left_out) == 1
    assert ask(dsn, "SELECT sequence FROM bulkhead.account WHERE account_id = 'acct-2'") == [(8,)]


def test_facts_that_cannot_be_read_leave_their_account_out(store, dsn, projection):
    one, other = (Author(state) for state in create(store, 2))
    for author in (one, other):
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
        author.decide(AdjustBalance(D(7), "DEPOSIT"))
    assert set(store.commit([*one.batch, *other.batch])) == {None}
    change(dsn, "UPDATE bulkhead.journal SET version = 99 WHERE stream = 'acct-1' AND sequence = 1")
    projection.project(projection.read(100))
    [left_out] = projection.left_out
    assert (left_out.stream, left_out.sequence) == ("acct-1", 1)
    assert "later release" in left_out.error
    assert ask(dsn, "SELECT balance FROM bulkhead.account ORDER BY account_id") == [(D(1000),), (D(1012),)]


def test_a_row_that_somebody_keeps_locked_leaves_out_its_account_after_some_tries(store, dsn, projection):
    authors = [Author(state) for state in create(store, 2)]
    for author in authors:
        author.decide(AdjustBalance(D(5), "DEPOSIT"))
    assert set(store.commit([d for a in authors for d in a.batch])) == {None}
    projection._connection.execute("SET lock_timeout = 50")
    found = projection.read(100)
    with psycopg.connect(dsn) as holder:
        holder.execute("SELECT 1 FROM sub_accounts WHERE id = 'acct-1' FOR UPDATE")
        for _ in range(2):
            with pytest.raises(StoreUnreachable, match="lock"):
                projection.project(found)
        projection.project(found)
    assert [p.stream for p in projection.left_out] == ["acct-1"]
    assert projection.release("acct-1") == 1
    assert ask(dsn, "SELECT current_balance FROM sub_accounts") == [(D(1005),), (D(1005),)]


# -- the platform's row


def deposit(store, author, amount):
    author.decide(AdjustBalance(D(amount), "DEPOSIT"))
    assert set(store.commit(author.batch)) == {None}
    author.batch = []


@pytest.fixture
def author(store, projection):
    state = create(store)[0]
    projection.project(projection.read(100))
    return Author(state)


BALANCES = "SELECT current_balance, platform_balance, balance FROM sub_accounts JOIN bulkhead.account ON id = account_id"


def platform_deposit(store, author, amount):
    author.decide(PlatformKnown(adjustment=D(amount), sequence=author.state.sequence))
    assert set(store.commit(author.batch)) == {None}
    author.batch = []


def test_what_the_platform_changed_of_a_balance_stays_and_is_a_difference_until_it_is_booked(
    store, dsn, projection, author
):
    change(dsn, "UPDATE sub_accounts SET current_balance = current_balance + 50")
    deposit(store, author, 7)
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(1057), D(1007), D(1007))]
    [foreign] = projection.alarms
    assert (foreign.account_id, foreign.written, foreign.found) == ("acct-1", D(1000), D(1050))
    # Booked, it is no difference any more: nothing is added to the row, and the platform's own log has it.
    logs = ask(dsn, "SELECT count(*) FROM balance_logs")
    platform_deposit(store, author, 50)
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(1057), D(1057), D(1057))]
    assert ask(dsn, "SELECT count(*) FROM balance_logs") == logs
    deposit(store, author, -2)
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(1055), D(1055), D(1055))]
    assert len(projection.alarms) == 1


def test_a_change_that_is_booked_together_with_others_is_written_once(store, dsn, projection, author):
    change(dsn, "UPDATE sub_accounts SET current_balance = current_balance - 20")
    deposit(store, author, 7)
    platform_deposit(store, author, -20)
    deposit(store, author, 1)
    # Meanwhile it changes once more.
    change(dsn, "UPDATE sub_accounts SET current_balance = current_balance + 5")
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(993), D(988), D(988))]
    platform_deposit(store, author, 5)
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(993), D(993), D(993))]


def test_a_column_of_double_precision_is_no_change_by_the_platform_and_no_rounding_adds_up(
    store, dsn, projection, author
):
    change(dsn, "ALTER TABLE sub_accounts ALTER COLUMN current_balance TYPE double precision")
    for _ in range(30):
        deposit(store, author, "0.1")
        projection.project(projection.read(100))
    assert projection.alarms == []
    [(written, _, exact)] = ask(dsn, BALANCES)
    assert (written, exact) == (1003.0, D(1003))


def test_without_a_balance_that_is_remembered_the_difference_is_added(store, dsn, projection, author):
    change(dsn, "UPDATE bulkhead.account SET platform_balance = NULL")
    change(dsn, "UPDATE sub_accounts SET current_balance = 400")
    deposit(store, author, 7)
    projection.project(projection.read(100))
    assert ask(dsn, BALANCES) == [(D(407), D(407), D(1007))]
    assert projection.alarms == []


def test_status_and_mode_are_written_when_a_fact_changes_them_and_remembered(store, dsn, projection, author):
    change(dsn, "UPDATE sub_accounts SET liquidation_mode = 'INSTANT_CLOSE'")
    author.decide(SetStatus(AccountStatus.FROZEN))
    deposit(store, author, 7)
    projection.project(projection.read(100))
    columns = (
        "SELECT status, liquidation_mode, platform_status, platform_mode FROM sub_accounts, bulkhead.account"
    )
    assert ask(dsn, columns) == [("FROZEN", "INSTANT_CLOSE", "FROZEN", "ADL_30")]
    author.decide(SetMode(LiquidationMode.TAKEOVER))
    deposit(store, author, 7)
    projection.project(projection.read(100))
    assert ask(dsn, columns) == [("FROZEN", "TAKEOVER", "FROZEN", "TAKEOVER")]


# -- snapshots


def test_a_snapshot_comes_with_its_decision_and_is_what_the_journal_folds_to(store, dsn, projection, author):
    for _ in range(SNAPSHOT_EVERY + 2):
        author.decide(AdjustBalance(D(1), "DEPOSIT"))
    assert set(store.commit(author.batch)) == {None}
    snapshots = "SELECT sequence, hash FROM bulkhead.snapshot"
    projection.project(projection.read(SNAPSHOT_EVERY - 1))
    assert ask(dsn, snapshots) == []
    projection.project(projection.read(100))
    hashes = dict(ask(dsn, "SELECT sequence, hash FROM bulkhead.journal"))
    # Of the last of the batch in which it was due.
    last = SNAPSHOT_EVERY + 2
    assert ask(dsn, snapshots) == [(last, hashes[last])]
    with psycopg.connect(dsn) as connection:
        kept = loading.states_of(connection, ["acct-1"])["acct-1"]
        connection.execute("DELETE FROM bulkhead.snapshot")
        again = loading.states_of(connection, ["acct-1"])["acct-1"]
    assert kept.sequence == again.sequence == last
    assert state_hash(kept.state) == state_hash(again.state)


def test_tails_are_written_at_the_end_and_never_ahead_of_the_cursor(store, dsn, projection, author):
    deposit(store, author, 1)
    projection.project(projection.read(100))
    deposit(store, author, 1)
    assert projection.save_tails(10) == 1
    assert ask(dsn, "SELECT sequence FROM bulkhead.snapshot") == [(1,)]
    assert projection.save_tails(10) == 0
    last = ask(dsn, "SELECT position FROM bulkhead.projection")[0][0]
    with psycopg.connect(dsn) as connection:
        assert journal.last_position(connection) == last + 1


def test_states_that_memory_has_no_room_for_are_read_again(store, dsn, projection, monkeypatch):
    monkeypatch.setattr("actors.persistence.projection.store.STATES_KEPT", 2)
    authors = [Author(state) for state in create(store, 6)]
    projection.project(projection.read(100))
    for author in authors:
        deposit(store, author, 1)
        projection.project(projection.read(100))
    assert len(projection._states) == 2
    for author in authors:
        deposit(store, author, 2)
    projection.project(projection.read(100))
    assert ask(dsn, "SELECT DISTINCT balance FROM bulkhead.account") == [(D(1003),)]
    assert projection.save_tails(10) == 2


def test_many_bad_decisions_are_a_fault_of_ours_and_stop_the_projector(store, dsn, projection, monkeypatch):
    monkeypatch.setattr("actors.persistence.projection.store.PARKED_MAX", 2)
    authors = [Author(state) for state in create(store, 4)]
    projection.project(projection.read(100))
    for author in authors:
        author.trade(BUY, "0.1", trade_id=next(TRADE_IDS))
    assert set(store.commit([d for a in authors for d in a.batch])) == {None}

    def broken(*_arguments):
        raise KeyError("a fault of ours")

    monkeypatch.setattr("actors.persistence.projection.trades.project_fill", broken)
    with pytest.raises(KeyError):
        projection.project(projection.read(100))
    assert len(projection.parked) == 2


def test_what_was_handed_over_with_a_state_that_does_not_add_up_is_left_out(store, dsn, projection, author):
    store.handover()
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    wrong = replace(author.batch[0], state=replace(author.state, balance=D(7)))
    assert set(store.commit([wrong])) == {None}
    projection.project(of_handover(store.handover()))
    assert "account_adds_up" in projection.left_out[0].error
