"""A database of version 7, with accounts that traded, is upgraded to the present version and goes on.

It is made of what this release writes, in the tables that version 7 had.
"""

from __future__ import annotations

import psycopg
import pytest

from actors.core.errors import ForeignDatabase
from actors.persistence import schema, verify
from actors.persistence.connection import connect
from actors.persistence.store import Store
from tests.factories import BUY, SELL
from tests.persistence.authors import Author, create, load, project
from tests.persistence.projection.lives import copy_of, ours

SCRIPTS_7 = ("platform.sql", *schema.SCRIPTS[:7], schema.AFTER_JOURNAL)
TABLES = (
    "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
    "AND table_schema IN ('bulkhead', 'public') AND table_name NOT IN ('migration', 'fleet') ORDER BY 1"
)


def as_version_7(dsn):
    """Another database, of version 7, with the rows of the first; columns that it did not have are left out."""
    other = copy_of(dsn)
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        psycopg.connect(other, autocommit=True) as older,
    ):
        older.execute("DROP SCHEMA bulkhead CASCADE")
        older.execute("DROP SCHEMA public CASCADE")
        older.execute("CREATE SCHEMA public")
        for script in SCRIPTS_7:
            older.execute((schema._HERE / script).read_bytes())
        older.execute("SET session_replication_role = replica")  # tables refer to each other
        for (table,) in older.execute(TABLES).fetchall():
            found = [
                row[0] for row in connection.execute(f"SELECT to_json(t)::text FROM {table} t").fetchall()
            ]
            older.execute(f"DELETE FROM {table}")
            older.execute(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::{table}, %s)",
                (f"[{','.join(found)}]",),
            )
    return other


@pytest.fixture
def version_7(dsn):
    """Two accounts with trades; all is projected. The database, and the accounts' last states."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    authors = [Author(state) for state in create(store, 2)]
    authors[0].trade(BUY, "0.1", trade_id=7)
    authors[1].trade(SELL, "0.2", trade_id=8)
    assert not any(store.commit([d for a in authors for d in a.batch]))
    store.close()
    project(dsn)
    return as_version_7(dsn), [author.state for author in authors]


def version_of(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT max(version) FROM bulkhead.migration").fetchone()[0]


def test_it_is_upgraded_with_all_its_rows_and_goes_on(version_7, dsn):
    older, states = version_7
    assert version_of(older) == 7
    with psycopg.connect(older, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.OLDER
    store = Store.open(older)
    try:
        store.acquire("me", 30)
        assert version_of(older) == schema.VERSION == 9
        assert [load(store, state) for state in states] == states
        assert ours(older) == ours(dsn)
        with connect(older, read_only=True) as opened:
            report = verify.verify(opened)
        assert (report.fault, report.trades) == (None, 2)
        with psycopg.connect(older) as connection:
            keys = connection.execute(
                "SELECT symbol, trade_id, member FROM bulkhead.trade_key ORDER BY 2"
            ).fetchall()
        assert keys == [("ETHUSDT", 7, ""), ("ETHUSDT", 8, "")]
        # What was booked before the upgrade is not booked again after it.
        author = Author(states[0])
        author.trade(SELL, "0.1", trade_id=9)
        assert not any(store.commit(author.batch))
        author.batch.clear()
        author.trade(BUY, "0.1", trade_id=8)
        assert [r is None for r in store.commit(author.batch)] == [True, True, False, False]
    finally:
        store.close()


def test_a_program_of_version_7_refuses_the_upgraded_database(version_7, monkeypatch):
    older, _ = version_7
    Store.open(older).close()
    monkeypatch.setattr(schema, "VERSION", 7)
    with pytest.raises(ForeignDatabase, match="at version 9, this program knows 7"):
        Store.open(older)


def test_an_upgrade_that_fails_leaves_version_7(version_7, monkeypatch):
    older, _ = version_7
    broken = (*schema.SCRIPTS[:7], "bulkhead_2.sql")
    monkeypatch.setattr(schema, "SCRIPTS", broken)
    with pytest.raises(psycopg.errors.DuplicateColumn):
        Store.open(older)
    assert version_of(older) == 7
