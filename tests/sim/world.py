"""A whole engine on the seeded dispatcher, a store and an exchange that misbehave, and the invariants.

The actors, the supervisor and the gateway are the live ones. The store keeps decisions in
memory with the real store's rules (sequence, unique trades) and can be away; the exchange is
the paper exchange's matching behind a wire that loses answers and events.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal as D
from random import Random

from msgspec.structs import replace

from actors.core.enums import Phase, Purpose
from actors.core.errors import NotDurable, StoreUnreachable
from actors.core.facts import FillApplied, OrderIntended, PositionTakenOver
from actors.core.fees import FeeBooked
from actors.core.messages import FaultOnPurpose, Lane, Reconsider, Tick
from actors.core.order_ids import FIXED
from actors.core.order_messages import Recover
from actors.core.records import Recovery
from actors.core.trading_day import DayRule
from actors.core.units import AccountId, Nanos
from actors.gateway.actor import Gateway
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.gateway.messages import Answered, Outcome, UserStreamConnected
from actors.persistence.actor import Writer
from actors.runtime.cell import Status
from actors.runtime.clock import VirtualClock
from actors.runtime.envelope import lane_of
from actors.runtime.simulation import SeededDispatcher
from actors.subaccount.actor import AccountActor, AccountContext
from actors.subaccount.state import AccountState, books_balance, fold
from actors.supervision.dead_letters import unread_letter
from actors.supervision.gate import TradingGate
from actors.supervision.messages import Crashed, RestartNow
from actors.supervision.policy import RestartPolicy
from actors.supervision.registry import ChildSpec, Registry, guard_name, is_guard
from actors.symbol_router.actor import SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.venues.paper.generator import Generator
from actors.venues.paper.in_process import InProcessExchange
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.matching import Exchange
from supervisor import GROUPS, Supervisor
from tests.sim import burn, people
from tests.sim.people import SYMBOLS

MS = 1_000_000
START_MS = 1_700_053_200_000 - 15_500
"""A trading day begins at 08:00 in New York, after fifteen seconds."""


class Violation(Exception):
    """An invariant that broke inside an actor's turn: it must fail the run, not restart the actor."""


def must(holds, text):
    if not holds:
        raise Violation(text)


class SimStore:
    """The store's contract without Postgres: the durable truth that invariants are checked on."""

    def __init__(self, states, random, faults):
        self.durable = {s.account_id: s for s in states}
        self.intents = {}
        self.trades = {}
        self.late_fees = {}
        self.taken = []
        self.dead, self.quarantined = [], {}
        self.random, self.faults = random, faults

    def commit(self, decisions):
        if self.faults and self.random.random() < 0.05:
            raise StoreUnreachable("simulated")
        results = []
        for d in decisions:
            state = self.durable[d.account_id]
            if state.sequence != d.previous_sequence:
                results.append(NotDurable("sequence moved"))
                continue
            if self.faults and self.random.random() < 0.01:
                results.append(NotDurable("simulated poison row"))
                continue
            for fact in d.facts:
                state = fold(state, fact)
                if isinstance(fact, OrderIntended):
                    must(fact.client_order_id not in self.intents, "an intent twice")
                    self.intents[fact.client_order_id] = fact
                if isinstance(fact, FillApplied):
                    traded = fact.trade.symbol, fact.trade.trade_id
                    must(traded not in self.trades, "a trade twice")
                    self.trades[traded] = fact
                if isinstance(fact, PositionTakenOver):
                    self.taken.append((d.account_id, fact))
                if isinstance(fact, FeeBooked):
                    traded = fact.pending.symbol, fact.pending.trade_id
                    must(
                        traded in self.trades and traded not in self.late_fees, "a fee twice, or of no trade"
                    )
                    self.late_fees[traded] = fact
            state = replace(state, sequence=state.sequence + 1)
            must(state == d.state, "the durable state differs from the account's own")
            self.durable[d.account_id] = state
            results.append(None)
        return results

    def load(self, account_ids):
        for a in account_ids:
            # As the real store: a monotonic time means nothing in another life.
            self.durable[a] = replace(self.durable[a], retry_at_ns=0)
        return [self.durable[a] for a in account_ids]

    def with_operator_records(self, call):
        if self.faults and self.random.random() < 0.05:
            raise StoreUnreachable("simulated")
        return call(self)

    def record_dead_letter(self, letter):
        self.dead.append(letter)

    def record_quarantine(self, record):
        self.quarantined[record.account_id] = record

    def lift_quarantine(self, account_id):
        self.quarantined.pop(account_id, None)

    def renew(self):
        pass

    def recovery(self):
        working = [o for s in self.durable.values() for o in s.orders]
        return Recovery(working=tuple(working))


