"""The whole engine as one process: in which order its parts start and stop, and what api and command line use of it.

store -> writer -> projector -> gateway -> router -> clearing -> accounts -> feed        (the api once the accounts are there)

What is wired is in ``build.py``, where accounts come from in ``accounts.py``, what an earlier run left in
``recovery.py`` (orders) and ``operator_resumption.py`` (what people asked for).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import replace

from actors.assembly import accounts as account_starts
from actors.assembly import journal_ends, lost_orders, operator_resumption, recovery
from actors.assembly.build import Assembly, Runtime, Settings, build
from actors.assembly.config import EngineConfig
from actors.assembly.fleet import (
    clearing_states_of,
    exposure_of,
    reconsider_holders,
    states_of,
    states_of_all,
    symbols_in_use,
)
from actors.assembly.journal_ends import JournalEnds
from actors.assembly.platform_watch import PlatformStats, PlatformWatch
from actors.assembly.reconciliation import BOOKS_KEPT_S, Difference, Positions, reconcile
from actors.assembly.redis_link import RedisLink
from actors.assembly.shared_answer import SharedAnswer
from actors.assembly.store_questions import StoreQuestions
from actors.clearing.state import ClearingState
from actors.core.alarm_level import Critical
from actors.core.clearing_messages import is_clearing
from actors.core.errors import NotRecorded
from actors.core.order_ids import Origin
from actors.core.records import NewAccount
from actors.core.safe_copy import pairs
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, AccountId, Nanos, Symbol
from actors.feed.actor import Listed
from actors.gateway.fleets import Fleets
from actors.persistence.audit.trail import AuditTrail
from actors.persistence.caretaker import Caretaker
from actors.persistence.connection import owner_of
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.journal import end_of
from actors.persistence.messages import AskStore
from actors.persistence.open_books import Books
from actors.persistence.platform_changes import count_not_adopted
from actors.persistence.projection.store import Projection
from actors.persistence.queries import CreateAccounts, FindRecovery, Query
from actors.persistence.reader import Reader
from actors.persistence.store import Store
from actors.persistence.tail import JournalTail
from actors.persistence.verify import fleet_of
from actors.runtime.actor import Ref
from actors.runtime.cell import Status
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.gc_control import GcControl
from actors.runtime.io_loop import IoLoop
from actors.subaccount.actor import AccountContext
from actors.supervision.alarms import Alarms
from actors.supervision.gate import TradingGate
from actors.supervision.journal_roots import JournalRoot
from actors.supervision.operator_log import OperatorLog, read_roots
from actors.supervision.registry import Registry
from actors.supervision.watchdog import Watchdog, WatchdogPolicy
from actors.symbol_router.book import PriceBook
from actors.venues.port import FleetExposure, RulesChanged
from actors.venues.registry import open_venue

log = structlog.get_logger("engine")

STOP_SECONDS = 10.0
HALTED_SECONDS = 0.5
"""How long the stop waits for a part whose failure has halted the engine."""

REDIS_SECONDS = 2.0
"""How long the last of what happened may take to be published."""

DRAIN_SECONDS = 2.0
"""How long orders on their way may take to be answered while the engine stops."""

AUDIT_STOP_SECONDS = 2.0
"""How long the audit may take to write what is left; what the journal has of it is written at the next start else."""

BEFORE_ACCOUNTS = ("writer", "projector", "gateway", "router")
AFTER_ACCOUNTS = ("feed",)
"""Prices begin when there are accounts to wake."""


class Engine:
    """One running engine.

    Args:
        config: all settings.
        on_progress: informed of what takes seconds.

    Raises:
        BadConfig: no such venue, or an address of the exchange that cannot be one, or must be given.
    """

    # There once the store is open and the venue's rules are read.
    assembly: Assembly
    registry: Registry
    accounts: dict[AccountId, Ref]
    quarantined: dict[AccountId, Ref]
    actors: dict[str, Ref]
    book: PriceBook
    context: AccountContext
    fleets: Fleets
    reader: Reader
    tail: JournalTail
    questions: StoreQuestions

    def __init__(self, config: EngineConfig, on_progress: Callable[[str], None] = lambda _text: None) -> None:
        self.config = config
        self.progress = on_progress
        self.started_ns = time.monotonic_ns()
        self.clock = SystemClock()
        folder = Path(config.data_dir)
        self.alarms = Alarms(self.clock, folder)
        self.alarm = self.alarms.tell
        self.operator_log = OperatorLog(self.clock, folder, self.alarms.tell, self.alarms.over)
        self.main = ThreadedDispatcher("main", self.clock)
        self.audit: AuditTrail | None = None
        if config.audit == "on":
            self.audit = AuditTrail(
                folder,
                self.clock,
                self.alarms.tell,
                self.alarms.over,
                config.audit_days,
                self.main.is_crowded,
            )
            self.alarms.told = self.audit.alarmed
        self.gate = TradingGate()
        self.halted = threading.Event()
        self.halt_reason = ""
        self.base_limits = replace(
            config.risk.limits, price_max_age_ns=Nanos(config.price_max_age_ms * NANOS_PER_MS)
        )
        self.io = ThreadedDispatcher("writer", self.clock)
        self.projecting = ThreadedDispatcher("projector", self.clock)
        self.loop = IoLoop("exchange")
        self.venue = open_venue(config.venue, config, self.alarm, self._exposure)
        self._books = SharedAnswer(self._read_books, BOOKS_KEPT_S)
        self._embedded: EmbeddedPostgres | None = None
        self._store: Store | None = None
        self._dsn = ""
        self._ends: JournalEnds | None = None
        self.platform_watch: PlatformWatch | None = None
        self.platform_stats = PlatformStats()
        self._clearings: dict[Symbol, ClearingState] = {}
        self._roots: Sequence[JournalRoot] = ()
        self._is_assembled = False
        self.has_accounts = False
        """Whether the accounts are there, each with its actor."""
        self.gc_control = GcControl()
        self.caretaker = Caretaker(self.alarm)
        self.redis = RedisLink.of(config, self.clock, self.alarms)
        stuck_ns = Nanos(config.stuck_halt_seconds * NANOS_PER_SECOND)
        self.watchdog = Watchdog(
            # Not the projector's, whose turns are long when it catches up: it watches how far it is behind.
            (self.main, self.io),
            self.gate,
            self.alarm,
            self._on_halt,
            WatchdogPolicy(halt_ns=stuck_ns),
        )

    # -- start and stop

    def start(
        self, on_accounts: Callable[[], None] = lambda: None, on_begin: Callable[[], None] = lambda: None
    ) -> None:
        """Start everything, recover, and open for trading.

        Args:
            on_accounts: called when every account is there, before the orders of an earlier run are queried at
                the exchange: from then on people may look, and stop what must be stopped.
            on_begin: called when the gate is closed and nothing else has happened: no account can be looked at yet.

        Raises:
            BulkheadError: what is missing, and the cure; nothing is left running.
        """
        try:
            self._start(on_accounts, on_begin)
        except BaseException:
            self.stop()
            raise

    def _start(self, on_accounts: Callable[[], None], on_begin: Callable[[], None]) -> None:
        self.gate.close("start")
        self.alarms.start()
        self.redis.start()
        on_begin()
        self.gc_control.start()
        store, origin = self._open_store()
        self.caretaker.start(self._embedded)
        self.venue.begin(partial(symbols_in_use, store), self.progress)
        for dispatcher in self.dispatchers():
            dispatcher.start()
        self.watchdog.start()
        self.loop.start()
        assembly = self._assemble(store, origin)
        clearings = self._clearings = store.clearing_states()
        assembly.supervise()
        assembly.start(*BEFORE_ACCOUNTS)
        assembly.start_clearing(self.venue.instruments, clearings, store.unreadable_clearings)
        end = store.root
        with self.gc_control.held():
            restored = account_starts.restore(assembly, self.questions, self.progress)
        self._book_lost_orders(None)
        assembly.start(*AFTER_ACCOUNTS)
        operator_resumption.resume(assembly, self.operator_log)
        fleet = origin.fleet
        self._ends = JournalEnds(self.operator_log, self.clock, fleet, lambda: store.root, self.progress)
        self._ends.start([*restored, *clearings.values()], end)
        del restored
        self.has_accounts = True
        self.redis.attach(assembly, self.tail, fleet)
        on_accounts()
        left = self.questions.ask(FindRecovery())
        last_look = partial(self._book_lost_orders, self.operator_log)
        recovery.recover(assembly, left, self.reconcile, self.progress, last_look)
        recovery.wait_for_prices(assembly)
        self.venue.watch(self._apply_rules)
        self._watch_platform()
        self.gate.open("start")

    def stop(self) -> None:
        """Stop everything in reverse, under one deadline; what fails to stop keeps no other part from it."""
        deadline = time.monotonic() + STOP_SECONDS

        def left() -> float:
            return max(0.1, deadline - time.monotonic())

        self.gate.close("stop")
        writer = self.actors.get("writer") if self._is_assembled else None
        steps: tuple[Callable[[], object], ...] = (
            *([self.platform_watch.stop] if self.platform_watch is not None else []),
            self.venue.stop,
            lambda: self._stop_children(*AFTER_ACCOUNTS, seconds=left()),
            lambda: self._drain(min(DRAIN_SECONDS, left())),
            # The network first: what it would still tell is asked for again at the next start.
            lambda: self.loop.stop(left()),
            self._stop_accounts,
            lambda: self._stop_clearing(left()),
            lambda: self._stop_children("gateway", "router", seconds=left()),
            lambda: self._stop_children("writer", seconds=left()),
            # Behind the writer, so that all that was written is projected when the engine has ended.
            lambda: self._stop_children("projector", seconds=left()),
            lambda: self.redis.stop(min(REDIS_SECONDS, left())),
            self.watchdog.stop,
            self.caretaker.stop,
            self.gc_control.stop,
            lambda: self._stop_dispatchers(left),
            lambda: self._stop_ends(writer, left()),
            lambda: self._stop_audit(min(AUDIT_STOP_SECONDS, left())),
            lambda: self._close_store(max(1.0, left())),
            *([self._embedded.stop] if self._embedded is not None else []),
            self.operator_log.stop,
            self.alarms.stop,
        )
        for step in steps:
            try:
                step()
            except Exception:
                log.exception("a part of the engine did not stop as it should")

    def _stop_children(self, *names: str, seconds: float) -> None:
        if not self._is_assembled:
            return
        if self.halted.is_set() and any(_has_crashed(self.actors.get(name)) for name in names):
            # Nobody restarts it, so it answers no more.
            seconds = min(seconds, HALTED_SECONDS)
        self.assembly.stop(*names, timeout_s=seconds)

    def _stop_clearing(self, seconds: float) -> None:
        if not self._is_assembled:
            return
        refs = {name: ref for name, ref in pairs(self.actors) if is_clearing(name)}
        self.assembly.stop_clearing(seconds)
        # Those that have stopped are found by name no more, and their states move no more.
        found = clearing_states_of(refs, self._clearings)
        self._clearings = {state.symbol: state for state in found}

    def _stop_accounts(self) -> None:
        if self._is_assembled:
            for ref in [*list(self.accounts.values()), *list(self.quarantined.values())]:
                self.main.stop_cell(ref.cell)

    def _stop_ends(self, writer: Ref | None, seconds: float) -> None:
        """Say what was stopped; the writer has ended, and the accounts' states move no more."""
        if self._ends is not None and writer is not None:
            waiting = writer.cell.actor.inspect_state().waiting
            states = states_of_all(self.accounts, self.quarantined)
            self._ends.stop([*states, *self._clearings.values()], waiting, seconds)

    def _stop_audit(self, seconds: float) -> None:
        if self.audit is not None:
            self.audit.stop(seconds)

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
        """Give orders that are on their way some time to be answered."""
        gateway = self.actors.get("gateway") if self._is_assembled else None
        deadline = time.monotonic() + seconds
        while gateway is not None and time.monotonic() < deadline:
            status = gateway.cell.actor.inspect_state()
            if not status.in_flight and not status.unknown and not gateway.cell.mailbox.depth():
                return
            time.sleep(0.02)

    # -- what the parts are made of

    def _open_store(self) -> tuple[Store, Origin]:
        dsn = self.config.dsn
        if not dsn:
            self._embedded = EmbeddedPostgres(Path(self.config.data_dir), self.progress)
            dsn = self._embedded.start()
        self.progress("opening the database")
        self._dsn = dsn
        store = self._store = Store.open(dsn, self.base_limits)
        if doubt := store.check_durability():
            self.alarm(Critical(doubt))
        self.reader = Reader(dsn)
        self._check_end()
        store.acquire(owner_of(Path(self.config.data_dir)), self.config.lease_seconds)
        return store, store.with_operator_records(lambda records: records.begin("bulkhead run"))

    def _check_end(self) -> None:
        """Whether the journal has what this machine knows that it had.

        Raises:
            ForeignDatabase: it has not; names both, and the cure.
        """
        try:
            roots = read_roots(Path(self.config.data_dir))
        except NotRecorded as error:
            self.alarm(Critical(f"whether the journal is whole cannot be said: {error}"))
        else:
            self.reader.ask(lambda connection: journal_ends.compare(connection, roots))
            ends = self.reader.ask(lambda connection: (fleet_of(connection), end_of(connection)))
            self._roots = [
                *roots,
                *lost_orders.first_roots(Path(self.config.data_dir), self.clock, roots, *ends),
            ]

    def _book_lost_orders(self, operator_log: OperatorLog | None) -> None:
        store = self._store
        if store is not None:
            ends = lost_orders.KnownEnds(self._roots, operator_log, lambda: store.root)
            lost_orders.book_after_restore(self.assembly, self.venue, self.reader, ends, self.progress)

    def _assemble(self, store: Store, origin: Origin) -> Assembly:
        config = self.config
        settings = Settings(
            origin=origin,
            price_max_age_ns=self.base_limits.price_max_age_ns,
            day_rule=config.risk.day_rule,
            clearing=config.clearing == "on",
            split_at_depth=config.block_split_at_depth,
            faults_allowed=config.faults_allowed,
            recorded_decisions=config.recorded_decisions,
            first_checkpoint=self.clock.wall_ms() * 1_000,
        )
        runtime = Runtime(
            main=self.main,
            io=self.io,
            projecting=self.projecting,
            gate=self.gate,
            alarm=self.alarm,
            alarm_of_account=self.alarms.of_account,
            alarm_by_key=self.alarms.tell,
            alarm_over=self.alarms.over,
            halt=self._on_halt,
        )
        # Before the writer commits anything: it is told of all from here on.
        self.tail = JournalTail(self.reader, store.root[1])
        assembly = self.assembly = build(
            settings,
            runtime,
            store,
            self.venue.connect(self.loop),
            projection=Projection(self._dsn, store.epoch, daily_days=config.daily_snapshots_days),
            tail=self.tail,
        )
        self.registry, self.book, self.context = assembly.registry, assembly.book, assembly.context
        self.accounts, self.quarantined = assembly.accounts, assembly.quarantined
        self.actors, self.fleets = assembly.actors, assembly.fleets
        self.questions = StoreQuestions(self.actors, self.clock)
        self._is_assembled = True
        if self.audit is not None:
            self.context.rejected = self.audit.rejected
            self.audit.start(self.tail, self.reader, origin.fleet)
        return assembly

    def _watch_platform(self) -> None:
        """Say which accounts of the platform's are not run here, and begin to notice what it changes of those that are."""
        count = self.reader.ask(count_not_adopted)
        if count:
            self.progress(
                f"{count:,} accounts of the platform are not run here; see 'bulkhead db adopt --dry-run'"
            )
        alarms, stats = self.alarms, self.platform_stats
        watch = PlatformWatch(self.reader, self.accounts, self.base_limits, alarms.tell, alarms.over, stats)
        self.platform_watch = watch
        watch.start()

    def _apply_rules(self, rules: RulesChanged) -> None:
        """The exchange's rules are other ones now; each decision from here on sees all of them."""
        self.context.instruments = rules.instruments
        self.assembly.start_clearing(rules.instruments)
        self.actors["feed"].tell(Listed(tuple(self.venue.watched)))
        reconsider_holders(self.accounts, rules.changed)

    def _exposure(self) -> FleetExposure:
        return exposure_of(states_of(self.accounts), self.book.ticks)

    def _read_books(self) -> tuple[Books, Positions]:
        return self.reader.books(), self.venue.positions()

    def _on_halt(self, reason: str) -> None:
        """Nothing may be sent or risked any more; whoever runs the engine stops it."""
        # First what stops: reporting it may fail or take long.
        self.gate.halt()
        if not self.halted.is_set():
            self.halt_reason = reason
            self.halted.set()
            log.critical("the engine halts", reason=reason)

    # -- what the api and the command line use

    def find(self, name: str) -> Ref | None:
        """The actor of a name: an account, also in quarantine, or one of the engine's own."""
        return self.registry.find(name)

    def dispatchers(self) -> tuple[ThreadedDispatcher, ...]:
        """All dispatchers."""
        return (self.main, self.io, self.projecting)

    def question(self, query: Query[Any]) -> AskStore:
        """See ``StoreQuestions.question``."""
        return self.questions.question(query)

    def store_silent_s(self) -> float:
        """See ``StoreQuestions.silent_s``."""
        return self.questions.silent_s()

    def creation(self, accounts: Sequence[NewAccount]) -> CreateAccounts:
        """See ``actors.assembly.accounts.creation``."""
        return account_starts.creation(self.assembly, accounts, self.clock.wall_ms())

    def cancel_at_once(self, account_id: AccountId, *, all_own: bool = False) -> int:
        """See ``actors.assembly.recovery.cancel_at_once``."""
        return recovery.cancel_at_once(self.assembly, account_id, all_own=all_own)

    def reconcile(self, settle_seconds: float = 0.0) -> list[Difference]:
        """Compare the books with the exchange; see ``actors.assembly.reconciliation``."""
        return reconcile(self._books.get, self.context.instruments, settle_seconds)


def _has_crashed(ref: Ref | None) -> bool:
    """Whether an actor has failed, and handles nothing until it is restarted."""
    return ref is not None and ref.cell.status is Status.CRASHED
