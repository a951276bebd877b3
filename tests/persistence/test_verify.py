"""A real journal is checked where it is: what is done to its tables is found and named, while an engine may go on.

Covers: actors/persistence/verify_states.py
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal as D
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.core.errors import StateCorrupt
from actors.core.messages import AdjustBalance
from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence import journal, schema, verify
from actors.persistence.connection import connect
from actors.persistence.journal import SHARD
from actors.persistence.store import Store
from actors.persistence.verify_chain import Commit, Wrong
from actors.subaccount import state_codec
from actors.subaccount.fleet_hash import fleet_hash
from actors.supervision.journal_roots import JournalRoot
from tests.factories import BUY, SELL
from tests.persistence.authors import NOW, Author, create
from tests.persistence.journals import with_roots_anew, with_stream_rehashed
from tests.persistence.test_last_release import read


@pytest.fixture
def authors(store):
    """Three accounts with trades and deposits, in commits of five decisions."""
    made = [Author(state) for state in create(store, 3)]
    for n in range(4):
        for author in made:
            author.trade(BUY if n % 3 else SELL, "0.1")
            author.decide(AdjustBalance(D(n + 1), "DEPOSIT"))
    batch = [decision for group in zip(*(a.batch for a in made), strict=True) for decision in group]
    for at in range(0, len(batch), 5):
        assert not any(store.commit(batch[at : at + 5]))
    return made


@pytest.fixture
def connection(dsn, authors):
    with connect(dsn, read_only=True) as opened:
        yield opened


TABLES = ("journal", "journal_commit", "trade_key", "snapshot", "projection")


@contextmanager
def meddling(dsn, *statements):
    """Does what nobody should, and undoes it."""
    with psycopg.connect(dsn, autocommit=True) as meddler:
        for table in TABLES:
            meddler.execute(f"CREATE TEMP TABLE kept_{table} AS TABLE bulkhead.{table}")
        try:
            for statement, *values in statements:
                assert meddler.execute(statement, values).rowcount, "it changed nothing"
            yield
        finally:
            for table in TABLES:
                meddler.execute(f"DELETE FROM bulkhead.{table}")
                meddler.execute(f"INSERT INTO bulkhead.{table} TABLE kept_{table}")


def fault_of(connection, **how):
    report = verify.verify(connection, **how)
    assert report.ok is (report.fault is None)
    return report.fault


def test_a_journal_as_it_was_written_is_right_and_makes_what_the_engine_had(connection, authors, store):
    report = verify.verify(connection)
    assert report.fault is None
    root, position = store.root
    assert (report.position, report.root) == (position, root.hex())
    assert (report.rows, report.streams, report.trades) == (3 + sum(len(a.batch) for a in authors), 3, 12)
    fleet = fleet_hash(a.state for a in authors)
    assert report.fleet_hash == fleet
    found = verify.hashes(connection)
    assert (found.fleet_hash, found.position, found.root) == (fleet, position, root.hex())
    assert found.accounts == [
        (a.state.account_id, a.state.sequence, state_codec.state_hash(a.state)) for a in authors
    ]
    unfolded = verify.verify(connection, folds=False)
    assert (unfolded.ok, unfolded.fleet_hash, unfolded.trades) == (True, "", 0)


def test_an_empty_journal_is_right(dsn, store):
    with connect(dsn, read_only=True) as opened:
        report = verify.verify(opened)
    assert (report.ok, report.rows, report.root) == (True, 0, bytes(16).hex())


def test_a_check_sees_one_moment_while_the_engine_goes_on(dsn, authors, store, monkeypatch):
    steps = []
    monkeypatch.setattr("actors.persistence.verify_states.ROWS_A_TIME", 10)

    def go_on(step, done, total):
        steps.append((step, done, total))
        author = authors[0]
        author.batch.clear()
        author.trade(BUY, "0.01")
        assert not any(store.commit(author.batch))

    _, before = store.root
    with connect(dsn, read_only=True) as opened:
        report = verify.verify(opened, progress=go_on)
        assert (report.ok, report.position) == (True, before)
        assert {step for step, _, _ in steps} == {"chain", "accounts"}
        assert all(done <= total == before for _, done, total in steps)
        assert verify.verify(opened).position == store.root[1] > before


FLIPS = {
    "stream": "stream = stream || 'x'",
    "sequence": "sequence = sequence + 1000",
    "wall_ms": "wall_ms = wall_ms # 1",
    "cause": "cause = cause || '.'",
    "version": "version = version + 1",
    "facts": "facts = set_bit(facts, %s, 1 - get_bit(facts, %s))",
    "hash": "hash = set_bit(hash, %s, 1 - get_bit(hash, %s))",
}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FLIPS)), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_changed_bit_of_any_column_of_any_row_is_found_and_named(dsn, connection, column, pick, bit):
    position = 1 + pick % verify.verify(connection, folds=False).position
    size = 128 if column == "hash" else 160
    bits = (bit % size, bit % size) if "%s" in FLIPS[column] else ()
    change = f"UPDATE bulkhead.journal SET {FLIPS[column]} WHERE position = %s"
    with meddling(dsn, (change, *bits, position)):
        fault = fault_of(connection)
    assert (fault.wrong, fault.position, fault.until) == (Wrong.CHANGED, position, position)


DELETE = "DELETE FROM bulkhead.journal WHERE position = %s"
MOVE = "UPDATE bulkhead.journal SET position = %s WHERE position = %s"


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(0, 10_000))
@example(0, 1)
def test_rows_that_were_deleted_or_exchanged_are_found(dsn, connection, one, two):
    last = verify.verify(connection, folds=False).position
    first, second = sorted((1 + one % last, 1 + two % last))
    with meddling(dsn, (DELETE, first)):
        fault = fault_of(connection)
    assert (fault.position, fault.until) == (first, first)
    assert fault.wrong is (Wrong.CUT_OFF if first == last else Wrong.MISSING)
    if first != second:
        with meddling(dsn, (MOVE, -1, first), (MOVE, first, second), (MOVE, second, -1)):
            fault = fault_of(connection)
        assert fault.position <= first <= fault.until or fault.wrong is Wrong.REORDERED


def test_a_tail_that_was_cut_off_with_its_commits_is_found_by_what_this_machine_knows(dsn, connection):
    report = verify.verify(connection)
    fleet = verify.fleet_of(connection)
    known = JournalRoot(journal_root=report.root, position=report.position, at_ms=1, fleet=fleet)
    of_another = JournalRoot(journal_root="ff", position=7, at_ms=1, fleet="zzzzzz")
    cut = [(f"DELETE FROM bulkhead.{t} WHERE position > 28",) for t in ("journal", "journal_commit")]
    keys = "DELETE FROM bulkhead.trade_key"
    with meddling(dsn, *cut, (keys,)):
        assert fault_of(connection, folds=False, roots=[of_another]) is None
        fault = fault_of(connection, folds=False, roots=[known, of_another])
        accepted = JournalRoot(
            journal_root=verify.verify(connection, folds=False).root,
            position=28,
            at_ms=2,
            fleet=fleet,
            accepted="ok",
        )
        assert fault_of(connection, folds=False, roots=[known, accepted]) is None
    assert (fault.wrong, fault.position, fault.until) == (Wrong.CUT_OFF, 29, report.position)
    assert f"position {report.position}" in fault.text
    assert fault_of(connection, roots=[known, of_another]) is None


def test_a_row_that_cannot_be_folded_is_named_though_its_chain_is_right(dsn, connection, store):
    rows = journal.read(connection, 0, 1_000_000)
    commits = [Commit(*r) for r in connection.execute(verify.COMMITS, (SHARD, 0)).fetchall()]
    number = next(n for n, row in enumerate(rows) if b"OrderAcknowledged" in row.facts)
    tampered = list(rows)
    tampered[number] = rows[number]._replace(facts=b"[]")
    tampered = with_stream_rehashed(tampered, number)
    changes = [
        ("UPDATE bulkhead.journal SET facts = %s, hash = %s WHERE position = %s", r.facts, r.hash, r.position)
        for r in tampered
    ]
    roots = [
        ("UPDATE bulkhead.journal_commit SET root = %s WHERE position = %s", c.root, c.position)
        for c in with_roots_anew(tampered, commits)
    ]
    known = [
        JournalRoot(
            journal_root=c.root.hex(), position=c.position, at_ms=1, fleet=verify.fleet_of(connection)
        )
        for c in commits
    ]
    broken = with_stream_rehashed(
        [*rows[:number], rows[number]._replace(facts=b"{"), *rows[number + 1 :]], number
    )
    with meddling(dsn, *changes, *roots):
        # Without the fact the order has no number at the exchange, and all the rest fits.
        assert fault_of(connection) is None
        fault = fault_of(connection, roots=known)
    assert fault.wrong is Wrong.ROOT
    assert fault.position <= number + 1 <= fault.until
    changes = [
        ("UPDATE bulkhead.journal SET facts = %s, hash = %s WHERE position = %s", r.facts, r.hash, r.position)
        for r in broken
    ]
    roots = [
        ("UPDATE bulkhead.journal_commit SET root = %s WHERE position = %s", c.root, c.position)
        for c in with_roots_anew(broken, commits)
    ]
    with meddling(dsn, *changes, *roots):
        assert fault_of(connection, folds=False) is None
        fault = fault_of(connection)
        with pytest.raises(StateCorrupt):
            verify.hashes(connection)
    assert (fault.wrong, fault.position) == (Wrong.UNREADABLE, number + 1)


def test_trade_keys_are_those_of_the_trades_that_were_booked(dsn, connection, authors):
    [(symbol, trade)] = connection.execute(
        "SELECT symbol, trade_id FROM bulkhead.trade_key ORDER BY trade_id LIMIT 1"
    ).fetchall()
    delete = ("DELETE FROM bulkhead.trade_key WHERE trade_id = %s", trade)
    more = ("INSERT INTO bulkhead.trade_key VALUES ('binance-usdm', 'ETHUSDT', 7, '')",)
    with meddling(dsn, delete):
        fault = fault_of(connection)
        assert fault_of(connection, folds=False) is None
    assert fault.wrong is Wrong.TRADES
    assert f"trade {trade} of {symbol}" in fault.text
    [(facts,)] = connection.execute(
        "SELECT facts FROM bulkhead.journal WHERE position = %s", (fault.position,)
    ).fetchall()
    assert f'"trade_id":{trade}'.encode() in facts
    with meddling(dsn, more):
        fault = fault_of(connection)
    assert (fault.wrong, fault.position) == (Wrong.TRADES, None)
    assert "trade 7 of ETHUSDT, which no row books" in fault.text


SNAPSHOT = (
    "INSERT INTO bulkhead.snapshot (stream, sequence, hash, version, state) VALUES (%s, %s, %s, %s, %s)"
)


def test_a_snapshot_is_what_the_journal_makes_and_not_ahead_of_the_projection(dsn, connection, authors):
    author = authors[1]
    decision = author.batch[6]
    sequence, stream = decision.state.sequence, decision.stream
    [(position, hash_)] = connection.execute(
        "SELECT position, hash FROM bulkhead.journal WHERE stream = %s AND sequence = %s", (stream, sequence)
    ).fetchall()
    kept = state_codec.encode(decision.state)
    projected = ("UPDATE bulkhead.projection SET position = %s", position)

    def snapshot(stream=stream, sequence=sequence, hash_=hash_, kept=kept):
        return (SNAPSHOT, stream, sequence, hash_, state_codec.VERSION, kept)

    with meddling(dsn, snapshot(), projected):
        report = verify.verify(connection)
    assert (report.ok, report.snapshots) == (True, 1)
    cases = {
        "ahead of the projection": [snapshot()],
        "names another hash": [snapshot(hash_=bytes(16)), projected],
        "and the journal makes": [snapshot(kept=state_codec.encode(author.batch[5].state)), projected],
        "cannot be read": [snapshot(kept=b"{"), projected],
        "no such decision": [snapshot(sequence=999), projected],
        "no row of it": [snapshot(stream="acct-9"), projected],
        "the projection is at position 9999": [("UPDATE bulkhead.projection SET position = 9999",)],
    }
    for text, changes in cases.items():
        with meddling(dsn, *changes):
            fault = fault_of(connection)
        assert text in fault.text
        assert fault.wrong is (Wrong.PROJECTION if "9999" in text else Wrong.SNAPSHOT)


def test_people_read_the_journal_s_facts_in_sql(connection, authors):
    found = connection.execute(
        "SELECT position, number, at, fact, content ->> 'amount' FROM bulkhead.journal_facts "
        "WHERE stream = %s ORDER BY position, number",
        (authors[0].state.account_id,),
    ).fetchall()
    decided = [fact for decision in authors[0].batch for fact in decision.facts]
    opened, deposited, *rest = found
    assert (opened[3], deposited[3:], opened[:2], deposited[:2]) == (
        "AccountOpened", ("BalanceAdjusted", "1000"), (1, 1), (1, 2)
    )  # fmt: skip
    assert [row[3] for row in rest] == [type(fact).__name__ for fact in decided]
    assert {row[2].timestamp() * 1_000 for row in found} == {NOW}


def test_a_database_that_was_carried_into_the_journal_is_right_and_so_is_what_came_since(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
        connection.execute(Path(schema.__file__).with_name("bulkhead_6.sql").read_bytes())
    store = Store.open(dsn)
    store.acquire("me", 30)
    store.create_accounts([NewAccount(account_id=AccountId("fresh"), name="fresh", deposit=D(5_000))], NOW)
    author = Author(store.load(["fresh"])[0])
    author.trade(BUY, "0.01")
    assert len(author.batch) > 2
    assert not any(store.commit(author.batch))
    states = store.load(None)
    store.close()
    with connect(dsn, read_only=True) as opened:
        report = verify.verify(opened)
        fills = opened.execute("SELECT count(*) FROM bulkhead_6.fill").fetchone()[0]
        assert report.fault is None
        assert (report.streams, report.trades, report.fleet_hash) == (len(states), 1, fleet_hash(states))
        assert fills > 0, "trades that are in no row of the journal"
        more = ("INSERT INTO bulkhead.trade_key VALUES ('binance-usdm', 'ETHUSDT', 7, '')",)
        with meddling(dsn, more):
            assert fault_of(opened).wrong is Wrong.TRADES
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA bulkhead_6 CASCADE")
    with connect(dsn, read_only=True) as opened:
        assert fault_of(opened) is None, "then keys of before the journal cannot be told from others"
