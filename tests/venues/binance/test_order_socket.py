"""Orders over a real websocket to the paper exchange: each is sent once and answered once, whatever the wire does."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from decimal import Decimal as D
from itertools import count

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.core.units import NANOS_PER_MS
from actors.gateway.messages import Answered, MasterWarned, Outcome
from actors.gateway.orders import Request
from actors.runtime.io_loop import IoLoop
from actors.subaccount.decide import decide
from actors.venues.binance import order_socket
from actors.venues.binance.addresses import addresses
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.discovery import VenueRules
from actors.venues.binance.orders import BinanceOrders
from actors.venues.binance.throttle import Throttle
from tests.factories import BUY, ETH, account, market
from tests.venues.binance.test_orders import Told
from tests.venues.paper.running import Running

NUMBERS = count(1)


@pytest.fixture
def paper():
    running = Running()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(order_socket, "delays", lambda: itertools.repeat(0.05))


def until(condition, what, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Trader:
    """The engine's side, with its user stream and clock as in life."""

    def __init__(self, base, orders="", behind_ms=0):
        self.loop = IoLoop("test")
        self.loop.start()
        clock = ExchangeClock(time.monotonic_ns, time.time_ns)
        clock.measured(clock.began(), time.time_ns() // NANOS_PER_MS - behind_ms)
        self.throttle = Throttle()
        venue = VenueRules({}, 300, 1_200, clock)
        where = addresses(base, orders=orders)
        self.transport = BinanceOrders(where, "paper", "paper-secret", venue, self.loop, self.throttle)
        self.told = Told()
        self.transport.start(self.told)

    def is_up(self):
        return self.transport.orders_go_by() == "websocket"

    def place(self, **changes):
        [order] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
        changes = {"order_type": OrderType.MARKET, **changes}
        order = replace(order, client_order_id=f"bh-ws-{next(NUMBERS)}", **changes)
        self._request("place", order)
        return order.client_order_id

    def cancel(self, id_):
        [order] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
        self._request("cancel", replace(order, client_order_id=id_))

    def _request(self, kind, order):
        stamp = self.transport.now_ms()
        self.transport.request(
            Request(
                kind=kind, symbol=order.symbol, client_order_id=order.client_order_id, order=order, timestamp_ms=stamp
            )
        )  # fmt: skip

    def answer(self, id_, kind="place"):
        found = []

        def came():
            found[:] = [a for a in self.answers() if (a.client_order_id, a.request) == (id_, kind)]
            return found

        until(came, f"no answer to {id_}: {self.told}")
        return found[0]

    def answers(self):
        return [m for m in list(self.told) if isinstance(m, Answered)]


@pytest.fixture
def traders():
    made = []

    def make(base, **settings):
        made.append(Trader(base, **settings))
        return made[-1]

    yield make
    for trader in made:
        assert trader.loop.stop(10)


@pytest.fixture
def trader(paper, traders):
    trader = traders(paper.address.rest)
    until(trader.is_up, "no websocket")
    return trader


def executed(paper, id_):
    """How often the exchange has an order of this id, of all that it ever took."""
    return [o["clientOrderId"] for o in paper.get("v1/allOrders", symbol="ETHUSDT", limit=1000)].count(id_)


def by_rest(monkeypatch, trader):
    """The REST requests that place or cancel from now on."""
    seen, http = [], trader.transport._http
    send = http._send

    async def recorded(method, path, *args):
        seen.append((method, path))
        return await send(method, path, *args)

    monkeypatch.setattr(http, "_send", recorded)
    return seen


def test_orders_and_cancels_go_over_the_websocket_and_nothing_else(paper, trader, monkeypatch):
    rest = by_rest(monkeypatch, trader)
    placed = [trader.place() for _ in range(20)]
    assert {trader.answer(id_).outcome for id_ in placed} == {Outcome.OK}
    assert [executed(paper, id_) for id_ in placed] == [1] * 20
    resting = trader.place(order_type=OrderType.LIMIT, price=D("1000.00"))
    assert trader.answer(resting).report.status == "NEW"
    trader.cancel(resting)
    assert trader.answer(resting, "cancel").report.status == "CANCELED"
    assert rest == []
    assert len(trader.answers()) == 22
    # One cancel weighs one, orders nothing; what the test itself asked for is told with the last answer.
    use = trader.throttle.use()
    assert use.used - use.by_others <= 2
    assert use.by_others >= 20 * 5
    assert trader.answer(placed[-1]).orders_used == (20, 20)


def test_answers_out_of_order_find_their_requests(paper, trader):
    paper.admin("faults", kind="delay", seconds=2)
    slow = trader.place()
    until(lambda: executed(paper, slow), "the slow one did not arrive")
    fast = trader.place()
    assert trader.answer(fast).report.client_order_id == fast
    assert slow not in {a.client_order_id for a in trader.answers()}
    assert trader.answer(slow).report.client_order_id == slow


@pytest.mark.parametrize("taken", [True, False])
def test_what_was_under_way_when_the_connection_ends_is_unknown_and_never_sent_again(paper, trader, taken):
    paper.admin("faults", kind="delay", seconds=30)
    waiting = trader.place()
    until(lambda: executed(paper, waiting), "it did not arrive")
    paper.admin("faults", kind="reset", taken=taken)
    cut = trader.place()
    for id_ in (waiting, cut):
        answer = trader.answer(id_)
        assert (answer.outcome, answer.cut_off) == (Outcome.UNKNOWN, True), answer
    until(trader.is_up, "no new connection")
    after = trader.place()
    assert trader.answer(after).outcome is Outcome.OK
    assert executed(paper, waiting) == 1
    assert executed(paper, cut) == int(taken)
    assert len(trader.answers()) == 3


def test_no_answer_in_time_is_unknown_and_the_connection_takes_no_more(paper, trader, monkeypatch):
    rest = by_rest(monkeypatch, trader)
    monkeypatch.setattr(order_socket, "REQUEST_SECONDS", 0.4)
    first = trader.transport._socket._connection
    paper.admin("faults", kind="delay", seconds=1)
    late = trader.place()
    answer = trader.answer(late)
    assert (answer.outcome, answer.cut_off) == (Outcome.UNKNOWN, False)
    assert "no answer on the websocket for 0.4 s" in answer.text
    assert not first.takes_requests
    until(trader.is_up, "no new connection")
    assert trader.transport._socket._connection is not first
    time.sleep(1)  # the late answer, if it came anywhere, would be here
    assert [a.client_order_id for a in trader.answers()] == [late]
    assert rest == []
    assert executed(paper, late) == 1


def test_others_on_a_connection_that_is_given_up_still_get_their_answers(paper, trader, monkeypatch):
    paper.admin("faults", kind="delay", seconds=2)
    slow = trader.place()
    until(lambda: executed(paper, slow), "it did not arrive")
    connection = trader.transport._socket._connection
    trader.loop.call(lambda: connection.retire("a test"))
    until(lambda: not trader.is_up(), "still in use")
    other = trader.place()
    assert trader.answer(other).outcome is Outcome.OK, "by REST"
    assert trader.answer(slow).outcome is Outcome.OK
    until(trader.is_up, "no new connection")


def test_a_connection_is_replaced_before_the_exchange_ends_it(paper, traders, monkeypatch):
    monkeypatch.setattr(order_socket, "LIFE_SECONDS", 0.3)
    trader = traders(paper.address.rest)
    until(trader.is_up, "no websocket")
    first = trader.transport._socket._connection
    until(lambda: trader.is_up() and trader.transport._socket._connection is not first, "not replaced")
    assert trader.answer(trader.place()).outcome is Outcome.OK


def test_the_exchanges_own_refusal_is_final_and_a_proxys_page_is_not(paper, trader):
    paper.admin("faults", kind="reject", code=-2019)
    refused = trader.answer(trader.place())
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, -2019)
    for taken in (True, False):
        paper.admin("faults", kind="proxy", status=403, taken=taken)
        id_ = trader.place()
        assert trader.answer(id_).outcome is Outcome.UNKNOWN
        assert executed(paper, id_) == int(taken)
    paper.admin("faults", kind="server_error")
    assert trader.answer(trader.place()).outcome is Outcome.UNKNOWN


