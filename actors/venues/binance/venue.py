"""Binance USD-M as one venue of the engine: its rules, the master's settings and positions, and the ways to it.

Rules are read again every few minutes, and at once when the exchange refuses an order for one of them. What
changed is applied to the running engine and reported to people; no actor is restarted for it.

I/O: asks the exchange from a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

import msgspec
import structlog
from msgspec.structs import replace

from actors.core.errors import BulkheadError
from actors.core.instruments import Instrument
from actors.core.trades import Trade
from actors.core.units import NANOS_PER_MS, ZERO, Nanos, Symbol
from actors.gateway.messages import RequestWeight
from actors.runtime.io_loop import IoLoop
from actors.venues.binance import history, rest
from actors.venues.binance.addresses import addresses
from actors.venues.binance.asking import Asker
from actors.venues.binance.discovery import (
    VenueRules,
    discover,
    listed_with_brackets,
    master_orders,
    master_positions,
)
from actors.venues.binance.listing import changes, select, told_of
from actors.venues.binance.market_data import BinanceFeed, FeedTerms
from actors.venues.binance.master import MasterSettings, misfits, modes, notional_cap
from actors.venues.binance.orders import BinanceOrders
from actors.venues.binance.settling import read_master, settle_master
from actors.venues.binance.throttle import Throttle
from actors.venues.binance.weight import Urgency
from actors.venues.port import (
    FleetExposure,
    MasterView,
    OnAlarm,
    OnProgress,
    OpenOrder,
    PastOrder,
    RulesChanged,
    SymbolView,
    Venue,
    VenueConnection,
)

log = structlog.get_logger("exchange")

DELISTED = "DELISTED"
"""Ours: the exchange does not list the symbol any more, and an account still holds it."""

AT_ONCE_EVERY_S = 10.0
"""Refusals for a rule make us read the rules at once, but not more often than this."""


MASTER_EVERY_S = 60.0
"""The master's settings are read with the rules, but not more often than this."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's settings that this venue uses, by their names there; see ``deploy/bulkhead.toml``."""

    exchange: str
    exchange_ws_public: str = ""
    exchange_ws_private: str = ""
    exchange_ws_orders: str = ""
    api_key: str = ""
    api_secret: str = ""
    symbols: tuple[str, ...] = ()
    fee_assets: tuple[str, ...] = ()
    margin_asset: str = "USDT"
    leverage: dict[str, int] = {}
    set_master: bool = False
    price_max_age_ms: int = 10_000
    funding_every_seconds: int = 60
    rules_every_seconds: int = 300


def open_venue(settings: Settings, on_alarm: OnAlarm, exposure: Callable[[], FleetExposure]) -> Venue:
    """See ``actors.venues.registry``."""
    return BinanceVenue(settings, on_alarm, exposure)


class BinanceVenue:
    """See the module; it implements ``actors.venues.port.Venue``.

    Args:
        settings: where the exchange is, with which key, and what the master account must be set to.
        on_alarm: informed of what a person should know.
        exposure: asked for what all accounts hold together.

    Raises:
        BadConfig: an address of the exchange that cannot be one, or must be given.
    """

    def __init__(self, settings: Settings, on_alarm: OnAlarm, exposure: Callable[[], FleetExposure]) -> None:
        self._settings, self._alarm, self._exposure = settings, on_alarm, exposure
        self._where = addresses(
            settings.exchange,
            settings.exchange_ws_public,
            settings.exchange_ws_private,
            settings.exchange_ws_orders,
        )
        self.throttle = Throttle()
        self.asker = Asker(settings.exchange, settings.api_key, settings.api_secret, self.throttle)
        self.instruments: dict[Symbol, Instrument] = {}
        self.master: MasterSettings
        self._rules: VenueRules
        self._market_data: BinanceFeed | None = None
        self._on_rules: Callable[[RulesChanged], None]
        self._standing: dict[str, set[str]] = {}
        self._asks_for = Urgency.ORDERS  # until it runs: recovery must not wait behind people's share
        self._master_at_s = time.monotonic()
        self._read_at_s = time.monotonic()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)

    # -- start and stop

    def begin(self, in_use: Callable[[], Collection[Symbol]], on_progress: OnProgress) -> None:
        """Read rules and settings, and set what configuration says.

        Raises:
            ExchangeUnreachable, VenueRefused, MalformedMessage, MasterUnfit: why trading cannot begin.
            StoreUnreachable: what is in use cannot be read.
        """
        settings, held = self._settings, in_use()
        on_progress(f"reading the exchange's rules from {settings.exchange}")
        rules = discover(self.asker, settings.symbols, held, settings.margin_asset, settings.fee_assets)
        self.throttle.set_limit(rules.weight_per_minute)
        self._rules, self.instruments = rules, rules.instruments
        self.master, notices = settle_master(
            self.asker,
            rules.instruments,
            settings.leverage,
            may_set=settings.set_master,
            on_progress=on_progress,
        )
        self._tell("rules", rules.notices)
        self._tell("master", notices)

    @property
    def watched(self) -> list[Symbol]:
        """Whose prices are read: what is traded, and what fee assets are worth."""
        return [*self.instruments, *self._rules.rate_symbols]

    def connect(self, loop: IoLoop) -> VenueConnection:
        """The ways to the exchange for the gateway and for the feed, under one budget and one clock."""
        settings, rules = self._settings, self._rules
        orders = BinanceOrders(self._where, settings.api_key, settings.api_secret, rules, loop, self.throttle)
        orders.on_rule_broken = self._wake.set
        self.asker.now_ms = orders.now_ms
        terms = FeedTerms(
            throttle=self.throttle,
            exchange_ms=orders.now_ms,
            clock_uncertain_ms=lambda: rules.clock.error_ms,
            max_age_ns=Nanos(settings.price_max_age_ms * NANOS_PER_MS),
            on_alarm=self._alarm,
            funding_every_s=settings.funding_every_seconds,
        )
        self._market_data = BinanceFeed(self._where, self.watched, loop, terms)
        return VenueConnection(
            instruments=self.instruments,
            watched=self.watched,
            rate_symbols=rules.rate_symbols,
            transport=orders,
            source=self._market_data,
        )

    def watch(self, on_rules: Callable[[RulesChanged], None]) -> None:
        """Begin to read the rules again and again; ``on_rules`` gets changes in a thread of ours."""
        self._on_rules = on_rules
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
            asked_for = self._wake.wait(self._settings.rules_every_seconds)
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
        settings, fleet = self._settings, self._exposure()
        self._read_at_s = time.monotonic()
        info = self.asker.get("/fapi/v1/exchangeInfo", rest.ExchangeInfo, Urgency.MARKET_DATA)
        for limit in info.rateLimits:
            if (limit.rateLimitType, limit.interval, limit.intervalNum) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self.throttle.set_limit(limit.limit)
        chosen = select(info.symbols, settings.symbols, fleet.net, settings.margin_asset, strict=False)
        told, notices = listed_with_brackets(self.asker, chosen.instruments, Urgency.MARKET_DATA)
        fresh = self._admitted(self._with_known_brackets(told))
        found = changes(self.instruments, fresh)
        for symbol in found.removed:
            if symbol in fleet.net:
                # Who holds it still needs its steps and brackets, to value it and to close what can be closed.
                fresh[symbol] = replace(self.instruments[symbol], status=DELISTED)
        if found:
            self.instruments = fresh
            self._on_rules(RulesChanged(fresh, tuple(found.changed)))
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
        """Look whether the master's settings were changed; not each time, because it costs much weight."""
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
            leverage = {s: v for s, v in self._settings.leverage.items() if s == "default" or s in new}
            self.master, notices = settle_master(
                self.asker, new, leverage, may_set=self._settings.set_master, on_progress=lambda _text: None
            )
        except BulkheadError as error:
            self._tell("new", (f"new symbols are not traded yet: {error}",))
            return {s: i for s, i in fresh.items() if s not in new}
        self._tell("new", notices)
        return fresh

    def check_fleet(self, fleet: FleetExposure | None = None) -> None:
        """Raise an alarm where the fleet does not fit under what the master may hold."""
        found = fleet or self._exposure()
        caps, sizes = {}, {}
        for symbol, instrument in self.instruments.items():
            cap = self._cap(symbol, instrument)
            if cap is not None:
                caps[symbol] = cap
            sizes[symbol] = found.notional.get(symbol, ZERO)
        self._tell("fleet", misfits(caps, found.allowed, sizes), key=lambda text: text.partition(":")[0])

    # -- what people ask

    def view(self, limit: int) -> MasterView:
        """The master as it is set; the symbols that the fleet holds most of come first."""
        master, fleet = self.master, self._exposure()
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
                    held=round(fleet.notional.get(symbol, ZERO), 2),
                )
            )
        rows.sort(key=lambda row: (-row.held, row.symbol))
        return MasterView(
            position_mode="hedge" if master.hedge_mode else "one-way",
            margin_mode="multi-assets" if master.multi_assets else "single-asset",
            margin_asset=self._settings.margin_asset,
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

    def open_orders(self) -> list[OpenOrder]:
        """What rests on the master, for people.

        Raises:
            ExchangeUnreachable, VenueRefused, ExchangeBusy: no answer; says when to try again.
        """
        return master_orders(self.asker, self._asks_for)

    def past_orders(self, symbol: Symbol, since_ms: int, prefix: str) -> list[PastOrder]:
        """See ``history``."""
        return history.past_orders(self.asker, symbol, since_ms, prefix)

    def past_trades(self, symbol: Symbol, since_ms: int) -> list[Trade]:
        """See ``history``."""
        return history.past_trades(self.asker, symbol, since_ms)

    def weight(self) -> RequestWeight:
        """Where the budget of request weight stands."""
        use = self.throttle.use()
        return RequestWeight(use.used, use.limit, use.by_others, use.waiting, use.refused, use.paused_ms)

    def market_data_counts(self) -> dict[str, int]:
        """Counters of the market data since the start; empty before ``connect``."""
        names = ("frames", "reconnects", "malformed", "refreshed", "bulk_refreshes", "late", "future")
        return {} if self._market_data is None else {n: getattr(self._market_data, n) for n in names}

    def _cap(self, symbol: Symbol, instrument: Instrument) -> Decimal | None:
        config = self.master.symbols.get(symbol)
        return None if config is None else notional_cap(instrument, config.leverage)

    def _tell(self, about: str, texts: Iterable[str], key: Callable[[str], str] = str) -> None:
        """Raise an alarm for what was not so the last time that we looked; ``key`` says what is the same."""
        before, now = self._standing.get(about, set()), {key(text): text for text in texts}
        for same, text in now.items():
            if same not in before:
                self._alarm(text)
        self._standing[about] = set(now)
