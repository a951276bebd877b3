"""What became of a request, by how the connection ended: only what surely never left may be sent again."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from actors.gateway.messages import Outcome
from actors.venues.binance import http as signed_http
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.http import SignedHttp
from actors.venues.binance.throttle import Throttle
from tests.e2e.processes import until


class Server:
    """Takes connections on loopback and does with each request what ``serve`` does."""

    def __init__(self, serve):
        self.serve, self.requests = serve, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            self.requests.append(connection.recv(65_536))
            self.serve(self, connection)

    def close(self):
        self.over.set()
        self.listener.close()


@pytest.fixture
def server():
    made = []

    def start(serve):
        made.append(Server(serve))
        return made[-1]

    yield start
    for one in made:
        one.close()


def place(loop, base):
    """An order's request, until it ended one way or another."""
    clock = ExchangeClock(time.monotonic_ns, time.time_ns)
    clock.measured(clock.began(), time.time_ns() // 1_000_000)
    http = SignedHttp(base, "key", "secret", clock, Throttle())
    ended, answers = threading.Event(), []

    async def run():
        answers.append(await http.place("POST", "/fapi/v1/order", {"symbol": "ETHUSDT"}, clock.now_ms()))
        await http.client().aclose()
        ended.set()

    loop.spawn(run())
    assert ended.wait(20)
    return answers[0]


def silent(server, _connection):
    server.over.wait(20)


def half_an_answer(server, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    server.over.wait(20)


def cut(_server, connection):
    connection.close()


def cut_in_the_answer(_server, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")


def no_http(_server, connection):
    connection.sendall(b"\x00\x01 what is this\r\n\r\n")


@pytest.mark.parametrize("serve", [silent, half_an_answer])
def test_an_order_whose_answer_is_late_may_have_arrived(loop, server, monkeypatch, serve):
    monkeypatch.setattr(signed_http, "REQUEST_SECONDS", 0.3)
    slow = server(serve)
    answer = place(loop, slow.base)
    until(lambda: slow.requests, "what was sent")
    assert b"POST /fapi/v1/order" in slow.requests[0], "every byte of it was there"
    assert (answer.outcome, answer.cut_off) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize("serve", [cut, cut_in_the_answer, no_http])
def test_an_order_whose_connection_was_cut_may_have_arrived(loop, server, serve):
    answer = place(loop, server(serve).base)
    assert (answer.outcome, answer.cut_off) == (Outcome.UNKNOWN, True)


def test_an_order_that_found_nobody_was_surely_not_sent(loop):
    # It has the port, so that nobody else gets it, and does not listen.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        answer = place(loop, f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert (answer.outcome, answer.cut_off) == (Outcome.NOT_SENT, False)
