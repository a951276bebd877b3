"""L1 from the exchange's sockets to the router: combined bookTicker streams, REST when stale."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import httpx
import msgspec
import structlog
import websockets

from actors.feed.rates import MinuteRate
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.units import Nanos, Symbol
from actors.venues.binance import rest
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.klines import is_over, minute_mean, minute_params
from actors.venues.binance.streams import decode_book_ticker
from actors.venues.binance.ticks import funding_of, tick_of_answer, tick_of_event

log = structlog.get_logger("feed")

STREAMS_PER_SOCKET = 100
RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
OPEN_SECONDS = 3.0
FUNDING_LOOKBACK_MS = 24 * 3_600_000
"""Funding of the last day is told anew at each start: accounts book it once, whoever was down."""
FUNDING_MAX = 1_000
"""Entries of one answer, the exchange's limit."""
RATES_AT_ONCE = 4
"""Minutes of fee assets' rates that are asked for at a time."""


class BinanceFeed:
    """Reads L1 and tells the router.

    Args:
        where: the exchange's addresses.
        symbols: what to read.
        loop: where to read.
        funding_every_s: seconds between two questions for settled funding.
    """

    def __init__(
        self,
        where: Addresses,
        symbols: Sequence[Symbol],
        loop: IoLoop,
        funding_every_s: int = 60,
    ) -> None:
        self._funding_every_s = funding_every_s
        self._funding_from_ms = time.time_ns() // 1_000_000 - FUNDING_LOOKBACK_MS
        self._where, self._symbols, self._loop = where, list(symbols), loop
        self._client: httpx.AsyncClient | None = None
        self._asking: set[Symbol] = set()
        self._started = False
        self._rate_slots = asyncio.Semaphore(RATES_AT_ONCE)
        self.frames = 0
        self.malformed = 0
        self.reconnects = 0
        self.refreshed = 0

    def start(self, router: Ref, feed: Ref) -> None:
        """Connect, once; the router gets a tick for each update, the feed each settled funding.

        At a restart the router gets all L1 anew.
        """
        if self._started:
            self.refresh(self._symbols, router)
            return
        self._started = True
        for at in range(0, len(self._symbols), STREAMS_PER_SOCKET):
            self._loop.spawn(self._read(self._symbols[at : at + STREAMS_PER_SOCKET], router))
        self._loop.spawn(self._fund(feed))

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """Ask for some symbols' L1 by REST; never twice at once for one symbol."""
        for symbol in symbols:
            if symbol not in self._asking:
                self._asking.add(symbol)
                self._loop.spawn(self._ask(symbol, router))

    def rate(self, symbol: Symbol, begin_ms: int, feed: Ref) -> None:
        """Ask for the mean price of a past minute by REST; the feed is told in any case."""
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

    async def _read(self, symbols: list[Symbol], router: Ref) -> None:
        names = "/".join(f"{s.lower()}@bookTicker" for s in symbols)
        failures = 0
        while True:
            try:
                async with websockets.connect(
                    f"{self._where.public}/stream?streams={names}",
                    open_timeout=OPEN_SECONDS,
                    compression=None,
                ) as socket:
                    failures = 0
                    async for frame in socket:
                        self._frame(frame, router)
            except (OSError, websockets.WebSocketException, TimeoutError) as error:
                log.warning("feed disconnected", error=f"{type(error).__name__}: {error}")
            self.reconnects += 1
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    def _frame(self, frame: str | bytes, router: Ref) -> None:
        self.frames += 1
        try:
            tick = tick_of_event(decode_book_ticker(frame), Nanos(time.monotonic_ns()))
        except MalformedMessage as error:
            self.malformed += 1
            log.warning("malformed L1", error=str(error))
            return
        router.tell(tick)

    async def _fund(self, feed: Ref) -> None:
        known: set[tuple[str, int]] = set()
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
            await asyncio.sleep(self._funding_every_s)

    def _settled(self, rate: rest.FundingRate, feed: Ref) -> None:
        try:
            feed.tell(funding_of(rate))
        except MalformedMessage as error:
            self.malformed += 1
            log.warning("malformed funding", error=str(error))

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._where.rest, timeout=OPEN_SECONDS)
        return self._client

    async def _ask(self, symbol: Symbol, router: Ref) -> None:
        try:
            answer = await self._http().get("/fapi/v1/ticker/bookTicker", params={"symbol": symbol})
            ticker = msgspec.json.decode(answer.raise_for_status().content, type=rest.BookTicker)
            router.tell(tick_of_answer(ticker, Nanos(time.monotonic_ns())))
            self.refreshed += 1
        except (httpx.HTTPError, msgspec.MsgspecError, MalformedMessage) as error:
            log.warning("L1 not refreshed", symbol=symbol, error=f"{type(error).__name__}: {error}")
        finally:
            self._asking.discard(symbol)
