"""The one place where the engine's actors are wired together.

Live running, replay, simulation, benchmarks and tests of several actors all build here. What differs between them is
passed in: on which dispatchers the actors run, which store keeps their decisions, which venue they trade at, and,
where a test or a benchmark has no use for one of the children, what stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

import msgspec
import pykka
import structlog
from msgspec.structs import replace

from actors.assembly.program import program
from actors.clearing.actor import ClearingContext
from actors.clearing.service import Serves
from actors.clearing.state import ClearingState
from actors.core.alarm_level import Critical
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.constants import RECORDED_DECISIONS
from actors.core.messages import Lane
from actors.core.order_ids import Origin
from actors.core.trading_day import DayRule
from actors.core.units import AccountId, Nanos, Symbol
from actors.gateway.fleets import Fleets
from actors.limits.model import RiskLimits
from actors.persistence.projection.store import Projection
from actors.persistence.queries import StorePort
from actors.persistence.tail import JournalTail
from actors.runtime.actor import Ref
from actors.runtime.cell import Cell, CrashReport
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.envelope import Envelope, lane_of
from actors.subaccount.actor import AccountActor, AccountContext
from actors.subaccount.recording import Recorder
from actors.subaccount.state import AccountState
from actors.supervision import lifecycle
from actors.supervision.correlation import CorrelationPolicy
from actors.supervision.dead_letters import unread_letter
from actors.supervision.gate import TradingGate
from actors.supervision.messages import Crashed
from actors.supervision.registry import ChildSpec, Registry, guard_name
from actors.supervision.strategy import Strategy
from actors.symbol_router.book import PriceBook
from actors.venues.port import VenueConnection
from supervisor import CHILDREN, GROUPS, Parts, Supervisor, clearing_child

log = structlog.get_logger("engine")

NOTHING: Mapping[Symbol, str] = MappingProxyType({})

Children = tuple[ChildSpec[Parts], ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the wiring needs to know.

    ``origin`` is what the ids of all orders begin with. ``clearing`` says whether market orders of one symbol may go out as
    blocks, ``split_at_depth`` at how many times the quantity at the best price these are split, 0 for never. ``first_checkpoint`` is where the price book begins to
    number its checkpoints: above those of earlier runs whose accounts are loaded.
    """

    origin: Origin
    price_max_age_ns: Nanos = RiskLimits().price_max_age_ns
    day_rule: DayRule | None = None
    faults_allowed: bool = False
    recorded_decisions: int = RECORDED_DECISIONS
    clearing: bool = False
    split_at_depth: int = 0
    first_checkpoint: int = 0
    groups: dict[str, Strategy] = msgspec.field(default_factory=GROUPS.copy)
    correlation: CorrelationPolicy = CorrelationPolicy()


def _no_alarm_by_key(_text: str, _key: str) -> None:
    """Of no interest here."""


def _no_alarm_over(_key: str) -> None:
    """As above."""


def _log_alarm(text: str) -> None:
    log.warning("alarm", text=text)


def _log_halt(reason: str) -> None:
    log.critical("the engine halts", reason=reason)


class Runtime(msgspec.Struct, kw_only=True):
    """What the actors run on, and who is informed of what.

    ``main`` runs all actors but the writer, which runs on ``io``, and the projector, which runs on ``projecting``; they may
    be the same one. ``alarm_by_key`` is for what lasts, until ``alarm_over`` with the same key. ``halt`` gets the reason why
    nothing may be sent any more.
    """

    main: Dispatcher
    io: Dispatcher
    projecting: Dispatcher | None = None
    gate: TradingGate = msgspec.field(default_factory=TradingGate)
    alarm: Callable[[str], None] = _log_alarm
    alarm_of_account: Callable[[str], None] = _log_alarm
    alarm_by_key: Callable[[str, str], None] = _no_alarm_by_key
    alarm_over: Callable[[str], None] = _no_alarm_over
    halt: Callable[[str], None] = _log_halt


def with_stand_ins(stand_ins: Mapping[str, Callable[[Parts], Ref]]) -> Children:
    """The engine's children, some of them started in another way, for who has no use for the real ones.

    Raises:
        ValueError: a name that no child has.
    """
    lifecycle.named(CHILDREN, list(stand_ins))
    return tuple(replace(s, start=stand_ins.get(s.name, s.start)) for s in CHILDREN)


