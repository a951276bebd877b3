"""The gateway's port: our own budget never holds back what weighs nothing, and each request has its answer.

Covers: actors/runtime/io_loop.py
"""

from __future__ import annotations

import time
from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.enums import OrderType
from actors.core.messages import PlaceOrder
from actors.gateway.messages import Answered, ClockLost, HistoryListed, Outcome, Surveyed
from actors.gateway.orders import Request
from actors.subaccount.decide import decide
from actors.venues.binance import throttle as throttling
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.discovery import VenueRules
from actors.venues.binance.orders import BATCH, BinanceOrders
from actors.venues.binance.throttle import Throttle
from tests.factories import BUY, ETH, account, market


class Told(list):
    """What the gateway would be told."""

    tell = list.append

    def of(self, kind, count=1):
        deadline = time.monotonic() + 20
        while len(found := [m for m in list(self) if isinstance(m, kind)]) < count:
            assert time.monotonic() < deadline, self
            time.sleep(0.01)
        return found


def orders_of(exchange, loop, throttle):
    clock = ExchangeClock(time.monotonic_ns, time.time_ns)
    clock.measured(clock.began(), time.time_ns() // 1_000_000)
    where = Addresses(exchange.base, exchange.base, exchange.base.replace("http", "ws"))
    transport = BinanceOrders(where, "key", "secret", VenueRules({}, 300, 1_200, clock), loop, throttle)
    told = Told()
    # Without its stream and its clock: only requests are tried here.
    transport._gateway = told
    return transport, told


def request(kind="place", number=0):
    [order] = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market()).facts
    order = replace(order, client_order_id=f"bh-x-{number}", order_type=OrderType.MARKET)
    return Request(
        kind=kind, symbol=ETH, client_order_id=order.client_order_id, order=order, timestamp_ms=time.time_ns() // 10**6
    )  # fmt: skip


def test_batches_that_do_not_fit_the_weight_go_singly_and_pause_nobody(exchange, loop):
    throttle = Throttle()
    throttle.set_limit(7)
    transport, told = orders_of(exchange, loop, throttle)
    for number in range(20):
        transport.request(request(number=number))
    answers = told.of(Answered, 20)
    assert {a.client_order_id for a in answers} == {f"bh-x-{n}" for n in range(20)}
    # The server refuses each by name; what counts is that each was sent, and once.
    assert {a.outcome for a in answers} == {Outcome.REFUSED}
    assert exchange.count("/fapi/v1/order") + 5 * exchange.count(BATCH) >= 20
    assert exchange.used() <= 7


@pytest.mark.parametrize("kind", ["query", "cancel"])
def test_a_question_that_found_no_room_in_our_own_budget_does_not_stop_orders(
    exchange, loop, monkeypatch, kind
):
    monkeypatch.setattr(throttling, "PATIENCE_MS", 50)
    throttle = Throttle()
    throttle.set_limit(1)
    transport, told = orders_of(exchange, loop, throttle)
    transport.request(request(kind, 1))
    transport.request(request(kind, 2))
    [answer] = [a for a in told.of(Answered, 2) if a.outcome is not Outcome.REFUSED]
    assert answer.outcome is Outcome.UNKNOWN
    assert "1 of 1 are used" in answer.text


def test_when_the_exchange_says_wait_every_request_says_so(exchange, loop):
    exchange.refusals["GET", "/fapi/v1/order"] = (429, -1003, "Too many requests")
    exchange.headers = {"retry-after": "100"}
    transport, told = orders_of(exchange, loop, Throttle())
    transport.request(request("query", 1))
    told.of(Answered)
    transport.request(request("place", 2))
    transport.request(request("cancel", 3))
    answers = told.of(Answered, 3)
    assert {a.outcome for a in answers} == {Outcome.THROTTLED}
    assert all(90_000 < a.retry_after_ms <= 100_000 for a in answers)


@pytest.mark.parametrize("count", ["9" * 5_000, "\u00b2", "-1", "1e9", "x"])
def test_headers_that_are_no_counts_change_nothing(exchange, loop, count):
    exchange.headers = {
        "x-mbx-used-weight-1m": count,
        "x-mbx-order-count-10s": count,
        "x-mbx-order-count-1m": count,
    }
    throttle = Throttle()
    transport, told = orders_of(exchange, loop, throttle)
    for number in range(5):
        transport.request(request(number=number))
    assert {(a.outcome, a.orders_used) for a in told.of(Answered, 5)} == {(Outcome.REFUSED, None)}
    # Nothing is under way for ever.
    assert throttle._budget._under_way == 0


@pytest.mark.parametrize("amount", ["sNaN", "NaN", "Infinity", "1e999999999"])
def test_amounts_that_cannot_be_are_no_answer(exchange, loop, amount):
    transport, told = orders_of(exchange, loop, Throttle())
    transport._http = Fixed(f'[{{"symbol": "ETHUSDT", "positionAmt": "{amount}"}}]'.encode())
    transport.survey(5)
    [survey] = told.of(Surveyed)
    assert survey.positions is None


@pytest.mark.parametrize(
    ("http", "found"), [(b"[]", ()), (b"{", None), (None, None)], ids=["empty", "garbage", "fails"]
)
def test_each_question_for_a_history_is_answered(exchange, loop, http, found):
    transport, told = orders_of(exchange, loop, Throttle())
    transport._http = None if http is None else Fixed(http)
    transport.history(ETH, 1_000, 5)
    assert told.of(HistoryListed) == [HistoryListed(symbol=ETH, asked_ms=5, orders=found, trades=found)]


class Fixed:
    """Answers everything with the same."""

    def __init__(self, content):
        self.content = content

    async def call(self, method, path, params):
        from actors.venues.binance.http import Answer

        return Answer(Outcome.OK, self.content)


def test_a_gateway_that_starts_anew_is_told_that_the_time_is_lost(exchange, loop):
    exchange.refusals["GET", "/fapi/v1/time"] = (502, 0, "Bad gateway")
    transport, _ = orders_of(exchange, loop, Throttle())
    del transport._gateway
    told = Told()
    transport.start(told)
    loop.call(transport._http.on_mistimed)
    told.of(ClockLost)
    # The actor is another one, its ref is the same.
    transport.start(told)
    assert "-1021" in told.of(ClockLost, 2)[1].reason
