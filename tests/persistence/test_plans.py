"""How Postgres finds rows does not hang on luck: on a database that nobody analysed, every statement finds by index."""

from __future__ import annotations

import re
from decimal import Decimal as D

import psycopg
import pytest

from actors.core.records import NewAccount
from actors.persistence import alert_history, history, loading, open_books, operator_records, sql
from actors.persistence import statement as statement_
from actors.persistence.projection import balances
from actors.persistence.projection.store import Projection
from actors.persistence.projection.tables import TABLES
from actors.persistence.store import Store
from tests.factories import BUY
from tests.persistence.authors import Author, project

ACCOUNTS, TRADERS, COPIES = 5_000, 250, 40
BUFFERS_MAX = 60
"""Pages of 8 KB: some levels of an index and a few rows. Reading the smallest of the filled tables takes more."""

FILLED = (
    "sub_accounts",
    "risk_rules",
    "bulkhead.account",
    "bulkhead.intent",
    "bulkhead.fill",
    "bulkhead.position",
)


def execute(dsn, *statements):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [
            connection.execute(s).fetchall() if s.startswith("SELECT") else connection.execute(s)
            for s in statements
        ]


def fill(store, dsn):
    """Thousands of accounts, each with a rule of its own, and orders and fills of long ago."""
    wide = {"max_notional_per_trade": D(10**9), "max_total_exposure": D(10**9)}
    ids = [f"acct-{n}" for n in range(ACCOUNTS)]
    store.create_accounts([NewAccount(account_id=i, name=i, deposit=D(1000), **wide) for i in ids], 1)
    authors = [Author(state) for state in store.load(ids[:TRADERS])]
    for author in authors:
        author.trade(BUY, "0.1")
    store.commit([decision for author in authors for decision in author.batch])
    project(dsn)
    execute(
        dsn,
        f"""INSERT INTO bulkhead.intent SELECT (jsonb_populate_record(i, jsonb_build_object(
            'client_order_id', client_order_id || '-' || g, 'order_sequence', order_sequence + 10 * g,
            'decided_ms', decided_ms - g))).* FROM bulkhead.intent i, generate_series(1, {COPIES}) g""",
        f"""INSERT INTO bulkhead.fill SELECT (jsonb_populate_record(f, jsonb_build_object(
            'client_order_id', client_order_id || '-' || g, 'trade_id', trade_id + 10000000 * g))).*
            FROM bulkhead.fill f, generate_series(1, {COPIES}) g""",
    )  # fmt: skip


def never_looked_at(dsn):
    """Nobody but the tests looks after these tables."""
    [tables] = execute(dsn, "SELECT format('%I.%I', schemaname, relname) FROM pg_stat_user_tables")
    execute(dsn, *[f"ALTER TABLE {table} SET (autovacuum_enabled = off)" for (table,) in tables])


