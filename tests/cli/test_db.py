"""The commands about the database, on real ones: what they print, and with what they exit.

Covers: actors/cli/db_tables.py
"""

from __future__ import annotations

import json

import psycopg
import pytest

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
    meddle(dsn, "DELETE FROM bulkhead.migration WHERE version = 7")
    shown = bulkhead("db", "verify", dsn)
    assert shown.returncode == 2
    assert "of an older version, which has no journal" in shown.stderr
    assert "OLDER, schema version 6; this program works with version 7" in ran(0, "status", dsn)


def test_there_is_nothing_to_accept_where_nothing_is_missing(dsn, journal, tmp_path):
    here = (dsn, "--data-dir", tmp_path)
    shown = bulkhead("db", "accept-restore", *here, "--reason", "")
    assert shown.returncode == 2
    assert "--reason is empty" in shown.stderr
    assert "nothing to accept" in ran(0, "accept-restore", *here, "--reason", "a try")
    assert not (tmp_path / OPERATORS_FILE).exists()