class Assembly:
    """The wired parts of one engine; nothing of it runs before ``supervise`` and ``start``."""

    def __init__(self, settings: Settings, runtime: Runtime, parts: Parts, context: AccountContext) -> None:
        self.settings, self.runtime, self.parts, self.context = settings, runtime, parts, context
        self.registry, self.book, self.fleets = parts.registry, parts.book, parts.fleets
        self.accounts, self.quarantined = self.registry.accounts, self.registry.quarantined
        self.actors, self.gate = self.registry.actors, self.registry.gate

    def supervise(self) -> Ref:
        """Start the supervisor, and have all failures and unread messages of all dispatchers reach it and the writer.

        Without it a failed actor is stopped, as a replay wants it.
        """
        for dispatcher in (self.runtime.main, self.runtime.io, self.parts.projecting):
            dispatcher.on_crash = self._on_crash
            dispatcher.on_dead_letter = self._on_dead_letter
        ref = self.actors["supervisor"] = Supervisor.start("supervisor", self.runtime.main, self.registry)
        return ref

    def start(self, *names: str, prove: bool = True) -> None:
        """Start children by name, in start order; see ``lifecycle.start``.

        Raises:
            ValueError: a name that no child has.
            NotStarted: a child did not answer in time.
        """
        lifecycle.start(self.registry.specs, names, self.parts, self.actors, prove=prove)
        for name in names:
            setattr(self.context, name, self.actors[name])

    def start_clearing(
        self,
        symbols: Iterable[Symbol],
        known: Mapping[Symbol, ClearingState] | None = None,
        unreadable: Mapping[Symbol, str] = NOTHING,
        *,
        prove: bool = True,
    ) -> None:
        """Start the clearing of symbols that have none yet, unless it is switched off.

        Args:
            symbols: which.
            known: the durable states of those that ever decided something. One that has no blocks starts from that, one
                without a state from a blank one; the others, or all where this is not given, are loaded by the writer, who
                knows which of their members have ended. While clearing is switched off those start that have blocks, and see
                them to their end.
            unreadable: why the states of others cannot be read. They start all the same, and hold what may be in a block.
            prove: as of ``start``.

        Raises:
            NotStarted: one did not answer in time.
        """
        known_blocks = {s for s, state in (known or {}).items() if state.blocks}
        if not self.settings.clearing:
            symbols = [s for s in symbols if s in known_blocks or s in unreadable]
        self._bypass(unreadable)
        if known is not None:
            without = [s for s in symbols if s not in known_blocks and s not in unreadable]
            self.parts.clearing.preloaded.update({s: known.get(s, ClearingState(symbol=s)) for s in without})
        self._start_clearing(symbols, prove=prove)

    def clearing_of(self, symbol: Symbol) -> Ref | None:
        """The clearing of a symbol; one that is switched off is started, and passes orders on one by one.

        Returns:
            None when it does not start.
        """
        if clearing_name(symbol) not in self.actors:
            self._start_clearing([symbol], prove=False)
        return self.actors.get(clearing_name(symbol))

    def _start_clearing(self, symbols: Iterable[Symbol], *, prove: bool) -> None:
        new = [
            clearing_child(symbol, self.parts.clearing.service(symbol))
            for symbol in symbols
            if clearing_name(symbol) not in self.actors
        ]
        self.registry.add_specs(new)
        lifecycle.start(self.registry.specs, [s.name for s in new], self.parts, self.actors, prove=prove)

    def _bypass(self, unreadable: Mapping[Symbol, str]) -> None:
        """Clearings whose states cannot be read hold what may be in a block, and their symbols take no new risk."""
        for symbol, why in unreadable.items():
            name, service = clearing_name(symbol), self.parts.clearing.service(symbol)
            service.is_unreadable = True
            means = service.fall_back(why)
            self.gate.close(name)
            self.runtime.alarm(Critical(f"{name} cannot be read: {why}; {means}"))

    def stop_clearing(self, timeout_s: float) -> list[str]:
        """Stop the clearing of all symbols; see ``lifecycle.stop``."""
        names = [name for name in list(self.actors) if is_clearing(name)]
        return lifecycle.stop(self.registry.specs, names, self.actors, timeout_s)

    def order_path(self, symbol: Symbol) -> Ref:
        """Who takes orders of a symbol: its clearing, or the gateway where there is none.

        One that does not serve is no reason to go past it: it alone knows which orders are in its blocks.
        """
        return self.actors.get(clearing_name(symbol)) or self.actors["gateway"]

    def stop(self, *names: str, timeout_s: float) -> list[str]:
        """Stop children by name, in reverse start order; see ``lifecycle.stop``."""
        return lifecycle.stop(self.registry.specs, names, self.actors, timeout_s)

    def start_account(
        self,
        id_: AccountId,
        state: AccountState | None = None,
        *,
        held: bool = False,
        kind: type[AccountActor] = AccountActor,
    ) -> Ref:
        """Start an account's actor.

        Args:
            id_: the account's.
            state: read in bulk before; without it the writer loads it.
            held: create it out of service.
            kind: another class, for benchmarks.
        """
        if state is not None:
            self.context.preloaded[id_] = state
        ref = self.accounts[id_] = kind.start(id_, self.runtime.main, id_, self.context, held=held)
        return ref

    def start_accounts(self, states: Sequence[AccountState]) -> None:
        """Start accounts whose states were read in bulk."""
        for state in states:
            self.start_account(state.account_id, state)

    # -- what the dispatchers report

    def _on_crash(self, cell: Cell, report: CrashReport, error: BaseException) -> None:
        if cell.name == "supervisor":
            # There is no supervisor of the supervisor. First what stops: the alarm may fail or take long.
            text = f"the supervisor crashed: {report.error}"
            self.runtime.halt(text)
            self.runtime.alarm(Critical(text))
            return
        self.actors["supervisor"].tell(Crashed(cell, report, error))

    def _on_dead_letter(self, cell: Cell, letter: Envelope, why: str) -> None:
        """Keep what a stopped actor did not read; new prices come, and what was meant for a stopped actor only is void."""
        writer = self.actors.get("writer")
        if writer is None or lane_of(letter[0]) in {Lane.MARKET, Lane.CONTROL} or not writer.is_alive():
            return
        with suppress(pykka.ActorDeadError):
            writer.tell(unread_letter(cell.name, letter[0], why, self.runtime.main.clock.wall_ms()))


