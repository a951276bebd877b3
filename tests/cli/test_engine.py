"""Commands about the engine that need none running: run's errors, and the database."""

from __future__ import annotations

import pytest

from tests.e2e.processes import bulkhead

pytestmark = pytest.mark.timeout(240)


def test_no_exchange_is_named(tmp_path, dsn):
    shown = bulkhead(
        "run", "--exchange", "http://127.0.0.1:9", "--data-dir", tmp_path, "--dsn", dsn, "--api-port", 0
    )
    assert shown.returncode == 2
    assert "does not answer as an exchange" in shown.stderr
    assert "bulkhead paper" in shown.stderr


def test_db_init_makes_an_empty_database_ready_and_check_says_so(dsn):
    assert "EMPTY" in bulkhead("db", "check", dsn).stdout
    assert "both schemas were made" in bulkhead("db", "init", dsn).stdout
    assert "READY" in bulkhead("db", "check", dsn).stdout


def test_a_foreign_database_is_refused(dsn):
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE invoices (id int)")
    shown = bulkhead("db", "init", dsn)
    assert shown.returncode == 2
    assert "invoices" in shown.stderr
