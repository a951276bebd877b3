"""500 symbols under a request weight of 2,400 a minute: is each price fresh, or known to be stale?

A real HTTP and websocket server on loopback speaks Binance's messages for 500 symbols, and counts weight by
Binance's table over a sliding minute. Some symbols change all the time, most send nothing for as long as it runs,
some have no market at all. Half way through, the stream of some is held back in a buffer for longer than a price
may be old, and meanwhile REST fails for a time. The real feed, router and price book follow them. The server's own
book is the truth: a price that counts as fresh must not be older than it says.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import uvicorn

from actors.assembly.build import Runtime, Settings, build
from actors.core.order_ids import FIXED
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos, Symbol
from actors.runtime.clock import SystemClock
from actors.runtime.dispatcher import ThreadedDispatcher
from actors.runtime.io_loop import IoLoop
from actors.symbol_router.book import PriceBook
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.endpoints import weight_of
from actors.venues.binance.market_data import BinanceFeed, FeedTerms
from actors.venues.binance.throttle import Throttle
from actors.venues.port import VenueConnection

SECONDS = 70
LOOK_SECONDS = 0.5
LIMIT = 2_400
MAX_AGE = Nanos(10 * NANOS_PER_SECOND)

BUSY = [Symbol(f"BUSY{n}USDT") for n in range(80)]
HELD_BACK = [Symbol(f"LATE{n}USDT") for n in range(20)]
QUIET = [Symbol(f"QUIET{n}USDT") for n in range(390)]
EMPTY = [Symbol(f"EMPTY{n}USDT") for n in range(10)]
EVERYBODY = [*BUSY, *HELD_BACK, *QUIET, *EMPTY]
HELD_BACK_FROM, HELD_BACK_UNTIL = SECONDS * 0.4, SECONDS * 0.75
REST_DOWN_FROM, REST_DOWN_UNTIL = HELD_BACK_FROM + 1, HELD_BACK_UNTIL - 2
BUFFER_SECONDS = 15
SLACK_NS = NANOS_PER_SECOND
"""For what is on its way through two event loops of a busy machine."""
MOVES_PER_SECOND = 10
"""Changes of each busy symbol."""


class Quote(msgspec.Struct):
    """A symbol's book at the exchange."""

    cents: int
    update: int
    changed_ms: int


