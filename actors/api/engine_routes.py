"""HTTP paths of the engine: actors, trace, supervision, dead letters, audit, metrics."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter
from litestar.response import Stream

from actors.api import views
from actors.api.account_routes import ERRORS, Limit, Offset, who
from actors.api.desk import OperatorsDesk
from actors.api.metrics import exposition
from actors.api.pools import EXCHANGE, QUESTION_SECONDS, SIGHT
from actors.api.sight import Sight
from actors.assembly.engine import Engine
from actors.core.records import AuditEntry
from actors.persistence.operator_records import DeadLetter
from actors.runtime.tap import TAP_RATE_MAX, TAP_SECONDS_MAX
from actors.supervision.alarms import AlarmEntry
from actors.supervision.watchdog import StuckTurn
from actors.venues.port import MasterView

PROMETHEUS_TYPE = "text/plain; version=0.0.4"


def plain_json(value: Any) -> Response[Any]:
    """JSON of anything; what has no JSON of its own is shown as text."""
    return Response(msgspec.json.encode(value, enc_hook=str), media_type="application/json")


class ActorRoutes(Controller):
    """Any actor: an account's, or the engine's own."""

    path = "/v1/actors"
    tags = ("actors",)

    @get("/{name:str}", responses=ERRORS)
    async def actor(
        self, sight: Sight, name: str, limit: Annotated[int, Parameter(ge=0, le=10_000)] = 100
    ) -> Response[Any]:
        """State, mailbox, last messages, crashes, triggers; answers also when the actor is stuck."""
        return await SIGHT.run(lambda: plain_json(sight.actor(name, limit)))

    @get("/{name:str}/trace", responses=ERRORS)
    async def trace(
        self,
        sight: Sight,
        name: str,
        seconds: Annotated[int, Parameter(ge=1, le=TAP_SECONDS_MAX)] = 60,
        rate: Annotated[int, Parameter(ge=1, le=TAP_RATE_MAX)] = 50,
    ) -> Stream:
        """Follow one actor: a line of JSON for each message, at most ``rate`` a second, then it ends."""
        return Stream(await sight.follow(name, seconds, rate), media_type="application/x-ndjson")

    @post("/{name:str}/restart", responses=ERRORS, status_code=200)
    async def restart(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, name: str
    ) -> dict[str, bool]:
        """Restart one actor from its durable state; its mailbox is kept, nobody else notices."""
        return {"restarted": await desk.restart(name, who(request))}


class SupervisionRoutes(Controller):
    """The tree, the worst actors, crashes and stuck turns."""

    path = "/v1"
    tags = ("supervision",)

    @get("/tree", responses=ERRORS)
    async def tree(self, sight: Sight) -> views.TreeNode:
        """The supervision tree, with what is wrong in it."""
        return await SIGHT.run(sight.tree)

    @get("/top", responses=ERRORS)
    async def top(
        self, sight: Sight, by: str = "depth", limit: Annotated[int, Parameter(ge=1, le=1_000)] = 20
    ) -> list[views.TopRow]:
        """The worst actors by depth, age, turn, ratio or restarts."""
        return await SIGHT.run(sight.top, by, limit)

    @get("/crashes", responses=ERRORS)
    async def crashes(
        self, sight: Sight, actor: str | None = None, limit: Limit = 50
    ) -> list[views.CrashView]:
        """The latest crashes of this run of the engine, newest first."""
        return await SIGHT.run(sight.crashes, actor, limit)

    @get("/stuck", responses=ERRORS)
    async def stuck(self, sight: Sight) -> list[StuckTurn]:
        """Turns that the watchdog caught, newest first."""
        return await SIGHT.run(sight.stuck)


class DeadLetterRoutes(Controller):
    """Messages that no actor could handle."""

    path = "/v1/deadletters"
    tags = ("dead letters",)

    @get(responses=ERRORS)
    async def dead_letters(
        self,
        desk: OperatorsDesk,
        actor: str | None = None,
        status: str | None = None,
        limit: Limit = 50,
        before: Offset = 0,
    ) -> list[DeadLetter]:
        """Newest first; ``status`` OPEN, REPLAYED or DROPPED; ``before`` an id, to page on."""
        return await desk.dead_letters(actor, status, limit, before)

    @get("/{dead_letter_id:int}", responses=ERRORS)
    async def dead_letter(self, desk: OperatorsDesk, dead_letter_id: int) -> DeadLetter:
        """One dead letter, with its traceback and the state that it met."""
        return await desk.dead_letter(dead_letter_id)

    @post("/{dead_letter_id:int}/replay", responses=ERRORS, status_code=200)
    async def replay(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, dead_letter_id: int
    ) -> DeadLetter:
        """Tell the message to its account once more."""
        return await desk.replay(dead_letter_id, who(request))

    @post("/{dead_letter_id:int}/drop", responses=ERRORS, status_code=200)
    async def drop(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, dead_letter_id: int
    ) -> DeadLetter:
        """Close a dead letter without a replay; it stays readable."""
        return await desk.drop(dead_letter_id, who(request))


class EngineRoutes(Controller):
    """The engine as a whole."""

    path = ""
    tags = ("engine",)

    @get("/v1/health", opt={"open": True}, security=[])
    async def health(self, engine: Engine) -> views.Health:
        """Needs no token: ok, reduce-only or halted."""
        closers = engine.gate.closers
        status = "halted" if engine.halted.is_set() else "reduce-only" if closers else "ok"
        return views.Health(status, closers)

    @get("/v1/stats", responses=ERRORS)
    async def stats(self, sight: Sight) -> Response[Any]:
        """Counters of everything."""
        return await SIGHT.run(lambda: plain_json(sight.stats()))

    @get("/v1/alarms", responses=ERRORS)
    async def alarms(self, engine: Engine, unacknowledged: bool = False) -> list[AlarmEntry]:  # noqa: FBT001, FBT002
        """The latest alarms, the newest last; all, or those that nobody acknowledged."""
        return [alarm for alarm in engine.alarms.entries if alarm.is_open or not unacknowledged]

    @post("/v1/alarms/{alarm_id:int}/ack", responses=ERRORS, status_code=200)
    async def acknowledge(
        self, request: Request[Any, Any, Any], desk: OperatorsDesk, alarm_id: int
    ) -> AlarmEntry:
        """Acknowledge an alarm: somebody has seen it. What raises it again is a new one."""
        return await desk.acknowledge(alarm_id, who(request))

    @get("/v1/audit", responses=ERRORS)
    async def audit(
        self, desk: OperatorsDesk, target: str | None = None, limit: Limit = 100
    ) -> list[AuditEntry]:
        """What operators did, newest first."""
        return await desk.audits(target, limit)

    @get("/v1/reconciliation", responses=ERRORS)
    async def reconciliation(
        self, engine: Engine, settle_seconds: Annotated[int, Parameter(ge=0, le=30)] = 0
    ) -> list[dict[str, Any]]:
        """Accounts + house against the exchange, per symbol."""
        return [
            {**msgspec.structs.asdict(d), "difference": d.difference}
            for d in await EXCHANGE.within(
                settle_seconds + QUESTION_SECONDS, partial(engine.reconcile, settle_seconds)
            )
        ]

    @get("/v1/master", responses=ERRORS)
    async def master(self, engine: Engine, limit: Limit = 50) -> MasterView:
        """The master account as it is set; the symbols that the fleet holds most of come first."""
        return await EXCHANGE.run(engine.venue.view, limit)

    @get("/metrics", media_type=PROMETHEUS_TYPE, responses=ERRORS)
    async def metrics(self, sight: Sight) -> Response[str]:
        """Prometheus metrics."""
        return Response(
            await SIGHT.run(lambda: exposition(sight.metrics()).decode()), media_type=PROMETHEUS_TYPE
        )
