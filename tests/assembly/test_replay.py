"""A replay decides the same each time, and says what failed to be placed."""

from __future__ import annotations

from decimal import Decimal as D

from actors.assembly.replay import RecordingStore, Replay, _spoken
from actors.core.enums import Phase
from actors.core.facts import PhaseChanged
from actors.core.messages import PlaceOrder
from actors.persistence.store import Store
from actors.subaccount.decide import decide
from actors.venues.paper.recording import Row
from tests.factories import BUY, ETH, account, fill_of, market, run


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


def test_a_replay_writes_facts_as_all_releases_have_written_them():
    """So that the decisions of two releases over the same files can be compared byte for byte."""
    assert _spoken(PhaseChanged(Phase.REDUCING, 1, 1_300), 1_000)["retry_at_ns"] == 300_000_000
    assert _spoken(PhaseChanged(Phase.HEALTHY, 0, 0), 1_000)["retry_at_ns"] == 0
    placed = run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1")))
    fact = decide(placed, fill_of(placed.orders[0]), market()).facts[0]
    assert list(_spoken(fact, 0)) == [
        "fact", "client_order_id", "exchange_order_id", "trade_id", "symbol", "side", "quantity", "price", "fee",
        "maker", "trade_ms", "closed_quantity", "realized", "purpose", "tier", "order_type", "low", "high", "moment",
        "commission",
    ]  # fmt: skip