class Server:
    """The exchange: one book per symbol, and weight over a sliding minute."""

    def __init__(self) -> None:
        now_ms = time.time_ns() // NANOS_PER_MS
        self.books = {s: Quote(100_00, n + 1, now_ms) for n, s in enumerate(EVERYBODY)}
        self.began = time.monotonic()
        self.seen: deque[tuple[float, int]] = deque()
        self.used = self.most = self.refused = 0
        self.requests: Counter[str] = Counter()
        self._buffers: dict[Symbol, list[bytes]] = {}
        self._random = Random(1)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        config = uvicorn.Config(self._app, log_level="error", lifespan="off", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._thread.join(5)
        self._listener.close()

    async def _app(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        params = dict(parse_qsl(scope["query_string"].decode()))
        if scope["type"] == "websocket":
            await self._stream(params["streams"].upper().split("/"), receive, send)
            return
        status, body = self._answer(scope["method"], scope["path"], params)
        headers = [(b"x-mbx-used-weight-1m", str(self.used).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})

    def _answer(self, method: str, path: str, params: dict[str, str]) -> tuple[int, Any]:
        now, weight = time.monotonic(), weight_of(method, path, params)
        while self.seen and self.seen[0][0] <= now - 60:
            self.used -= self.seen.popleft()[1]
        self.requests[f"{path.rpartition('/')[2]} {'one symbol' if 'symbol' in params else 'all'}"] += 1
        if self.used + weight > LIMIT:
            self.refused += 1
            return 429, {"code": -1003, "msg": "Too many requests"}
        self.seen.append((now, weight))
        self.used += weight
        self.most = max(self.most, self.used)
        if path == "/fapi/v1/ticker/bookTicker":
            if REST_DOWN_FROM < now - self.began < REST_DOWN_UNTIL:
                return 503, {"code": -1008, "msg": "Server is currently overloaded"}
            if "symbol" in params:
                return 200, self._ticker(Symbol(params["symbol"]))
            return 200, [self._ticker(s) for s in EVERYBODY]
        return 200, []

    def _ticker(self, symbol: Symbol) -> dict[str, Any]:
        book = self.books[symbol]
        bid, ask = ("0", "0") if symbol in EMPTY else _prices(book)
        return {
            "symbol": symbol,
            "bidPrice": bid,
            "bidQty": "1",
            "askPrice": ask,
            "askQty": "1",
            "time": book.changed_ms,
            "lastUpdateId": book.update,
        }

    async def _stream(self, names: list[str], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        mine = [Symbol(n.partition("@")[0]) for n in names]
        moving = [s for s in mine if s in BUSY or s in HELD_BACK]
        while not self._server.should_exit:
            for symbol in moving:
                for frame in self._moved(symbol):
                    await send({"type": "websocket.send", "text": frame.decode()})
            await asyncio.sleep(1 / MOVES_PER_SECOND)

    def _moved(self, symbol: Symbol) -> list[bytes]:
        """Move a symbol's book; the frames that leave now."""
        book, now_ms = self.books[symbol], time.time_ns() // NANOS_PER_MS
        book.cents += self._random.choice((-1, 1))
        book.update += len(EVERYBODY)
        book.changed_ms = now_ms
        bid, ask = _prices(book)
        data = {
            "e": "bookTicker",
            "u": book.update,
            "s": symbol,
            "b": bid,
            "B": "1",
            "a": ask,
            "A": "1",
            "T": now_ms,
            "E": now_ms,
        }
        frame = msgspec.json.encode({"stream": f"{symbol.lower()}@bookTicker", "data": data})
        if symbol not in HELD_BACK:
            return [frame]
        # Some proxy holds it back: what comes out is as old as the buffer is long.
        buffer = self._buffers.setdefault(symbol, [])
        buffer.append(frame)
        if not HELD_BACK_FROM < time.monotonic() - self.began < HELD_BACK_UNTIL:
            whole, buffer[:] = list(buffer), []
            return whole
        return [buffer.pop(0)] if len(buffer) > MOVES_PER_SECOND * BUFFER_SECONDS else []


def _prices(book: Quote) -> tuple[str, str]:
    return str(Decimal(book.cents) / 100), str(Decimal(book.cents + 1) / 100)


class Counts:
    """What was found at all the looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.fresh: Counter[str] = Counter()
        self.stale: Counter[str] = Counter()
        self.wrong: list[str] = []

    def look(self, server: Server, book: PriceBook, now_ns: Nanos) -> None:
        """Compare each price that counts as fresh with the exchange's book."""
        self.looks += 1
        for kind, symbols in (
            ("busy", BUSY),
            ("held back", HELD_BACK),
            ("quiet", QUIET),
            ("no market", EMPTY),
        ):
            for symbol in symbols:
                age = book.age_ns(symbol, now_ns)
                if age is None or age > MAX_AGE:
                    self.stale[kind] += 1
                    continue
                self.fresh[kind] += 1
                tick, truth = book.ticks[symbol], server.books[symbol]
                # In so much time the book moved on at most so often.
                behind = (truth.update - tick.update_id) // len(EVERYBODY)
                if behind > MOVES_PER_SECOND * (age + SLACK_NS) // NANOS_PER_SECOND:
                    said_ms = age // NANOS_PER_MS
                    self.wrong.append(
                        f"{symbol}: says that it is {said_ms} ms old, and is {behind} changes behind"
                    )


def run() -> None:
    """Print weight used and how many prices were fresh, known stale, and wrong."""
    server, counts, alarms = Server(), Counts(), list[str]()
    server.start()
    clock, dispatcher, loop = SystemClock(), ThreadedDispatcher("bench", SystemClock()), IoLoop("bench")
    dispatcher.start()
    loop.start()
    throttle = Throttle()
    base = f"127.0.0.1:{server.port}"
    terms = FeedTerms(
        throttle=throttle,
        exchange_ms=clock.wall_ms,
        clock_uncertain_ms=lambda: 0,
        max_age_ns=MAX_AGE,
        on_alarm=alarms.append,
    )
    where = Addresses(f"http://{base}", f"ws://{base}/public", f"ws://{base}/private")
    source = BinanceFeed(where, EVERYBODY, loop, terms)
    assembly = build(
        Settings(origin=FIXED, price_max_age_ns=MAX_AGE),
        Runtime(main=dispatcher, io=dispatcher, alarm=alarms.append),
        None,
        VenueConnection(instruments={}, watched=EVERYBODY, source=source),
    )
    server.began = time.monotonic()
    assembly.start("router", "feed")
    while time.monotonic() - server.began < SECONDS:
        time.sleep(LOOK_SECONDS)
        counts.look(server, assembly.book, Nanos(clock.monotonic_ns()))
    use = throttle.use()
    dispatcher.stop_cell(assembly.actors["feed"].cell)
    loop.stop(5)
    dispatcher.stop(5)
    server.stop()
    print(
        f"{len(EVERYBODY)} symbols for {SECONDS} s, {counts.looks} looks at each; prices older than 10 s are stale"
    )
    print(
        f"weight used in the busiest minute: {server.most} of {LIMIT} by the exchange's count, {server.refused} refused"
    )
    print(f"weight used by our own count at the end: {use.used} of {use.limit}")
    print("requests: " + ", ".join(f"{name} {count}" for name, count in sorted(server.requests.items())))
    print(f"L1 frames {source.frames:,}, of them stale when they came {source.late:,}")
    print(f"{'symbols':<12}{'count':>7}{'looks fresh':>13}{'known stale':>13}")
    for kind, symbols in (("busy", BUSY), ("held back", HELD_BACK), ("quiet", QUIET), ("no market", EMPTY)):
        print(f"{kind:<12}{len(symbols):>7}{counts.fresh[kind]:>13,}{counts.stale[kind]:>13,}")
    print(f"counted as fresh, and older than they say: {len(counts.wrong)}")
    for text in counts.wrong[:5]:
        print(f"  {text}")