class Wire(InProcessExchange):
    """The exchange behind a wire that loses, delays, repeats and drops."""

    def __init__(self, exchange, dispatcher, random, store):
        super().__init__(exchange, dispatcher, 5)
        self.random, self.store, self.faults, self.burn = random, store, False, None

    def request(self, request):
        if request.kind == "place":
            must(request.client_order_id in self.store.intents, "sent before it was durable")
        elif request.kind == "cancel" and request.order is None:
            found = self.exchange.orders.find(request.symbol, None, request.client_order_id)
            must(found is not None and not found.is_open, "cancelled as an orphan")
        fate = self.random.random() if self.faults else 1.0
        if request.kind not in {"trades", "fees"} and fate < 0.05:
            if fate < 0.025:
                _, events = self._execute_or_refuse(request)
                self.publish_events(events)
            lost = Answered(
                request=request.kind,
                client_order_id=request.client_order_id,
                outcome=Outcome.UNKNOWN,
                text="lost",
            )
            self._dispatcher.after(Nanos(3_000 * MS), self._gateway.cell, lost)
            return
        super().request(request)

    def publish_events(self, events):
        for event in events:
            fate = self.random.random() if self.faults else 1.0
            if self.burn is not None:
                event = self.burn.event(event)  # noqa: PLW2901 - published as it is taken
            if fate < 0.05:
                continue
            super().publish_events([event])
            if fate < 0.15:
                super().publish_events([event])


