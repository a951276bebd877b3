"""The engine as a whole: health, statistics, metrics, alarms, audit, the exchange account, emergency stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import Parameter

from actors.api.answers import OUTCOMES, Outcome, outcome_response, plain_json
from actors.api.asking import PROTECT_SECONDS
from actors.api.clearing import ClearingInspector
from actors.api.errors import ERRORS, Conflict, NotFound
from actors.api.lookup import account_state
from actors.api.mailbox_statistics import by_status
from actors.api.margin_ratios import MarginRatios
from actors.api.metrics import Sources, exposition
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, Limit, who
from actors.api.pools import EXCHANGE, INSPECT, QUESTION_SECONDS, STOP
from actors.api.values import WhyBody
from actors.assembly.operator_resumption import EMERGENCY
from actors.core.alarm_level import Critical
from actors.core.enums import CloseOutScope
from actors.core.messages import CallOff, CloseOut
from actors.core.names import told_text
from actors.core.records import AuditEntry
from actors.persistence.operator_records import clean
from actors.runtime import logs
from actors.runtime.replies import Countdown
from actors.supervision.alarms import AlarmEntry
from actors.supervision.operator_log import EVERYBODY, LoggedAction, OperatorAction, with_fresh
from actors.symbol_router.actor import SymbolRouter
from actors.venues.port import MasterView

PROMETHEUS_TYPE = "text/plain; version=0.0.4"

CANCEL_LOOKS = 20
"""How often an emergency stop of all accounts checks whether cancels wait for Postgres."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """``ok``, ``reduce-only`` or ``halted``, and what keeps new risk out; ``closed_symbols`` take none while the others do."""

    status: str
    closed_by: tuple[str, ...]
    closed_symbols: tuple[str, ...] = ()


# -- looking


class EngineService:
    """Health, counters, alarms and records of one engine; changes nothing but an alarm's acknowledgement.

    Coroutines run in the API's event loop, the others in any thread.
    """

    def __init__(self, context: Context) -> None:
        self._engine, self._lookup, self._asker = context.engine, context.lookup, context.asker
        self._mailboxes = context.mailboxes
        self._clearings = ClearingInspector(context)
        self._drop_copies = context.drop_copies
        self._ratios = MarginRatios(self._lookup.market, context.engine.clock.monotonic_ns, self._is_crowded)

    def health(self) -> Health:
        """Whether the engine takes new risk. Needs no thread, no actor and no database."""
        closers = self._engine.gate.closers
        status = "halted" if self._engine.halted.is_set() else "reduce-only" if closers else "ok"
        return Health(status, closers, tuple(sorted(self._engine.gate.closed_symbols)))

    def stats(self) -> dict[str, Any]:
        """Counters of the whole engine."""
        engine, inspect = self._engine, self._lookup.inspect
        own = engine.registry.own_actors()
        # The state of a guard is newer than that of the account whose place it took; status and restarts are the
        # account's own.
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
            "margin_ratios": self._ratios.of(states),
            "account_stats": engine.context.stats,
            "router": inspect("router"),
            "writer": inspect("writer"),
            "projector": inspect("projector"),
            "audit": None if engine.audit is None else engine.audit.stats,
            "redis": engine.redis.stats,
            "gateway": inspect("gateway"),
            "clearing": self._clearings.totals(),
            "supervisor": inspect("supervisor"),
            "feed": self._feed(),
            "gate_closed_by": engine.gate.closers,
            "gate_closed_symbols": sorted(engine.gate.closed_symbols),
            "pending_fees": sum(len(s.pending_fees) for s in states),
            "fleet": engine.fleets.view(),
            "bad_debt": sum((s.bad_debt for s in states), Decimal(0)),
            "drop_copies": self._drop_copies.view(engine.tail.position),
            "alarms": engine.alarms.count,
            "alarms_unacknowledged": engine.alarms.open_by_level(),
            "census": self._mailboxes.latest,
            "log": logs.state(),
        }

    def metrics(self) -> str:
        """The Prometheus metrics as text."""
        lookup, router = self._lookup, self._lookup.instance("router")
        sources = Sources(
            engine=self._engine,
            mailboxes=self._mailboxes.current(),
            router=router if isinstance(router, SymbolRouter) else None,
            writer=lookup.inspect("writer"),
            projector=lookup.inspect("projector"),
            gateway=lookup.inspect("gateway"),
            clearing=self._clearings.totals(),
            drop_copies=self._drop_copies,
            redis=self._engine.redis.stats,
        )
        return exposition(sources).decode()

    def _is_crowded(self) -> bool:
        return self._engine.main.is_crowded()

    def _feed(self) -> dict[str, int]:
        return self._engine.venue.market_data_counts()

    # -- alarms and audit

    def alarms(self, *, unacknowledged: bool) -> list[AlarmEntry]:
        """The latest alarms, the newest last."""
        return [a for a in self._engine.alarms.entries if a.is_open or not unacknowledged]

    async def acknowledge(self, alarm_id: int, who: str) -> AlarmEntry:
        """Note that a person has seen an alarm.

        Raises:
            NotFound, Conflict: there is none of that number; it was acknowledged before.
        """
        before = next((a for a in self._engine.alarms.entries if a.alarm_id == alarm_id), None)
        if before is None:
            raise NotFound(f"there is no alarm {alarm_id}; 'bulkhead alarms' lists them")
        if not before.is_open:
            raise Conflict(f"alarm {alarm_id} was acknowledged by {before.acknowledged_by} already")
        await self._asker.record(
            OperatorAction(who, "ack", f"alarm {alarm_id}", clean(before.text), protects=True)
        )
        return self._engine.alarms.acknowledge(alarm_id, who) or before

    async def audit(self, target: str | None, limit: int) -> list[AuditEntry]:
        """What operators did, newest first; also what is not in Postgres yet."""
        wanted = None if target is None else clean(target)
        fresh = self._engine.operator_log.not_in_audit(wanted)
        return with_fresh(await self._lookup.read(lambda records: records.audit(wanted, limit)), fresh, limit)

    # -- the exchange

    async def reconciliation(self, settle_seconds: int) -> list[dict[str, Any]]:
        """Accounts and house against the exchange, per symbol; waits that long for orders on their way."""
        found = await EXCHANGE.within(
            settle_seconds + QUESTION_SECONDS, partial(self._engine.reconcile, settle_seconds)
        )
        return [{**msgspec.structs.asdict(d), "difference": d.difference} for d in found]

    async def master(self, limit: int) -> MasterView:
        """The settings of the master account."""
        return await EXCHANGE.run(self._engine.venue.view, limit)


# -- emergency stops


class EmergencyStopService:
    """Closes everything of one account or of all. Runs in the API's event loop; ``who`` is the token's name."""

    def __init__(self, context: Context) -> None:
        self._engine, self._asker = context.engine, context.asker

    async def stop(self, account_id: str, reason: str, who: str) -> Outcome:
        """Close everything of an account."""
        message = CloseOut(told_text(reason, "reason"))
        act = OperatorAction(who, "close-out", account_id, message.reason, message, protects=True)
        return await self._asker.command(message, act)

    async def call_off(self, account_id: str, who: str) -> Outcome:
        """Stop closing everything of an account."""
        message = CallOff()
        act = OperatorAction(who, "close-out called off", account_id, "", message)
        return await self._asker.command(message, act)

    async def stop_all(self, reason: str, who: str) -> int:
        """Close everything of all accounts, and take no new risk until it is called off, over restarts too.

        Returns:
            How many accounts were told.
        """
        text = told_text(reason, "reason")
        # Before anything that may fail: new risk stops even if neither disk nor Postgres answers.
        self._engine.gate.close(EMERGENCY)
        message = CloseOut(f"{EMERGENCY}: {text}", CloseOutScope.FLEET)
        logged = await self._asker.record(
            OperatorAction(who, "close-out of all", EVERYBODY, text, message, protects=True)
        )
        self._engine.operator_log.stopped(logged, text)
        count = await STOP.run(self._tell_all, message, logged)
        self._engine.alarm(Critical(f"emergency stop of {count} accounts by {who}: {text}"))
        self._asker.in_background(self._cancel_at_once())
        return count

    async def call_off_all(self, who: str) -> int:
        """Call the stop of all accounts off; what single accounts close for reasons of their own goes on.

        Returns:
            How many accounts were told.
        """
        message = CallOff(CloseOutScope.FLEET)
        logged = await self._asker.record(
            OperatorAction(who, "close-out of all called off", EVERYBODY, "", message)
        )
        self._engine.operator_log.called_off()
        count = await STOP.run(self._tell_all, message, logged)
        self._engine.gate.open(EMERGENCY)
        return count

    def _tell_all(self, message: CloseOut | CallOff, logged: LoggedAction) -> int:
        refs = list(self._engine.accounts.values())
        replies = Countdown(len(refs), lambda: self._engine.operator_log.settled(logged))
        dead = []
        for ref in refs:
            # An actor that is dead must not keep the others from being told; it is named in an alarm.
            if ref.is_alive():
                ref.cell.dispatcher.post(ref.cell, message, replies)
            else:
                replies.set()
                dead.append(ref.name)
        if dead:
            self._engine.alarm(
                Critical(
                    f"{logged.action}: {len(dead)} accounts have no running actor and were not told: "
                    f"{', '.join(dead[:20])}; close their positions by hand, or restart the engine"
                )
            )
        return len(refs) - len(dead)

    async def _cancel_at_once(self) -> None:
        """Send cancels before they are durable, if Postgres falls silent within some seconds of the stop.

        Accounts decide their cancels within milliseconds, but the writer forwards them only after the commit. A cancel
        takes risk away only, so the exchange may have it before Postgres.
        """
        for _ in range(CANCEL_LOOKS):
            await asyncio.sleep(PROTECT_SECONDS)
            if self._engine.store_silent_s() < PROTECT_SECONDS / 2:
                continue
            await STOP.run(lambda: [self._engine.cancel_at_once(id_) for id_ in list(self._engine.accounts)])


# -- routes


class EngineRoutes(Controller):
    """The engine as a whole."""

    path = ""
    tags = ("engine",)

    @get("/v1/health", opt={"open": True}, security=[])
    async def health(self, engine: EngineService) -> Health:
        """Needs no token: ok, reduce-only or halted."""
        return engine.health()

    @get("/v1/stats", responses=ERRORS)
    async def stats(self, engine: EngineService) -> Response[Any]:
        """Counters of everything."""
        return await INSPECT.run(lambda: plain_json(engine.stats()))

    @get("/v1/alarms", responses=ERRORS)
    async def alarms(self, engine: EngineService, unacknowledged: bool = False) -> list[AlarmEntry]:  # noqa: FBT001, FBT002
        """The latest alarms, the newest last; all, or those that were not acknowledged."""
        return engine.alarms(unacknowledged=unacknowledged)

    @post("/v1/alarms/{alarm_id:int}/ack", responses=ERRORS, status_code=200)
    async def acknowledge(self, request: HttpRequest, engine: EngineService, alarm_id: int) -> AlarmEntry:
        """Acknowledge an alarm: a person has seen it. What raises it again is a new one."""
        return await engine.acknowledge(alarm_id, who(request))

    @get("/v1/audit", responses=ERRORS)
    async def audit(
        self, engine: EngineService, target: str | None = None, limit: Limit = 100
    ) -> list[AuditEntry]:
        """What operators did, newest first."""
        return await engine.audit(target, limit)

    @get("/v1/reconciliation", responses=ERRORS)
    async def reconciliation(
        self, engine: EngineService, settle_seconds: Annotated[int, Parameter(ge=0, le=30)] = 0
    ) -> list[dict[str, Any]]:
        """Accounts + house against the exchange, per symbol."""
        return await engine.reconciliation(settle_seconds)

    @get("/v1/master", responses=ERRORS)
    async def master(self, engine: EngineService, limit: Limit = 50) -> MasterView:
        """The master account as it is set; the symbols that the fleet holds most of come first."""
        return await engine.master(limit)

    @get("/metrics", media_type=PROMETHEUS_TYPE, responses=ERRORS)
    async def metrics(self, engine: EngineService) -> Response[str]:
        """Prometheus metrics."""
        return Response(await INSPECT.run(engine.metrics), media_type=PROMETHEUS_TYPE)


class AccountStopRoutes(Controller):
    """Emergency stop of one account."""

    path = "/v1/accounts/{account_id:str}/close-out"
    tags = ("risk",)

    @post(responses=OUTCOMES, status_code=200)
    async def close_out(
        self, request: HttpRequest, stops: EmergencyStopService, account_id: str, data: WhyBody
    ) -> Response[Outcome]:
        """Emergency stop: open the breaker, cancel and close everything."""
        return outcome_response(await stops.stop(account_id, data.reason, who(request)))

    @delete(responses=OUTCOMES, status_code=200)
    async def call_off(
        self, request: HttpRequest, stops: EmergencyStopService, account_id: str
    ) -> Response[Outcome]:
        """Call an emergency stop off; what was closed stays closed, the breaker open."""
        return outcome_response(await stops.call_off(account_id, who(request)))


class FleetStopRoutes(Controller):
    """Emergency stop of all accounts."""

    path = "/v1/close-out"
    tags = ("risk",)

    @post(responses=ERRORS, status_code=200)
    async def close_out(
        self, request: HttpRequest, stops: EmergencyStopService, data: WhyBody
    ) -> dict[str, int]:
        """Emergency stop of every account; no new risk until it is called off."""
        return {"told": await stops.stop_all(data.reason, who(request))}

    @delete(responses=ERRORS, status_code=200)
    async def call_off(self, request: HttpRequest, stops: EmergencyStopService) -> dict[str, int]:
        """Call it off; each breaker is reset by itself."""
        return {"told": await stops.call_off_all(who(request))}


NOUN = Noun(
    {"engine": EngineService, "stops": EmergencyStopService},
    (EngineRoutes, AccountStopRoutes, FleetStopRoutes),
)
