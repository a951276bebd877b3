"""All accounts are read at once by another statement than some: the same states, the same faults, whatever is there."""

from __future__ import annotations

import psycopg
import pytest

from actors.persistence import fleet_loading, loading
from actors.persistence.connection import connect
from actors.subaccount import state_codec
from tests.factories import BUY, SELL
from tests.persistence.authors import Author, create

SNAPSHOT = (
    "INSERT INTO bulkhead.snapshot (stream, sequence, hash, version, state) VALUES (%s, %s, %s, %s, %s)"
)


@pytest.fixture
def connection(dsn):
    with psycopg.connect(dsn, autocommit=True) as connected:
        yield connected


def fill(store, connection, snapshots):
    """Accounts that traded, and a snapshot of each after so many of its decisions, if any."""
    for state, after in zip(create(store, len(snapshots)), snapshots, strict=True):
        author = Author(state)
        author.trade(BUY, "0.1")
        author.trade(SELL, "0.04")
        assert not any(store.commit(author.batch))
        if after is not None:
            kept = loading.states_at(connection, [state.account_id], _position(connection, state, after))
            found = kept[state.account_id]
            assert found.sequence == after
            data = state_codec.encode(found.state)
            connection.execute(SNAPSHOT, (state.account_id, after, found.hash, state_codec.VERSION, data))


def _position(connection, state, sequence):
    query = "SELECT position FROM bulkhead.journal WHERE stream = %s AND sequence = %s"
    return connection.execute(query, (state.account_id, sequence)).fetchone()[0]


def faults(connection, read):
    found = {}
    states = read(connection, lambda stream, error: found.update({stream: str(error)}))
    return states, found


def everybody(connection, failed):
    """As a start reads them, without workers."""
    return fleet_loading.all_states(connection, "", ids(connection), failed, workers=0)


def ids(connection):
    return [row[0] for row in connection.execute("SELECT account_id FROM bulkhead.account").fetchall()]


def some(connection, failed):
    return loading.states_of(connection, ids(connection), failed)


def test_all_are_what_each_is_and_none_goes_the_long_way(store, connection, monkeypatch):
    fill(store, connection, [None, 0, 1, 4, 7, 8])
    expected = some(connection, None)
    monkeypatch.delattr(loading, "states_of")
    found = everybody(connection, None)
    assert found == expected
    assert [k.sequence for k in found.values()] == [8] * 6


DAMAGES = {
    "DELETE FROM bulkhead.journal WHERE sequence = 5": "does not follow 4",
    "DELETE FROM bulkhead.journal WHERE sequence = 6": "does not follow 5",
    "UPDATE bulkhead.journal SET version = 99 WHERE sequence = 7": "of a later release",
    r"UPDATE bulkhead.journal SET facts = '\xff' WHERE sequence = 7": "cannot be read",
    # Together the two rows would be good JSON.
    """UPDATE bulkhead.journal SET facts = CASE sequence WHEN 6 THEN '[['::bytea ELSE ']]'::bytea END
        WHERE sequence IN (6, 7)""": "cannot be read",
    "UPDATE bulkhead.journal SET facts = facts || '\\x0a'::bytea || '[]'::bytea WHERE sequence = 7": "cannot be read",
    "UPDATE bulkhead.snapshot SET sequence = 3 WHERE true": "its snapshot is of",
    "UPDATE bulkhead.snapshot SET state = 'x' WHERE true": "cannot be read",
    """UPDATE bulkhead.snapshot SET state = convert_to(replace(convert_from(state, 'UTF8'), 'acct-1', 'acct-9'), 'UTF8')
        WHERE true""": "its snapshot is of acct-9",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_is_named_alike_and_the_others_are_there(store, connection, damage):
    fill(store, connection, [4, 4])
    connection.execute(damage + " AND stream = 'acct-1'")
    states, named = faults(connection, everybody)
    assert (states, named) == faults(connection, some)
    assert [*states] == ["acct-2"]
    assert DAMAGES[damage] in named["acct-1"]


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if "snapshot" in damage])
def test_a_snapshot_that_nothing_follows_is_looked_at_as_well(store, connection, damage):
    fill(store, connection, [8, 8])
    connection.execute(damage + " AND stream = 'acct-1'")
    states, named = faults(connection, everybody)
    assert [*states] == ["acct-2"]
    assert DAMAGES[damage] in named["acct-1"]


def test_what_lies_before_the_snapshots_is_not_read(store, connection, dsn):
    """A plan that reads the whole journal would cost more with every day that it grows."""
    fill(store, connection, [8] * 40)
    connection.execute("VACUUM ANALYZE bulkhead.journal, bulkhead.snapshot, bulkhead.account")
    explain = "EXPLAIN (ANALYZE, TIMING off, COSTS off) " + loading.WHOLE
    with connect(dsn) as own:
        rows = own.execute(explain, {"streams": [f"acct-{n}" for n in range(1, 41)]}).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Index Cond: (stream = a.account_id)" in plan
    assert "Index Cond: ((stream = a.account_id) AND (sequence > COALESCE(" in plan
    assert "Rows Removed" not in plan
