"""Looking inside a running engine: nothing here changes anything or waits for an actor."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from actors.api import pools, views
from actors.api.census import Census, CensusTaker, by_status
from actors.api.metrics import Sources
from actors.assembly.engine import Engine
from actors.core.errors import BadInput, BulkheadError
from actors.core.names import shown
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId, Nanos
from actors.gateway.actor import GatewayStatus
from actors.gateway.stream import StreamState
from actors.persistence.actor import WriterStats
from actors.runtime import logs
from actors.runtime.actor import Ref
from actors.runtime.cell import Status, traced
from actors.runtime.tap import Tap
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.state import AccountState
from actors.supervision.strategy import Strategy
from actors.supervision.watchdog import StuckTurn
from actors.symbol_router.actor import RouterStats, SymbolRouter
from supervisor import Supervisor

RATIO_BUCKETS = ("0.2", "0.4", "0.6", "0.8", "0.9", "0.925", "0.95", "1")
TROUBLED_LISTED = 50
TAP_READ_SECONDS = 0.1


class NotFound(BulkheadError):  # noqa: N818 - reads as what it says
    """No account, actor, order or dead letter of that name."""


class Conflict(BulkheadError):  # noqa: N818 - as above
    """Somebody else is at it, or was first."""


class Sight:
    """See the module. Callable from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.census = CensusTaker(self._everybody, engine.clock.monotonic_ns)

    def _everybody(self) -> Iterable[Ref]:
        """All actors, each once; guards are not among them."""
        return [*self._engine.registry.own_actors(), *list(self._engine.actors.values())]

    # -- one actor

    def find(self, name: str) -> Ref:
        """The actor of a name.

        Raises:
            NotFound: names the actors of the engine.
        """
        ref = self._engine.find(name)
        if ref is None:
            known = ", ".join(self._engine.actors)
            raise NotFound(f"there is no actor {shown(name)}; give an account id or one of {known}")
        return ref

    def actor(self, name: str, limit: int) -> views.ActorView:
        """Everything about one actor; answers also when it is stuck."""
        engine, ref = self._engine, self.find(name)
        id_ = AccountId(name)
        router = self._actor("router")
        registered = None
        if id_ in engine.accounts and isinstance(router, SymbolRouter):
            registered = router.registered(id_)
        guard = engine.accounts.get(id_) if id_ in engine.quarantined else None
        return views.ActorView(
            snapshot=ref.cell.snapshot(limit),
            state=ref.cell.actor.inspect_state(),
            triggers=registered.triggers if registered else None,
            every_tick=registered.every_tick if registered else None,
            guard=guard.cell.snapshot(limit) if guard and guard.cell is not ref.cell else None,
            guarded_state=guard.cell.actor.inspect_state() if guard else None,
        )

    async def follow(self, name: str, seconds: int, per_second: int) -> AsyncIterator[bytes]:
        """Each message that an actor handles, as lines of JSON, until the time is up.

        Raises:
            NotFound, BadInput: as it says.
            Conflict: somebody follows this actor already.
        """
        ref = self.find(name)
        now_ns = self._engine.clock.monotonic_ns
        tap = Tap(now_ns(), seconds, per_second)
        if not ref.cell.follow(tap, now_ns()):
            raise Conflict(f"somebody follows {name} already; try again in a moment")
        return self._lines(ref, tap)

    async def _lines(self, ref: Ref, tap: Tap) -> AsyncIterator[bytes]:
        now_ns = self._engine.clock.monotonic_ns
        try:
            while now_ns() < tap.until_ns:
                for message, at_ns, took_ns in tap.read():
                    line = traced(message, now_ns() - at_ns, took_ns, self._engine.clock.wall_ms())
                    yield msgspec.json.encode(line) + b"\n"
                await asyncio.sleep(TAP_READ_SECONDS)
            yield msgspec.json.encode({"ended": "the time is up", "skipped": tap.skipped}) + b"\n"
        finally:
            ref.cell.unfollow(tap)

    # -- many actors

    def top(self, by: str, limit: int) -> list[views.TopRow]:
        """The worst actors by one measure."""
        key = TOP_KEYS.get(by)
        if key is None:
            raise BadInput(f"by {shown(by)} is none of {', '.join(TOP_KEYS)}")
        market = self.market()
        worst = heapq.nlargest(limit, self._everybody(), key=lambda ref: key(ref, market))
        return [self._row(ref, market) for ref in worst]

    def _row(self, ref: Ref, market: Market) -> views.TopRow:
        cell, state = ref.cell, account_state(ref)
        oldest_ns = cell.mailbox.oldest_ns()
        marks = marks_of(state, market) if state and state.positions else None
        ratio = margin.view(state, marks, market.instruments).ratio if state and marks else None
        return views.TopRow(
            name=ref.name,
            kind=type(cell.actor).__name__,
            status=cell.status,
            depth=cell.mailbox.depth(),
            oldest_ms=0.0
            if oldest_ns is None
            else (self._engine.clock.monotonic_ns() - oldest_ns) / NANOS_PER_MS,
            slowest_turn_us=cell.slowest_ns / 1e3,
            restarts=cell.restarts,
            margin_ratio=None if ratio is None else round(ratio, 6),
        )

    def tree(self) -> views.TreeNode:
        """The supervision tree with what is wrong in it."""
        engine, house = self._engine, self._engine.registry
        children = []
        for spec in house.specs:
            ref = engine.actors.get(spec.name)
            if ref is not None:
                children.append(_node(ref, house.groups.get(spec.group, Strategy.ONE_FOR_ONE), spec.group))
        own = house.own_actors()
        troubled = heapq.nsmallest(
            TROUBLED_LISTED, (r for r in own if r.cell.status is not Status.RUNNING), key=lambda r: r.name
        )
        accounts = views.TreeNode(
            name="accounts",
            status=f"{len(own)} accounts",
            strategy=Strategy.ONE_FOR_ONE,
            counts=by_status(own),
            children=[_node(r, Strategy.ONE_FOR_ONE, "") for r in troubled],
        )
        root = engine.actors.get("supervisor")
        closers = engine.gate.closers
        return views.TreeNode(
            name="supervisor",
            status=f"{root.cell.status if root else Status.STOPPED}, {'no new risk: ' + ', '.join(closers) if closers else 'open for new risk'}, "
            f"fleet {engine.fleets.origin.fleet}",
            restarts=root.cell.restarts if root else 0,
            children=[*children, accounts],
        )

    def crashes(self, actor: str | None, limit: int) -> list[views.CrashView]:
        """The latest crashes of all actors or of one, newest first."""
        supervisor = self._actor("supervisor")
        found = list(supervisor.crashes) if isinstance(supervisor, Supervisor) else []
        chosen = [c for c in reversed(found) if actor is None or c.name == actor]
        return [views.CrashView(actor=c.name, report=c.report) for c in chosen[:limit]]

    def stuck(self) -> list[StuckTurn]:
        """Turns that the watchdog caught, newest first."""
        return list(self._engine.watchdog.stuck)[::-1]

    # -- the engine

    def market(self) -> Market:
        """Prices at this moment."""
        engine = self._engine
        return Market(
            engine.book.ticks,
            engine.venue.instruments,
            Nanos(engine.clock.monotonic_ns()),
            engine.clock.wall_ms(),
            engine.context.origin,
            engine.gate.reduce_only,
            engine.book.day,
            engine.book.day_ticks,
            engine.book,
        )

    def stats(self) -> dict[str, Any]:
        """Counters of the whole engine."""
        engine = self._engine
        own = engine.registry.own_actors()
        # A guard's state is the one that money moves by; status and restarts are the account's own.
        states = [s for s in map(account_state, list(engine.accounts.values())) if s is not None]
        return {
            "uptime_s": (engine.clock.monotonic_ns() - engine.started_ns) / 1e9,
            "accounts": len(own),
            "quarantined": len(engine.quarantined),
            "with_positions": sum(bool(s.positions) for s in states),
            "working_orders": sum(len(s.orders) for s in states),
            "phases": Counter(s.phase for s in states),
            "actors": by_status(own),
            "restarts": sum(r.cell.restarts for r in own),
            "margin_ratios": self._ratios(states),
            "account_stats": engine.context.stats,
            "router": self._inspect("router"),
            "writer": self._inspect("writer"),
            "gateway": self._inspect("gateway"),
            "supervisor": self._inspect("supervisor"),
            "feed": self._feed(),
            "gate_closed_by": engine.gate.closers,
            "pending_fees": sum(len(s.pending_fees) for s in states),
            "fleet": engine.fleets.view(),
            "bad_debt": sum((s.bad_debt for s in states), Decimal(0)),
            "alarms": engine.alarms.count,
            "alarms_unacknowledged": engine.alarms.open_by_level(),
            "census": self.census.latest,
            "log": logs.state(),
        }

    def metrics(self) -> Sources:
        """Where the Prometheus metrics come from."""
        return Sources(self._census, self._engine.dispatchers, self._figures)

    def _census(self) -> Census:
        return self.census.latest if self.census.taken else self.census.take()

    def _figures(self) -> dict[str, Any]:
        engine, weight, log = self._engine, self._engine.venue.weight(), logs.state()
        router, writer, gateway = (self._inspect(n) for n in ("router", "writer", "gateway"))
        symbol_router = self._actor("router")
        found: dict[str, Any] = {
            "tick_lags": [0] * 64,
            "tick_lag_sum_s": 0.0,
            "closers": engine.gate.closers,
            "alarms_open": engine.alarms.open_by_level(),
            "api_places": [(p.name, p.taken, p.refused) for p in pools.ALL],
            "counters": {
                "alarms": ("Alarms raised", engine.alarms.count),
                "l1_late": (
                    "L1 frames that were stale when they came",
                    engine.venue.market_data_counts().get("late", 0),
                ),
                "requests_refused": ("Requests not sent for want of request weight", weight.refused),
                "log_lines_dropped": ("Log lines that had no room or could not be written", log.dropped),
            },
            "gauges": {
                "accounts": ("Accounts", len(engine.accounts)),
                "quarantined": ("Accounts in quarantine", len(engine.quarantined)),
                "gc_longest_pause_seconds": (
                    "Longest pause of the garbage collector",
                    engine.gc_control.longest_ms / 1e3,
                ),
                "request_weight_used": ("Weight of this minute's requests, others' too", weight.used),
                "request_weight_limit": ("Weight that the exchange allows in a minute", weight.limit),
                "requests_waiting": ("Requests that wait for their turn", weight.waiting),
                "log_bytes_waiting": ("Log that waits to be written", log.waiting),
            },
        }
        # Who is not there yet, or no more, has no figures.
        if isinstance(symbol_router, SymbolRouter):
            found["tick_lags"] = list(symbol_router.lags)
            found["tick_lag_sum_s"] = symbol_router.lags_sum_ns / NANOS_PER_SECOND
            found["counters"] |= _of_router(router["stats"])
        if writer is not None:
            found["counters"] |= _counts_of_writer(writer)
            found["gauges"] |= _gauges_of_writer(writer)
        if gateway is not None:
            found["counters"] |= _counts_of_gateway(gateway)
            found["gauges"] |= _gauges_of_gateway(gateway)
        return found

    def _feed(self) -> dict[str, int]:
        return self._engine.venue.market_data_counts()

    def _actor(self, name: str) -> Any:
        """The present instance of one of the engine's own actors; None while it starts or stops."""
        ref = self._engine.actors.get(name)
        return ref.cell.actor if ref else None

    def _inspect(self, name: str) -> Any:
        actor = self._actor(name)
        return actor.inspect_state() if actor else None

    def _ratios(self, states: Sequence[AccountState]) -> dict[str, int]:
        market = self.market()
        counts: Counter[str] = Counter()
        for state in states:
            if state.positions:
                marks = marks_of(state, market)
                ratio = margin.view(state, marks, market.instruments).ratio if marks else None
                counts[_bucket(ratio)] += 1
        return dict(counts)


