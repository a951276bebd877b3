"""What the engine asks the exchange beside orders and prices: its rules, the master's settings and positions.

Rules are read again every few minutes, and at once when the exchange refuses an order for one of them. What
changed is applied to the running engine and told to humans; nobody is restarted for it.

I/O: asks the exchange from a thread of its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal

import msgspec
import pykka
import structlog
from msgspec.structs import replace

from actors.assembly.config import EngineConfig
from actors.core.enums import ReconsiderReason
from actors.core.errors import BulkheadError
from actors.core.instruments import Instrument
from actors.core.messages import Reconsider
from actors.core.units import NANOS_PER_MS, ZERO, AccountId, Nanos, Symbol
from actors.persistence.store import Store
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.subaccount.state import AccountState
from actors.symbol_router.book import PriceBook
from actors.venues.binance import rest
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.asking import Asker
from actors.venues.binance.discovery import VenueRules, discover, listed_with_brackets, master_positions
from actors.venues.binance.listing import changes, select, told_of
from actors.venues.binance.market_data import BinanceFeed, FeedTerms
from actors.venues.binance.master import MasterSettings, misfits, modes, notional_cap
from actors.venues.binance.orders import BinanceOrders
from actors.venues.binance.settling import read_master, settle_master
from actors.venues.binance.throttle import Throttle
from actors.venues.binance.weight import Urgency

log = structlog.get_logger("exchange")

DELISTED = "DELISTED"
"""Ours: the exchange does not list the symbol any more, and somebody still holds it."""

AT_ONCE_EVERY_S = 10.0
"""Refusals for a rule make us read the rules at once, but not more often than this."""


MASTER_EVERY_S = 60.0
"""The master's settings are read with the rules, but not more often than this."""


class Fleet(msgspec.Struct, frozen=True):
    """What all accounts hold together: net quantity by symbol held or ordered, and what limits allow them."""

    net: Mapping[Symbol, Decimal]
    allowed: Decimal


def fleet_of(states: Iterable[AccountState]) -> Fleet:
    """Add accounts up."""
    net: dict[Symbol, Decimal] = {}
    allowed = ZERO
    for state in states:
        limits = state.limits
        allowed += min(limits.max_total_exposure, limits.max_position_notional or limits.max_total_exposure)
        for position in state.positions:
            net[position.symbol] = net.get(position.symbol, ZERO) + position.quantity
        for order in state.orders:
            net.setdefault(order.symbol, ZERO)
    return Fleet(net, allowed)


def symbols_in_use(store: Store) -> set[Symbol]:
    """Symbols that somebody holds, or has an order in.

    Raises:
        StoreUnreachable: Postgres does not answer.
    """
    ordered = (known.intent.symbol for known in store.recovery().working)
    return {*store.virtual_totals(), *store.house_positions(), *ordered}


class SymbolView(msgspec.Struct, frozen=True):
    """One symbol on the master. Notionals in the quote asset; None where the exchange does not say."""

    symbol: Symbol
    status: str
    leverage: int | None
    margin_type: str | None
    notional_cap: Decimal | None
    held: Decimal


class MasterView(msgspec.Struct, frozen=True):
    """The master account as it is set; None is what the exchange does not tell."""

    position_mode: str
    margin_mode: str
    margin_asset: str
    can_trade: bool | None
    fee_tier: int | None
    bnb_burn: bool | None
    rules_read_s_ago: float
    symbols: list[SymbolView]


