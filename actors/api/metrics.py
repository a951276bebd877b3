"""Prometheus metrics: what is measured, and where each figure comes from.

A metric is one line in a table below, if what it reads is there already; else also a field of the actor's own counters.
Labels are bounded: no account, symbol or order is ever a label, so the number of time series does not grow with the
fleet. A scrape reads what others count; nothing here waits for an actor or walks over accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from actors.api import pools
from actors.api.clearing_totals import ClearingTotals
from actors.api.drop_copy_stats import DropCopyStats
from actors.api.mailbox_statistics import MailboxStatistics
from actors.assembly.engine import Engine
from actors.core.clearing_messages import clearing_name
from actors.core.constants import RECORDED_BYTES_EACH
from actors.core.units import NANOS_PER_SECOND
from actors.gateway.actor import GatewayStatus
from actors.gateway.messages import RequestWeight
from actors.gateway.stream import StreamState
from actors.persistence.actor import WriterStats
from actors.persistence.audit.trail import AuditStats
from actors.persistence.projection.actor import ProjectorStats
from actors.persistence.redis.publisher import RedisStats
from actors.runtime import logs
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.logs import LogState
from actors.symbol_router.actor import SymbolRouter

Source = TypeVar("Source")


NANOS = 1 / NANOS_PER_SECOND
TIME_BUCKETS = range(10, 36)
"""Upper bounds 2**10 ns, a microsecond, to 2**35 ns, 34 seconds."""

DEPTH_BUCKETS = range(15)
"""From an empty mailbox to one with 16,383 messages."""

COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily


class Figure(NamedTuple, Generic[Source]):
    """A metric without labels: a counter, which only grows, or a gauge. ``value`` reads it."""

    family: type[CounterMetricFamily | GaugeMetricFamily]
    name: str
    text: str
    value: Callable[[Source], float]


ENGINE: tuple[Figure[Engine], ...] = (
    Figure(COUNTER, "alarms", "Alarms raised", lambda e: e.alarms.count),
    Figure(
        COUNTER,
        "l1_late",
        "L1 frames that were stale when they came",
        lambda e: e.venue.market_data_counts().get("late", 0),
    ),
    Figure(GAUGE, "accounts", "Accounts", lambda e: len(e.accounts)),
    Figure(GAUGE, "quarantined", "Accounts in quarantine", lambda e: len(e.quarantined)),
    Figure(
        GAUGE,
        "platform_accounts_not_adopted",
        "Accounts of the platform that are not run here",
        lambda e: e.platform_stats.not_adopted,
    ),
    Figure(
        COUNTER,
        "platform_changes",
        "Changes of the platform that accounts took over",
        lambda e: e.platform_stats.booked,
    ),
    Figure(
        GAUGE,
        "platform_look_age_seconds",
        "Since the platform's rows were compared last",
        lambda e: e.platform_stats.age_s,
    ),
    Figure(
        GAUGE,
        "recorded_decisions",
        "Decisions whose inputs are kept in memory",
        lambda e: e.context.recorder.count,
    ),
    Figure(
        GAUGE,
        "recorded_bytes",
        "Memory that these take, by the measured size of one",
        lambda e: e.context.recorder.count * RECORDED_BYTES_EACH,
    ),
    Figure(GAUGE, "journal_position", "Position of the last durable decision", lambda e: e.tail.position),
    Figure(
        GAUGE,
        "gc_longest_pause_seconds",
        "Longest pause of the garbage collector",
        lambda e: e.gc_control.longest_ms / 1e3,
    ),
)
REQUEST_WEIGHT: tuple[Figure[RequestWeight], ...] = (
    Figure(
        COUNTER,
        "requests_refused",
        "Requests not sent because the request weight was used up",
        lambda w: w.refused,
    ),
    Figure(GAUGE, "request_weight_used", "Weight of this minute's requests, others' too", lambda w: w.used),
    Figure(GAUGE, "request_weight_limit", "Weight that the exchange allows in a minute", lambda w: w.limit),
    Figure(GAUGE, "requests_waiting", "Requests that wait for their turn", lambda w: w.waiting),
)
LOG: tuple[Figure[LogState], ...] = (
    Figure(
        COUNTER,
        "log_lines_dropped",
        "Log lines that had no room or could not be written",
        lambda log: log.dropped,
    ),
    Figure(GAUGE, "log_bytes_waiting", "Log that waits to be written", lambda log: log.waiting),
)
ROUTER: tuple[Figure[SymbolRouter], ...] = (
    Figure(COUNTER, "ticks", "L1 updates that the router took", lambda r: r.stats.ticks),
    Figure(COUNTER, "wakes", "Times that the router woke an account", lambda r: r.stats.wakes),
)
WRITER: tuple[Figure[WriterStats], ...] = (
    Figure(COUNTER, "decisions", "Decisions made durable", lambda w: w.decisions),
    Figure(COUNTER, "commits", "Transactions of the writer", lambda w: w.commits),
    Figure(COUNTER, "decisions_refused", "Decisions that could not be stored", lambda w: w.refused),
    Figure(COUNTER, "dead_letters", "Messages that no actor could handle", lambda w: w.dead_letters),
    Figure(GAUGE, "writer_waiting", "Decisions that wait for the writer", lambda w: w.waiting),
    Figure(GAUGE, "writer_down", "1 while Postgres does not answer", lambda w: w.is_down),
    Figure(GAUGE, "commit_seconds", "How long the latest transaction took", lambda w: w.last_commit_ms / 1e3),
)
PROJECTOR: tuple[Figure[ProjectorStats], ...] = (
    Figure(
        GAUGE,
        "projection_lag_decisions",
        "Durable decisions that are not in the tables of people and platform yet",
        lambda p: p.behind,
    ),
    Figure(
        GAUGE,
        "projection_lag_seconds",
        "How long the oldest of them has waited",
        lambda p: p.age_ms / 1e3,
    ),
    Figure(GAUGE, "projection_parked", "Accounts that cannot be projected", lambda p: p.parked),
)
AUDIT: tuple[Figure[AuditStats], ...] = (
    Figure(
        GAUGE,
        "audit_lag_decisions",
        "Durable decisions that are not in the audit's file yet",
        lambda a: a.behind,
    ),
    Figure(COUNTER, "audit_lines", "Lines written to the audit's files", lambda a: a.lines),
    Figure(
        COUNTER,
        "audit_left_out",
        "Rejections and alarms that were counted in the audit and not written one by one",
        lambda a: a.left_out,
    ),
    Figure(GAUGE, "audit_failing", "1 while the audit cannot be written", lambda a: bool(a.fault)),
)
GATEWAY: tuple[Figure[GatewayStatus], ...] = (
    Figure(COUNTER, "orders_sent", "Orders sent to the exchange", lambda g: g.sent),
    Figure(
        COUNTER,
        "orders_lost",
        "Orders whose answer said nothing about their fate; the exchange was asked for each",
        lambda g: g.lost,
    ),
    Figure(GAUGE, "orders_unknown", "Orders of unknown fate, up to 100", lambda g: len(g.unknown)),
    Figure(GAUGE, "orders_in_flight", "Orders on their way to the exchange", lambda g: g.in_flight),
    Figure(
        GAUGE,
        "orders_queued",
        "Orders that wait for the budget, a symbol's group of them counted as one",
        lambda g: g.queued,
    ),
    Figure(
        GAUGE,
        "orders_longest_wait_seconds",
        "How long the order has waited for the budget that waits longest",
        lambda g: g.waiting.longest_ms / 1e3,
    ),
    Figure(
        GAUGE,
        "liquidations_longest_wait_seconds",
        "The same of liquidations",
        lambda g: g.waiting.longest_liquidation_ms / 1e3,
    ),
    Figure(COUNTER, "slots_granted", "Slots granted to clearings", lambda g: g.slots.granted),
    Figure(COUNTER, "slots_used", "Slots that an order was sent with", lambda g: g.slots.used),
    Figure(COUNTER, "slots_returned", "Slots given back, as nothing was to send", lambda g: g.slots.returned),
    Figure(
        COUNTER,
        "slots_expired",
        "Slots taken back because no order came with them",
        lambda g: g.slots.expired,
    ),
    Figure(GAUGE, "slots_held", "Slots that clearings hold", lambda g: g.slots.held),
    Figure(
        GAUGE,
        "user_stream_up",
        "1 while the user stream reports what REST confirms",
        lambda g: g.stream is StreamState.UP,
    ),
    Figure(
        GAUGE,
        "user_stream_down",
        "1 while the user stream is gone, or does not report what REST knows",
        lambda g: g.stream is StreamState.DOWN,
    ),
)
CLEARING: tuple[Figure[ClearingTotals], ...] = (
    Figure(COUNTER, "blocks", "Block orders formed", lambda c: c.counters.get("blocks", 0)),
    Figure(COUNTER, "block_members", "Accounts' orders in them", lambda c: c.counters.get("members", 0)),
    Figure(
        COUNTER,
        "block_rounds",
        "Times that trades of a block were given to its members",
        lambda c: c.counters.get("rounds", 0),
    ),
    Figure(
        COUNTER,
        "block_splits",
        "Blocks that the largest quantity or the depth split",
        lambda c: c.counters.get("splits", 0),
    ),
    Figure(
        COUNTER, "orders_alone", "Market orders that went by themselves", lambda c: c.counters.get("alone", 0)
    ),
    Figure(
        COUNTER,
        "orders_given_back",
        "Orders that waited and were given back unsent",
        lambda c: c.counters.get("given_back", 0),
    ),
    Figure(
        COUNTER,
        "cancels_too_late",
        "Cancels of orders that were in a block already",
        lambda c: c.counters.get("late_cancels", 0),
    ),
    Figure(GAUGE, "blocks_in_flight", "Block orders that have not ended", lambda c: c.blocks_in_flight),
    Figure(
        GAUGE, "clearings_not_running", "Symbols whose clearing is not running", lambda c: len(c.troubled)
    ),
)

DROP_COPIES: tuple[Figure[DropCopyStats], ...] = (
    Figure(GAUGE, "drop_copies", "Drop copies that are connected", lambda d: d.connections),
    Figure(COUNTER, "drop_copy_events", "Events sent to all of them", lambda d: d.events),
    Figure(
        COUNTER,
        "drop_copies_cut_off",
        "Drop copies that were closed because their client did not read",
        lambda d: d.cut_off,
    ),
)


REDIS: tuple[Figure[RedisStats], ...] = (
    Figure(GAUGE, "redis_connected", "1 while Redis answers", lambda r: r.connected),
    Figure(
        GAUGE,
        "redis_lag_decisions",
        "Durable decisions whose events are not in Redis yet",
        lambda r: r.lag,
    ),
    Figure(
        GAUGE,
        "redis_faults",
        "Of events, snapshots and prices, how many Redis refuses to take",
        lambda r: len(r.faults),
    ),
    Figure(
        GAUGE,
        "redis_snapshot_round_seconds",
        "How long it took to look at the snapshots of all accounts once",
        lambda r: r.round_s,
    ),
    Figure(COUNTER, "redis_errors", "Times that Redis did not answer or refused", lambda r: r.errors),
    Figure(COUNTER, "redis_connects", "Times that Redis was connected to", lambda r: r.connects),
    Figure(COUNTER, "redis_events", "Events added to the stream in Redis", lambda r: r.events),
    Figure(COUNTER, "redis_snapshots", "Risk snapshots written to Redis", lambda r: r.snapshots),
    Figure(COUNTER, "redis_prices", "Prices written to Redis", lambda r: r.prices),
)
"""They are there if the setting redis names one."""


class Sources(NamedTuple):
    """What one scrape reads. An actor is None while it starts or stops; its metrics are missing then."""

    engine: Engine
    mailboxes: MailboxStatistics
    router: SymbolRouter | None
    writer: WriterStats | None
    projector: ProjectorStats | None
    gateway: GatewayStatus | None
    clearing: ClearingTotals
    drop_copies: DropCopyStats
    redis: RedisStats | None = None


class EngineCollector(Collector):
    """All of an engine's metrics."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        engine, mailboxes, router, writer, projector, gateway, clearing, drop_copies, redis = self._sources
        yield from _of_mailboxes(mailboxes)
        yield from _of_dispatchers(engine.dispatchers())
        yield _of_tick_lags(router)
        yield from _figures(ENGINE, engine)
        yield from _figures(REQUEST_WEIGHT, engine.venue.weight())
        yield from _figures(LOG, logs.state())
        yield from _figures(ROUTER, router)
        yield from _figures(WRITER, writer)
        yield from _figures(PROJECTOR, projector)
        yield from _figures(AUDIT, None if engine.audit is None else engine.audit.stats)
        yield from _figures(GATEWAY, gateway)
        yield from _figures(CLEARING, clearing)
        yield from _figures(REDIS, redis)
        yield from _of_waiting(clearing)
        yield from _figures(DROP_COPIES, drop_copies)
        yield _of_the_slowest(engine, drop_copies)
        yield from _of_api()
        yield from _of_alarms_and_gate(engine)