Figures = dict[str, tuple[str, float]]


def _of_router(routed: RouterStats) -> Figures:
    return {
        "ticks": ("L1 updates that the router took", routed.ticks),
        "wakes": ("Times that the router woke an account", routed.wakes),
    }


def _counts_of_writer(writer: WriterStats) -> Figures:
    return {
        "decisions": ("Decisions made durable", writer.decisions),
        "commits": ("Transactions of the writer", writer.commits),
        "decisions_refused": ("Decisions that could not be stored", writer.refused),
        "dead_letters": ("Messages that no actor could handle", writer.dead_letters),
    }


def _gauges_of_writer(writer: WriterStats) -> Figures:
    return {
        "writer_waiting": ("Decisions that wait for the writer", writer.waiting),
        "writer_down": ("1 while Postgres does not answer", writer.is_down),
        "commit_seconds": ("How long the latest transaction took", writer.last_commit_ms / 1e3),
    }


def _counts_of_gateway(gateway: GatewayStatus) -> Figures:
    return {
        "orders_sent": ("Orders sent to the exchange", gateway.sent),
        "orders_lost": ("Orders whose answer told nothing of their fate; each was asked after", gateway.lost),
    }


def _gauges_of_gateway(gateway: GatewayStatus) -> Figures:
    up, down = gateway.stream is StreamState.UP, gateway.stream is StreamState.DOWN
    return {
        "orders_unknown": ("Orders of unknown fate, up to 100", len(gateway.unknown)),
        "orders_in_flight": ("Orders on their way to the exchange", gateway.in_flight),
        "orders_queued": ("Orders that wait for the budget", gateway.queued),
        "user_stream_up": ("1 while the user stream tells what REST confirms", up),
        "user_stream_down": ("1 while the user stream is gone, or does not tell what REST knows", down),
    }


