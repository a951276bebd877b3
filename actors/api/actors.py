"""Actors: look inside any of them, follow its messages, rank them, see the supervision tree and crashes; restart one.

Looking never waits for an actor: it reads counters and the last immutable state, so it answers also while the actor is
stuck. Quarantine is a noun of its own (``quarantine.py``).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import Parameter
from litestar.response import Stream

from actors.api.answers import plain_json
from actors.api.errors import ERRORS, Conflict
from actors.api.lookup import account_state
from actors.api.mailbox_statistics import by_status
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, Limit, who
from actors.api.pools import INSPECT
from actors.core.clearing_messages import is_clearing
from actors.core.errors import BadInput
from actors.core.messages import Trigger
from actors.core.names import shown
from actors.core.units import NANOS_PER_MS, AccountId, Symbol
from actors.runtime.actor import Ref
from actors.runtime.cell import CrashReport, Snapshot, Status, traced
from actors.runtime.tap import TAP_RATE_MAX, TAP_SECONDS_MAX, Tap
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.supervision.messages import RestartNow
from actors.supervision.operator_log import OperatorAction
from actors.supervision.strategy import Strategy
from actors.supervision.watchdog import StuckTurn
from actors.symbol_router.actor import SymbolRouter
from supervisor import Supervisor

TROUBLED_LISTED = 50
"""Accounts, or symbols' clearings, that are named in the tree because they are not running."""

TAP_READ_SECONDS = 0.1
TAP_EMPTY_READS = 10
"""After so many without a message an empty line is sent: who follows sees that the engine is there, and notices a Ctrl-C."""

