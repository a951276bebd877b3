"""One simulated day: people, market and faults around a real engine on the seeded dispatcher.

Router, accounts, supervisor, gateway and writer are the live ones, wired by ``build``. The store keeps decisions in
memory by the real store's rules and can be away; the exchange is the paper exchange's matching behind a wire that
loses answers and events. Every choice comes from the seed, so a day that fails is repeated by its number.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from msgspec.structs import replace

from actors.assembly.build import Runtime, Settings, build
from actors.assembly.simulation import checks, people
from actors.assembly.simulation.bnb_fees import BnbFees, pays_in_bnb
from actors.assembly.simulation.people import SYMBOLS
from actors.assembly.simulation.store import UNREADABLE, SimulatedStore
from actors.assembly.simulation.violation import Violation, must
from actors.assembly.simulation.wire import LossyWire
from actors.core.clearing_messages import is_clearing
from actors.core.enums import ReconsiderReason
from actors.core.errors import StateCorrupt
from actors.core.messages import FaultOnPurpose, Reconsider, Tick
from actors.core.order_ids import FIXED
from actors.core.order_messages import Recover
from actors.core.trading_day import DayRule
from actors.core.units import NANOS_PER_MS, AccountId, Nanos, Symbol
from actors.gateway.messages import UserStreamConnected
from actors.runtime.cell import Cell, CrashReport, Status
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.supervision.messages import RestartNow, StillQuarantined
from actors.supervision.policy import RestartPolicy
from actors.venues.paper.generator import Generator
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.matching import Exchange
from actors.venues.port import VenueConnection
from supervisor import CHILDREN

START_MS = 1_700_053_200_000 - 15_500
"""A trading day begins at 08:00 in New York, after fifteen seconds."""

MASTER_WALLET = Decimal(10**9)

CHILDREN_OF_A_DAY = tuple(
    replace(spec, group="", policy=RestartPolicy(max_restarts=1000)) for spec in CHILDREN
)
"""They fail far more often than in an engine that is given up; most days have no feed, so each fails alone."""

STEPS_PER_SECOND = 10
STEP_NS = Nanos(100 * NANOS_PER_MS)
SECOND_NS = Nanos(1_000 * NANOS_PER_MS)
LAST_NS = Nanos(10_000 * NANOS_PER_MS)
"""For what the last look of all accounts leads to."""
LAST_STEPS = 3

# How often something happens in a step.
TRADE, CLOSE, FUNDING, SETTING, CROWD = 0.7, 0.15, 0.05, 0.1, 0.25
CLEARING_CRASH = 0.02
ACCOUNT_CRASH, CORE_CRASH, OPERATOR, RECONNECT = 0.05, 0.005, 0.03, 0.3


class Killed(BaseException):
    """The process dies here."""


class World:
    """One run.

    Args:
        seed: every choice comes from it.
        accounts: how many.
        faults: whether anything fails.
        random_order: whether actors that are ready run in a random order, or in that of arrival.
        clearing: whether market orders of one symbol go out as block orders.
    """

    dispatcher: SeededDispatcher

    def __init__(
        self,
        seed: int,
        accounts: int = 12,
        *,
        faults: bool = True,
        random_order: bool = True,
        clearing: bool = False,
    ) -> None:
        self.random = Random(seed)
        self.clock = VirtualClock(START_MS)
        self.clearing = clearing
        self._order = Random(seed + 1) if random_order else None
        self.dispatcher = SeededDispatcher("sim", self.clock, self._order)
        self.generator = Generator([LISTINGS[s] for s in SYMBOLS], Random(seed + 2), float(STEPS_PER_SECOND))
        self.instruments = {s: LISTINGS[s].instrument for s in SYMBOLS}
        ids = [AccountId(f"acct-{n}") for n in range(accounts)]
        states = [people.starting(n, i) for n, i in enumerate(ids)]
        self.store = SimulatedStore(states, Random(seed + 3), faults=faults)
        self.exchange = Exchange(self.instruments, MASTER_WALLET)
        self.wire = LossyWire(self.exchange, self.dispatcher, Random(seed + 4), self.store)
        self.faults = self.wire.faults = faults
        self.alarms: list[str] = []
        self.violations: list[Violation] = []
        self.halts: list[str] = []
        self._guarded: checks.GuardedOrders = {}
        self._slots_idle = 0
        self._update = self.deaths = 0
        self.dies_in = -1
        """The process is killed after so many turns; never, when it is negative."""
        self.bnb_fees = BnbFees(seed, self) if pays_in_bnb(seed) else None
        if self.bnb_fees is not None:
            self.wire.on_event = self.bnb_fees.event
        self._start_process()

    def _start_process(self) -> None:
        """One process of the engine, on what earlier ones left in the store and at the exchange."""
        self.assembly = build(
            Settings(origin=FIXED, day_rule=DayRule(), clearing=self.clearing, first_checkpoint=self._update),
            Runtime(
                main=self.dispatcher,
                io=self.dispatcher,
                alarm=self.alarms.append,
                alarm_of_account=self.alarms.append,
                halt=self.halts.append,
            ),
            self.store,
            VenueConnection(instruments=self.instruments, transport=self.wire, source=self.bnb_fees),
            CHILDREN_OF_A_DAY,
        )
        self.registry, self.book, self.gate = (
            self.assembly.registry,
            self.assembly.book,
            self.assembly.gate,
        )
        self.accounts, self.actors = self.assembly.accounts, self.assembly.actors
        self.context = self.assembly.context
        self.assembly.supervise()
        self._report_crash = self.dispatcher.on_crash
        self.dispatcher.on_crash = self._on_crash
        self.assembly.start("writer", "gateway", "router", prove=False)
        unreadable = dict.fromkeys(self.store.unreadable_clearings, UNREADABLE)
        self.assembly.start_clearing(SYMBOLS, self.store.clearing_states(), unreadable, prove=False)
        self.actors["gateway"].tell(Recover(self.store.recovery()))
        for id_ in list(self.store.durable):
            record = self.store.quarantined.get(id_)
            self.assembly.start_account(id_, held=record is not None)
            if record is not None:
                self.actors["supervisor"].tell(StillQuarantined(id_, record.reason))
        self.dispatcher.after_turn = self._after_turn
        self.dispatcher.run_until_quiet()
        if self.bnb_fees is not None:
            self.assembly.start("feed", prove=False)

    def kill(self) -> None:
        """The process dies, as by kill -9, and another one starts: what is not in the store or at the exchange is gone.

        Answers and events on their way are lost too.
        """
        self.deaths += 1
        self.dies_in = -1
        self.dispatcher = SeededDispatcher("sim", self.clock, self._order)
        self.wire.move_to(self.dispatcher)
        self._guarded.clear()
        self._slots_idle = 0
        self.store.asked_for.update(self.store.intents)
        self._start_process()

    def _on_crash(self, cell: Cell, report: CrashReport, error: BaseException) -> None:
        if isinstance(error, Violation):
            self.violations.append(error)
        # It heals itself by loading its state again; what it was about to do must not have happened all the same.
        if is_clearing(cell.name) and isinstance(error, StateCorrupt) and UNREADABLE not in str(error):
            self.violations.append(Violation(str(error)))
        if self._report_crash is not None:
            self._report_crash(cell, report, error)

    def _after_turn(self, cell: Cell) -> None:
        must(not self.violations, self.violations)
        checks.check_turn(cell, self._guarded)
        if self.dies_in == 0:
            raise Killed
        self.dies_in -= 1

    # -- what happens

    def second(self) -> None:
        """A second of market: ticks, orders, and faults if they are on."""
        chance = self.random.random
        for step in range(STEPS_PER_SECOND):
            self.ticks()
            if chance() < TRADE:
                people.trade(self)
            if self.clearing and chance() < CROWD:
                people.crowd(self)
            if chance() < CLOSE:
                people.close(self)
            if chance() < FUNDING:
                people.settle_funding(self)
            if chance() < SETTING:
                people.set_something(self)
            if self.faults and chance() < ACCOUNT_CRASH:
                self.random.choice(list(self.accounts.values())).tell(FaultOnPurpose("sim"))
            if self.faults and chance() < CORE_CRASH:
                self.crash_a_core_actor()
            clearings = [name for name in self.actors if is_clearing(name)]
            if clearings and self.faults and chance() < CLEARING_CRASH:
                self._crash(clearings)
            if self.faults and chance() < OPERATOR:
                people.operate(self)
            self.run(STEP_NS)
            if step == STEPS_PER_SECOND - 1 and self.faults and chance() < RECONNECT:
                self.actors["gateway"].tell(UserStreamConnected())
        self._slots_idle = checks.check_slots(self, self._slots_idle)

    def run(self, ns: Nanos) -> None:
        """Let time pass, and everything happen that is due."""
        until_ns = Nanos(self.clock.monotonic_ns() + ns)
        while True:
            try:
                self.dispatcher.run_until(until_ns)
            except Killed:
                self.dies_in = -1
                self.kill()
            else:
                return

    def ticks(self) -> None:
        """Each symbol moves once."""
        for symbol in SYMBOLS:
            self.tick(symbol)
        if self.bnb_fees is not None:
            self.bnb_fees.tick()

    def tick(self, symbol: Symbol) -> None:
        """One symbol moves, at the exchange and then for the router."""
        quote = self.generator.next(symbol)
        self.wire.quote(quote)
        self._update += 1
        self.actors["router"].tell(
            Tick(
                symbol,
                quote.bid,
                quote.bid_qty,
                quote.ask,
                quote.ask_qty,
                self._update,
                self.clock.wall_ms(),
                Nanos(self.clock.monotonic_ns()),
                (float(quote.bid) + float(quote.ask)) * 0.5,
            )
        )

    def crash_a_core_actor(self) -> None:
        """Send the gateway or the router what it cannot handle."""
        self._crash(["gateway", "router"])

    def _crash(self, names: list[str]) -> None:
        name = self.random.choice(names)
        self.actors[name].tell("no such message")

    def calm(self, seconds: int = 60) -> None:
        """Faults off, and time to settle; what is out of service is released by the operator."""
        self.faults = self.wire.faults = self.store.faults = False
        for _ in range(seconds):
            bypassed = [name for name, ref in self.actors.items() if ref.cell.status is Status.BYPASSED]
            for name in [*self.registry.quarantined, *bypassed]:
                self.actors["supervisor"].tell(RestartNow(name, by_operator=True))
            self.ticks()
            self.run(SECOND_NS)
        for ref in self.accounts.values():
            ref.tell(Reconsider(ReconsiderReason.OPERATOR))
        self.run(LAST_NS)
        # What was decided in the last milliseconds waits for others to be committed with; a breaker may end just then, too.
        for _ in range(LAST_STEPS):
            self.run(STEP_NS)
            if self._is_all_durable():
                break

    def _is_all_durable(self) -> bool:
        live = {id_: ref.cell.actor.inspect_state() for id_, ref in self.accounts.items()}
        return all(
            state and state.sequence == self.store.durable[id_].sequence for id_, state in live.items()
        )

    # -- the outcome

    def check_quiet(self) -> None:
        """Check what must hold at rest.

        Raises:
            Violation: what does not.
        """
        checks.check_quiet(self)

    def history(self) -> list[tuple[Any, ...]]:
        """All orders that were ever intended, in order."""
        return [
            (f.account_id, f.sequence, f.symbol, f.side, f.quantity, f.purpose, f.tier, f.decided_ms)
            for f in self.store.intents.values()
        ]