@pytest.fixture(scope="module", params=["never_analysed", "analysed_when_it_was_empty"])
def dsn(request, postgres):
    name = f"plans_{request.param}"
    execute(postgres, f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def filled(dsn):
    store = Store.open(dsn)
    store.acquire("me", 600)
    never_looked_at(dsn)
    if "when_it_was_empty" in dsn:
        # As autovacuum does it in the first minute of a new database.
        execute(dsn, "VACUUM ANALYZE")
    fill(store, dsn)
    yield store
    store.close()


def numbered(statement):
    """A statement with Postgres' own marks for its values."""
    first, *others = statement.split("%s")
    return first + "".join(f"${n}{part}" for n, part in enumerate(others, 1))


def plan(store, statement, parameters=None, options="ANALYZE, BUFFERS"):
    rows = store._connection.execute(f"EXPLAIN ({options}) {statement}", parameters).fetchall()
    return "\n".join(row[0] for row in rows)


def buffers(text):
    found = re.search(r"Buffers: shared (.*)", text)
    return sum(int(n) for n in re.findall(r"(?:hit|read)=(\d+)", found[1])) if found else 0


STREAMS = loading.STREAMS.replace("%(streams)s", "%s").replace("%(last)s", str(loading.LAST))
WHOLE = loading.WHOLE.replace("%(streams)s", "%s")


@pytest.mark.parametrize("statement", [sql.SOME_ACCOUNTS, STREAMS, WHOLE])
def test_one_account_is_loaded_by_index(filled, statement):
    text = plan(filled, statement, (["acct-5"],) * statement.count("%s"))
    assert "Seq Scan" not in text, text
    assert buffers(text) < BUFFERS_MAX, text


def statements():
    for table in TABLES:
        yield table.name, table.delete_sql()
        if not table.only:
            yield table.name, table.upsert_sql()
        yield table.name, table.change_sql(tuple(c for c in table.columns if c not in table.key))
    balance = balances.COMPARE_AND_SET.replace("%(changes)s", "%s").replace("%(tolerance)s", "0.1")
    yield "balances", balance.encode()


def test_each_statement_of_the_projection_finds_its_row_by_index(filled):
    scans = {}
    for name, statement in statements():
        # As it is planned once for all values, when it was prepared and run some times.
        text = plan(filled, numbered(statement.decode()), options="GENERIC_PLAN")
        if "Seq Scan" in text:
            scans[name] = text
    assert scans == {}


@pytest.mark.parametrize("statement", [operator_records.HISTORY, operator_records.HISTORY_OF_CONDITIONALS])
@pytest.mark.parametrize("account", ["acct-5", "acct-4999"])
def test_the_history_of_an_account_is_found_by_index_also_of_one_that_never_traded(
    filled, statement, account
):
    text = plan(filled, statement, (account, 20))
    assert "one_per_sequence" in text, text
    assert "Seq Scan" not in text, text
    assert buffers(text) < BUFFERS_MAX + 20 * 8, text


A = "acct-5"
READ = {
    "history of one": (history.OF_ONE, (A, 0, 2_000, [b"%"])),
    "history of all": (history.OF_ALL, (0, 1, 100, [b"%"])),
    "ends of a stream": (history.STREAM_ENDS, (A, A)),
    "ends of the journal": (history.JOURNAL_ENDS, (0, 0)),
    "time in a stream": (history.TIME_IN_STREAM, (A, 2)),
    "time in the journal": (history.TIME_IN_JOURNAL, (0, 2)),
    "place in a stream": (history.SEQUENCE_OF, (0, 2, A)),
    "orders": (history.ORDERS, (["bh-1", "bh-2"], ["bh-1"])),
    "alerts of one": (
        alert_history.OF_ONE,
        {"shard": 0, "account": A, "position": 9, "fact": 0, "from": 0, "limit": 5},
    ),
    "alerts of all": (alert_history.OF_ALL, {"shard": 0, "position": 9, "fact": 0, "from": 0, "limit": 5}),
    "begin of a statement": (statement_.FIRST_SINCE, (A, 5)),
    "last before": (statement_.LAST_BEFORE, (A, 10**9)),
    "sum before": (statement_.SUM_BEFORE, (A, 10**9)),
    "first wrong": (statement_.FIRST_WRONG, (A, 10**9)),
    "entries": (statement_.ENTRIES, (A, 0, 10**9, 100)),
    "not projected": (statement_.NOT_PROJECTED, (A, 3, 10**9)),
    "decided since": (statement_.DECIDED_SINCE, (A, 0, 10**9, 5)),
    "decided before": (statement_.DECIDED_BEFORE, (A, 10**9)),
    "trades": (statement_.DECISIONS_WITH, (A, 0, 10**9, b"%")),
    "folded": (statement_.ALL_BEFORE, (A, 10**9)),
}


@pytest.mark.parametrize("name", READ)
def test_what_people_read_of_the_past_is_found_by_index(filled, name):
    text = plan(filled, *READ[name])
    assert "Seq Scan" not in text, text
    assert buffers(text) < BUFFERS_MAX, text


def test_what_is_committed_and_projected_reads_no_whole_table(filled, dsn):
    authors = [Author(state) for state in filled.load([f"acct-{n}" for n in range(20)])]
    projection = Projection(dsn)
    projection.begin()
    before = settled_scans(filled, dsn)
    for author in authors:
        author.trade(BUY, "0.1")
        assert filled.commit(author.batch) == [None] * len(author.batch)
        projection.project(projection.read(1_000))
        filled.load([author.state.account_id])
    projection.close()
    assert settled_scans(filled, dsn) == before


def settled_scans(store, dsn):
    """How often each filled table was read from begin to end, with all that this store did."""
    store._connection.execute("SELECT pg_stat_force_next_flush()")
    store._connection.execute("SELECT 1")
    [rows] = execute(
        dsn,
        "SELECT relid::regclass::text, seq_scan FROM pg_stat_user_tables ORDER BY relid",
    )
    return {table: count for table, count in rows if table in FILLED}


@pytest.mark.parametrize("statement", [open_books.RECENT_ORDERS, open_books.WORKING_ACCOUNTS])
def test_recovery_reads_no_fill(filled, statement):
    statement = statement.replace("%(members)s", "%s")
    text = plan(filled, statement, ([],) * statement.count("%s"))
    # Of blocks there are none here; an empty table is read at no cost.
    assert "Seq Scan" not in text.replace("Seq Scan on block", ""), text
    assert buffers(text) < BUFFERS_MAX
