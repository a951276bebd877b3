"""A real journal is checked where it is: what is done to its tables is found and named, while an engine may go on.

Covers: actors/persistence/verify_states.py
"""

from __future__ import annotations

from decimal import Decimal as D

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.core.errors import StateCorrupt
from actors.core.messages import AdjustBalance
from actors.persistence import verify
from actors.persistence.connection import connect
from actors.persistence.journal import SHARD
from actors.persistence.verify_chain import Wrong
from actors.subaccount import state_codec
from actors.subaccount.fleet_hash import fleet_hash
from actors.supervision.journal_roots import JournalRoot
from tests.factories import BUY, SELL
from tests.persistence.authors import Author, create


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


@pytest.fixture
def change(dsn):
    """Does what nobody should."""

    def run(query, *values):
        with psycopg.connect(dsn) as meddler:
            return meddler.execute(query, values).rowcount

    return run


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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FLIPS)), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_changed_bit_of_any_column_of_any_row_is_found_and_named(connection, column, pick, bit):
    position = 1 + pick % verify.verify(connection, folds=False).position
    size = 128 if column == "hash" else 1 + 8 * bit % 160
    bits = (bit % size, bit % size) if "%s" in FLIPS[column] else ()
    with psycopg.connect(connection.info.dsn) as meddler:
        meddler.execute(f"UPDATE bulkhead.journal SET {FLIPS[column]} WHERE position = %s", (*bits, position))
        meddler.commit()
        try:
            fault = fault_of(connection)
        finally:
            meddler.execute("SELECT 1")
    undo(connection, column, position, bits)
    assert (fault.wrong, fault.position, fault.until) == (Wrong.CHANGED, position, position)
    assert fault_of(connection, folds=False) is None
