"""The whole engine: what is built, in which order it starts, and how it stops.

store -> writer -> gateway -> router -> accounts -> feed        (the api starts after it)
"""

from __future__ import annotations

import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import structlog

from actors.config import EngineConfig
from actors.errors import BadInput, BulkheadError, StoreUnreachable
from actors.feed.actor import Feed
from actors.feed.transport import BinanceFeed
from actors.gateway.actor import Gateway
from actors.gateway.messages import Recover
from actors.gateway.transport import BinanceTransport, Venue, discover, master_positions
from actors.persistence.actor import Waiting, Writer
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.messages import AskStore, NewAccount
from actors.persistence.store import Store
from actors.runtime.actor import Ref
from actors.runtime.cell import Cell, CrashReport
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import Dispatcher, ThreadedDispatcher
from actors.runtime.gate import TradingGate
from actors.runtime.io_loop import IoLoop
from actors.subaccount.actor import AccountActor, Services
from actors.subaccount.state import AccountState
from actors.symbol_router.actor import SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.units import NANOS_PER_MS, ZERO, AccountId, Nanos, Symbol
from supervisor import ChildSpec, Crashed, Supervisor, start_in_order, stop_in_reverse

log = structlog.get_logger("engine")

ALARMS_KEPT = 500
RECOVERY_SECONDS = 30.0
STOP_SECONDS = 10.0
ASK_SECONDS = 10.0


class AlarmEntry(msgspec.Struct, frozen=True):
    """One alarm; Unix milliseconds."""

    at_ms: int
    text: str


class Difference(msgspec.Struct, frozen=True):
    """One symbol of a reconciliation: virtual + house should equal master."""

    symbol: Symbol
    virtual: Decimal
    house: Decimal
    master: Decimal

    @property
    def difference(self) -> Decimal:
        """Master - virtual - house; zero when the books agree."""
        return self.master - self.virtual - self.house