class World:
    """One run."""

    def __init__(self, seed, accounts=12, *, faults=True, random_order=True):
        self.random = Random(seed)
        self.clock = VirtualClock(START_MS)
        self.dispatcher = SeededDispatcher("sim", self.clock, Random(seed + 1) if random_order else None)
        self.generator = Generator([LISTINGS[s] for s in SYMBOLS], Random(seed + 2), 10.0)
        instruments = {s: LISTINGS[s].instrument for s in SYMBOLS}
        ids = [AccountId(f"acct-{n}") for n in range(accounts)]
        states = [people.starting(n, i) for n, i in enumerate(ids)]
        self.store = SimStore(states, Random(seed + 3), faults)
        self.exchange = Exchange(instruments, D(10**9))
        self.wire = Wire(self.exchange, self.dispatcher, Random(seed + 4), self.store)
        self.faults = self.wire.faults = faults
        self.alarms, self.violations, self.halts, self.guarded = [], [], [], {}
        self.book, self.gate = PriceBook(), TradingGate()
        self.registry = Registry(
            accounts={}, quarantined={}, actors={}, gate=self.gate, groups=GROUPS,
            alarm=self.alarms.append, halt=self.halts.append, start_guard=self.start_guard,
            specs=tuple(
                ChildSpec(name=n, start=lambda: None, policy=RestartPolicy(max_restarts=1000))
                for n in ("writer", "gateway", "router")
            ),
        )  # fmt: skip
        self.accounts, self.actors = self.registry.accounts, self.registry.actors
        self.context = AccountContext(self.book, instruments, self.gate, FIXED)
        self.context.alarm = self.alarms.append
        self._start(ids)
        self.update = 0
        if burn.is_on(seed):
            self.wire.burn = burn.Burn(seed, self)
            self.context.feed = self.wire.burn.feed

    def _start(self, ids):
        d, actors = self.dispatcher, self.actors
        d.on_crash = self.on_crash
        d.on_dead_letter = self.unread
        actors["supervisor"] = Supervisor.start("supervisor", d, self.registry)
        actors["writer"] = Writer.start("writer", d, self.store, self.accounts, self.gate, deque(), actors)
        actors["gateway"] = Gateway.start(
            "gateway",
            d,
            self.wire,
            self.accounts,
            self.gate,
            Fleets(FIXED),
            OrderBudget.of(self.wire.rules),
            self.alarms.append,
        )
        actors["router"] = SymbolRouter.start("router", d, self.book, self.accounts, DayRule())
        for name in ("writer", "gateway", "router"):
            setattr(self.context, name, actors[name])
        actors["gateway"].tell(Recover(self.store.recovery()))
        for i in ids:
            self.accounts[i] = AccountActor.start(i, d, i, self.context)
        d.after_turn = self.check_turn
        d.run_until_quiet()

    def start_guard(self, id_):
        return AccountActor.start(guard_name(id_), self.dispatcher, id_, self.context, guard=True, held=True)

    def unread(self, cell, letter, why):
        if lane_of(letter[0]) in {Lane.FILLS, Lane.COMMANDS}:
            self.actors["writer"].tell(unread_letter(cell.name, letter[0], why, 0))

    # -- what happens

    def second(self):
        """A second of market: ticks, orders, and faults if they are on."""
        for step in range(10):
            self.ticks()
            if self.random.random() < 0.7:
                people.trade(self)
            if self.random.random() < 0.15:
                people.close(self)
            if self.random.random() < 0.05:
                people.settle_funding(self)
            if self.random.random() < 0.1:
                people.set_something(self)
            if self.faults and self.random.random() < 0.05:
                self.random.choice(list(self.accounts.values())).tell(FaultOnPurpose("sim"))
            if self.faults and self.random.random() < 0.005:
                self.crash_a_core_actor()
            if self.faults and self.random.random() < 0.03:
                people.operate(self)
            self.dispatcher.run_until(Nanos(self.clock.monotonic_ns() + 100 * MS))
            if step == 9 and self.faults and self.random.random() < 0.3:
                self.actors["gateway"].tell(UserStreamConnected())

    def ticks(self):
        """Each symbol moves once."""
        for symbol in SYMBOLS:
            self.tick(symbol)
        if self.wire.burn is not None:
            self.wire.burn.tick()

    def tick(self, symbol):
        quote = self.generator.next(symbol)
        self.wire.quote(quote)
        self.update += 1
        self.actors["router"].tell(
            Tick(
                symbol, quote.bid, quote.bid_qty, quote.ask, quote.ask_qty, self.update, self.clock.wall_ms(),
                Nanos(self.clock.monotonic_ns()), (float(quote.bid) + float(quote.ask)) * 0.5,
            )
        )  # fmt: skip

    def crash_a_core_actor(self):
        name = self.random.choice(["gateway", "router"])
        self.actors[name].tell("no such message")

    def calm(self, seconds=60):
        """Faults off, and time to settle; quarantined accounts are released by the operator."""
        self.faults = self.wire.faults = self.store.faults = False
        for _ in range(seconds):
            for name in list(self.registry.quarantined):
                self.actors["supervisor"].tell(RestartNow(name, by_operator=True))
            self.ticks()
            self.dispatcher.run_until(Nanos(self.clock.monotonic_ns() + 1_000 * MS))
        for ref in self.accounts.values():
            ref.tell(Reconsider("operator"))
        self.dispatcher.run_until(Nanos(self.clock.monotonic_ns() + 10_000 * MS))

    # -- what must hold

    def on_crash(self, cell, report, error):
        if isinstance(error, Violation):
            self.violations.append(error)
        self.actors["supervisor"].tell(Crashed(cell, report, error))

    def check_turn(self, cell):
        assert not self.violations, self.violations
        assert cell.mailbox.counters().is_conserved, cell.name
        state = cell.actor.inspect_state()
        if isinstance(state, AccountState):
            assert books_balance(state), state
            if is_guard(cell.name):
                self.check_guard(cell, state)

    def check_guard(self, cell, state):
        """A guard opens nothing: but for stops, of the account's own orders there are only those that it found."""
        own = {
            o.client_order_id for o in state.orders if o.purpose is Purpose.USER and o.intent.margin_reserved
        }
        found = self.guarded.setdefault((cell, cell.restarts), own)
        assert own <= found, "a guard took new risk"

    def check_quiet(self):
        gateway = self.actors["gateway"].cell.actor.inspect_state()
        assert (gateway.tracked, gateway.queued) == (0, 0), gateway
        for account_id, ref in self.accounts.items():
            cell = ref.cell
            assert cell.status is Status.RUNNING, (cell.name, cell.status)
            assert cell.mailbox.depth() == 0
            assert replace(cell.actor.state, retry_at_ns=0) == replace(
                self.store.durable[account_id], retry_at_ns=0
            )
            state = cell.actor.state
            assert not state.orders
            assert not state.risk.closing_out
            assert state.positions or state.balance >= 0, "a loss beyond the balance is bad debt"
            assert state.positions or state.phase in {Phase.HEALTHY, Phase.LIQUIDATED}
            assert state.positions or not any(c.placed.reduce_only for c in state.conditionals)
        for symbol in SYMBOLS:
            virtual = sum(
                (p.quantity for s in self.store.durable.values() for p in s.positions if p.symbol == symbol),
                D(0),
            )
            assert virtual + self.house(symbol) == self.exchange.positions[symbol].amount, symbol
        booked = {(symbol, t.id) for symbol in SYMBOLS for t in self.exchange.trades[symbol]}
        assert booked == set(self.store.trades), "a trade of the exchange is not booked, or one is invented"
        if self.wire.burn is not None:
            self.wire.burn.check_quiet(self.store)

    def house(self, symbol):
        """What the house took over from accounts."""
        return sum((f.quantity for _, f in self.store.taken if f.symbol == symbol), D(0))

    def history(self):
        """All orders that were ever intended, in order."""
        return [
            (f.account_id, f.sequence, f.symbol, f.side, f.quantity, f.purpose, f.tier, f.decided_ms)
            for f in self.store.intents.values()
        ]
