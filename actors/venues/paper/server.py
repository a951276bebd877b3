"""The paper exchange as a server: market data, clock and clients on one loopback port.

I/O: serves HTTP and websockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from actors.core.errors import BadConfig
from actors.core.units import Symbol
from actors.venues.paper import stream_frames
from actors.venues.paper.app import application
from actors.venues.paper.config import PaperAddress, PaperConfig
from actors.venues.paper.connections import STREAMS_MAX, Connection, Hub
from actors.venues.paper.endpoints import Endpoints
from actors.venues.paper.faults import HttpFault
from actors.venues.paper.feed_player import FeedPlayer
from actors.venues.paper.generator import Generator, Quote
from actors.venues.paper.instruments import Listing
from actors.venues.paper.orders import PaperOrder
from actors.venues.paper.stream_names import Target
from actors.venues.paper.user_events import ListenKeyExpired, PaperEvent
from actors.venues.paper.venue import Reply
from actors.venues.paper.ws_api import WsAnswer, WsApi

TICK_SECONDS = 0.01
BROADCAST_SECONDS = 0.05

encode = msgspec.json.Encoder().encode


class PaperServer:
    """Connects the exchange, the price source, the clock and the network.

    Args:
        config: options.

    Raises:
        BadInput: an unusable recording.
    """

    def __init__(self, config: PaperConfig) -> None:
        self.config = config
        self.hub = Hub()
        self.endpoints = Endpoints(config)
        self.venue = venue = self.endpoints.venue
        self.api = WsApi(self.endpoints)
        self._frames = stream_frames.Frames(venue)
        listings = list(venue.listings.values())
        self._symbols = list(venue.listings)
        per_symbol = config.ticks_per_second / len(listings)
        self.generator = Generator(listings, Random(config.seed), per_symbol)  # noqa: S311 - prices, not secrets
        venue.shock, venue.list_symbol = self.generator.shock, self._list_symbol
        venue.contract_changed, venue.liquidated = self._contract_changed, self._liquidated
        venue.silent_streams = self.hub.silent_streams
        self.endpoints.admin.disconnect_user_streams = self.hub.disconnect_user_streams
        # Ids must not repeat after a restart: clients have booked trades under the old ones.
        venue.update_id = time.time_ns() // 1_000_000
        venue.exchange.start_ids_at(venue.update_id)
        self.transports: WeakValueDictionary[tuple[str, int], asyncio.Transport] = WeakValueDictionary()
        self.player: FeedPlayer | None = None
        if config.feed_files:
            self.player = FeedPlayer(
                config.feed_files,
                config.feed_market,
                config.feed_end,
                venue.exchange.instruments,
                _print_notice,
            )
            self.publish_quote(self.player.first_quote())
            venue.feed_state = "playing"
        for symbol in self._symbols:
            if self.player is None or symbol not in self.player.symbols:
                self.publish_quote(self.generator.next(symbol))

    # -- publishing

    def now_ms(self) -> int:
        """Exchange time, Unix milliseconds."""
        return self.venue.clock.at(system_ms())

    def publish_quote(self, quote: Quote) -> None:
        """Publish a quote, and the user events of the fills that it causes."""
        venue, symbol = self.venue, quote.symbol
        if symbol in venue.halted:
            return
        now = self.now_ms()
        events = venue.quote(quote, now)
        low = symbol.lower()
        if self.hub.has_subscribers(f"{low}@bookTicker") or self.hub.has_subscribers("!bookTicker"):
            quote_ms = now - venue.faults.quote_age_ms
            shown = venue.exchange.shown(symbol, now)
            frame = stream_frames.book_ticker(shown, venue.update_id, venue.listings[symbol].pair, quote_ms)
            self.hub.publish(f"{low}@bookTicker", frame)
            self.hub.publish("!bookTicker", frame)
        if self.hub.has_subscribers(f"{low}@aggTrade"):
            trade = venue.market.of(symbol).trades[-1]
            self.hub.publish(f"{low}@aggTrade", stream_frames.aggregate_trade(symbol, trade, now))
        if self.hub.has_subscribers(f"{low}@trade"):
            trade = venue.market.of(symbol).trades[-1]
            self.hub.publish(f"{low}@trade", stream_frames.single_trade(symbol, trade, now))
        if events:
            self.publish_user_events(events)

    def publish_user_events(self, events: Iterable[PaperEvent]) -> None:
        """Send user events to the subscribers of the valid listen key."""
        key = self.venue.listen_keys.valid(self.now_ms())
        for event in events:
            copies = self.venue.faults.copies_of_event()
            if not key or not copies:
                continue
            frame = encode(event)
            for _ in range(copies):
                self.hub.publish_user(key, str(type(event).__struct_config__.tag), frame)

    def _list_symbol(self, listing: Listing) -> None:
        self.generator.add(listing)
        self._symbols.append(listing.instrument.symbol)
        self.publish_quote(self.generator.next(listing.instrument.symbol))

    def _contract_changed(self, symbol: Symbol, now_ms: int) -> None:
        self.generator.add(self.venue.listings[symbol])
        self.hub.publish("!contractInfo", self._frames.contract(symbol, now_ms))

    def _liquidated(self, order: PaperOrder, now_ms: int) -> None:
        symbol = order.request.symbol
        frame = stream_frames.forced_order(order, self.venue.listings[symbol].pair, now_ms)
        self.hub.publish(f"{symbol.lower()}@forceOrder", frame)
        self.hub.publish("!forceOrder@arr", frame)

    # -- tasks

    async def run(self) -> None:
        """Run the price source and the periodic streams until cancelled.

        Raises:
            BadInput: a bad line of a recording, or its end if ``feed_end`` is stop.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._broadcast())
            group.create_task(self._play_recordings() if self.player else self._generate_quotes())

    async def _play_recordings(self) -> None:
        assert self.player is not None
        player = self.player

        def publish(quote: Quote) -> None:
            self.venue.feed_state = player.state
            self.publish_quote(quote)

        await player.play(publish)

    async def _generate_quotes(self) -> None:
        began, made = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            due = int((time.monotonic() - began) * self.config.ticks_per_second)
            # After a stall, continue at the normal rate instead of catching up in a burst.
            made = max(made, due - self.config.ticks_per_second // 5)
            while made < due:
                self.publish_quote(self.generator.next(self._symbols[made % len(self._symbols)]))
                made += 1

    async def _broadcast(self) -> None:
        last_period: dict[str, int] = {}
        while True:
            await asyncio.sleep(BROADCAST_SECONDS)
            now = self.now_ms()
            expired = self.venue.listen_keys.pop_expired(now)
            if expired:
                event = ListenKeyExpired(E=now, listenKey=expired)
                self.hub.publish_user(expired, "listenKeyExpired", encode(event))
            self.publish_user_events(self.venue.on_time(now))
            for stream in self.hub.subscribed_streams():
                period = now // stream.update_ms if stream.update_ms else 0
                if period and last_period.get(stream.name) != period:
                    last_period[stream.name] = period
                    frame = self._frames.frame_of(stream, now)
                    if frame is not None:
                        self.hub.publish(stream.name, frame)

    # -- requests

    async def handle_http(self, method: str, path: str, query: str, body: bytes, key: str | None) -> Reply:
        """Answer one HTTP request. Its user events are sent before the answer, as on Binance."""
        if self.config.latency_ms:
            await asyncio.sleep(self.config.latency_ms / 1e3)
        reply = self.endpoints.handle(method, path, query, body, key, system_ms())
        self.publish_user_events(reply.events)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        return reply

    async def handle_order_frame(self, text: str) -> WsAnswer:
        """Answer one request frame of the websocket API."""
        if self.config.latency_ms:
            await asyncio.sleep(self.config.latency_ms / 1e3)
        reply = self.api.handle(text, system_ms())
        self.publish_user_events(reply.events)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        return reply

    def connect(self, target: Target) -> Connection:
        """Register a connection and subscribe it to the streams that its path names."""
        connection = Connection(target)
        self._frames.start_depth(target.names, self.now_ms())
        self.hub.subscribe(connection, (*target.names, *([target.listen_key] if target.listen_key else [])))
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Remove a connection and its subscriptions."""
        self.hub.remove(connection)

    def websocket_fault(self, path: str) -> HttpFault | None:
        """The fault planned for a websocket connection to this path, if any."""
        return self.venue.faults.next_for_request("WEBSOCKET", path)

    def reset_connection(self, client: tuple[str, int]) -> None:
        """Reset a client's TCP connection, as a broken network would."""
        transport = self.transports.get(client)
        if transport is not None:
            transport.abort()

    def handle_stream_command(self, text: str, connection: Connection) -> dict[str, Any]:
        """Answer one command frame of a stream: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS."""
        try:
            command = msgspec.json.decode(text)
            method, id_ = command["method"], command.get("id")
            names = [str(n) for n in command.get("params") or ()]
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
            return {"error": {"code": 2, "msg": "Invalid request: expected method, params and id"}}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(connection.names), "id": id_}
        if method == "UNSUBSCRIBE":
            self.hub.unsubscribe(connection, names)
        elif method != "SUBSCRIBE" or len(connection.names) + len(names) > STREAMS_MAX:
            return {
                "error": {"code": 2, "msg": f"Invalid request: {method} of {len(names)} streams"},
                "id": id_,
            }
        else:
            self._frames.start_depth(names, self.now_ms())
            self.hub.subscribe(connection, names)
        return {"result": None, "id": id_}


