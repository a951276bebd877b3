"""The state of each stream after its first decision of a UTC day: which are kept, for how long, and who reads them."""

from __future__ import annotations

from types import SimpleNamespace

import psycopg
import pytest
from msgspec.structs import replace

from actors.persistence.connection import connect
from actors.persistence.past import stand, when
from actors.persistence.projection.store import MS_PER_DAY, Projection
from actors.persistence.store import Store
from actors.persistence.verify import verify
from actors.persistence.verify_chain import Wrong
from actors.subaccount.state_codec import state_hash
from tests.persistence.projection.lives import commit, live

DAYS = 5


def over_days(decisions, days=DAYS):
    """The same decisions, spread over some days; every fifth has a clock that was set back by a day."""
    total, found = len(decisions), []
    for number, decision in enumerate(decisions):
        day = number * days // total - (1 if number % 5 == 4 else 0)
        found.append(replace(decision, wall_ms=(20_000 + day) * MS_PER_DAY + number))
    return found


@pytest.fixture
def world(dsn, monkeypatch):
    store = Store.open(dsn)
    store.acquire("me", 30)
    decisions = over_days(live(store, (11, 12), monkeypatch, 40))
    commit(store, decisions)
    yield SimpleNamespace(dsn=dsn, decisions=decisions)
    store.close()


def project(dsn, size, **how):
    """All of the journal, each batch by a projector that has just begun if ``fresh``."""
    projection = Projection(dsn, **how)
    projection.begin()
    while found := projection.read(size):
        projection.project(found)
    return projection


def kept(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT stream, day, sequence FROM bulkhead.snapshot_day ORDER BY stream, sequence"
        ).fetchall()


def firsts(decisions):
    found, newest = [], {}
    for decision in decisions:
        day = decision.wall_ms // MS_PER_DAY
        if day > newest.get(decision.stream, 0):
            newest[decision.stream] = day
            found.append((decision.stream, day, decision.state.sequence))
    return sorted(found, key=lambda row: (row[0], row[2]))


@pytest.mark.parametrize("size", [7, 1_000])
def test_the_first_state_of_each_day_is_kept_and_a_clock_set_back_begins_none(world, size):
    projection = project(world.dsn, size, daily_days=35)
    found = kept(world.dsn)
    assert found == firsts(world.decisions)
    assert {stream for stream, _, _ in found} == {"life-0", "life-1"}
    assert len(found) >= 2 * DAYS
    assert projection.forget_days() == 0
    with connect(world.dsn, read_only=True) as connection:
        report = verify(connection)
        assert (report.ok, report.snapshots >= len(found)) == (True, True)
        for decision in world.decisions:
            stream, sequence = decision.stream, decision.state.sequence
            past = stand(connection, stream, when(f"#{sequence}", 2**52))
            newest = max((s for other, _, s in found if other == stream and s <= sequence), default=None)
            assert past.snapshot == newest
            assert state_hash(past.state) == state_hash(decision.state)
    projection.close()


def test_a_restart_keeps_the_first(world):
    for _ in range(2):
        projection = Projection(world.dsn, daily_days=35)
        projection.begin()
        projection.project(projection.read(20))
        projection.close()
    found = kept(world.dsn)
    assert len({(stream, day) for stream, day, _ in found}) == len(found)
    assert len(found) > 2
    assert set(found) >= set(firsts(world.decisions[:15]))


def test_none_is_kept_where_none_is_wanted(world):
    project(world.dsn, 1_000, daily_days=0).close()
    assert kept(world.dsn) == []


def test_days_that_are_too_old_are_forgotten_some_at_a_time_and_no_others(world, monkeypatch):
    monkeypatch.setattr("actors.persistence.projection.store.FORGOTTEN_AT_ONCE", 3)
    projection = project(world.dsn, 1_000, daily_days=2)
    before = kept(world.dsn)
    newest = max(day for _, day, _ in before)
    old = [row for row in before if row[1] < newest - 1]
    assert len(old) > 3
    assert projection.forget_days() == 3
    while projection.forget_days():
        pass
    assert kept(world.dsn) == [row for row in before if row not in old]
    projection.close()
    idle = Projection(world.dsn, daily_days=1)
    idle.begin()
    assert idle.forget_days() == 0  # it has seen no decision, and does not know what day it is
    idle.close()


def test_a_changed_one_is_found_by_verify_and_by_who_reads_it(world):
    project(world.dsn, 1_000, daily_days=35).close()
    stream, day, sequence = kept(world.dsn)[1]
    with psycopg.connect(world.dsn) as connection:
        connection.execute(
            "UPDATE bulkhead.snapshot_day SET hash = %s WHERE stream = %s AND day = %s",
            (bytes(16), stream, day),
        )
    with connect(world.dsn, read_only=True) as connection:
        fault = verify(connection).fault
        assert (fault.wrong, fault.stream, fault.sequence) == (Wrong.SNAPSHOT, stream, sequence)
        with pytest.raises(Exception, match="is not what was written"):
            stand(connection, stream, when(f"#{sequence + 1}", 2**52))