# -- views


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one actor: its mailbox and history, its state, and for an account its triggers.

    For an account in quarantine, ``guard`` and ``guarded_state`` are those of its guard.
    """

    snapshot: Snapshot
    state: Any
    triggers: tuple[Trigger, ...] | None
    every_tick: tuple[Symbol, ...] | None
    guard: Snapshot | None
    guarded_state: Any


class TopRow(msgspec.Struct, frozen=True, kw_only=True):
    """One actor in ``top``. ``margin_ratio`` is None without positions or prices."""

    name: str
    kind: str
    status: Status
    depth: int
    oldest_ms: float
    slowest_turn_us: float
    restarts: int
    margin_ratio: Decimal | None


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """An actor, or a group of them, in the supervision tree. ``counts`` is by status."""

    name: str
    status: str
    strategy: str = ""
    group: str = ""
    restarts: int = 0
    last_error: str = ""
    counts: dict[str, int] = {}
    children: list[TreeNode] = []


class CrashView(msgspec.Struct, frozen=True):
    """A failure, and the actor that failed."""

    actor: str
    report: CrashReport


# -- looking


class Inspector:
    """Looks inside actors; changes nothing. Callable from any thread."""

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup = context.engine, context.lookup

    def actor(self, name: str, limit: int) -> ActorView:
        """Everything about one actor, with at most ``limit`` messages of its mailbox and of its history."""
        engine, ref = self._engine, self._lookup.actor(name)
        id_ = AccountId(name)
        router = self._lookup.instance("router")
        registered = None
        if id_ in engine.accounts and isinstance(router, SymbolRouter):
            registered = router.registered(id_)
        guard = engine.accounts.get(id_) if id_ in engine.quarantined else None
        return ActorView(
            snapshot=ref.cell.snapshot(limit),
            state=ref.cell.actor.inspect_state(),
            triggers=registered.triggers if registered else None,
            every_tick=registered.every_tick if registered else None,
            guard=guard.cell.snapshot(limit) if guard and guard.cell is not ref.cell else None,
            guarded_state=guard.cell.actor.inspect_state() if guard else None,
        )

    async def follow(self, name: str, seconds: int, per_second: int) -> AsyncIterator[bytes]:
        """Each message that an actor handles, as lines of JSON, until the time is up; empty lines while there are none.

        Raises:
            NotFound: there is no such actor.
            Conflict: another client follows this actor.
        """
        ref = self._lookup.actor(name)
        now_ns = self._engine.clock.monotonic_ns
        tap = Tap(now_ns(), seconds, per_second)
        if not ref.cell.follow(tap, now_ns()):
            raise Conflict(f"another client follows {name} already; try again later")
        return self._lines(ref, tap)

    async def _lines(self, ref: Ref, tap: Tap) -> AsyncIterator[bytes]:
        now_ns, empty = self._engine.clock.monotonic_ns, 0
        try:
            while now_ns() < tap.until_ns:
                empty += 1
                for message, at_ns, took_ns in tap.read():
                    line = traced(message, now_ns() - at_ns, took_ns, self._engine.clock.wall_ms())
                    yield msgspec.json.encode(line) + b"\n"
                    empty = 0
                if empty == TAP_EMPTY_READS:
                    yield b"\n"
                    empty = 0
                await asyncio.sleep(TAP_READ_SECONDS)
            yield msgspec.json.encode({"ended": "the time is up", "skipped": tap.skipped}) + b"\n"
        finally:
            ref.cell.unfollow(tap)

    def top(self, by: str, limit: int) -> list[TopRow]:
        """The worst actors by one measure.

        Raises:
            BadInput: there is no such measure; names those that there are.
        """
        key = TOP_KEYS.get(by)
        if key is None:
            raise BadInput(f"by {shown(by)} is none of {', '.join(TOP_KEYS)}")
        market = self._lookup.market()
        worst = heapq.nlargest(limit, self._lookup.all_actors(), key=lambda ref: key(ref, market))
        return [self._row(ref, market) for ref in worst]

    def _row(self, ref: Ref, market: Market) -> TopRow:
        cell, state = ref.cell, account_state(ref)
        oldest_ns, now_ns = cell.mailbox.oldest_ns(), self._engine.clock.monotonic_ns()
        marks = marks_of(state, market) if state and state.positions else None
        ratio = margin.view(state, marks, market.instruments).ratio if state and marks else None
        return TopRow(
            name=ref.name,
            kind=type(cell.actor).__name__,
            status=cell.status,
            depth=cell.mailbox.depth(),
            oldest_ms=0.0 if oldest_ns is None else (now_ns - oldest_ns) / NANOS_PER_MS,
            slowest_turn_us=cell.slowest_ns / 1e3,
            restarts=cell.restarts,
            margin_ratio=None if ratio is None else round(ratio, 6),
        )

    def tree(self) -> TreeNode:
        """The supervision tree; accounts and clearings that are not running are named, the others only counted."""
        engine, registry = self._engine, self._engine.registry
        children = []
        clearings: list[Ref] = []
        for spec in registry.specs:
            ref = engine.actors.get(spec.name)
            if ref is not None and is_clearing(spec.name):
                clearings.append(ref)
            elif ref is not None:
                strategy = registry.groups.get(spec.group, Strategy.ONE_FOR_ONE)
                children.append(_node(ref, strategy, spec.group))
        if clearings:
            children.append(_counted("clearing", f"{len(clearings):,} symbols", clearings))
        own = registry.own_actors()
        accounts = _counted("accounts", f"{len(own)} accounts", own)
        root, closers = engine.actors.get("supervisor"), engine.gate.closers
        gate = f"no new risk: {', '.join(closers)}" if closers else "open for new risk"
        if engine.gate.closed_symbols:
            gate += f", none in {', '.join(sorted(engine.gate.closed_symbols))}"
        status = root.cell.status if root else Status.STOPPED
        return TreeNode(
            name="supervisor",
            status=f"{status}, {gate}, fleet {engine.fleets.origin.fleet}",
            restarts=root.cell.restarts if root else 0,
            children=[*children, accounts],
        )

    def crashes(self, actor: str | None, limit: int) -> list[CrashView]:
        """The latest crashes of all actors or of one, newest first."""
        supervisor = self._lookup.instance("supervisor")
        found = list(supervisor.crashes) if isinstance(supervisor, Supervisor) else []
        chosen = [c for c in reversed(found) if actor is None or c.name == actor]
        return [CrashView(actor=c.name, report=c.report) for c in chosen[:limit]]

    def stuck(self) -> list[StuckTurn]:
        """Turns that the watchdog caught, newest first."""
        return list(self._engine.watchdog.stuck)[::-1]


def _counted(name: str, status: str, refs: list[Ref]) -> TreeNode:
    """Many actors of one kind: counted, and those that are not running by name."""
    troubled = heapq.nsmallest(
        TROUBLED_LISTED, (r for r in refs if r.cell.status is not Status.RUNNING), key=lambda r: r.name
    )
    return TreeNode(
        name=name,
        status=status,
        strategy=Strategy.ONE_FOR_ONE,
        counts=by_status(refs),
        children=[_node(r, Strategy.ONE_FOR_ONE, "") for r in troubled],
    )


def _node(ref: Ref, strategy: str, group: str) -> TreeNode:
    crashes = ref.cell.crashes
    return TreeNode(
        name=ref.name,
        status=ref.cell.status,
        strategy=strategy,
        group=group,
        restarts=ref.cell.restarts,
        last_error=crashes[-1].error if crashes else "",
    )


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


# -- acting


class ActorService:
    """Restarts actors. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._lookup, self._asker = context.lookup, context.asker

    async def restart(self, name: str, who: str) -> bool:
        """Restart one actor from its durable state; an account in quarantine is released.

        Args:
            name: the actor.
            who: the name of the operator's token.
        """
        self._lookup.actor(name)
        if name == "supervisor":
            raise BadInput("the supervisor cannot restart itself; restart the engine")
        await self._asker.record(OperatorAction(who, "restart", name))
        return await self._asker.ask_supervisor(RestartNow(name, by_operator=True))


