"""The program on one screen: which actors the engine consists of, in start order, and who restarts them.

    writer -> projector -> gateway -> router -> (clearing of each symbol) -> (accounts) -> feed -> (api)

``actors.assembly.build`` makes the parts, ``actors.assembly.engine`` runs the order. Rules of supervision:

1. Accounts are one for one: a restart concerns no other actor and keeps the account's mailbox.
2. The poison message is set aside as a dead letter with its traceback and the state it met.
3. Past the restart window an account is quarantined, alone: its mailbox is kept, a guard
   cancels its orders and watches its liquidation until an operator releases it.
4. The gate lets no new risk in while the writer, the projector, the gateway or the router is away.
5. One cause that fails many accounts trips one breaker instead of thousands of restarts.
6. A symbol's clearing that fails alone is restarted alone, and meanwhile its symbol alone takes no new risk. Past its
   restarts it serves in a simpler way until an operator restarts it: orders go to the gateway one by one.
7. What cannot be trusted any more halts the engine. The projector alone does not, past its restarts: what it writes is for
   people and for the platform, and fills, cancels and liquidations must go on without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from actors.clearing.actor import ClearingActor, ClearingContext
from actors.clearing.service import Service
from actors.core.alarm_level import Critical
from actors.core.clearing_messages import clearing_name
from actors.core.errors import BadInput, Fenced, Overtaken, Refused, StateLost
from actors.core.messages import LoseTriggers
from actors.core.safe_copy import pairs
from actors.core.trading_day import DayRule
from actors.core.units import Nanos, Symbol
from actors.feed.actor import Feed
from actors.gateway.actor import Gateway
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.persistence.actor import Writer
from actors.persistence.projection.actor import Projector
from actors.persistence.projection.store import Projection
from actors.persistence.queries import StorePort
from actors.persistence.tail import JournalTail
from actors.runtime.actor import DispatchedActor, Ref
from actors.runtime.cell import START_FAILED, Cell, CrashReport, Status
from actors.runtime.dispatcher import Dispatcher
from actors.supervision.context import SupervisorContext
from actors.supervision.dead_letters import CRASHES_LISTED, FailedActor, dead_letter_of
from actors.supervision.messages import (
    CheckStarted,
    Crashed,
    Free,
    Probe,
    ProbeOver,
    Quarantine,
    Release,
    RestartNow,
    Settled,
    StillQuarantined,
    Then,
)
from actors.supervision.parking import Parking
from actors.supervision.policy import RestartPolicy
from actors.supervision.quarantine import Quarantines
from actors.supervision.registry import ChildSpec, Registry, account_of, is_guard
from actors.supervision.restarts import Restarts
from actors.supervision.settling import Settling
from actors.supervision.strategy import Directive, Directives, Strategy, directive_of
from actors.symbol_router.actor import SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.venues.port import VenueConnection

# -- who is supervised, and how: data


class Parts(msgspec.Struct, kw_only=True):
    """What the children are made of; ``actors.assembly.build`` puts it together."""

    main: Dispatcher
    io: Dispatcher
    projecting: Dispatcher
    registry: Registry
    book: PriceBook
    fleets: Fleets
    store: StorePort | None
    projection: Projection | None
    tail: JournalTail | None
    venue: VenueConnection
    clearing: ClearingContext
    day_rule: DayRule | None
    price_max_age_ns: Nanos
    alarm_by_key: Callable[[str, str], None]
    alarm_over: Callable[[str], None]


def _writer(p: Parts) -> Ref:
    assert p.store is not None, "a writer needs a store"
    r = p.registry
    return Writer.start(
        "writer",
        p.io,
        p.store,
        r.accounts,
        r.gate,
        deque(),
        r.actors,
        p.alarm_by_key,
        p.alarm_over,
        {},
        p.tail,
    )


def _projector(p: Parts) -> Ref:
    assert p.projection is not None, "a projector needs a projection"
    r = p.registry
    return Projector.start(
        "projector",
        p.projecting,
        p.projection,
        r.gate,
        r.alarm,
        p.alarm_by_key,
        p.alarm_over,
        p.main.is_crowded,
    )


def _gateway(p: Parts) -> Ref:
    assert p.venue.transport is not None, "a gateway needs a transport"
    transport, r = p.venue.transport, p.registry
    budget = OrderBudget.of(transport.rules)
    return Gateway.start(
        "gateway",
        p.main,
        transport,
        r.accounts,
        r.gate,
        p.fleets,
        budget,
        r.alarm,
        r.actors,
        kept_elsewhere=p.clearing.keeps,
    )


def _clearing(symbol: Symbol, p: Parts) -> Ref:
    return ClearingActor.start(clearing_name(symbol), p.main, symbol, p.clearing)


def _router(p: Parts) -> Ref:
    return SymbolRouter.start("router", p.main, p.book, p.registry.accounts, p.day_rule)


def _feed(p: Parts) -> Ref:
    assert p.venue.source is not None, "a feed needs a source"
    v, r, router = p.venue, p.registry, p.registry.actors["router"]
    watched, old_ns = v.watched, p.price_max_age_ns
    return Feed.start(
        "feed", p.main, v.source, router, p.book, watched, old_ns, r.alarm, r.accounts, v.rate_symbols
    )


CHILDREN: tuple[ChildSpec[Parts], ...] = (
    ChildSpec(name="writer", start=_writer),
    ChildSpec(
        name="projector", start=_projector, is_vital=False, directives={Overtaken: Directive.QUARANTINE}
    ),
    ChildSpec(name="gateway", start=_gateway),
    ChildSpec(name="router", start=_router, group="market"),
    ChildSpec(name="feed", start=_feed, group="market"),
)
"""In start order. The symbols' clearing starts after the router, then the accounts, then the feed."""