def exposition(sources: Sources) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(sources))
    return generate_latest(registry)


def _figures(table: Iterable[Figure[Source]], source: Source | None) -> Iterator[Metric]:
    if source is not None:
        for figure in table:
            yield figure.family(f"bulkhead_{figure.name}", figure.text, value=figure.value(source))


def _of_mailboxes(found: MailboxStatistics) -> Iterator[Metric]:
    messages = CounterMetricFamily("bulkhead_messages", "Messages by what became of them", labels=["outcome"])
    for outcome in ("accepted", "handled", "conflated", "dead_lettered", "refused"):
        messages.add_metric([outcome], getattr(found, outcome))
    yield messages
    yield GAUGE("bulkhead_messages_queued", "Messages that wait", value=found.queued)
    yield GAUGE("bulkhead_messages_in_hand", "Messages that are being handled", value=found.in_hand)
    yield GAUGE(
        "bulkhead_mailboxes_not_conserved",
        "Mailboxes that lost count of a message; always 0",
        value=found.not_conserved,
    )
    yield GAUGE("bulkhead_mailboxes_congested", "Mailboxes above their high mark", value=found.congested)
    yield COUNTER("bulkhead_actor_restarts", "Restarts of all actors", value=found.restarts)
    statuses = GaugeMetricFamily("bulkhead_actors", "Actors by status", labels=["status"])
    for status, count in sorted(found.statuses.items()):
        statuses.add_metric([status], count)
    yield statuses
    depth = GaugeHistogramMetricFamily("bulkhead_mailbox_depth", "Waiting messages of an actor")
    depth.add_metric([], _cumulative(found.depths, DEPTH_BUCKETS, lambda n: 2**n - 1), found.queued)
    yield depth
    age = GaugeHistogramMetricFamily(
        "bulkhead_mailbox_oldest_age_seconds", "How long an actor's oldest message has waited"
    )
    age.add_metric([], _cumulative(found.ages, TIME_BUCKETS, _seconds), found.ages_sum_s)
    yield age


