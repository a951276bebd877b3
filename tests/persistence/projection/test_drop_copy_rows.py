"""Random lives of accounts: their events, as a drop copy has them, and every table that has the same, row for row."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from actors.core.events import events_of
from actors.persistence import journal
from actors.persistence.tail import decided
from tests.drop_copy_tables import compare
from tests.persistence.projection.lives import commit, live, project_all

SEEDS = (8, 11, 18, 30, 40)
"""Lives in which all of them happen."""

KINDS = {
    "ORDER", "FILL", "ORDER_ENDED", "CONDITIONAL", "POSITION_CLOSED", "LIQUIDATION", "BREACH", "BALANCE", "FUNDING", "LIMITS",
    "CLOSE_OUT",
}  # fmt: skip


@pytest.mark.timeout(120)
def test_the_events_of_random_lives_are_the_rows_of_all_tables(store, dsn, monkeypatch):
    commit(store, live(store, SEEDS, monkeypatch))
    store.close()
    project_all(dsn)
    with psycopg.connect(dsn) as connection:
        rows = [decided(row) for row in journal.read(connection, 0, 1_000_000)]
    found = [event.flat() for row in rows for event in events_of(row)]
    seen = Counter(event["kind"] for event in found)
    assert set(seen) >= KINDS, seen
    compare(dsn, found)
    # It notices one that is missing, doubled or changed, whatever its kind.
    for kind in ("FILL", "FUNDING", "CONDITIONAL", "BALANCE"):
        one = next(event for event in found if event["kind"] == kind)
        with pytest.raises((AssertionError, KeyError)):
            compare(dsn, [event for event in found if event is not one])
        with pytest.raises((AssertionError, KeyError)):
            compare(dsn, [*found, one])
