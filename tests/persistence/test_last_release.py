"""What the last release stored is read by this one.

``last_release/`` was written by that release's own demo (12 accounts, one quarantined with a dead letter, one with an open
breaker, one that closes at once, trading frozen at its end): its database, the states that it read back, its settings.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import psycopg
import pytest

from actors.assembly.config import load
from actors.core.messages import FaultOnPurpose
from actors.core.replay_codec import decode
from actors.persistence import schema
from actors.persistence.store import Store

WRITTEN = Path(__file__).with_name("last_release")


def read(name):
    return gzip.decompress((WRITTEN / name).read_bytes()).decode()


@pytest.fixture
def written(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(read("database.sql.gz"))
    return dsn


def test_its_database_is_older_is_upgraded_and_gives_the_same_accounts(written):
    with psycopg.connect(written, autocommit=True) as connection:
        assert schema.check(connection) is schema.Found.OLDER
        schema.init(connection)
    store = Store.open(written)
    try:
        store.acquire("this release", 30)
        states = sorted(store.load(None), key=lambda state: state.account_id)
        assert store.unreadable == {}
        found = json.loads(msgspec.json.encode(states))
        assert found == json.loads(read("states.json.gz"))
        assert sum(len(state["positions"]) for state in found) == 56
    finally:
        store.close()


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