def account_state(ref: Ref) -> AccountState | None:
    """The state of an account's actor, or None when it has none yet or is no account."""
    state = ref.cell.actor.inspect_state()
    return state if isinstance(state, AccountState) else None


def _node(ref: Ref, strategy: str, group: str) -> views.TreeNode:
    crashes = ref.cell.crashes
    return views.TreeNode(
        name=ref.name,
        status=ref.cell.status,
        strategy=strategy,
        group=group,
        restarts=ref.cell.restarts,
        last_error=crashes[-1].error if crashes else "",
    )


def _bucket(ratio: Decimal | None) -> str:
    if ratio is None:
        return "no price"
    return next((b for b in RATIO_BUCKETS if ratio < Decimal(b)), ">= 1")


def rough_ratio(ref: Ref, market: Market) -> float:
    """Maintenance / equity in floats, to find the worst of many quickly; rows show the exact one."""
    state = account_state(ref)
    if state is None or not state.positions:
        return -1.0
    equity, notional = float(state.balance), 0.0
    for position in state.positions:
        tick = market.ticks.get(position.symbol)
        if tick is None:
            return -0.5
        equity += float(position.quantity) * tick.mid_float - float(position.signed_cost)
        notional += float(position.notional)
    return 1.0 if equity <= 0 else min(1.0, notional * float(state.maintenance_rate) / equity)


TOP_KEYS: dict[str, Callable[[Ref, Market], float]] = {
    "depth": lambda ref, _market: ref.cell.mailbox.depth(),
    "age": lambda ref, _market: -(ref.cell.mailbox.oldest_ns() or 2**63),
    "turn": lambda ref, _market: ref.cell.slowest_ns,
    "ratio": rough_ratio,
    "restarts": lambda ref, _market: ref.cell.restarts,
}
"""What ``top`` can sort by; the largest first."""
