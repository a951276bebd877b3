"""L1 from the exchange's sockets to the router: combined bookTicker streams, REST when stale.

A quiet symbol sends nothing, so its age grows while it is right. One answer for all symbols confirms all of
them for the weight of two and a half single ones, so that is what is asked for when there are three.

I/O: reads a websocket, and asks over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import cast

import httpx
import msgspec
import structlog
import websockets
from websockets.asyncio.client import ClientConnection

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos, Symbol
from actors.feed.rates import MinuteRate
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.venues.binance import rest
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.endpoints import weight_of
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.event_age import EventAge
from actors.venues.binance.klines import is_over, minute_mean, minute_params
from actors.venues.binance.reconnecting import STEADY_SECONDS, delays
from actors.venues.binance.streams import decode_book_ticker
from actors.venues.binance.throttle import Throttle, throttled
from actors.venues.binance.ticks import event_time, funding_of, tick_of_answer, tick_of_event
from actors.venues.binance.weight import Urgency

log = structlog.get_logger("feed")

STREAMS_PER_SOCKET = 100
OPEN_SECONDS = 3.0
FUNDING_LOOKBACK_MS = 24 * 3_600_000
"""Funding of the last day is sent again at each start: accounts book it once, even if the engine was down then."""
FUNDING_MAX = 1_000
"""Entries of one answer, the exchange's limit."""
RATES_AT_ONCE = 4
"""Minutes of fee assets' rates that are asked for at a time."""


BOOK_TICKER = "/fapi/v1/ticker/bookTicker"
LATE_ALARM_NS = 60 * NANOS_PER_SECOND


class FeedTerms(msgspec.Struct, frozen=True):
    """What a feed needs beside addresses.

    Attributes:
        throttle: the budget of request weight.
        exchange_ms: the present on the exchange's clock, Unix milliseconds.
        clock_uncertain_ms: by how much that may be wrong.
        max_age_ns: L1 older than this counts as missing.
        on_alarm: called when frames come that late.
        funding_every_s: seconds between two questions for settled funding.
    """

    throttle: Throttle
    exchange_ms: Callable[[], int]
    clock_uncertain_ms: Callable[[], int]
    max_age_ns: Nanos
    on_alarm: Callable[[str], None]
    funding_every_s: int = 60