def _of_dispatchers(dispatchers: Iterable[ThreadedDispatcher]) -> Iterator[Metric]:
    turns = HistogramMetricFamily(
        "bulkhead_turn_seconds", "How long an actor's turn took", labels=["dispatcher"]
    )
    handled = CounterMetricFamily("bulkhead_turn_messages", "Messages handled", labels=["dispatcher"])
    crashes = CounterMetricFamily("bulkhead_crashes", "Failures of actors", labels=["dispatcher"])
    lag = GaugeMetricFamily(
        "bulkhead_dispatcher_lag_seconds", "How long messages wait for a turn", labels=["dispatcher"]
    )
    backlog = GaugeMetricFamily(
        "bulkhead_dispatcher_backlog", "Actors that wait for a turn", labels=["dispatcher"]
    )
    for one in dispatchers:
        stats = one.stats
        turns.add_metric([one.name], _cumulative(stats.turns, TIME_BUCKETS, _seconds), stats.busy_ns * NANOS)
        handled.add_metric([one.name], stats.messages)
        crashes.add_metric([one.name], stats.crashes)
        lag.add_metric([one.name], one.lag_ns() * NANOS)
        backlog.add_metric([one.name], one.backlog())
    yield from (turns, handled, crashes, lag, backlog)


def _of_tick_lags(router: SymbolRouter | None) -> Metric:
    counts, sum_ns = ([0] * 64, 0) if router is None else (list(router.lags), router.lags_sum_ns)
    lags = HistogramMetricFamily(
        "bulkhead_tick_lag_seconds", "From an L1 frame's arrival to the router's turn"
    )
    lags.add_metric([], _cumulative(counts, TIME_BUCKETS, _seconds), sum_ns * NANOS)
    return lags


