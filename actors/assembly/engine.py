"""The whole engine: what is built, in which order it starts, and how it stops.

store -> writer -> gateway -> router -> accounts -> feed        (the api once the accounts are there)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pykka
import structlog
from msgspec.structs import replace

from actors.assembly.config import EngineConfig
from actors.assembly.reconciliation import BOOKS_KEPT_S, Difference, Positions, reconcile, told_of
from actors.assembly.shared_answer import SharedAnswer
from actors.core.enums import CloseOutScope, Purpose
from actors.core.errors import BadInput, BulkheadError, StoreUnreachable
from actors.core.facts import CancelIntended
from actors.core.instruments import Instrument
from actors.core.messages import Lane
from actors.core.names import ID_RULE, is_id, shown
from actors.core.order_messages import Recover, Submit
from actors.core.records import NewAccount, QuarantineRecord, RecordAudit
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId, Nanos, Symbol
from actors.core.urgency import Critical
from actors.feed.actor import Feed, Listed
from actors.gateway.actor import Gateway
from actors.gateway.budget import OrderBudget
from actors.gateway.fleets import Fleets
from actors.persistence.actor import Waiting, Writer, WriterStats
from actors.persistence.caretaker import Caretaker
from actors.persistence.connection import owner_of
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.messages import AskStore
from actors.persistence.queries import CreateAccounts, FindRecovery, LoadAll, OutOfService, Query
from actors.persistence.reader import Reader
from actors.persistence.store import Store
from actors.runtime.actor import Ref
from actors.runtime.cell import Cell, CrashReport
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.envelope import Envelope, lane_of
from actors.runtime.gc_control import GcControl
from actors.runtime.io_loop import IoLoop
from actors.runtime.replies import Countdown
from actors.subaccount.actor import AccountActor, AccountContext
from actors.subaccount.state import AccountState
from actors.supervision.alarms import Alarms
from actors.supervision.dead_letters import report_of, unread_letter
from actors.supervision.gate import TradingGate
from actors.supervision.lifecycle import start_in_order, stop_in_reverse
from actors.supervision.messages import Crashed, Quarantine, StillQuarantined
from actors.supervision.operator_log import EVERYBODY, QUARANTINE, Deeds
from actors.supervision.registry import ChildSpec, Registry, guard_name, is_guard
from actors.supervision.watchdog import Watchdog, WatchdogPolicy
from actors.symbol_router.actor import SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.venues.binance.addresses import addresses
from actors.venues.binance.discovery import VenueRules
from actors.venues.binance.market_data import BinanceFeed
from actors.venues.binance.side import ExchangeSide, symbols_in_use
from supervisor import GROUPS, Supervisor

A = TypeVar("A")

log = structlog.get_logger("engine")

RECOVERY_SECONDS = 30.0
PRICES_SECONDS = 3.0
"""A symbol without a market must not keep the others waiting for longer."""
STOP_SECONDS = 10.0
ASK_SECONDS = 10.0
EMERGENCY: str = CloseOutScope.FLEET.value
NOBODY: Mapping[AccountId, QuarantineRecord] = {}


class Engine:
    """One running engine.

    Args:
        config: all settings.
        on_progress: told what takes seconds.

    Raises:
        BadConfig: an address of the exchange that cannot be one, or must be given.
    """

    def __init__(self, config: EngineConfig, on_progress: Callable[[str], None] = lambda _text: None) -> None:
        self.config = config
        self.addresses = addresses(
            config.exchange, config.exchange_ws_public, config.exchange_ws_private, config.exchange_ws_orders
        )
        self.progress = on_progress
        self.started_ns = time.monotonic_ns()
        self.clock = SystemClock()
        folder = Path(config.data_dir)
        self.alarms = Alarms(self.clock, folder)
        self.alarm = self.alarms.tell
        self.deeds = Deeds(self.clock, folder, self.alarms.tell, self.alarms.over)
        self.registry = Registry(
            accounts={},
            quarantined={},
            actors={},
            specs=(),
            gate=TradingGate(),
            alarm=self.alarm,
            halt=self._on_halt,
            start_guard=self._start_guard,
            groups=GROUPS,
        )
        self.accounts, self.quarantined = self.registry.accounts, self.registry.quarantined
        self.actors, self.gate = self.registry.actors, self.registry.gate
        self.halted = threading.Event()
        self.halt_reason = ""
        self.book = PriceBook(first_checkpoint=self.clock.wall_ms() * 1_000)
        self.base_limits = replace(
            config.risk.limits, price_max_age_ns=Nanos(config.price_max_age_ms * NANOS_PER_MS)
        )
        self.main = ThreadedDispatcher("main", self.clock)
        self.io = ThreadedDispatcher("writer", self.clock)
        self.loop = IoLoop("exchange")
        self.context: AccountContext
        self.fleets: Fleets
        self.venue: VenueRules
        self.feed_source: BinanceFeed
        self.reader: Reader
        self.side = ExchangeSide(config, self.alarm, self.book, self.accounts)
        self._books = SharedAnswer(self._read_books, BOOKS_KEPT_S)
        self._embedded: EmbeddedPostgres | None = None
        self._store: Store | None = None
        self._waiting: deque[Waiting] = deque()
        self.gc_control = GcControl()
        self.caretaker = Caretaker(self.alarm)
        stuck_ns = Nanos(config.stuck_halt_seconds * NANOS_PER_SECOND)
        self.watchdog = Watchdog(
            self.dispatchers(), self.gate, self.alarm, self._on_halt, WatchdogPolicy(halt_ns=stuck_ns)
        )

    # -- life

    def start(self, on_accounts: Callable[[], None] = lambda: None) -> None:
        """Start everything, recover, and open for trading.

        Args:
            on_accounts: called when every account is there, before the exchange is asked after what an earlier run
                left: from then on people may look, and stop what must be stopped.

        Raises:
            BulkheadError: what is missing, and the cure; nothing is left running.
        """
        try:
            self._start(on_accounts)
        except BaseException:
            self.stop()
            raise

    def _start(self, on_accounts: Callable[[], None]) -> None:
        config = self.config
        self.gate.close("start")
        self.alarms.start()
        self.gc_control.start()
        self._store = self._open_store()
        self.caretaker.start(self._embedded)
        self.venue = self.side.begin(symbols_in_use(self._store), self.progress)
        self.context = AccountContext(self.book, self.venue.instruments, self.gate, self.fleets.origin)
        self.context.faults_allowed = config.faults_allowed
        self.context.alarm = self.alarms.of_account
        for dispatcher in self.dispatchers():
            dispatcher.on_crash = self._on_crash
            dispatcher.on_dead_letter = self._on_dead_letter
            dispatcher.start()
        self.watchdog.start()
        self.loop.start()
        specs = self.registry.specs = self._children(self._store)
        self.actors["supervisor"] = Supervisor.start("supervisor", self.main, self.registry)
        start_in_order(specs[:3], self.actors)
        self.context.writer = self.actors["writer"]
        self.context.gateway = self.actors["gateway"]
        self.context.router = self.actors["router"]
        with self.gc_control.held():
            self._restore()
        start_in_order(specs[3:], self.actors)
        self.context.feed = self.actors["feed"]
        self._go_on_with_deeds()
        on_accounts()
        self._recover()
        self._wait_for_prices()
        self.side.watch(self._apply_rules)
        self.gate.open("start")

    def stop(self) -> None:
        """Stop everything in reverse, under one deadline; what fails to stop keeps nobody else from it."""
        deadline = time.monotonic() + STOP_SECONDS
        specs = self.registry.specs

        def left() -> float:
            return max(0.1, deadline - time.monotonic())

        self.gate.close("stop")
        steps: tuple[Callable[[], object], ...] = (
            self.side.stop,
            lambda: stop_in_reverse(specs[3:], self.actors, left()),
            lambda: self._drain(min(2.0, left())),
            # The network first: what it would still tell is asked for again at the next start.
            lambda: self.loop.stop(left()),
            self._stop_accounts,
            lambda: stop_in_reverse(specs[1:3], self.actors, left()),
            lambda: stop_in_reverse(specs[:1], self.actors, left()),
            self.watchdog.stop,
            self.caretaker.stop,
            self.gc_control.stop,
            lambda: self._stop_dispatchers(left),
            lambda: self._close_store(max(1.0, left())),
            *([self._embedded.stop] if self._embedded is not None else []),
            self.deeds.stop,
            self.alarms.stop,
        )
        for step in steps:
            try:
                step()
            except Exception:
                log.exception("a part of the engine did not stop as it should")

    def _stop_accounts(self) -> None:
        for ref in [*list(self.accounts.values()), *list(self.quarantined.values())]:
            self.main.stop_cell(ref.cell)

    def _close_store(self, seconds: float) -> None:
        """Give the lease back; a Postgres that does not answer must not keep us, and the lease ends by itself."""
        store = self._store
        if store is None or not self.io.has_ended:
            return

        def close() -> None:
            store.close()
            self.reader.close()

        closing = threading.Thread(target=close, name="close-store", daemon=True)
        closing.start()
        closing.join(seconds)
        if closing.is_alive():
            log.error("the lease is not given back: Postgres does not answer")

    def _stop_dispatchers(self, left: Callable[[], float]) -> None:
        for dispatcher in self.dispatchers():
            if not dispatcher.stop(left()):
                log.error("dispatcher did not stop", name=dispatcher.name)

    def _drain(self, seconds: float) -> None:
        """Give orders that are on their way a moment to be answered."""
        gateway = self.actors.get("gateway")
        deadline = time.monotonic() + seconds
        while gateway is not None and time.monotonic() < deadline:
            status = gateway.cell.actor.inspect_state()
            if not status.in_flight and not status.unknown and not gateway.cell.mailbox.depth():
                return
            time.sleep(0.02)

    def _open_store(self) -> Store:
        dsn = self.config.dsn
        if not dsn:
            self._embedded = EmbeddedPostgres(Path(self.config.data_dir), self.progress)
            dsn = self._embedded.start()
        self.progress("opening the database")
        store = Store.open(dsn, self.base_limits)
        self.reader = Reader(dsn)
        store.acquire(owner_of(Path(self.config.data_dir)), self.config.lease_seconds)
        self.fleets = Fleets(store.with_operator_records(lambda records: records.begin("bulkhead run")))
        return store

    def _children(self, store: Store) -> tuple[ChildSpec, ...]:
        config, venue = self.config, self.venue
        transport, self.feed_source = self.side.connect(self.addresses, venue, self.loop)
        budget = OrderBudget.of(transport.rules)
        return (
            ChildSpec(
                name="writer",
                start=lambda: Writer.start(
                    "writer",
                    self.io,
                    store,
                    self.accounts,
                    self.gate,
                    self._waiting,
                    self.actors,
                    self.alarms.tell,
                    self.alarms.over,
                ),
            ),
            ChildSpec(
                name="gateway",
                start=lambda: Gateway.start(
                    "gateway", self.main, transport, self.accounts, self.gate, self.fleets, budget, self.alarm
                ),
            ),
            ChildSpec(
                name="router",
                group="market",
                start=lambda: SymbolRouter.start(
                    "router", self.main, self.book, self.accounts, config.risk.day_rule
                ),
            ),
            ChildSpec(
                name="feed",
                group="market",
                start=lambda: Feed.start(
                    "feed",
                    self.main,
                    self.feed_source,
                    self.actors["router"],
                    self.book,
                    self.venue.watched,
                    self.base_limits.price_max_age_ns,
                    self.alarm,
                    self.accounts,
                    venue.rate_symbols,
                ),
            ),
        )

    def _restore(self) -> None:
        states = self.ask_store(LoadAll())
        if states:
            self.progress(f"restoring {len(states):,} accounts")
        # Those with positions first: they are the ones that can lose money.
        states.sort(key=lambda s: (not s.positions, not s.orders, s.account_id))
        records, unreadable = self.ask_store(OutOfService())
        self._launch(states, {record.account_id: record for record in records})
        for id_ in [
            s.account_id for s in states if not is_id(s.account_id) and s.account_id not in self.quarantined
        ]:
            # It could trade, and nobody could reach it: a guard looks after what it has.
            why = f"{shown(id_)} cannot be an id, which must be {ID_RULE}; rename it in the database"
            self.actors["supervisor"].tell(Quarantine(id_, why))
        for id_, why in unreadable.items():
            self.accounts[id_] = AccountActor.start(id_, self.main, id_, self.context, held=True)
            self.actors["supervisor"].tell(Quarantine(id_, f"its rows cannot be read: {why}"))

    def _launch(
        self, states: Sequence[AccountState], quarantined: Mapping[AccountId, QuarantineRecord] = NOBODY
    ) -> None:
        for state in states:
            id_ = state.account_id
            record = quarantined.get(id_)
            if record is None:
                self.context.preloaded[id_] = state
            ref = AccountActor.start(id_, self.main, id_, self.context, held=record is not None)
            self.accounts[id_] = ref
            if record is not None:
                ref.cell.crashes = [report_of(record)]
                self.actors["supervisor"].tell(StillQuarantined(id_, record.reason))

    def _go_on_with_deeds(self) -> None:
        """Tell again what operators asked for and an earlier run did not make durable."""
        writer = self.actors["writer"]

        def to_audit(record: RecordAudit) -> None:
            with contextlib.suppress(pykka.ActorDeadError):
                writer.tell(record)

        left = self.deeds.start(to_audit)
        stop = self.deeds.stop_of_everybody()
        if stop is not None:
            self.gate.close(EMERGENCY)
            self.alarm(
                Critical(
                    f"the emergency stop of everybody is still on: {stop}; 'bulkhead emergency-stop --everybody --call-off'"
                )
            )
        for deed in left:
            self.alarm(
                f"told again after the restart: {deed.action} of {deed.target} by {deed.who}: {deed.detail}"
            )
            if deed.action == QUARANTINE:
                self.actors["supervisor"].tell(Quarantine(deed.target, deed.detail))
                continue
            try:
                message = deed.message()
            except BadInput as error:
                self.alarm(
                    Critical(f"{deed.action} of {deed.target} by {deed.who} cannot be told again: {error}")
                )
                message = None
            everybody = deed.target == EVERYBODY
            refs = list(self.accounts.values()) if everybody else [self.accounts.get(AccountId(deed.target))]
            replies = Countdown(len(refs), partial(self.deeds.settled, deed))
            for ref in refs:
                if ref is None or message is None:
                    replies.set(None)
                else:
                    ref.cell.dispatcher.post(ref.cell, message, replies)

    def _start_guard(self, id_: AccountId) -> Ref:
        return AccountActor.start(guard_name(id_), self.main, id_, self.context, guard=True, held=True)

    def _recover(self) -> None:
        """Resolve every order of an earlier run before anything new is risked."""
        recovery = self.ask_store(FindRecovery())
        if recovery.working:
            self.progress(f"asking the exchange after {len(recovery.working)} unfinished orders")
        gateway = self.actors["gateway"]
        gateway.tell(Recover(recovery))
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            if not gateway.cell.mailbox.depth() and not gateway.cell.actor.inspect_state().unknown:
                break
            time.sleep(0.05)
        else:
            self.alarm(
                Critical(
                    "some orders of the last run are still of unknown fate; see 'bulkhead inspect gateway'"
                )
            )
        for text in told_of(self.reconcile(settle_seconds=10.0)):
            self.alarm(text)

    def _wait_for_prices(self) -> None:
        """Open with a price of every symbol that has a market, so that nobody's first order meets none."""
        deadline = time.monotonic() + PRICES_SECONDS
        symbols = [s for s, i in self.venue.instruments.items() if i.is_trading]
        while time.monotonic() < deadline and any(s not in self.book.ticks for s in symbols):
            time.sleep(0.05)

    # -- what the api and the command line use

    def question(self, query: Query[Any]) -> AskStore:
        """The message for a query; what is not begun in time is not done: its asker has gone."""
        return AskStore(query, self.clock.monotonic_ns() + int((ASK_SECONDS - 1) * NANOS_PER_SECOND))

    def ask_store(self, query: Query[A]) -> A:
        """The writer's answer to a query.

        Raises:
            StoreUnreachable: no answer in time.
        """
        try:
            answer: Any = self.actors["writer"].ask(self.question(query), timeout=ASK_SECONDS)
        except BulkheadError:
            raise
        except Exception as error:
            if type(error).__name__ == "Timeout":
                raise StoreUnreachable("the writer does not answer; is Postgres away?") from None
            raise
        found: A = answer
        return found

    def store_silent_s(self) -> float:
        """For how many seconds Postgres has owed the writer an answer; infinite while it is away."""
        writer = self.actors.get("writer")
        stats = writer.cell.actor.inspect_state() if writer is not None else None
        if not isinstance(stats, WriterStats) or stats.is_down:
            return float("inf")
        since_ns = stats.asking_since_ns
        return (self.clock.monotonic_ns() - since_ns) / NANOS_PER_SECOND if since_ns else 0.0

    def cancel_at_once(self, account_id: AccountId, *, all_own: bool = False) -> int:
        """Have the gateway cancel what an account wants cancelled, before that is durable.

        A cancel only takes risk away, so it must not wait for Postgres. The gateway is told again when it is
        durable, which changes nothing then; an order that is not durable yet is not at the exchange.

        Args:
            account_id: whose orders.
            all_own: every order of the account's own, wanted or not, as in quarantine.

        Returns:
            How many.
        """
        ref, gateway = self.find(account_id), self.actors.get("gateway")
        state = ref.cell.actor.inspect_state() if ref is not None else None
        if not isinstance(state, AccountState) or gateway is None:
            return 0
        cancels = tuple(
            CancelIntended(account_id, o.client_order_id, o.symbol, "at once")
            for o in state.orders
            if o.cancel_requested or (all_own and o.purpose is Purpose.USER)
        )
        if cancels:
            gateway.tell(Submit((), cancels))
        return len(cancels)

    def creation(self, accounts: Sequence[NewAccount]) -> CreateAccounts:
        """What the writer is asked to create accounts and to start their actors.

        Raises:
            BadInput: an id that cannot be one, or that the engine uses itself; or twice in the list.
        """
        ids = [a.account_id for a in accounts]
        reserved = [i for i in ids if is_guard(i) or i in self.actors]
        if reserved:
            raise BadInput(f"{reserved[0]!r} is a name that the engine uses itself; choose another id")
        if len(set(ids)) != len(ids):
            raise BadInput("an account id comes twice in the list")

        def start(states: Sequence[AccountState]) -> None:
            self._launch([state for state in states if state.account_id not in self.accounts])

        return CreateAccounts(tuple(accounts), self.clock.wall_ms(), start)

    def reconcile(self, settle_seconds: float = 0.0) -> list[Difference]:
        """Compare the books with the exchange; see ``actors.assembly.reconciliation``."""
        return reconcile(self._books.get, self.context.instruments, settle_seconds)

    def _read_books(self) -> tuple[Positions, Positions, Positions]:
        return *self.reader.books(), self.side.positions()

    def _apply_rules(self, instruments: dict[Symbol, Instrument]) -> None:
        """The exchange's rules are other ones now; each decision from here on sees all of them."""
        self.context.instruments = instruments
        self.venue = replace(self.venue, instruments=instruments)
        self.actors["feed"].tell(Listed(tuple(self.venue.watched)))

    def find(self, name: str) -> Ref | None:
        """The actor of a name: an account, also in quarantine, or one of the engine's own."""
        return self.registry.find(name)

    def dispatchers(self) -> tuple[ThreadedDispatcher, ...]:
        """All dispatchers."""
        return (self.main, self.io)

    def _on_halt(self, reason: str) -> None:
        """Nobody may send or risk anything any more; whoever runs the engine stops it."""
        # First what stops: telling of it may fail or take long.
        self.gate.halt()
        if not self.halted.is_set():
            self.halt_reason = reason
            self.halted.set()
            log.critical("the engine halts", reason=reason)

    def _on_crash(self, cell: Cell, report: CrashReport, error: BaseException) -> None:
        if cell.name == "supervisor":
            # Nobody watches the watcher.
            self._on_halt(f"the supervisor crashed: {report.error}")
            self.alarm(Critical(f"the supervisor crashed: {report.error}"))
            return
        self.actors["supervisor"].tell(Crashed(cell, report, error))

    def _on_dead_letter(self, cell: Cell, letter: Envelope, why: str) -> None:
        """Keep what a stopped actor did not come to; prices come anew, and stops are no message."""
        writer = self.actors.get("writer")
        if writer is None or lane_of(letter[0]) in {Lane.MARKET, Lane.CONTROL} or not writer.is_alive():
            return
        with contextlib.suppress(pykka.ActorDeadError):
            writer.tell(unread_letter(cell.name, letter[0], why, self.clock.wall_ms()))
