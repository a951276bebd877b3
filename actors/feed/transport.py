"""L1 from the exchange's sockets to the router: combined bookTicker streams, REST when stale."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import httpx
import msgspec
import structlog
import websockets

from actors.binance import rest
from actors.binance.errors import MalformedMessage
from actors.binance.streams import decode_book_ticker
from actors.feed.ticks import tick_of_answer, tick_of_event
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.units import Nanos, Symbol

log = structlog.get_logger("feed")

STREAMS_PER_SOCKET = 100
RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
OPEN_SECONDS = 3.0


class BinanceFeed:
    """Reads L1 and tells the router.

    Args:
        base: REST base URL.
        websocket: websocket base URL.
        symbols: what to read.
        loop: where to read.
    """

    def __init__(self, base: str, websocket: str, symbols: Sequence[Symbol], loop: IoLoop) -> None:
        self._base, self._websocket, self._symbols, self._loop = base, websocket, list(symbols), loop
        self._client: httpx.AsyncClient | None = None
        self._asking: set[Symbol] = set()
        self._started = False
        self.frames = 0
        self.malformed = 0
        self.reconnects = 0
        self.refreshed = 0

    def start(self, router: Ref) -> None:
        """Connect, once; the router gets a tick for each update, and at a restart all L1 anew."""
        if self._started:
            self.refresh(self._symbols, router)
            return
        self._started = True
        for at in range(0, len(self._symbols), STREAMS_PER_SOCKET):
            self._loop.spawn(self._read(self._symbols[at : at + STREAMS_PER_SOCKET], router))

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """Ask for some symbols' L1 by REST; never twice at once for one symbol."""
        for symbol in symbols:
            if symbol not in self._asking:
                self._asking.add(symbol)
                self._loop.spawn(self._ask(symbol, router))

    async def _read(self, symbols: list[Symbol], router: Ref) -> None:
        names = "/".join(f"{s.lower()}@bookTicker" for s in symbols)
        failures = 0
        while True:
            try:
                async with websockets.connect(
                    f"{self._websocket}/stream?streams={names}", open_timeout=OPEN_SECONDS, compression=None
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

    async def _ask(self, symbol: Symbol, router: Ref) -> None:
        try:
            if self._client is None:
                self._client = httpx.AsyncClient(base_url=self._base, timeout=OPEN_SECONDS)
            answer = await self._client.get("/fapi/v1/ticker/bookTicker", params={"symbol": symbol})
            ticker = msgspec.json.decode(answer.raise_for_status().content, type=rest.BookTicker)
            router.tell(tick_of_answer(ticker, Nanos(time.monotonic_ns())))
            self.refreshed += 1
        except (httpx.HTTPError, msgspec.MsgspecError, MalformedMessage) as error:
            log.warning("L1 not refreshed", symbol=symbol, error=f"{type(error).__name__}: {error}")
        finally:
            self._asking.discard(symbol)
