"""The paper exchange's HTTP and websocket server: one ASGI application on one loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import uvicorn

from actors.units import Symbol
from actors.venues.binance import streams
from actors.venues.paper.config import PaperAddress, PaperConfig
from actors.venues.paper.endpoints import Endpoints, Reply
from actors.venues.paper.generator import Generator, Quote
from actors.venues.paper.instruments import LISTINGS
from actors.venues.paper.matching import PaperEvent
from actors.venues.paper.recording import Row, merged

SLOW_CONSUMER_FRAMES = 20_000
"""Frames waiting for one websocket before it is cut off."""

TICK_SECONDS = 0.01

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Hub:
    """Websocket subscribers by stream name. A full queue means a consumer that is too slow."""

    def __init__(self) -> None:
        self._by_stream: defaultdict[str, dict[asyncio.Queue[bytes | None], bool]] = defaultdict(dict)

    def subscribe(self, queue: asyncio.Queue[bytes | None], names: Iterable[str], *, combined: bool) -> None:
        """Send these streams to ``queue``; wrapped with their name if ``combined``."""
        for name in names:
            self._by_stream[name][queue] = combined

    def unsubscribe(self, queue: asyncio.Queue[bytes | None], names: Iterable[str] | None = None) -> None:
        """Stop sending these streams, or all."""
        for name in list(self._by_stream) if names is None else names:
            self._by_stream[name].pop(queue, None)

    def wants(self, name: str) -> bool:
        """Whether anybody listens."""
        return bool(self._by_stream.get(name))

    def publish(self, name: str, frame: bytes) -> None:
        """Send one frame to all that listen."""
        wrapped: bytes | None = None
        for queue, combined in list(self._by_stream[name].items()):
            if combined and wrapped is None:
                wrapped = b'{"stream":"%s","data":%s}' % (name.encode(), frame)
            try:
                queue.put_nowait(wrapped if combined and wrapped is not None else frame)
            except asyncio.QueueFull:
                self.unsubscribe(queue)
                with contextlib.suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
                queue.put_nowait(None)


class PaperServer:
    """Glue between the exchange, its clock and the network."""

    def __init__(self, config: PaperConfig) -> None:
        self.config = config
        self.hub = Hub()
        self.endpoints = Endpoints(config)
        listings = [LISTINGS[s] for s in config.symbols]
        per_symbol = config.ticks_per_second / len(listings)
        self.generator = Generator(listings, Random(config.seed), per_symbol)  # noqa: S311 - prices, not secrets
        self.endpoints.shock = self.generator.shock
        self._update_id = time.time_ns() // 1_000_000
        for listing in listings:
            self.quote(self.generator.next(listing.instrument.symbol))

    def quote(self, quote: Quote) -> None:
        """Publish one L1 update and what it fills."""
        if quote.symbol in self.endpoints.halted:
            return
        now = now_ms()
        self._update_id += 1
        self.endpoints.update_id = self._update_id
        events = self.endpoints.exchange.on_quote(quote, now)
        name = f"{quote.symbol.lower()}@bookTicker"
        if self.hub.wants(name):
            event = streams.BookTickerEvent(
                u=self._update_id,
                s=quote.symbol,
                b=str(quote.bid),
                B=str(quote.bid_qty),
                a=str(quote.ask),
                A=str(quote.ask_qty),
                T=now,
                E=now,
            )
            self.hub.publish(name, streams.encode(event))
        self.tell_users(events)

    def tell_users(self, events: Iterable[PaperEvent]) -> None:
        """Send user events to every live listen key."""
        for event in events:
            copies = self.endpoints.faults.copies_of_event()
            frame = streams.encode(event)
            for key in self.endpoints.listen_keys:
                for _ in range(copies):
                    self.hub.publish(key, frame)

    async def make_market(self) -> None:
        """Generate or replay L1 until cancelled."""
        if self.config.feed_files:
            await self._replay(merged([Path(f) for f in self.config.feed_files]))
            return
        symbols = self.config.symbols
        began, made = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            due = int((time.monotonic() - began) * self.config.ticks_per_second)
            # After a stall, carry on at the rate instead of making up for it in a burst.
            made = max(made, due - self.config.ticks_per_second // 5)
            while made < due:
                self.quote(self.generator.next(symbols[made % len(symbols)]))
                made += 1

    async def _replay(self, rows: Iterable[Row]) -> None:
        began, first_ms = time.monotonic(), None
        for row in rows:
            first_ms = row.event_ms if first_ms is None else first_ms
            wait = (row.event_ms - first_ms) / 1e3 - (time.monotonic() - began)
            if wait > TICK_SECONDS:
                await asyncio.sleep(wait)
            self.quote(Quote(row.symbol, row.bid, row.bid_qty, row.ask, row.ask_qty))

    # -- ASGI

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One HTTP request or websocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope["query_string"].decode("latin-1") + body.decode("utf-8", "replace")
        is_json = body.startswith(b"{")
        params = dict(
            parse_qsl(scope["query_string"].decode("latin-1") if is_json else query, keep_blank_values=True)
        )
        key = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"x-mbx-apikey"), None)
        if self.config.latency_ms:
            await asyncio.sleep(self.config.latency_ms / 1e3)
        reply = self.endpoints.handle(
            scope["method"], scope["path"], params, query, key, now_ms(), body if is_json else b""
        )
        self.tell_users(reply.events)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        await _respond(send, reply)

    async def _websocket(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        path = scope["path"].removeprefix("/public").removeprefix("/market").removeprefix("/private")
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        names: list[str] = []
        if path.startswith("/ws/"):
            names = [n for n in path.removeprefix("/ws/").split("/") if n]
        elif path == "/ws":
            names = [query["listenKey"]] if "listenKey" in query else []
        elif path == "/stream":
            names = [n for n in (query.get("streams") or query.get("listenKey") or "").split("/") if n]
        else:
            await send({"type": "websocket.close", "code": 4404, "reason": f"no such path {path}"})
            return
        bad = [n for n in names if not self._is_stream(n)]
        if bad:
            await send({"type": "websocket.close", "code": 4400, "reason": f"no such stream {bad[0]}"})
            return
        await send({"type": "websocket.accept"})
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(SLOW_CONSUMER_FRAMES)
        combined = path == "/stream"
        self.hub.subscribe(queue, names, combined=combined)
        pump = asyncio.create_task(_pump(queue, send))
        try:
            await self._listen(receive, queue, combined=combined)
        finally:
            self.hub.unsubscribe(queue)
            pump.cancel()

    async def _listen(self, receive: Receive, queue: asyncio.Queue[bytes | None], *, combined: bool) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            reply = self._command(message.get("text") or "", queue, combined=combined)
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(msgspec.json.encode(reply))

    def _command(self, text: str, queue: asyncio.Queue[bytes | None], *, combined: bool) -> dict[str, Any]:
        try:
            command = msgspec.json.decode(text)
            method, names, id_ = command["method"], [str(n) for n in command["params"]], command.get("id")
        except (msgspec.MsgspecError, KeyError, TypeError):
            return {"error": {"code": 2, "msg": "Invalid request: expected method, params and id"}}
        bad = [n for n in names if not self._is_stream(n)]
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"} or bad:
            return {"error": {"code": 2, "msg": f"Invalid request: {method} {bad}"}, "id": id_}
        if method == "SUBSCRIBE":
            self.hub.subscribe(queue, names, combined=combined)
        else:
            self.hub.unsubscribe(queue, names)
        return {"result": None, "id": id_}

    def _is_stream(self, name: str) -> bool:
        symbol, _, kind = name.partition("@")
        if kind == "bookTicker":
            return Symbol(symbol.upper()) in self.endpoints.exchange.instruments
        return name in self.endpoints.listen_keys


def now_ms() -> int:
    """The exchange's clock: Unix milliseconds."""
    return time.time_ns() // 1_000_000


async def _respond(send: Send, reply: Reply) -> None:
    headers = [(b"content-type", b"application/json")]
    headers += [(k.encode(), v.encode()) for k, v in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _pump(queue: asyncio.Queue[bytes | None], send: Send) -> None:
    while True:
        frame = await queue.get()
        if frame is None:
            await send({"type": "websocket.close", "code": 1008, "reason": "too slow"})
            return
        await send({"type": "websocket.send", "text": frame.decode()})


async def serve(config: PaperConfig, ready: Callable[[PaperAddress], None], stop: asyncio.Event) -> None:
    """Run a paper exchange until ``stop`` is set; ``ready`` gets its addresses."""
    paper = PaperServer(config)
    settings = uvicorn.Config(
        paper,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())  # noqa: SLF001 - ``serve`` takes over the process's signals
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError(f"the paper exchange could not listen on {config.host}:{config.port}")
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    market = asyncio.create_task(paper.make_market())
    ready(PaperAddress(f"http://{config.host}:{port}", f"ws://{config.host}:{port}"))
    try:
        await stop.wait()
    finally:
        market.cancel()
        server.should_exit = True
        await serving
