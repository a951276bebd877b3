"""A replay decides the same each time, and says what failed to be placed."""

from __future__ import annotations

from decimal import Decimal as D

from actors.assembly.replay import RecordingStore, Replay
from actors.persistence.store import Store
from actors.venues.paper.recording import Row
from tests.factories import ETH


def rows(count):
    """A price that falls by 0.1 % a second."""
    for n in range(count):
        mid = D(2000) - 2 * n
        yield Row(1_000 * n + 1_000, ETH, n + 1, mid - D("0.01"), D(50), mid + D("0.01"), D(50), float(mid))


def outcome(dsn):
    store = Store.open(dsn)
    store.acquire("replay", 60)
    try:
        recording = RecordingStore(store, None)
        replay = Replay(recording, [ETH], 4, seed=1, start_ms=1_000)
        for row in rows(60):
            replay.row(row)
        replay.settle()
        return recording, replay
    finally:
        store.close()


def test_a_replay_trades_and_liquidates_and_needs_no_supervisor(dsn):
    recording, replay = outcome(dsn)
    assert replay.ticks == 60
    assert recording.decisions > 8
    assert replay.context.stats.fills >= 4
    assert list(replay.actors) == ["writer", "gateway", "router"]
    assert all(state.sequence > 0 for state in replay.states())
