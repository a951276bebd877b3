"""The feed's actor: stale prices are asked for in time, an alarm is one, and funding reaches everybody.

Covers: actors/feed/port.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.messages import ApplyFunding, AskRate, OrderAccepted
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND
from actors.feed.actor import ACCOUNTS_AT_ONCE, NAMED_AT_ONCE, WATCH_EVERY, Feed, Listed
from actors.feed.rates import MinuteRate
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.symbol_router.book import PriceBook
from tests.factories import BNB, BTC, ETH, SOL, tick
from tests.sink import Sink

MAX_AGE = 6 * NANOS_PER_SECOND
TURN = 20 * NANOS_PER_MS


class Source:
    """Keeps what it was asked for."""

    def __init__(self):
        self.refreshed, self.subscribed, self.rates, self.started = [], [], [], 0

    def start(self, router, feed):
        self.started += 1

    def subscribe(self, symbols):
        self.subscribed += symbols

    def refresh(self, symbols, router):
        self.refreshed.append(tuple(symbols))

    def rate(self, symbol, begin_ms, feed):
        self.rates.append((symbol, begin_ms))


class Bench:
    def __init__(self, symbols=(ETH, BTC), accounts=1, rate_symbols=()):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.book, self.source, self.alarms = PriceBook(), Source(), []
        self.accounts = {f"a{n}": Sink.start(f"a{n}", self.dispatcher) for n in range(accounts)}
        self.router = Sink.start("router", self.dispatcher)
        self.feed = Feed.start(
            "feed", self.dispatcher, self.source, self.router, self.book, symbols, MAX_AGE, self.alarms.append,
            self.accounts, rate_symbols,
        )  # fmt: skip
        self.dispatcher.run_until_quiet()

    def now(self):
        return self.dispatcher.clock.monotonic_ns()

    def price(self, *symbols):
        for symbol in symbols:
            self.book.apply(tick(symbol, received_ns=self.now(), update_id=self.now() + 1))

    def run(self, ns):
        self.dispatcher.run_until(self.now() + ns)

    def tell(self, *messages):
        for message in messages:
            self.feed.tell(message)
        self.dispatcher.run_until_quiet(max_turns=10_000)

    def got(self, name):
        return self.accounts[name].cell.actor.got


def test_a_price_is_asked_for_anew_at_a_third_of_the_age_at_which_nobody_may_use_it():
    bench = Bench()
    bench.price(ETH, BTC)
    bench.run(MAX_AGE // 3)
    assert bench.source.refreshed == []
    bench.price(BTC)
    bench.run(WATCH_EVERY)
    assert bench.source.refreshed == [(ETH,)]
    assert bench.alarms == [], "two thirds of its time are left to get it"
    bench.run(MAX_AGE - MAX_AGE // 3 - WATCH_EVERY)
    assert bench.alarms == []
    assert len(bench.source.refreshed) > 3, "asked for again and again"
    bench.price(BTC)
    bench.run(WATCH_EVERY)
    assert bench.alarms == [f"the price of {ETH} is stale: no new risk in it, and no liquidation either"]
    bench.price(ETH, BTC)
    bench.run(WATCH_EVERY)
    assert bench.alarms[1:] == [f"the price of {ETH} is fresh again"]
    assert bench.feed.cell.actor.inspect_state()["stale"] == []


def test_a_price_that_never_came_is_asked_for_at_once():
    bench = Bench()
    bench.run(WATCH_EVERY)
    assert bench.source.refreshed == [(ETH, BTC)]
    assert bench.alarms == [
        f"the price of {BTC} and {ETH} is stale: no new risk in it, and no liquidation either"
    ]


def test_however_many_prices_go_stale_it_is_one_alarm_each_way():
    symbols = tuple(f"S{n}USDT" for n in range(NAMED_AT_ONCE + 3))
    bench = Bench(symbols)
    bench.run(3 * WATCH_EVERY)
    [alarm] = bench.alarms
    assert "S4USDT and 3 more symbols is stale" in alarm
    bench.price(*symbols)
    bench.run(WATCH_EVERY)
    assert "3 more symbols is fresh again" in bench.alarms[1]
    exactly = Bench(symbols[:NAMED_AT_ONCE])
    exactly.run(WATCH_EVERY)
    assert "more symbols" not in exactly.alarms[0]


def test_a_stale_rate_of_a_fee_asset_is_another_alarm():
    bench = Bench((ETH, BNB), rate_symbols=(BNB,))
    bench.run(WATCH_EVERY)
    assert sorted(bench.alarms) == [
        f"the price of {BNB} is stale: fees in its asset are booked when it is known again",
        f"the price of {ETH} is stale: no new risk in it, and no liquidation either",
    ]


def test_new_symbols_are_read_and_watched_and_those_that_are_gone_are_not():
    bench = Bench()
    bench.price(ETH, BTC, SOL)
    bench.tell(Listed((BTC, SOL)))
    assert bench.source.subscribed == [SOL]
    bench.run(MAX_AGE // 3 + WATCH_EVERY)
    assert bench.source.refreshed == [(BTC, SOL)]


@pytest.mark.parametrize("count", [1, ACCOUNTS_AT_ONCE, ACCOUNTS_AT_ONCE + 1, 2 * ACCOUNTS_AT_ONCE + 7])
def test_each_account_hears_of_a_funding_once(count):
    bench = Bench(accounts=count)
    bench.dispatcher.stop_cell(bench.accounts["a0"].cell)
    funding = ApplyFunding(ETH, D("0.0001"), D(2000), 5)
    bench.tell(funding)
    assert bench.got("a0") == []
    assert all(bench.got(name) == [funding] for name in bench.accounts if name != "a0")
    assert bench.feed.cell.actor is not None


def test_everybody_who_asks_for_a_minute_s_rate_gets_it_and_the_venue_is_asked_once():
    bench = Bench(accounts=3)
    asks = [AskRate(f"a{n}", BNB, 60_000 + n) for n in range(2)]
    bench.tell(*asks)
    assert bench.source.rates == [(BNB, 60_000)]
    bench.tell(MinuteRate(BNB, 60_000, D(500)))
    assert [[m.rate for m in bench.got(f"a{n}")] for n in range(3)] == [[D(500)], [D(500)], []]
    bench.tell(AskRate("a2", BNB, 119_999))
    assert [m.rate for m in bench.got("a2")] == [D(500)]
    bench.tell(AskRate("a2", BNB, 120_000))
    assert bench.source.rates == [(BNB, 60_000), (BNB, 120_000)]


def test_the_timers_of_an_earlier_life_do_nothing():
    bench = Bench()
    bench.dispatcher.restart(bench.feed.cell)
    bench.run(10 * WATCH_EVERY)
    assert len(bench.dispatcher._timers) == 1
    assert bench.source.started == 2


def test_a_message_that_it_does_not_understand_is_a_fault_of_who_sent_it():
    bench, failed = Bench(), []
    bench.dispatcher.on_crash = lambda cell, report, error: failed.append(str(error))
    bench.tell(OrderAccepted("bh-x", 5))
    assert failed == ["the feed does not understand OrderAccepted"]