class BinanceFeed:
    """Reads L1 and tells the router.

    Args:
        where: the exchange's addresses.
        symbols: what to read.
        loop: where to read.
        terms: clock, budget and limits.
    """

    def __init__(self, where: Addresses, symbols: Sequence[Symbol], loop: IoLoop, terms: FeedTerms) -> None:
        self._funding_from_ms = time.time_ns() // 1_000_000 - FUNDING_LOOKBACK_MS
        self._where, self._symbols, self._loop, self._terms = where, dict.fromkeys(symbols), loop, terms
        self._client: httpx.AsyncClient | None = None
        self._wanted: set[Symbol] = set()
        self._no_market: dict[Symbol, int] = {}
        self._refreshing = False
        self._age = EventAge()
        self._late_told_ns: int | None = None
        self._router: Ref | None = None
        self._funded: set[tuple[str, int]] = set()
        self._rate_slots = asyncio.Semaphore(RATES_AT_ONCE)
        self.frames = 0
        self.malformed = 0
        self.reconnects = 0
        self.refreshed = 0
        self.bulk_refreshes = 0
        self.late = 0

    @property
    def future(self) -> int:
        """Frames with a time that the exchange's clock is far from."""
        return self._age.future

    def start(self, router: Ref, feed: Ref) -> None:
        """Connect, once; the router gets a tick for each update, the feed each settled funding.

        At a restart the router gets all L1 again, and the feed the last day's funding.
        """
        again, self._router = self._router is not None, router
        if again:
            self.refresh(list(self._symbols), router)
            self._funded.clear()
            self._funding_from_ms = time.time_ns() // 1_000_000 - FUNDING_LOOKBACK_MS
            return
        self._connect(list(self._symbols))
        self._loop.spawn(self._fund(feed))

    def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Read some symbols more, those of new listings; over sockets of their own."""
        fresh = [s for s in symbols if s not in self._symbols]
        self._symbols = self._symbols | dict.fromkeys(fresh)
        if self._router is not None:
            self._connect(fresh)

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """Ask for some symbols' L1 by REST; one question at a time."""
        self._loop.spawn(self._refresh(list(symbols), router))

    def _connect(self, symbols: list[Symbol]) -> None:
        for at in range(0, len(symbols), STREAMS_PER_SOCKET):
            self._loop.spawn(self._read(symbols[at : at + STREAMS_PER_SOCKET]))

    def rate(self, symbol: Symbol, begin_ms: int, feed: Ref) -> None:
        """Ask for the mean price of a past minute by REST; the feed gets an answer in any case."""
        self._loop.spawn(self._rate(symbol, begin_ms, feed))

    async def _rate(self, symbol: Symbol, begin_ms: int, feed: Ref) -> None:
        rate = None
        try:
            async with self._rate_slots:
                answer = await self._http().get("/fapi/v1/klines", params=minute_params(symbol, begin_ms))
            rate = minute_mean(answer.raise_for_status().content, begin_ms)
        except (httpx.HTTPError, MalformedMessage) as error:
            log.warning("rate not read", symbol=symbol, error=f"{type(error).__name__}: {error}")
        finally:
            whole = is_over(begin_ms, time.time_ns() // 1_000_000)
            feed.tell(MinuteRate(symbol, begin_ms, rate, whole))

    async def _read(self, symbols: list[Symbol]) -> None:
        names = "/".join(f"{s.lower()}@bookTicker" for s in symbols)
        url = f"{self._where.public}/stream?streams={names}"
        sockets = websockets.connect(
            url,
            open_timeout=OPEN_SECONDS,
            compression=None,
            reconnect_delays=delays,
            process_exception=self._not_connected,
        )
        # Closed by us: a generator that is left to the collector ends after its event loop.
        async with contextlib.aclosing(
            cast("AsyncGenerator[ClientConnection]", aiter(sockets))
        ) as connections:
            async for socket in connections:
                began = time.monotonic()
                try:
                    async for frame in socket:
                        self._frame(frame)
                except (OSError, websockets.WebSocketException) as error:
                    log.warning("feed disconnected", error=f"{type(error).__name__}: {error}")
                self.reconnects += 1
                if time.monotonic() - began < STEADY_SECONDS:
                    await asyncio.sleep(STEADY_SECONDS)

    def _not_connected(self, error: Exception) -> Exception | None:
        """Try again, whatever it was: who does not listen any more hears no price."""
        log.warning("feed disconnected", error=f"{type(error).__name__}: {error}")
        self.reconnects += 1
        return None

    def _frame(self, frame: str | bytes) -> None:
        self.frames += 1
        now_ns, terms = Nanos(time.monotonic_ns()), self._terms
        try:
            event = decode_book_ticker(frame)
            delay_ns = self._age.delay_ns(
                event_time(event), now_ns, terms.exchange_ms(), terms.clock_uncertain_ms()
            )
            tick = tick_of_event(event, now_ns, delay_ns)
        except MalformedMessage as error:
            self.malformed += 1
            log.warning("malformed L1", error=str(error))
            return
        if delay_ns > terms.max_age_ns:
            self._came_late(tick.symbol, delay_ns, now_ns)
        if self._router is not None:
            self._router.tell(tick)

    def _came_late(self, symbol: Symbol, delay_ns: int, now_ns: int) -> None:
        """Count a frame that was stale when it came; one alarm a minute says so."""
        self.late += 1
        if self._late_told_ns is None or now_ns - self._late_told_ns > LATE_ALARM_NS:
            self._late_told_ns = now_ns
            self._terms.on_alarm(
                f"L1 of {symbol} came {delay_ns // NANOS_PER_MS} ms after its own time: it counts as stale and is "
                f"asked for by REST ({self.late} such frames so far); either something buffers the stream, or the "
                "clock of this machine is ahead"
            )

    async def _fund(self, feed: Ref) -> None:
        known = self._funded
        while True:
            try:
                params = {"startTime": self._funding_from_ms, "limit": FUNDING_MAX}
                answer = await self._http().get("/fapi/v1/fundingRate", params=params)
                found = msgspec.json.decode(answer.raise_for_status().content, type=list[rest.FundingRate])
                for rate in found:
                    if rate.symbol in self._symbols and (rate.symbol, rate.fundingTime) not in known:
                        known.add((rate.symbol, rate.fundingTime))
                        self._settled(rate, feed)
                newest_ms = max((rate.fundingTime for rate in found), default=0)
                # A full page has a next one; one that does not move on would be asked for without end.
                if len(found) == FUNDING_MAX and newest_ms > self._funding_from_ms:
                    self._funding_from_ms = newest_ms
                    continue
            except (httpx.HTTPError, msgspec.MsgspecError) as error:
                log.warning("funding not read", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._terms.funding_every_s)

    def _settled(self, rate: rest.FundingRate, feed: Ref) -> None:
        try:
            feed.tell(funding_of(rate))
        except MalformedMessage as error:
            self.malformed += 1
            log.warning("malformed funding", error=str(error))

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._where.rest,
                timeout=OPEN_SECONDS,
                transport=throttled(self._terms.throttle, Urgency.MARKET_DATA),
            )
        return self._client

    async def _refresh(self, symbols: list[Symbol], router: Ref) -> None:
        # One without a market stays stale whatever is answered; it must not cost a question every half second.
        since_ns = time.monotonic_ns() - self._terms.max_age_ns // 3
        self._wanted.update(s for s in symbols if self._no_market.get(s, since_ns) <= since_ns)
        if self._refreshing:
            return
        self._refreshing = True
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, set()
                await self._ask(wanted, router)
        finally:
            self._refreshing = False

    async def _ask(self, wanted: set[Symbol], router: Ref) -> None:
        for params in questions_for(wanted):
            try:
                # The age counts from the time of sending, without the time spent in the throttle's queue.
                ticket = await self._terms.throttle.turn("GET", BOOK_TICKER, params, Urgency.MARKET_DATA)
                asked_ns = Nanos(time.monotonic_ns())
                answer = await self._http().get(BOOK_TICKER, params=params, extensions={"ticket": ticket})
                content = answer.raise_for_status().content
                if params:
                    found = [msgspec.json.decode(content, type=rest.BookTicker)]
                else:
                    found = msgspec.json.decode(content, type=list[rest.BookTicker])
                    self.bulk_refreshes += 1
            except (httpx.HTTPError, msgspec.MsgspecError) as error:
                log.warning("L1 not refreshed", symbols=len(wanted), error=f"{type(error).__name__}: {error}")
                return  # the feed asks again
            asked_for = {Symbol(params["symbol"])} if params else wanted
            self._no_market.update(
                dict.fromkeys(asked_for - self._confirm(found, asked_ns, router), asked_ns)
            )

    def _confirm(self, found: Sequence[rest.BookTicker], asked_ns: Nanos, router: Ref) -> set[Symbol]:
        """Tell the router; which symbols have a market."""
        now_ns, confirmed = Nanos(time.monotonic_ns()), set[Symbol]()
        for ticker in found:
            # An answer for all confirms also those that were not wanted yet.
            if ticker.symbol not in self._symbols:
                continue
            try:
                router.tell(tick_of_answer(ticker, asked_ns, now_ns))
                self.refreshed += 1
                confirmed.add(Symbol(ticker.symbol))
            except MalformedMessage as error:
                # A symbol that does not trade has an empty book. Its price stays known as stale.
                self.malformed += 1
                log.debug("no L1", error=str(error))
        return confirmed


def questions_for(symbols: set[Symbol]) -> list[dict[str, str]]:
    """The parameters of the cheapest questions that refresh some symbols: one by one, or all at once."""
    single = [{"symbol": str(s)} for s in sorted(symbols)]
    if sum(weight_of("GET", BOOK_TICKER, params) for params in single) > weight_of("GET", BOOK_TICKER, {}):
        return [{}]
    return single
