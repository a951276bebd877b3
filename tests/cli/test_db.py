"""The commands about the database, on real ones: what they print, and with what they exit.

Covers: actors/cli/db_tables.py, actors/persistence/database_status.py, actors/persistence/projection/differences.py
"""

from __future__ import annotations

import json

import psycopg
import pytest

from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from actors.supervision.operator_log import OPERATORS_FILE
from tests.e2e.processes import bulkhead
from tests.factories import BUY
from tests.persistence.authors import Author, create

pytestmark = pytest.mark.timeout(240)


def test_db_init_makes_an_empty_database_ready_and_check_says_so(dsn):
    assert "EMPTY" in bulkhead("db", "check", dsn).stdout
    assert "both schemas were made" in bulkhead("db", "init", dsn).stdout
    assert "READY" in bulkhead("db", "check", dsn).stdout


def test_a_foreign_database_is_refused(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE invoices (id int)")
    shown = bulkhead("db", "init", dsn)
    assert shown.returncode == 2
    assert "invoices" in shown.stderr


@pytest.fixture
def journal(dsn):
    """Two accounts with a few decisions."""
    store = Store.open(dsn)
    store.acquire("me", 30)
    authors = [Author(state) for state in create(store, 2)]
    for author in authors:
        author.trade(BUY, "0.1")
        assert not any(store.commit(author.batch))
    yield store
    store.close()


def ran(code, *arguments):
    shown = bulkhead("db", *arguments)
    assert (shown.returncode, "Traceback" in shown.stderr) == (code, False), shown.stderr
    return shown.stdout


def meddle(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute(statement).rowcount


def test_verify_says_ok_with_counts_or_names_the_first_bad_row_and_exits_with_1(dsn, journal, tmp_path):
    root, position = journal.root
    here = (dsn, "--data-dir", tmp_path)
    shown = ran(0, "verify", *here)
    assert f"OK the journal is what was written: {position} rows" in shown
    assert f"position {position}, root {root.hex()}" in shown
    assert "knows no root of it" in shown
    found = json.loads(ran(0, "verify", *here, "--json"))
    assert (found["ok"], found["rows"], found["streams"], found["trades"]) == (True, position, 2, 2)
    assert found["fleet_hash"] in shown
    assert found["fleet_hash"] in ran(0, "hash", dsn)
    unfolded = json.loads(ran(0, "verify", *here, "--json", "--no-fold"))
    assert (unfolded["ok"], unfolded["fleet_hash"]) == (True, "")
    meddle(dsn, "UPDATE bulkhead.journal SET wall_ms = 5 WHERE position = 4")
    shown = ran(1, "verify", *here)
    assert "NOT OK position 4, decision 2 of acct-1: changed" in shown
    found = json.loads(ran(1, "verify", *here, "--json"))
    assert (found["ok"], found["fault"]["position"], found["fault"]["wrong"]) == (False, 4, "changed")


def test_hash_lists_accounts_and_is_the_same_whoever_folds(dsn, journal):
    found = json.loads(ran(0, "hash", dsn, "--json"))
    assert [a["account_id"] for a in found["accounts"]] == ["acct-1", "acct-2"]
    shown = ran(0, "hash", dsn, "--accounts")
    assert all(a["state_hash"] in shown for a in found["accounts"])
    assert f"fleet state {found['fleet_hash']} of 2 accounts, journal position {journal.root[1]}" in shown


def test_status_says_what_is_there_how_far_it_is_and_what_is_parked(dsn, journal):
    meddle(dsn, "INSERT INTO bulkhead.parked VALUES ('acct-2', 3, 7, 1700000000000, 'a row is locked')")
    found = json.loads(ran(0, "status", dsn, "--json"))
    root, position = journal.root
    assert (found["found"], found["version"], found["accounts"]) == ("READY", found["program_version"], 2)
    assert (found["position"], found["root"], found["owner"]) == (position, root.hex(), "me")
    assert (found["projection"], found["projection_lag"]) == (0, position)
    assert found["has_version_6"] is False
    assert 0 < found["journal_bytes"] < found["database_bytes"]
    assert [(p["stream"], p["sequence"], p["error"]) for p in found["parked"]] == [
        ("acct-2", 3, "a row is locked")
    ]
    shown = ran(0, "status", dsn)
    assert f"position {position}, root {root.hex()}, written 2023-11-14" in shown
    assert f"position 0, {position} behind" in shown
    assert "acct-2" in shown
    assert "a row is locked" in shown


def test_what_has_no_journal_is_refused_with_the_cure_and_exit_2(dsn):
    assert "EMPTY; this program works with version" in ran(0, "status", dsn)
    for command in ("verify", "hash", "accept-restore --reason x"):
        shown = bulkhead("db", *command.split(), dsn)
        assert shown.returncode == 2
        assert "the database is EMPTY: it has no schema bulkhead; 'bulkhead db init' makes it" in shown.stderr
    ran(0, "init", dsn)
    meddle(dsn, "DELETE FROM bulkhead.migration WHERE version = 9")
    shown = bulkhead("db", "verify", dsn)
    assert shown.returncode == 2
    assert "of an older version, which this program does not read" in shown.stderr
    assert "OLDER, schema version 8; this program works with version 9" in ran(0, "status", dsn)


def test_there_is_nothing_to_accept_where_nothing_is_missing(dsn, journal, tmp_path):
    here = (dsn, "--data-dir", tmp_path)
    shown = bulkhead("db", "accept-restore", *here, "--reason", "")
    assert shown.returncode == 2
    assert "--reason is empty" in shown.stderr
    assert "nothing to accept" in ran(0, "accept-restore", *here, "--reason", "a try")
    assert not (tmp_path / OPERATORS_FILE).exists()


@pytest.fixture
def projected(dsn, journal):
    """The same with all tables made, and without an owner."""
    journal.close()
    projection = Projection(dsn)
    projection.begin()
    while found := projection.read(100):
        projection.project(found)
    projection.close()
    return journal.root[1]


def rows_of(dsn, *tables):
    with psycopg.connect(dsn) as connection:
        return [
            sorted(connection.execute(f"SELECT t::text FROM bulkhead.{t} t").fetchall())  # type: ignore[arg-type]
            for t in tables
        ]


def test_rebuild_is_refused_while_an_engine_owns_the_accounts_and_without_a_word_what_to_do(
    dsn, journal, tmp_path
):
    here = (dsn, "--data-dir", tmp_path)
    for command in (("rebuild", *here, "--yes"), ("unpark", "acct-1", *here)):
        shown = bulkhead("db", *command)
        assert shown.returncode == 2
        assert "me owns this database's accounts for" in shown.stderr
    for more in ((), ("--yes", "--dry-run")):
        shown = bulkhead("db", "rebuild", *here, *more)
        assert shown.returncode == 2
        assert "give --yes to make the tables anew" in shown.stderr


def test_rebuild_shows_what_differs_then_makes_it_anew(dsn, projected, tmp_path):
    here = (dsn, "--data-dir", tmp_path)
    before = rows_of(dsn, "fill", "account", "intent", "snapshot")
    found = json.loads(ran(0, "rebuild", *here, "--dry-run", "--json"))
    assert {t["wrong"] + t["lacking"] for t in found} == {0}
    assert {t["table"]: t["rows"] for t in found}.items() >= {"fill": 2, "account": 2, "intent": 2}.items()
    meddle(dsn, "DELETE FROM bulkhead.fill WHERE account_id = 'acct-1'")
    meddle(dsn, "UPDATE bulkhead.intent SET strategy = 'invented' WHERE account_id = 'acct-2'")
    spoiled = rows_of(dsn, "fill", "account", "intent", "snapshot")
    found = {t["table"]: t for t in json.loads(ran(1, "rebuild", *here, "--dry-run", "--json"))}
    assert (found["fill"]["wrong"], found["fill"]["lacking"]) == (0, 1)
    assert (found["intent"]["wrong"], found["intent"]["lacking"]) == (1, 1)
    shown = ran(1, "rebuild", *here, "--dry-run")
    assert "intent - (" in shown
    assert "invented" in shown
    assert rows_of(dsn, "fill", "account", "intent", "snapshot") == spoiled
    assert f"made anew of {projected} decisions" in ran(0, "rebuild", *here, "--yes")
    assert rows_of(dsn, "fill", "account", "intent") == before[:3]
    ran(0, "rebuild", *here, "--dry-run")
    ran(0, "verify", *here)


def test_unpark_projects_what_a_parked_account_missed(dsn, projected, tmp_path):
    here = (dsn, "--data-dir", tmp_path)
    with psycopg.connect(dsn) as connection:
        [(sequence, position)] = connection.execute(
            "SELECT sequence, position FROM bulkhead.journal WHERE stream = 'acct-2' ORDER BY position DESC LIMIT 1"
        ).fetchall()
        connection.execute(
            "INSERT INTO bulkhead.parked VALUES ('acct-2', %s, %s, 1, 'a row is locked')",
            (sequence, position),
        )
        connection.execute("DELETE FROM bulkhead.snapshot")
    assert "acct-2 is not parked any more: 1 decisions were projected" in ran(0, "unpark", "acct-2", *here)
    assert json.loads(ran(0, "status", dsn, "--json"))["parked"] == []
    shown = bulkhead("db", "unpark", "acct-2", *here)
    assert shown.returncode == 2
    assert "acct-2' is not parked" in shown.stderr
