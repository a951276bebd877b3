"""Refreshing L1 by REST: one question for many, and as fresh as the moment of asking."""

from __future__ import annotations

import time

from actors.core.units import NANOS_PER_SECOND, Symbol
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.market_data import BinanceFeed, FeedTerms, questions_for
from actors.venues.binance.streams import encode
from actors.venues.binance.throttle import Throttle
from tests.e2e.processes import until

LIMIT_NS = 10 * NANOS_PER_SECOND


def ticker(symbol, changed_ms=1, bid="100.1", ask="100.2"):
    return {
        "symbol": symbol, "bidPrice": bid, "bidQty": "1", "askPrice": ask, "askQty": "1", "time": changed_ms, "lastUpdateId": 7,
    }  # fmt: skip


class Told:
    """Stands in for the router's ref."""

    def __init__(self):
        self.ticks = []

    def tell(self, tick):
        self.ticks.append(tick)


def feed_of(exchange, loop, symbols, alarms=None):
    terms = FeedTerms(
        throttle=Throttle(),
        exchange_ms=lambda: time.time_ns() // 1_000_000,
        clock_uncertain_ms=lambda: 0,
        max_age_ns=LIMIT_NS,
        on_alarm=(alarms if alarms is not None else []).append,
        funding_every_s=1,
    )
    nowhere = Addresses(exchange.base, "ws://127.0.0.1:9/public", "ws://127.0.0.1:9/private")
    return BinanceFeed(nowhere, symbols, loop, terms)


def test_many_symbols_are_asked_for_in_one_question_and_few_one_by_one():
    assert questions_for({"A", "B"}) == [{"symbol": "A"}, {"symbol": "B"}]
    assert questions_for({"A", "B", "C"}) == [{}]
    assert questions_for(set()) == []


def test_a_hundred_quiet_symbols_cost_one_answer(exchange, loop):
    symbols = [Symbol(f"S{n}USDT") for n in range(100)]
    exchange.quotes = {s: ticker(s) for s in [*symbols, "STRANGERUSDT"]}
    feed, router = feed_of(exchange, loop, symbols), Told()
    began_ns = time.monotonic_ns()
    feed.refresh(symbols, router)
    until(lambda: len(router.ticks) == 100, "all ticks")
    assert exchange.used() == 5
    assert {t.symbol for t in router.ticks} == set(symbols)
    for tick in router.ticks:
        asked_ns = tick.received_ns - tick.delay_ns
        assert asked_ns >= began_ns, "its last change was in 1970, but it was confirmed now"
        assert tick.delay_ns < LIMIT_NS
    assert (feed.refreshed, feed.bulk_refreshes) == (100, 1)


def test_a_symbol_without_a_market_costs_only_itself(exchange, loop):
    symbols = [Symbol(s) for s in ("AUSDT", "BUSDT", "CUSDT")]
    exchange.quotes = {s: ticker(s) for s in symbols} | {"BUSDT": ticker("BUSDT", bid="0", ask="0")}
    feed, router = feed_of(exchange, loop, symbols), Told()
    feed.refresh(symbols, router)
    until(lambda: len(router.ticks) == 2, "the others' ticks")
    assert [t.symbol for t in router.ticks] == ["AUSDT", "CUSDT"]
    assert feed.malformed == 1
    for _ in range(50):
        feed.refresh([Symbol("BUSDT")], router)
    feed.refresh([Symbol("AUSDT")], router)
    until(lambda: len(router.ticks) == 3, "one that has a market")
    assert exchange.count("/fapi/v1/ticker/bookTicker") == 2, "nobody asks for the other all the time"


def test_questions_do_not_pile_up_behind_each_other(exchange, loop):
    symbols = [Symbol(f"S{n}USDT") for n in range(10)]
    exchange.quotes = {s: ticker(s) for s in symbols}
    feed, router = feed_of(exchange, loop, symbols), Told()
    for _ in range(200):
        feed.refresh(symbols, router)
    until(lambda: feed.bulk_refreshes >= 1 and not feed._refreshing and not feed._wanted, "all answers")
    assert exchange.count("/fapi/v1/ticker/bookTicker") <= 100


def frame(event_ms, update=1):
    data = {
        "e": "bookTicker",
        "u": update,
        "s": "BTCUSDT",
        "b": "1",
        "B": "1",
        "a": "2",
        "A": "1",
        "T": event_ms,
        "E": event_ms,
    }
    return encode({"stream": "btcusdt@bookTicker", "data": data})


def test_a_frame_that_waited_is_counted_alarmed_and_stale(exchange, loop):
    alarms = []
    feed, router = feed_of(exchange, loop, [Symbol("BTCUSDT")], alarms), Told()
    feed._router = router
    now_ms = time.time_ns() // 1_000_000
    feed._frame(frame(now_ms - 12_000, 1))
    feed._frame(frame(now_ms - 12_000, 2))
    feed._frame(frame(now_ms, 3))
    assert [t.delay_ns > LIMIT_NS for t in router.ticks] == [True, True, False]
    assert feed.late == 2
    assert len(alarms) == 1
    assert "L1 of BTCUSDT came 12" in alarms[0]


def test_funding_is_told_once_and_the_last_day_again_to_a_feed_that_begins_anew(exchange, loop):
    at_ms = time.time_ns() // 1_000_000 - 3_600_000
    exchange.quotes = {"BTCUSDT": ticker("BTCUSDT")}
    exchange.funding = [
        {"symbol": s, "fundingRate": "0.0001", "fundingTime": at_ms, "markPrice": "60000"}
        for s in ("BTCUSDT", "STRANGERUSDT")
    ]
    feed, told = feed_of(exchange, loop, [Symbol("BTCUSDT")]), Told()
    feed.start(Told(), told)
    until(lambda: exchange.count("/fapi/v1/fundingRate") >= 3, "three questions")
    assert [(f.symbol, f.funding_ms) for f in told.ticks] == [("BTCUSDT", at_ms)]
    feed.start(Told(), told)
    until(lambda: len(told.ticks) == 2, "the last day again")
    asked = exchange.count("/fapi/v1/fundingRate")
    until(lambda: exchange.count("/fapi/v1/fundingRate") >= asked + 2, "two questions more")
    assert told.ticks[0] == told.ticks[1]
    assert len(told.ticks) == 2
    [*_, last] = [params for _, path, params in exchange.requests if path == "/fapi/v1/fundingRate"]
    assert at_ms - 24 * 3_600_000 < int(last["startTime"]) <= at_ms
