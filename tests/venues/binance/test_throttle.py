"""The budget at the door: over a real connection, in turn, and never above what the exchange allows."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from actors.gateway.messages import Outcome
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.http import SignedHttp
from actors.venues.binance.throttle import OverBudget, Throttle, throttled, throttled_sync
from actors.venues.binance.weight import Urgency


def sync_client(exchange, throttle, urgency):
    return httpx.Client(base_url=exchange.base, transport=throttled_sync(throttle, urgency))


def test_every_request_is_counted_and_the_others_on_the_address_are_learned(exchange):
    exchange.others = 700
    throttle = Throttle()
    with sync_client(exchange, throttle, Urgency.ORDERS) as client:
        assert throttle.use().used == 0
        client.get("/fapi/v1/positionSide/dual")
        client.get("/fapi/v1/time")
    use = throttle.use()
    assert (use.used, use.by_others, use.limit, use.waiting) == (731, 700, 2_400, 0)


def test_people_are_told_when_to_come_back_and_nothing_is_sent(exchange):
    throttle = Throttle()
    throttle.set_limit(100)
    with sync_client(exchange, throttle, Urgency.PEOPLE) as client:
        client.get("/fapi/v1/positionSide/dual")
        with pytest.raises(
            OverBudget, match=r"weight 30 must wait (5[0-9]|60) s: 30 of 100 are used"
        ) as caught:
            client.get("/fapi/v1/multiAssetsMargin")
        assert 50_000 < caught.value.wait_ms <= 60_000
        # What is kept for orders is there for orders.
        client.get("/fapi/v1/multiAssetsMargin", extensions={"urgency": Urgency.ORDERS})
    assert exchange.count("/fapi/v1/multiAssetsMargin") == 1
    assert throttle.use().refused == 1


@pytest.mark.parametrize("status", [429, 418])
def test_when_the_exchange_says_wait_an_order_is_not_sent(exchange, status):
    exchange.refusals["GET", "/fapi/v1/time"] = (status, -1003, "Too many requests")
    exchange.headers = {"retry-after": "7"}
    throttle = Throttle()
    with sync_client(exchange, throttle, Urgency.ORDERS) as client:
        client.get("/fapi/v1/time")
        assert 6_000 < throttle.use().paused_ms <= 7_000
        with pytest.raises(OverBudget, match="told us to wait"):
            client.post("/fapi/v1/order")
    assert exchange.count("/fapi/v1/order") == 0


def exchange_clock():
    clock = ExchangeClock(time.monotonic_ns, time.time_ns)
    clock.measured(clock.began(), time.time_ns() // 1_000_000)
    return clock


def test_an_order_over_budget_is_throttled_and_never_of_unknown_fate(exchange):
    throttle, clock = Throttle(), exchange_clock()

    async def run():
        http = SignedHttp(exchange.base, "key", "secret", clock, throttle)
        batch = await http.place("POST", "/fapi/v1/batchOrders", {"batchOrders": "[]"}, 1)
        single = await http.place("POST", "/fapi/v1/order", {"symbol": "BTCUSDT"}, 1)
        await http.client().aclose()
        return batch, single

    throttle.set_limit(6)
    with sync_client(exchange, throttle, Urgency.ORDERS) as client:
        client.get("/fapi/v1/time")
        client.get("/fapi/v1/time")
    batch, single = asyncio.run(run())
    assert batch.outcome is Outcome.THROTTLED
    assert b"2 of 6 are used" in batch.content
    assert batch.retry_ms > 50_000
    assert exchange.count("/fapi/v1/batchOrders") == 0
    assert not throttle.fits("POST", "/fapi/v1/batchOrders")
    assert throttle.fits("POST", "/fapi/v1/order"), "so orders go one by one"
    assert single.outcome is not Outcome.THROTTLED, "a single order weighs nothing"


def test_who_waits_goes_by_urgency_and_then_in_turn(exchange):
    throttle = Throttle()
    throttle.set_limit(1)
    order = []

    async def ask(name, urgency):
        ticket = await throttle.turn("GET", "/fapi/v1/order", {}, urgency)
        order.append(name)
        throttle._budget.give_back(ticket)

    async def first():
        ticket = await throttle.turn("POST", "/fapi/v1/listenKey", {}, Urgency.ORDERS)
        order.append("listen key")
        throttle._budget.give_back(ticket)

    async def run():
        blocker = await throttle.turn("GET", "/fapi/v1/order", {}, Urgency.ORDERS)
        waiting = [
            asyncio.create_task(ask(name, urgency))
            for name, urgency in (
                ("price", Urgency.MARKET_DATA),
                ("query 1", Urgency.ORDERS),
                ("query 2", Urgency.ORDERS),
            )
        ]
        waiting.append(asyncio.create_task(first()))
        while throttle.use().waiting < 4:  # noqa: ASYNC110 - others' places in line
            await asyncio.sleep(0.01)
        throttle._budget.give_back(blocker)
        await asyncio.wait_for(asyncio.gather(*waiting), 20)

    asyncio.run(run())
    assert order == ["listen key", "query 1", "query 2", "price"]


def test_a_signature_is_made_after_the_wait(exchange):
    throttle, clock = Throttle(), exchange_clock()
    began_ms = clock.now_ms()
    throttle.set_limit(1)

    async def run():
        http = SignedHttp(exchange.base, "key", "secret", clock, throttle)
        blocker = await throttle.turn("GET", "/fapi/v1/order", {}, Urgency.ORDERS)
        asked = asyncio.create_task(http.call("GET", "/fapi/v1/order", {"symbol": "BTCUSDT"}))
        began = time.monotonic()
        while throttle.use().waiting < 1 or time.monotonic() - began < 0.5:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        throttle._budget.give_back(blocker)
        await asyncio.wait_for(asked, 20)
        await http.client().aclose()

    asyncio.run(run())
    [(_, _, params)] = exchange.requests
    assert int(params["timestamp"]) >= began_ms + 500


def test_what_was_never_sent_does_not_count(exchange):
    throttle = Throttle()
    with (
        httpx.Client(
            base_url="http://127.0.0.1:9", transport=throttled_sync(throttle, Urgency.ORDERS)
        ) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("/fapi/v1/positionSide/dual")
    assert throttle.use().used == 0


def test_many_at_once_never_exceed_the_limit(exchange):
    throttle = Throttle()
    throttle.set_limit(40)

    async def run():
        async with httpx.AsyncClient(
            base_url=exchange.base, transport=throttled(throttle, Urgency.PEOPLE)
        ) as client:
            return await asyncio.gather(
                *(client.get("/fapi/v1/accountConfig") for _ in range(50)), return_exceptions=True
            )

    answers = asyncio.run(run())
    assert sum(isinstance(a, httpx.Response) for a in answers) == 4, "half of 40, at 5 each"
    assert sum(isinstance(a, OverBudget) for a in answers) == 46
    assert exchange.used() == 20
