"""The metrics as Prometheus reads them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.api import pools
from actors.api.clearing_totals import ClearingTotals
from actors.api.drop_copy_stats import DropCopyStats
from actors.api.mailbox_statistics import MailboxStatistics
from actors.api.metrics import Sources, exposition
from actors.core.units import AccountId
from actors.gateway.messages import RequestWeight
from actors.gateway.slots import SlotCounts
from actors.gateway.stream import StreamState
from actors.gateway.waiting import WaitingList
from actors.persistence.actor import WriterStats
from actors.persistence.projection.actor import ProjectorStats
from actors.persistence.redis.publisher import RedisStats
from actors.runtime.dispatcher import TurnStats
from actors.symbol_router.actor import RouterStats

SECOND = 1_000_000_000
REDIS = RedisStats(
    address="redis://host", connected=True, lag=5, events=6, snapshots=7, prices=8, errors=9, connects=2, round_s=1.5,
    faults={"events": "WRONGTYPE"},
)  # fmt: skip


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(pools.ORDERS, "taken", 3)
    monkeypatch.setattr(pools.ORDERS, "refused", 4)
    stats = TurnStats()
    stats.messages, stats.busy_ns = 3, 2 * SECOND
    stats.turns[11] = 3
    one = SimpleNamespace(name="main", stats=stats, lag_ns=lambda: SECOND, backlog=lambda: 4)
    return SimpleNamespace(
        accounts=dict.fromkeys(AccountId(f"acct-{n}") for n in range(5)),
        quarantined={},
        alarms=SimpleNamespace(count=3, open_by_level=lambda: {"INFO": 0, "WARNING": 2, "CRITICAL": 1}),
        gc_control=SimpleNamespace(longest_ms=20),
        gate=SimpleNamespace(closers=("writer",), closed_symbols=frozenset({"ETHUSDT"})),
        audit=None,
        venue=SimpleNamespace(
            market_data_counts=lambda: {"late": 0},
            weight=lambda: RequestWeight(used=9, limit=2400, by_others=0, waiting=1, refused=0, paused_ms=0),
        ),
        dispatchers=lambda: (one,),
        tail=SimpleNamespace(position=90),
        context=SimpleNamespace(recorder=SimpleNamespace(count=12)),
        platform_stats=SimpleNamespace(not_adopted=4, booked=2, age_s=1.5),
    )  # fmt: skip


@pytest.fixture
def sources(engine):
    mailboxes = MailboxStatistics(
        actors=5, accepted=9, handled=5, conflated=1, queued=3, statuses={"RUNNING": 5}
    )
    mailboxes.depths[0], mailboxes.depths[2] = 4, 1
    router = SimpleNamespace(
        stats=RouterStats(ticks=7), lags=[0] * 12 + [7] + [0] * 51, lags_sum_ns=SECOND // 2
    )
    gateway = SimpleNamespace(
        sent=8, lost=1, unknown=("a", "b"), in_flight=2, queued=0, stream=StreamState.UP,
        waiting=WaitingList(total=3, longest_ms=2_500, longest_liquidation_ms=1_500, rows=()),
        slots=SlotCounts(granted=9, used=4, returned=2, expired=2, held=1),
    )  # fmt: skip
    clearing = ClearingTotals(
        clearing="on",
        symbols=2,
        troubled=("clearing:BTCUSDT",),
        waiting={"LIQUIDATION": 311, "REDUCING": 0, "NEW_RISK": 4},
        oldest_ms={"LIQUIDATION": 1_250, "REDUCING": 0, "NEW_RISK": 20},
        blocks_in_flight=2,
        alone_in_flight=1,
        not_durable=0,
        counters={
            "blocks": 7,
            "members": 900,
            "rounds": 12,
            "splits": 1,
            "alone": 40,
            "late_cancels": 2,
            "given_back": 6,
        },
    )
    drop_copies = DropCopyStats()
    drop_copies.connections, drop_copies.events, drop_copies.cut_off = 2, 70, 1
    drop_copies.positions.update({0: 88, 1: 61})
    projector = ProjectorStats(position=5, last=12, age_ms=1_500, parked=2)
    return Sources(
        engine,
        mailboxes,
        router,
        WriterStats(decisions=6, is_down=True),
        projector,
        gateway,
        clearing,
        drop_copies,
        REDIS,
    )


def samples_of(sources):
    families = text_string_to_metric_families(exposition(sources).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


ENGINES = {
    "platform_accounts_not_adopted": 4, "platform_changes_total": 2, "platform_look_age_seconds": 1.5,
    "recorded_decisions": 12, "recorded_bytes": 18_000,
}  # fmt: skip


def test_the_exposition_is_what_prometheus_parses_and_its_figures_are_ours(sources):
    samples = samples_of(sources)
    assert samples["bulkhead_messages_total", (("outcome", "accepted"),)] == 9
    assert samples["bulkhead_messages_queued", ()] == 3
    assert samples["bulkhead_mailboxes_not_conserved", ()] == 0
    assert samples["bulkhead_turn_seconds_count", (("dispatcher", "main"),)] == 3
    assert samples["bulkhead_turn_seconds_sum", (("dispatcher", "main"),)] == 2
    assert samples["bulkhead_turn_seconds_bucket", (("dispatcher", "main"), ("le", "1.024e-06"))] == 0
    assert samples["bulkhead_turn_seconds_bucket", (("dispatcher", "main"), ("le", "2.048e-06"))] == 3
    assert samples["bulkhead_mailbox_depth_bucket", (("le", "0.0"),)] == 4
    assert samples["bulkhead_mailbox_depth_bucket", (("le", "3.0"),)] == 5
    assert samples["bulkhead_tick_lag_seconds_count", ()] == 7
    assert samples["bulkhead_tick_lag_seconds_sum", ()] == 0.5
    assert samples["bulkhead_gate_closed", (("by", "writer"),)] == 1
    assert samples["bulkhead_gate_closed", (("by", "clearing:ETHUSDT"),)] == 1
    assert samples["bulkhead_dispatcher_backlog", (("dispatcher", "main"),)] == 4
    assert samples["bulkhead_accounts", ()] == 5
    assert samples["bulkhead_ticks_total", ()] == 7
    assert samples["bulkhead_decisions_total", ()] == 6
    assert samples["bulkhead_journal_position", ()] == 90
    assert {name: samples[f"bulkhead_{name}", ()] for name in ENGINES} == ENGINES
    assert samples["bulkhead_drop_copies", ()] == 2
    assert samples["bulkhead_drop_copy_events_total", ()] == 70
    assert samples["bulkhead_drop_copies_cut_off_total", ()] == 1
    assert samples["bulkhead_drop_copy_slowest_position", ()] == 61
    assert samples["bulkhead_writer_down", ()] == 1
    assert samples["bulkhead_projection_lag_decisions", ()] == 7
    assert samples["bulkhead_projection_lag_seconds", ()] == 1.5
    assert samples["bulkhead_projection_parked", ()] == 2
    assert samples["bulkhead_orders_unknown", ()] == 2
    assert samples["bulkhead_orders_longest_wait_seconds", ()] == 2.5
    assert samples["bulkhead_liquidations_longest_wait_seconds", ()] == 1.5
    assert samples["bulkhead_slots_granted_total", ()] == 9
    assert samples["bulkhead_slots_expired_total", ()] == 2
    assert samples["bulkhead_slots_held", ()] == 1
    assert (samples["bulkhead_user_stream_up", ()], samples["bulkhead_user_stream_down", ()]) == (1, 0)
    assert samples["bulkhead_orders_waiting", (("class", "LIQUIDATION"),)] == 311
    assert samples["bulkhead_orders_waiting", (("class", "REDUCING"),)] == 0
    assert samples["bulkhead_orders_oldest_wait_seconds", (("class", "LIQUIDATION"),)] == 1.25
    counted = ("blocks", "block_members", "block_rounds", "block_splits", "orders_alone", "cancels_too_late")
    assert [samples[f"bulkhead_{name}_total", ()] for name in counted] == [7, 900, 12, 1, 40, 2]
    assert samples["bulkhead_orders_given_back_total", ()] == 6
    assert samples["bulkhead_blocks_in_flight", ()] == 2
    assert samples["bulkhead_clearings_not_running", ()] == 1
    assert (samples["bulkhead_slots_used_total", ()], samples["bulkhead_slots_returned_total", ()]) == (4, 2)
    assert samples["bulkhead_request_weight_used", ()] == 9
    assert samples["bulkhead_gc_longest_pause_seconds", ()] == 0.02
    assert samples["bulkhead_alarms_unacknowledged", (("level", "CRITICAL"),)] == 1
    assert samples["bulkhead_api_waiting", (("for", "orders"),)] == 3
    assert samples["bulkhead_api_refused_total", (("for", "orders"),)] == 4


def test_an_actor_that_starts_or_stops_has_no_figures_and_hides_no_others(sources):
    names = {name for name, _ in samples_of(sources._replace(router=None, writer=None, gateway=None))}
    assert not names & {"bulkhead_ticks_total", "bulkhead_writer_down", "bulkhead_orders_sent_total"}
    assert names >= {"bulkhead_accounts", "bulkhead_tick_lag_seconds_count", "bulkhead_log_bytes_waiting"}


def test_the_figures_of_redis(sources):
    samples = samples_of(sources)
    counters = ("events", "snapshots", "prices", "errors", "connects")
    assert [samples[f"bulkhead_redis_{name}_total", ()] for name in counters] == [6, 7, 8, 9, 2]
    gauges = ("connected", "lag_decisions", "faults", "snapshot_round_seconds")
    assert [samples[f"bulkhead_redis_{name}", ()] for name in gauges] == [1, 5, 1, 1.5]


def test_without_a_redis_there_are_no_figures_of_one(sources):
    assert not [name for name, _ in samples_of(sources._replace(redis=None)) if "redis" in name]


def test_no_label_grows_with_the_fleet(sources):
    many = sources._replace(mailboxes=MailboxStatistics(statuses={"RUNNING": 10**6}))
    text = exposition(many).decode()
    labels = {key for f in text_string_to_metric_families(text) for s in f.samples for key in s.labels}
    assert labels <= {"le", "by", "outcome", "status", "dispatcher", "level", "for", "class"}