class Engine:
    """One running engine.

    Args:
        config: all settings.
        on_progress: told what takes seconds.
    """

    def __init__(self, config: EngineConfig, on_progress: Callable[[str], None] = lambda _text: None) -> None:
        self.config = config
        self.progress = on_progress
        self.started_ns = time.monotonic_ns()
        self.alarms: deque[AlarmEntry] = deque(maxlen=ALARMS_KEPT)
        self.alarm_count = 0
        self.accounts: dict[AccountId, Ref] = {}
        self.actors: dict[str, Ref] = {}
        self.gate = TradingGate()
        self.book = PriceBook()
        self.clock = SystemClock()
        self.main = ThreadedDispatcher("main", self.clock)
        self.io = ThreadedDispatcher("writer", self.clock)
        self.control = ThreadedDispatcher("control", self.clock)
        self.loop = IoLoop("exchange")
        self.services: Services
        self.venue: Venue
        self.feed_source: BinanceFeed
        self._embedded: EmbeddedPostgres | None = None
        self._store: Store | None = None
        self._waiting: deque[Waiting] = deque()
        self._specs: tuple[ChildSpec, ...] = ()

    # -- life

    def start(self) -> None:
        """Start everything, recover, and open for trading.

        Raises:
            BulkheadError: what is missing, and the cure; nothing is left running.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        config = self.config
        self.gate.close("start")
        self._store = self._open_store()
        self.progress(f"reading the exchange's rules from {config.exchange}")
        self.venue = discover(config.exchange, config.symbols)
        self.services = Services(self.book, self.venue.instruments, self.gate)
        self.services.faults_allowed = config.faults_allowed
        for dispatcher in (self.main, self.io, self.control):
            dispatcher.on_crash = self._on_crash
            dispatcher.start()
        self.loop.start()
        self._specs = self._children(self._store)
        policies = {spec.name: spec.policy for spec in self._specs}
        self.actors["supervisor"] = Supervisor.start(
            "supervisor", self.control, self.accounts, self.actors, policies, self.gate, self.alarm
        )
        start_in_order(self._specs[:3], self.actors)
        self.services.writer = self.actors["writer"]
        self.services.gateway = self.actors["gateway"]
        self.services.router = self.actors["router"]
        self._start_accounts()
        start_in_order(self._specs[3:], self.actors)
        self._recover()
        self.gate.open("start")

    def stop(self) -> None:
        """Stop everything in reverse, under one deadline."""
        deadline = time.monotonic() + STOP_SECONDS

        def left() -> float:
            return max(0.1, deadline - time.monotonic())

        self.gate.close("stop")
        stop_in_reverse(self._specs[3:], self.actors, left())
        self._drain(min(2.0, left()))
        # The network first: what it would still tell is asked for again at the next start.
        self.loop.stop(left())
        stop_in_reverse(self._specs[1:3], self.actors, left())
        for ref in list(self.accounts.values()):
            self.main.stop_cell(ref.cell)
        stop_in_reverse(self._specs[:1], self.actors, left())
        for dispatcher in (self.main, self.io, self.control):
            if not dispatcher.stop(left()):
                log.error("dispatcher did not stop", name=dispatcher.name)
        if self._store is not None:
            self._store.close()
        if self._embedded is not None:
            self._embedded.stop()

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
        store = Store.open(dsn, Nanos(self.config.price_max_age_ms * NANOS_PER_MS))
        store.acquire(self._owner(), self.config.lease_seconds)
        return store

    def _owner(self) -> str:
        """Who we are to the database: the same after a crash, so that our own lease is no wait."""
        path = Path(self.config.data_dir) / "owner"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}")
        return path.read_text().strip()

    def _children(self, store: Store) -> tuple[ChildSpec, ...]:
        config, venue = self.config, self.venue
        transport = BinanceTransport(
            config.exchange, config.websocket_base, config.api_key, config.api_secret, venue, self.loop
        )
        self.feed_source = BinanceFeed(
            config.exchange, config.websocket_base, list(venue.instruments), self.loop
        )
        max_age = Nanos(config.price_max_age_ms * NANOS_PER_MS)
        return (
            ChildSpec(
                name="writer",
                start=lambda: Writer.start(
                    "writer", self.io, store, self.accounts, self.gate, self._waiting, self.actors
                ),
            ),
            ChildSpec(
                name="gateway",
                start=lambda: Gateway.start(
                    "gateway", self.main, transport, self.accounts, self.gate, self.alarm
                ),
            ),
            ChildSpec(
                name="router",
                start=lambda: SymbolRouter.start("router", self.main, self.book, self.accounts),
            ),
            ChildSpec(
                name="feed",
                start=lambda: Feed.start(
                    "feed",
                    self.main,
                    self.feed_source,
                    self.actors["router"],
                    self.book,
                    list(venue.instruments),
                    max_age,
                    self.alarm,
                ),
            ),
        )

    def _start_accounts(self) -> None:
        states = self.ask_store(lambda store: store.load(None))
        if states:
            self.progress(f"restoring {len(states):,} accounts")
        # Those with positions first: they are the ones that can lose money.
        states.sort(key=lambda s: (not s.positions, not s.orders, s.account_id))
        self._launch(states)

    def _launch(self, states: Sequence[AccountState]) -> None:
        for state in states:
            self.services.preloaded[state.account_id] = state
            self.accounts[state.account_id] = AccountActor.start(
                state.account_id, self.main, state.account_id, self.services
            )

    def _recover(self) -> None:
        """Resolve every order of an earlier life before anything new is risked."""
        recovery = self.ask_store(lambda store: store.recovery())
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
                "some orders of the last run are still of unknown fate; see 'bulkhead inspect gateway'"
            )
        for found in self.reconcile(settle_seconds=10.0):
            if found.difference != ZERO:
                self.alarm(
                    f"{found.symbol}: the master has {found.master}, the accounts {found.virtual} and the house "
                    f"{found.house}: {found.difference} belongs to nobody; no account was touched"
                )

    # -- what the api and the command line use

    def ask_store(self, call: Callable[[Store], Any]) -> Any:
        """Run ``call`` in the writer's thread.

        Raises:
            StoreUnreachable: no answer in time.
        """
        try:
            return self.actors["writer"].ask(AskStore(call), timeout=ASK_SECONDS)
        except BulkheadError:
            raise
        except Exception as error:
            if type(error).__name__ == "Timeout":
                raise StoreUnreachable("the writer does not answer; is Postgres away?") from None
            raise

    def create_accounts(self, accounts: Sequence[NewAccount]) -> int:
        """Create accounts and start their actors.

        Raises:
            BadInput: see ``Store.create_accounts``; or a name that the engine uses itself.
        """
        ids = [a.account_id for a in accounts]
        reserved = [i for i in ids if i in {"supervisor", "writer", "gateway", "router", "feed"}]
        if reserved:
            raise BadInput(f"{reserved[0]!r} is the name of an actor of the engine; choose another id")
        if len(set(ids)) != len(ids):
            raise BadInput("an account id comes twice in the list")
        wall_ms = self.clock.wall_ms()

        def create(store: Store) -> list[AccountState]:
            store.create_accounts(accounts, wall_ms)
            return store.load(ids)

        self._launch(self.ask_store(create))
        return len(ids)

    def reconcile(self, settle_seconds: float = 0.0) -> list[Difference]:
        """Compare the books with the exchange, per symbol; fills on their way get some time.

        Raises:
            ExchangeUnreachable, StoreUnreachable: nothing can be said.
        """
        deadline = time.monotonic() + settle_seconds
        while True:
            found = self._differences()
            if time.monotonic() >= deadline or all(d.difference == ZERO for d in found):
                return found
            time.sleep(0.2)

    def _differences(self) -> list[Difference]:
        config = self.config
        virtual, house = self.ask_store(lambda store: (store.virtual_totals(), store.house_positions()))
        master = master_positions(config.exchange, config.api_key, config.api_secret)
        symbols = sorted({*virtual, *house, *master, *self.venue.instruments})
        return [Difference(s, virtual.get(s, ZERO), house.get(s, ZERO), master.get(s, ZERO)) for s in symbols]

    def find(self, name: str) -> Ref | None:
        """The actor of a name: an account or one of the engine's own."""
        return self.accounts.get(AccountId(name)) or self.actors.get(name)

    def dispatchers(self) -> tuple[Dispatcher, ...]:
        """All dispatchers."""
        return (self.main, self.io, self.control)

    def alarm(self, text: str) -> None:
        """Keep and log an alarm."""
        self.alarm_count += 1
        self.alarms.append(AlarmEntry(self.clock.wall_ms(), text))
        log.warning("alarm", text=text)

    def _on_crash(self, cell: Cell, report: CrashReport, _error: BaseException) -> None:
        if cell.name == "supervisor":
            # Nobody watches the watcher: no new risk, and a human.
            self.gate.close("supervisor")
            self.alarm(f"the supervisor crashed: {report.error}; restart the engine")
            return
        self.actors["supervisor"].tell(Crashed(cell, report))
