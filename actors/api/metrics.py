"""Prometheus metrics. Label sets are bounded: no account, symbol or order is ever a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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

from actors.api.census import Census

NANOS = 1e-9
TIME_BUCKETS = range(10, 36)
"""From 2**10 ns, a microsecond, to 2**35 ns, 34 seconds."""

DEPTH_BUCKETS = range(15)
"""From an empty mailbox to one with 16,383 messages."""


class Sources:
    """Where the figures come from; each is called at each scrape and must be quick."""

    def __init__(
        self,
        census: Callable[[], Census],
        dispatchers: Callable[[], Iterable[Any]],
        engine: Callable[[], dict[str, Any]],
    ) -> None:
        self.census, self.dispatchers, self.engine = census, dispatchers, engine


class EngineCollector(Collector):
    """All of an engine's metrics."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        yield from _of_mailboxes(self._sources.census())
        yield from _of_dispatchers(list(self._sources.dispatchers()))
        yield from _of_engine(self._sources.engine())


def exposition(sources: Sources) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(sources))
    return generate_latest(registry)


def _of_mailboxes(census: Census) -> Iterator[Metric]:
    messages = CounterMetricFamily("bulkhead_messages", "Messages by what became of them", labels=["outcome"])
    for outcome in ("accepted", "handled", "conflated", "dead_lettered", "refused"):
        messages.add_metric([outcome], getattr(census, outcome))
    yield messages
    yield _gauge("bulkhead_messages_queued", "Messages that wait", census.queued)
    yield _gauge("bulkhead_messages_in_hand", "Messages that are being handled", census.in_hand)
    yield _gauge(
        "bulkhead_mailboxes_not_conserved",
        "Mailboxes that lost count of a message; always 0",
        census.not_conserved,
    )
    yield _gauge("bulkhead_mailboxes_congested", "Mailboxes above their high mark", census.congested)
    yield CounterMetricFamily("bulkhead_actor_restarts", "Restarts of all actors", value=census.restarts)
    statuses = GaugeMetricFamily("bulkhead_actors", "Actors by status", labels=["status"])
    for status, count in sorted(census.statuses.items()):
        statuses.add_metric([status], count)
    yield statuses
    depth = GaugeHistogramMetricFamily("bulkhead_mailbox_depth", "Waiting messages of an actor")
    depth.add_metric([], _cumulative(census.depths, DEPTH_BUCKETS, lambda n: 2**n - 1), census.queued)
    yield depth
    age = GaugeHistogramMetricFamily(
        "bulkhead_mailbox_oldest_age_seconds", "How long an actor's oldest message has waited"
    )
    age.add_metric([], _cumulative(census.ages, TIME_BUCKETS, _seconds), census.ages_sum_s)
    yield age


def _of_dispatchers(dispatchers: Sequence[Any]) -> Iterator[Metric]:
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


def _of_engine(found: dict[str, Any]) -> Iterator[Metric]:
    lags = HistogramMetricFamily(
        "bulkhead_tick_lag_seconds", "From an L1 frame's arrival to the router's turn"
    )
    lags.add_metric([], _cumulative(found["tick_lags"], TIME_BUCKETS, _seconds), found["tick_lag_sum_s"])
    yield lags
    for name, (text, value) in found["counters"].items():
        yield CounterMetricFamily(f"bulkhead_{name}", text, value=value)
    for name, (text, value) in found["gauges"].items():
        yield _gauge(f"bulkhead_{name}", text, value)
    unseen = GaugeMetricFamily(
        "bulkhead_alarms_unacknowledged", "Alarms that nobody acknowledged", labels=["level"]
    )
    for level, count in found["alarms_open"].items():
        unseen.add_metric([level], count)
    yield unseen
    waiting = GaugeMetricFamily(
        "bulkhead_api_waiting", "Requests of each kind that wait or run", labels=["for"]
    )
    turned_away = CounterMetricFamily(
        "bulkhead_api_refused", "Requests of each kind that were too many", labels=["for"]
    )
    for name, taken, refused in found["api_places"]:
        waiting.add_metric([name], taken)
        turned_away.add_metric([name], refused)
    yield from (waiting, turned_away)
    closed = GaugeMetricFamily("bulkhead_gate_closed", "1 for each who lets no new risk in", labels=["by"])
    for who in found["closers"]:
        closed.add_metric([who], 1)
    yield closed


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _seconds(n: int) -> float:
    return float(2**n) * NANOS


def _cumulative(
    counts: Sequence[int], bounds: range, upper: Callable[[int], float]
) -> list[tuple[str, float]]:
    """``counts[n]`` are of values with n bits; buckets are at most ``upper(n)``."""
    below = sum(counts[: bounds.start])
    buckets: list[tuple[str, float]] = []
    for n in bounds:
        below += counts[n]
        buckets.append((str(floatToGoString(upper(n))), below))  # type: ignore[no-untyped-call]
    buckets.append(("+Inf", sum(counts)))
    return buckets