def system_ms() -> int:
    """System clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _print_notice(text: str) -> None:
    sys.stderr.write(f"paper exchange: {text}\n")
    sys.stderr.flush()


def _http_protocol(paper: PaperServer) -> type[HttpToolsProtocol]:
    """HTTP protocol class that can reset connections as soon as they are accepted."""

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            paper.transports[transport.get_extra_info("peername")[:2]] = transport
            if paper.venue.faults.refuses_connection():
                transport.abort()

        def send_400_response(self, msg: str) -> None:
            # A request that cannot be read: a tester wants to know what was wrong with it.
            error = sys.exception()
            cause = None if error is None else error.__context__ or error.__cause__
            super().send_400_response(f"{msg} {error!r} {cause!r}")

    return Protocol


def _bind(config: PaperConfig) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((config.host, config.port))
        sock.listen(1_024)
    except OSError as error:
        sock.close()
        raise BadConfig(
            f"port {config.port} on {config.host} is not available: {error.strerror or error}; "
            "stop the process that uses it, or choose another with --port (0 takes a free one)"
        ) from None
    return sock


async def serve(config: PaperConfig, ready: Callable[[PaperAddress], None], stop: asyncio.Event) -> None:
    """Run a paper exchange until ``stop`` is set; ``ready`` gets its addresses.

    Raises:
        BadConfig: the port is not available.
        BadInput: an unusable recording, at start or later.
    """
    sock = _bind(config)
    try:
        paper = PaperServer(config)
    except BaseException:
        sock.close()
        raise
    settings = uvicorn.Config(
        application(paper),
        log_level="warning",
        access_log=False,
        lifespan="off",
        http=_http_protocol(paper),
        ws="websockets-sansio",
        # On loopback, compression costs more than it saves.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server._serve([sock]))  # noqa: SLF001 - ``serve`` takes over the process's signals
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError(f"the paper exchange could not listen on {config.host}:{config.port}")
        await asyncio.sleep(0.01)
    port = sock.getsockname()[1]
    market = asyncio.create_task(paper.run())
    ready(PaperAddress(f"http://{config.host}:{port}", f"ws://{config.host}:{port}"))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopped, market}, return_when=asyncio.FIRST_COMPLETED)
        if market.done():
            _raise_first(market)
    finally:
        stopped.cancel()
        market.cancel()
        with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
            await market
        server.should_exit = True
        await serving


def _raise_first(market: asyncio.Task[None]) -> None:
    """Raise the error that ended the market task, without its exception group."""
    error = market.exception()
    if isinstance(error, BaseExceptionGroup):
        raise error.exceptions[0]
    if error is not None:
        raise error
