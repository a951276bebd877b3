"""Market data comes back by itself, soon, and never in a loop without a pause. Against a real websocket server."""

from __future__ import annotations

import gc
import itertools
import socket
import threading
import time

from websockets.sync.server import serve

from actors.runtime.io_loop import IoLoop
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.market_data import BinanceFeed
from actors.venues.binance.reconnecting import delays
from tests.e2e.processes import until
from tests.factories import ETH
from tests.venues.binance.test_market_data import Told, feed_of

FRAME = (
    '{"stream":"ethusdt@bookTicker","data":{"e":"bookTicker","u":%d,"s":"ETHUSDT","b":"2000","B":"1","a":"2000.1",'
    '"A":"1","T":%d,"E":%d}}'
)


class Server:
    """Accepts on a port, or on a socket that listens; ``talk`` says what it does with a connection."""

    def __init__(self, talk, listener=None):
        self.accepted = []
        self.over = threading.Event()

        def handler(socket):
            self.accepted.append(time.monotonic())
            talk(socket, len(self.accepted), self.over)

        listener = listener or socket.create_server(("127.0.0.1", 0))
        self._server = serve(handler, sock=listener, compression=None)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self.over.set()
        self._server.shutdown()
        self._thread.join(5)


def say(socket, number, _over=None):
    now = time.time_ns() // 1_000_000
    socket.send(FRAME % (number, now, now))


def listening(exchange, loop, port):
    """A feed that listens to a port, and what its router hears."""
    feed, told = feed_of(exchange, loop, [ETH]), Told()
    found = Addresses(exchange.base, f"ws://127.0.0.1:{port}/public", "ws://127.0.0.1:9/private")
    feed = BinanceFeed(found, [ETH], loop, feed._terms)
    feed.start(told, Told())
    return feed, told


def test_the_waits_begin_short_grow_and_stay_at_five_seconds():
    first, *then = itertools.islice(delays(), 8)
    assert 0 <= first <= 0.2
    assert then == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_connection_that_is_cut_is_back_at_once(exchange, loop):
    def talk(socket, number, over):
        say(socket, number)
        over.wait(1.2 if number == 1 else 30)

    server = Server(talk)
    try:
        feed, told = listening(exchange, loop, server.port)
        until(lambda: len(told.ticks) >= 2, "the second connection's price", 10)
        assert server.accepted[1] - server.accepted[0] < 3.5
        assert feed.reconnects == 1
    finally:
        server.stop()


def test_a_stop_leaves_nothing_open_behind(exchange, caplog):
    def talk(socket, number, over):
        say(socket, number)
        over.wait(30)

    server, loop = Server(talk), IoLoop("stopped")
    try:
        loop.start()
        _, told = listening(exchange, loop, server.port)
        until(lambda: told.ticks, "a price")
        assert loop.stop(10)
        gc.collect()
        assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []
    finally:
        server.stop()


def test_who_accepts_and_closes_at_once_is_not_asked_in_a_loop(exchange, loop):
    server = Server(lambda socket, _number, _over: socket.close())
    try:
        listening(exchange, loop, server.port)
        time.sleep(3.5)
        assert 2 <= len(server.accepted) <= 5
    finally:
        server.stop()


def test_who_is_not_there_yet_is_asked_until_it_is(exchange, loop):
    # A port that is taken, so that nobody else gets it, and on which nobody listens yet.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    feed, told = listening(exchange, loop, listener.getsockname()[1])
    until(lambda: feed.reconnects >= 2, "more than one try")
    assert told.ticks == []

    def talk(socket, number, over):
        say(socket, number)
        over.wait(30)

    listener.listen()
    second = Server(talk, listener)
    try:
        until(lambda: told.ticks, "a price after the server came")
    finally:
        second.stop()