def test_too_many_orders_are_throttled_for_as_long_as_the_exchange_says(traders):
    paper = Running(limits="binance")
    try:
        trader = traders(paper.address.rest)
        until(trader.is_up, "no websocket")
        placed = [trader.place() for _ in range(310)]
        answers = [trader.answer(id_) for id_ in placed]
        throttled = [a for a in answers if a.outcome is Outcome.THROTTLED]
        assert {a.outcome for a in answers} == {Outcome.OK, Outcome.THROTTLED}
        assert len(throttled) == 10
        assert all(1_000 <= a.retry_after_ms <= 10_000 for a in throttled)
        # Whoever was told to wait does: on the other way, too.
        assert trader.throttle.use().paused_ms > 0
        held = trader.answer(trader.place())
        assert held.outcome is Outcome.THROTTLED
        assert "told us to wait" in held.text
        assert paper.state()["rejected_orders"] == 10
    finally:
        paper.stop()


def test_a_time_that_the_exchange_refuses_is_told_and_a_cancel_is_signed_anew(paper, traders):
    trader = traders(paper.address.rest, behind_ms=60_000)
    until(trader.is_up, "no websocket")
    resting = paper.resting(newClientOrderId="bh-ws-rests")["clientOrderId"]
    trader.cancel(resting)
    assert trader.answer(resting, "cancel").report.status == "CANCELED"
    assert any(type(m).__name__ == "ClockLost" for m in trader.told)