def build(  # noqa: PLR0913 - the parts that differ
    settings: Settings,
    runtime: Runtime,
    store: StorePort | None,
    venue: VenueConnection,
    children: Children = CHILDREN,
    projection: Projection | None = None,
    tail: JournalTail | None = None,
) -> Assembly:
    """Wire the parts of one engine.

    Args:
        settings: see there.
        runtime: dispatchers, clock, gate, and who is informed.
        store: where the writer keeps decisions; None where something else stands in for the writer.
        venue: instruments, and the ways to the exchange.
        children: the engine's own actors in start order; see ``with_stand_ins``.
        projection: what the projector works with; None where there are no tables to make.
        tail: what the writer tells of its commits; None where nobody reads on.
    """
    book = PriceBook(first_checkpoint=settings.first_checkpoint)
    fleets = Fleets(settings.origin)
    context = AccountContext(book, venue.instruments, runtime.gate, settings.origin)
    context.faults_allowed = settings.faults_allowed
    context.recorder = Recorder(settings.recorded_decisions)
    context.program = program()
    context.alarm = runtime.alarm_of_account

    def start_guard(id_: AccountId) -> Ref:
        return AccountActor.start(guard_name(id_), runtime.main, id_, context, guard=True, held=True)

    registry = Registry(
        accounts={},
        quarantined={},
        actors={},
        specs=children,
        gate=runtime.gate,
        alarm=runtime.alarm,
        halt=runtime.halt,
        start_guard=start_guard,
        groups=settings.groups,
        correlation=settings.correlation,
    )
    clearing = ClearingContext(
        actors=registry.actors,
        accounts=registry.accounts,
        instruments=lambda: context.instruments,
        prices=book,
        origin=settings.origin,
        split_at_depth=settings.split_at_depth,
        alarm=runtime.alarm,
        usual=Serves.BLOCKS if settings.clearing else Serves.SINGLY,
    )
    parts = Parts(
        clearing=clearing,
        main=runtime.main,
        io=runtime.io,
        projecting=runtime.projecting or runtime.io,
        registry=registry,
        book=book,
        fleets=fleets,
        store=store,
        projection=projection,
        tail=tail,
        venue=venue,
        day_rule=settings.day_rule,
        price_max_age_ns=settings.price_max_age_ns,
        alarm_by_key=runtime.alarm_by_key,
        alarm_over=runtime.alarm_over,
    )
    assembly = Assembly(settings, runtime, parts, context)
    context.order_path = assembly.order_path
    return assembly
