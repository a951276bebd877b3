"""What the last release stored is read by this one.

``last_release/`` was written by that release's own demo (12 accounts, one quarantined with a dead letter, one with an open
breaker, one that closes at once, trading frozen at its end): its database, the states that it read back, its settings.

Covers: actors/persistence/carrying.py, actors/persistence/from_version_6.py
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import psycopg
import pytest

from actors.assembly.config import load
from actors.core import fact_codec
from actors.core.facts import AccountCarried
from actors.core.messages import FaultOnPurpose
from actors.core.replay_codec import decode
from actors.limits.layers import differing
from actors.persistence import carrying, journal, schema
from actors.persistence.store import Store

WRITTEN = Path(__file__).with_name("last_release")


def read(name):
    return gzip.decompress((WRITTEN / name).read_bytes()).decode()


def as_it_said(state):
    """A state with the fields that the release had: what is three fields now was one text or number then."""
    close_out = state["risk"].pop("close_out")
    del state["platform"], state["below"]
    assert state.pop("unsent") == 0
    assert state.pop("is_undone") is False
    state["retry_at_ns"] = state.pop("retry_at_ms")
    state["risk"]["closing_out"] = "" if close_out is None else close_out["reason"]
    for order in state["orders"]:
        intent = order["intent"]
        intent["tier"] = intent["tier"] or intent.pop("attempt")
        intent.pop("attempt", None)
        conditional_id = intent.pop("conditional_id")
        assert intent.pop("shortfall") == "0"
        assert intent["cause"].startswith("trigger:") == (conditional_id is not None)
    return state


@pytest.fixture
def written(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
    return dsn


@pytest.fixture
def version_6(written):
    """The same with the version before the journal."""
    with psycopg.connect(written, autocommit=True) as connection:
        connection.execute(Path(schema.__file__).with_name("bulkhead_6.sql").read_text())
    return written


def test_its_database_is_older_is_upgraded_and_gives_the_same_accounts(written):
    with psycopg.connect(written, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.OLDER
        schema.init(connection)
    store = Store.open(written)
    try:
        store.acquire("this release", 30)
        states = sorted(store.load(None), key=lambda state: state.account_id)
        assert store.unreadable == {}
        # What lies below them is known, and no news at the first start.
        assert all(state.below == differing(state.base_limits) != () for state in states)
        found = [as_it_said(state) for state in json.loads(msgspec.json.encode(states))]
        assert found == json.loads(read("states.json.gz"))
        assert sum(len(state["positions"]) for state in found) == 56
    finally:
        store.close()


def test_its_tables_are_kept_as_they_were_and_each_account_begins_in_the_journal(version_6):
    with psycopg.connect(version_6, autocommit=True) as connection:
        before = {table: contents(connection, "bulkhead", table) for table in carrying.TABLES}
        platform = {table: contents(connection, "public", table) for table in schema.REQUIRED}
        schema.init(connection)
        assert {table: contents(connection, carrying.KEPT_IN, table) for table in carrying.TABLES} == before
        assert {table: contents(connection, "public", table) for table in schema.REQUIRED} == platform
        entries = journal.read(connection, 0, 100)
        sequences = connection.execute("SELECT account_id, sequence FROM bulkhead_6.account").fetchall()
        assert sorted((e.stream, e.sequence) for e in entries) == sorted(sequences)
        assert [e.position for e in entries] == [*range(1, 13)]
        assert {type(f) for e in entries for f in fact_codec.decode(e.version, e.facts)} == {AccountCarried}
        assert connection.execute("SELECT position FROM bulkhead.projection").fetchall() == [(12,)]
        keys = "SELECT exchange, symbol, trade_id FROM bulkhead.{} ORDER BY 1, 2, 3"
        assert connection.execute(keys.format("trade_key")).fetchall() == (
            connection.execute(keys.format("fill")).fetchall()
        )
        # What stands in the platform's rows now is what we compare with from here on.
        differs = "SELECT count(*) FROM bulkhead.account a JOIN sub_accounts s ON s.id = a.account_id WHERE "
        same = "(platform_balance, platform_status, platform_mode, platform_rate) IS DISTINCT FROM "
        row = "(current_balance::numeric, status, liquidation_mode, maintenance_rate::numeric)"
        assert connection.execute(differs + same + row).fetchone() == (0,)


def test_an_account_that_cannot_be_read_keeps_no_other_from_the_journal(version_6):
    with psycopg.connect(version_6, autocommit=True) as connection:
        connection.execute("UPDATE bulkhead.account SET phase = 'LOST' WHERE account_id = 'acct-3'")
    store = Store.open(version_6)
    try:
        store.acquire("this release", 30)
        assert len(store.load(None)) == 11
        # Nothing is in the journal of it: it is named, and put into quarantine by whoever starts the accounts.
        assert "no fact of it" in store.unreadable["acct-3"]
    finally:
        store.close()


def test_an_upgrade_that_fails_leaves_the_last_release_s_database(version_6, monkeypatch):
    def full(*_arguments):
        raise psycopg.errors.DiskFull("no space left on device")

    monkeypatch.setattr(journal, "append", full)
    with psycopg.connect(version_6, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.DiskFull):
            schema.init(connection)
        assert schema.check(connection) is schema.Found.OLDER
        assert connection.execute("SELECT to_regclass('bulkhead_6.account')").fetchone() == (None,)
        assert connection.execute("SELECT max(version) FROM bulkhead.migration").fetchone() == (6,)


def contents(connection, schema_name, table):
    return sorted(
        row[0] for row in connection.execute(f"SELECT t::text FROM {schema_name}.{table} t").fetchall()
    )


def test_its_quarantine_its_dead_letter_and_what_its_operators_did_are_there(written):
    store = Store.open(written)
    try:
        [quarantined] = store.with_operator_records(lambda records: records.quarantined())
        assert (quarantined.account_id, quarantined.reason) == ("acct-5", "for the test")
        [letter] = store.with_operator_records(
            lambda records: records.dead_letters(None, status=None, limit=9)
        )
        assert decode(letter.message_kind, letter.payload) == FaultOnPurpose("the demo's poison message")
        done = store.with_operator_records(lambda records: records.audit())
        assert {entry.action for entry in done} >= {"quarantine", "trip", "mode", "freeze"}
    finally:
        store.close()


def test_its_settings_are_read():
    assert load(WRITTEN / "bulkhead.toml", {}, {}) == load(None, {}, {})