def _of_the_slowest(engine: Engine, drop_copies: DropCopyStats) -> Metric:
    last = engine.tail.position
    position = last - drop_copies.behind(last)
    return GAUGE(
        "bulkhead_drop_copy_slowest_position",
        "Up to which position of the journal every drop copy has read",
        value=position,
    )


def _of_waiting(clearing: ClearingTotals) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "bulkhead_orders_waiting", "Accounts' orders that wait in their symbol's clearing", labels=["class"]
    )
    oldest = GaugeMetricFamily(
        "bulkhead_orders_oldest_wait_seconds", "How long the oldest of them has waited", labels=["class"]
    )
    for order_class, count in clearing.waiting.items():
        waiting.add_metric([order_class], count)
        oldest.add_metric([order_class], clearing.oldest_ms[order_class] / 1e3)
    yield from (waiting, oldest)


def _of_api() -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "bulkhead_api_waiting", "Requests of each kind that wait or run", labels=["for"]
    )
    refused = CounterMetricFamily(
        "bulkhead_api_refused", "Requests of each kind that were too many", labels=["for"]
    )
    for slots in pools.ALL:
        waiting.add_metric([slots.name], slots.taken)
        refused.add_metric([slots.name], slots.refused)
    yield from (waiting, refused)


def _of_alarms_and_gate(engine: Engine) -> Iterator[Metric]:
    open_alarms = GaugeMetricFamily(
        "bulkhead_alarms_unacknowledged", "Alarms that were not acknowledged", labels=["level"]
    )
    for level, count in engine.alarms.open_by_level().items():
        open_alarms.add_metric([level], count)
    yield open_alarms
    closed = GaugeMetricFamily(
        "bulkhead_gate_closed",
        "1 for each reason why no new risk is taken; clearing:SYMBOL for that symbol only",
        labels=["by"],
    )
    for reason in (*engine.gate.closers, *map(clearing_name, sorted(engine.gate.closed_symbols))):
        closed.add_metric([reason], 1)
    yield closed


def _seconds(n: int) -> float:
    return float(2**n) * NANOS


def _cumulative(
    counts: Sequence[int], bounds: range, upper: Callable[[int], float]
) -> list[tuple[str, float]]:
    """Prometheus buckets: how many values are at most each bound.

    ``counts[n]`` is how many values have n bits, so they are below 2**n, and at most ``upper(n)``. Counting by the
    number of bits costs the hot path one ``int.bit_length``.
    """
    below = sum(counts[: bounds.start])
    buckets: list[tuple[str, float]] = []
    for n in bounds:
        below += counts[n]
        buckets.append((str(floatToGoString(upper(n))), below))  # type: ignore[no-untyped-call]
    buckets.append(("+Inf", sum(counts)))
    return buckets