class ExchangeSide:
    """See the module.

    Args:
        config: settings.
        alarm: told what a human should know.
        book: prices.
        accounts: refs by account id; their guards', of those in quarantine.
    """

    def __init__(
        self,
        config: EngineConfig,
        alarm: Callable[[str], None],
        book: PriceBook,
        accounts: Mapping[AccountId, Ref],
    ) -> None:
        self._config, self._alarm, self._book, self._accounts = config, alarm, book, accounts
        self.throttle = Throttle()
        self.asker = Asker(config.exchange, config.api_key, config.api_secret, self.throttle)
        self.instruments: dict[Symbol, Instrument] = {}
        self.master: MasterSettings
        self._apply: Callable[[dict[Symbol, Instrument]], None]
        self._standing: dict[str, set[str]] = {}
        self._asks_for = Urgency.ORDERS  # until it runs: recovery must not wait behind people's share
        self._master_at_s = time.monotonic()
        self._read_at_s = time.monotonic()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)

    # -- start and stop

    def begin(self, held: Collection[Symbol], progress: Callable[[str], None]) -> VenueRules:
        """Read rules and settings, and set what configuration says.

        Raises:
            ExchangeUnreachable, VenueRefused, MalformedMessage, MasterUnfit: why trading cannot begin.
        """
        config = self._config
        progress(f"reading the exchange's rules from {config.exchange}")
        venue = discover(self.asker, config.symbols, held, config.margin_asset, config.fee_assets)
        self.throttle.set_limit(venue.weight_per_minute)
        self.instruments = venue.instruments
        self.master, notices = settle_master(
            self.asker, venue.instruments, config.leverage, may_set=config.set_master, on_progress=progress
        )
        self._tell("rules", venue.notices)
        self._tell("master", notices)
        return venue

    def connect(self, where: Addresses, venue: VenueRules, loop: IoLoop) -> tuple[BinanceOrders, BinanceFeed]:
        """The ways to the exchange for the gateway and for the feed, under one budget and one clock."""
        config = self._config
        orders = BinanceOrders(where, config.api_key, config.api_secret, venue, loop, self.throttle)
        orders.on_rule_broken = self._wake.set
        self.asker.now_ms = orders.now_ms
        terms = FeedTerms(
            throttle=self.throttle,
            exchange_ms=orders.now_ms,
            clock_uncertain_ms=lambda: venue.clock.error_ms,
            max_age_ns=Nanos(config.price_max_age_ms * NANOS_PER_MS),
            on_alarm=self._alarm,
            funding_every_s=config.funding_every_seconds,
        )
        return orders, BinanceFeed(where, venue.watched, loop, terms)

    def watch(self, apply: Callable[[dict[Symbol, Instrument]], None]) -> None:
        """Begin to read the rules again and again; ``apply`` gets them in a thread of ours."""
        self._apply = apply
        self._asks_for = Urgency.PEOPLE
        self.check_fleet()
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self.asker.close()

    # -- again and again

    def _watch(self) -> None:
        while not self._stop.is_set():
            asked_for = self._wake.wait(self._config.rules_every_seconds)
            left_s = self._read_at_s + AT_ONCE_EVERY_S - time.monotonic()
            if self._stop.wait(max(0.0, left_s) if asked_for else 0.0):
                return
            self._wake.clear()
            try:
                self.read_again()
            except BulkheadError as error:
                log.warning("rules not read", error=str(error))
            except Exception:
                # This thread must outlive whatever one answer holds.
                log.exception("rules not read")
                self._tell("trouble", ("the exchange's rules cannot be read; the log says why",))

    def read_again(self) -> None:
        """Read rules and brackets, and apply what changed.

        Raises:
            ExchangeUnreachable, VenueRefused: no usable answer.
        """
        config, fleet = self._config, fleet_of(self._states())
        self._read_at_s = time.monotonic()
        info = self.asker.get("/fapi/v1/exchangeInfo", rest.ExchangeInfo, Urgency.MARKET_DATA)
        for limit in info.rateLimits:
            if (limit.rateLimitType, limit.interval, limit.intervalNum) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self.throttle.set_limit(limit.limit)
        chosen = select(info.symbols, config.symbols, fleet.net, config.margin_asset, strict=False)
        told, notices = listed_with_brackets(self.asker, chosen.instruments, Urgency.MARKET_DATA)
        fresh = self._admitted(self._with_known_brackets(told))
        found = changes(self.instruments, fresh)
        for symbol in found.removed:
            if symbol in fleet.net:
                # Who holds it still needs its steps and brackets, to value it and to close what can be closed.
                fresh[symbol] = replace(self.instruments[symbol], status=DELISTED)
        if found:
            self.instruments = fresh
            self._apply(fresh)
            for state in self._states():
                if any(p.symbol in found.changed for p in state.positions):
                    # Its triggers follow from the brackets.
                    with contextlib.suppress(pykka.ActorDeadError):
                        self._accounts[state.account_id].tell(Reconsider(ReconsiderReason.RULES))
        alarms, plain = told_of(found, fleet.net)
        for text in alarms:
            self._alarm(text)
        self._tell("rules", (*chosen.notices, *notices))
        for text in plain:
            log.info("rules", text=text)
        self._read_master()
        self.check_fleet(fleet)

    def _with_known_brackets(self, told: dict[Symbol, Instrument]) -> dict[Symbol, Instrument]:
        """One answer without brackets takes none away: accounts that need them would be refused new risk."""
        known = self.instruments
        return {
            symbol: replace(found, brackets=known[symbol].brackets)
            if symbol in known and not found.brackets
            else found
            for symbol, found in told.items()
        }

    def _read_master(self) -> None:
        """Look whether somebody changed the master's settings; not each time, because it weighs much."""
        if time.monotonic() - self._master_at_s < MASTER_EVERY_S:
            return
        self._master_at_s = time.monotonic()
        self.master, notices = read_master(self.asker, Urgency.MARKET_DATA)
        wrong = [f"the master does not fit any more: {s.text}" for s in modes(self.master, self.instruments)]
        self._tell("master", (*notices, *wrong))

    def _admitted(self, fresh: dict[Symbol, Instrument]) -> dict[Symbol, Instrument]:
        """Without the new ones whose settings on the master do not fit and may not be changed."""
        new = {s: i for s, i in fresh.items() if s not in self.instruments and i.is_trading}
        if not new:
            return fresh
        try:
            leverage = {s: v for s, v in self._config.leverage.items() if s == "default" or s in new}
            self.master, notices = settle_master(
                self.asker, new, leverage, may_set=self._config.set_master, on_progress=lambda _text: None
            )
        except BulkheadError as error:
            self._tell("new", (f"new symbols are not traded yet: {error}",))
            return {s: i for s, i in fresh.items() if s not in new}
        self._tell("new", notices)
        return fresh

    def check_fleet(self, fleet: Fleet | None = None) -> None:
        """Raise an alarm where the fleet does not fit under what the master may hold."""
        found = fleet or fleet_of(self._states())
        caps, sizes = {}, {}
        for symbol, instrument in self.instruments.items():
            cap = self._cap(symbol, instrument)
            if cap is not None:
                caps[symbol] = cap
            sizes[symbol] = self._held(symbol, found)
        self._tell("fleet", misfits(caps, found.allowed, sizes), key=lambda text: text.partition(":")[0])

    # -- what people ask

    def view(self, limit: int) -> MasterView:
        """The master as it is set; the symbols that the fleet holds most of come first."""
        master, fleet = self.master, fleet_of(self._states())
        rows = []
        for symbol, instrument in self.instruments.items():
            config = master.symbols.get(symbol)
            rows.append(
                SymbolView(
                    symbol=symbol,
                    status=instrument.status,
                    leverage=None if config is None else config.leverage,
                    margin_type=None if config is None else config.marginType,
                    notional_cap=self._cap(symbol, instrument),
                    held=round(self._held(symbol, fleet), 2),
                )
            )
        rows.sort(key=lambda row: (-row.held, row.symbol))
        return MasterView(
            position_mode="hedge" if master.hedge_mode else "one-way",
            margin_mode="multi-assets" if master.multi_assets else "single-asset",
            margin_asset=self._config.margin_asset,
            can_trade=master.can_trade,
            fee_tier=master.fee_tier,
            bnb_burn=master.bnb_burn,
            rules_read_s_ago=round(time.monotonic() - self._read_at_s, 1),
            symbols=rows[:limit],
        )

    def positions(self) -> dict[Symbol, Decimal]:
        """The master's positions, for people; before the engine runs, for its recovery.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        return master_positions(self.asker, self._asks_for)

    def _states(self) -> list[AccountState]:
        found = (ref.cell.actor.inspect_state() for ref in list(self._accounts.values()))
        return [state for state in found if isinstance(state, AccountState)]

    def _cap(self, symbol: Symbol, instrument: Instrument) -> Decimal | None:
        config = self.master.symbols.get(symbol)
        return None if config is None else notional_cap(instrument, config.leverage)

    def _held(self, symbol: Symbol, fleet: Fleet) -> Decimal:
        tick, net = self._book.ticks.get(symbol), fleet.net.get(symbol, ZERO)
        return ZERO if tick is None else abs(net) * tick.mid

    def _tell(self, about: str, texts: Iterable[str], key: Callable[[str], str] = str) -> None:
        """Raise an alarm for what was not so the last time that we looked; ``key`` says what is the same."""
        before, now = self._standing.get(about, set()), {key(text): text for text in texts}
        for same, text in now.items():
            if same not in before:
                self._alarm(text)
        self._standing[about] = set(now)