# -- routes


class ActorRoutes(Controller):
    """Any actor: an account's, or one of the engine's own."""

    path = "/v1/actors"
    tags = ("actors",)

    @get("/{name:str}", responses=ERRORS)
    async def actor(
        self, inspector: Inspector, name: str, limit: Annotated[int, Parameter(ge=0, le=10_000)] = 100
    ) -> Response[Any]:
        """State, mailbox, last messages, crashes, triggers; answers also when the actor is stuck."""
        return await INSPECT.run(lambda: plain_json(inspector.actor(name, limit)))

    @get("/{name:str}/trace", responses=ERRORS)
    async def trace(
        self,
        inspector: Inspector,
        name: str,
        seconds: Annotated[int, Parameter(ge=1, le=TAP_SECONDS_MAX)] = 60,
        rate: Annotated[int, Parameter(ge=1, le=TAP_RATE_MAX)] = 50,
    ) -> Stream:
        """Follow one actor: a line of JSON for each message, at most ``rate`` a second, then it ends."""
        return Stream(await inspector.follow(name, seconds, rate), media_type="application/x-ndjson")

    @post("/{name:str}/restart", responses=ERRORS, status_code=200)
    async def restart(self, request: HttpRequest, actors: ActorService, name: str) -> dict[str, bool]:
        """Restart one actor from its durable state; its mailbox is kept, other actors do not notice."""
        return {"restarted": await actors.restart(name, who(request))}


class SupervisionRoutes(Controller):
    """The supervision tree, the worst actors, crashes and stuck turns."""

    path = "/v1"
    tags = ("supervision",)

    @get("/tree", responses=ERRORS)
    async def tree(self, inspector: Inspector) -> TreeNode:
        """The supervision tree, with what is wrong in it."""
        return await INSPECT.run(inspector.tree)

    @get("/top", responses=ERRORS)
    async def top(
        self, inspector: Inspector, by: str = "depth", limit: Annotated[int, Parameter(ge=1, le=1_000)] = 20
    ) -> list[TopRow]:
        """The worst actors by depth, age, turn, ratio or restarts."""
        return await INSPECT.run(inspector.top, by, limit)

    @get("/crashes", responses=ERRORS)
    async def crashes(
        self, inspector: Inspector, actor: str | None = None, limit: Limit = 50
    ) -> list[CrashView]:
        """The latest crashes of this run of the engine, newest first."""
        return await INSPECT.run(inspector.crashes, actor, limit)

    @get("/stuck", responses=ERRORS)
    async def stuck(self, inspector: Inspector) -> list[StuckTurn]:
        """Turns that the watchdog caught, newest first."""
        return await INSPECT.run(inspector.stuck)


NOUN = Noun(
    {"inspector": Inspector, "actors": ActorService},
    (ActorRoutes, SupervisionRoutes),
)