def clearing_child(symbol: Symbol, service: Service) -> ChildSpec[Parts]:
    """The clearing of one symbol, which serves as ``service`` says."""
    return ChildSpec(
        name=clearing_name(symbol),
        start=partial(_clearing, symbol),
        is_vital=False,
        directives={StateLost: Directive.QUARANTINE},  # no restart can help
        fallback=service,
    )


GROUPS: dict[str, Strategy] = {"market": Strategy.REST_FOR_ONE}
"""A new router knows no prices until the feed, started after it, has asked for all of them."""

CORE_DIRECTIVES: Directives = {Fenced: Directive.ESCALATE, MemoryError: Directive.ESCALATE}
ACCOUNT_DIRECTIVES: Directives = {
    **CORE_DIRECTIVES,
    BadInput: Directive.RESUME,  # the message is at fault; the state was not touched
    Refused: Directive.RESUME,
    StateLost: Directive.QUARANTINE,  # no restart can help
}
ACCOUNT_POLICY = RestartPolicy()
GUARD_POLICY = RestartPolicy(max_restarts=3)


class Supervisor(DispatchedActor):
    """Restarts, quarantines, alarms and halts; see the module's rules."""

    GOES_FIRST = True

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.crashes: deque[FailedActor] = deque(maxlen=CRASHES_LISTED)
        self._registry = registry
        self._context = SupervisorContext(registry, self._cell)
        self._restarts = Restarts(self._context, ACCOUNT_POLICY, GUARD_POLICY)
        self._parking = Parking(self._context, self._restarts)
        self._quarantines = Quarantines(self._context, self._restarts, self._parking, self._settle)
        self._settling = Settling(
            self._context,
            {
                Then.RESTART: self._restarts.start_settled,
                Then.GUARD: self._quarantines.start_guard,
                Then.RELEASE: self._quarantines.finish_release,
            },
        )
        self._on_directive: dict[Directive, Callable[[Cell, CrashReport], None]] = {
            Directive.RESUME: self._resume,
            Directive.RESTART: self._restart,
            Directive.QUARANTINE: self._quarantine,
            Directive.ESCALATE: self._escalate,
        }

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        match message:
            case Crashed():
                return self._crashed(message.cell, message.report, message.error)
            case RestartNow(by_operator=True):
                return self._restart_by_operator(message.name)
            case RestartNow():
                return self._restarts.due(message)
            case Quarantine():
                return self._quarantines.by_operator(message.name, message.reason)
            case Release():
                return self._quarantines.release(message.name)
            case StillQuarantined():
                return self._quarantines.restored(message.account_id, message.reason)
            case CheckStarted():
                return self._restarts.check_started(message)
            case Settled():
                return self._settling.look(message)
            case Probe():
                return self._parking.probe(message.where)
            case ProbeOver():
                return self._parking.probe_over(message.where, message.name)
            case Free():
                return self._parking.free(message.names)
            case _:
                raise TypeError(f"the supervisor does not understand {type(message).__name__}")

    def inspect_state(self) -> Any:
        """Who failed lately, and what is out of service."""
        return {
            "failing": {name: len(times) for name, times in pairs(self._restarts.history)[:100]},
            "quarantined": sorted(self._registry.quarantined)[:100],
            "unguarded": sorted(self._quarantines.unguarded),
            "tripped": {
                where: {"parked": len(trip.parked), "failures": trip.seen, "probe": trip.probe}
                for where, trip in pairs(self._parking.breaker.tripped)
            },
        }

    # -- a failure, and what its directive says

    def _crashed(self, cell: Cell, report: CrashReport, error: BaseException) -> None:
        if cell.mailbox.is_closed:
            return
        name, registry = cell.name, self._registry
        self.crashes.append(FailedActor(name, report))
        self._context.tell("writer", dead_letter_of(name, report, cell.poison, cell.evidence))
        if cell.status is not Status.CRASHED:
            return  # it was quarantined or restarted by an operator before this was read
        spec = registry.spec(name)
        if spec is not None:
            registry.gate.close(name)
            registry.alarm(Critical(f"{name} failed: {report.error}"))
        else:
            self._context.tell("router", LoseTriggers(account_of(name)))
        known = ACCOUNT_DIRECTIVES if spec is None else {**CORE_DIRECTIVES, **spec.directives}
        directive = directive_of(error, known)
        if directive is Directive.RESUME and report.message_kind == START_FAILED:
            directive = Directive.RESTART  # an instance that did not start cannot go on
        self._on_directive[directive](cell, report)

    def _resume(self, cell: Cell, _report: CrashReport) -> None:
        cell.dispatcher.resume(cell)
        self._registry.gate.open(cell.name)

    def _restart(self, cell: Cell, report: CrashReport) -> None:
        name = cell.name
        is_account = not self._registry.is_core(name) and not is_guard(name)
        if is_account and self._parking.takes(name, report.where):
            return
        given_up = self._restarts.schedule(cell)
        if given_up is not None:
            text = f"{name} is quarantined after {given_up.failures} failures: {report.error}"
            self._quarantines.give_up(cell, report, text)

    def _quarantine(self, cell: Cell, report: CrashReport) -> None:
        self._quarantines.give_up(cell, report, f"{cell.name} is quarantined: {report.error}")

    def _escalate(self, cell: Cell, report: CrashReport) -> None:
        self._context.halt(f"{cell.name} cannot be trusted to go on: {report.error}")

    # -- what an operator asks for

    def _restart_by_operator(self, name: str) -> bool:
        registry = self._registry
        ref = registry.accounts.get(account_of(name)) if is_guard(name) else registry.find(name)
        if ref is None:
            return False
        self._restarts.forget(name)
        if name in registry.quarantined:
            return self._quarantines.release(name)
        spec = registry.spec(name)
        if spec is not None and spec.fallback is not None:
            spec.fallback.restore()
        self._parking.forget(name)
        ref.cell.dispatcher.hold(ref.cell)
        self._settle(name, Then.RESTART)
        return True

    def _settle(self, name: str, then: Then) -> None:
        self._settling.wait(name, then)