def test_a_mistimed_order_is_not_sent_again_here(paper, traders, monkeypatch):
    trader = traders(paper.address.rest, behind_ms=60_000)
    rest = by_rest(monkeypatch, trader)
    until(trader.is_up, "no websocket")
    id_ = trader.place()
    assert trader.answer(id_).outcome is Outcome.MISTIMED
    assert (rest, executed(paper, id_)) == ([], 0)


def test_without_a_websocket_orders_go_by_rest_and_a_human_is_told(paper, traders, monkeypatch):
    monkeypatch.setattr(order_socket, "TELL_SECONDS", 0.2)
    paper.admin("faults", kind="proxy", path="/ws-fapi", method="WEBSOCKET", count=10)
    trader = traders(paper.address.rest)
    assert trader.answer(trader.place()).outcome is Outcome.OK
    assert trader.transport.orders_go_by() == "REST"
    until(trader.is_up, "no websocket once it can be had")
    warned = [m.text for m in trader.told if isinstance(m, MasterWarned)]
    assert len(warned) == 1, "once, not at each try"
    assert "orders go by REST" in warned[0]


def test_orders_go_by_rest_alone_where_settings_say_so(paper, traders):
    trader = traders(paper.address.rest, orders="off")
    ids = [trader.place() for _ in range(7)]
    assert {trader.answer(id_).outcome for id_ in ids} == {Outcome.OK}
    assert trader.transport.orders_go_by() == "REST"


def test_a_peer_that_is_gone_without_a_word_is_noticed(traders, monkeypatch):
    monkeypatch.setattr(order_socket, "PING_SECONDS", 0.2)
    paper, wall = Running(), Wall()
    try:
        wall.open_to(paper.address.rest)
        trader = traders(paper.address.rest, orders=f"ws://127.0.0.1:{wall.port}/ws-fapi/v1")
        until(trader.is_up, "no websocket")
        wall.silent.set()
        until(lambda: not trader.is_up(), "a dead connection still takes orders")
        assert trader.answer(trader.place()).outcome is Outcome.OK, "by REST"
    finally:
        wall.close()
        paper.stop()


class Wall:
    """Passes bytes on until it is silent: nothing ends, nothing comes."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.silent = threading.Event()
        self._sockets = [self._listener]

    def open_to(self, base):
        self._target = int(base.rpartition(":")[2])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        for _ in range(20):
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(here)
            if self.silent.is_set():
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(there)
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source, sink):
        try:
            while data := source.recv(65_536):
                if not self.silent.is_set():
                    sink.sendall(data)
        except OSError:
            return

    def close(self):
        for one in self._sockets:
            one.close()
