"""Samples, returns, correlation; and the router's clock: samples a minute apart, days in small portions."""

from __future__ import annotations

from decimal import Decimal as D

from actors.core.constants import RETURNS_MIN
from actors.core.messages import Wake
from actors.core.trading_day import DayRule
from actors.core.units import AccountId, Nanos
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.symbol_router.actor import DAY_WAKES, SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.symbol_router.price_history import SAMPLES_MAX, History
from tests.factories import BTC, ETH, SOL, tick
from tests.sink import Sink

SECOND = 1_000_000_000


def sampled(paths):
    history = History()
    for mids in zip(*paths.values(), strict=True):
        history.sample({s: tick(s, str(m)) for s, m in zip(paths, mids, strict=True)})
    return history


def test_correlation_of_twins_opposites_and_of_one_that_stands_still():
    up = [1000 + (n * n) % 37 for n in range(60)]
    history = sampled({ETH: up, BTC: [10 * p for p in up], SOL: [50] * 60})
    assert history.correlation(ETH, BTC) == D(1)
    assert history.correlation(ETH, SOL) is None
    # Returns that are each other's negative.
    a, b = [100.0], [100.0]
    for n in range(60):
        move = 0.01 if n % 3 else -0.015
        a.append(a[-1] * (1 + move))
        b.append(b[-1] * (1 - move))
    assert abs(sampled({ETH: a, BTC: b}).correlation(ETH, BTC) + 1) < D("1e-6")


def test_too_few_minutes_are_no_correlation():
    path = [1000 + (n * n) % 37 for n in range(RETURNS_MIN)]
    assert sampled({ETH: path, BTC: path}).correlation(ETH, BTC) is None
    path.append(1001)
    assert sampled({ETH: path, BTC: path}).correlation(ETH, BTC) == D(1)


def test_samples_are_bounded():
    assert len(sampled({ETH: range(1, 1000)}).returns(ETH)) == SAMPLES_MAX - 1


class Routed:
    """A router on virtual time, which is begun 10 s before 08:00 in New York."""

    def __init__(self, accounts):
        self.clock = VirtualClock(1_700_053_200_000 - 10_000)
        self.dispatcher = SeededDispatcher("t", self.clock)
        ids = [AccountId(f"a{n}") for n in range(accounts)]
        self.ears = {i: Sink.start(i, self.dispatcher) for i in ids}
        self.book = PriceBook()
        self.router = SymbolRouter.start("router", self.dispatcher, self.book, self.ears, DayRule())
        self.dispatcher.run_until_quiet()
        self.update = 0

    def tick(self, mid="2000", seconds=1):
        now = Nanos(self.clock.monotonic_ns() + seconds * SECOND)
        self.dispatcher.run_until(now)
        self.update += 1
        self.router.tell(tick(ETH, mid, received_ns=now, update_id=self.update, event_ms=self.update))
        self.dispatcher.run_until_quiet()

    def told(self):
        return sum(
            isinstance(m, Wake) and m.cause == f"day:{self.book.day.start_ms}"
            for ear in self.ears.values()
            for m in ear.cell.actor.got
        )


def test_samples_are_a_minute_apart():
    routed = Routed(1)
    for n in range(181):
        routed.tick(str(2000 + n))
    returns = routed.book.returns(ETH)
    assert [round(2059 * returns[0]), round(2119 * returns[1])] == [60, 60]
    assert len(returns) == 2


def test_a_day_begins_in_front_of_its_first_tick_and_everybody_hears_of_it_in_portions():
    routed = Routed(3 * DAY_WAKES + 5)
    for _ in range(9):
        routed.tick("2000")
    before = routed.book.day
    assert routed.book.day_ticks is None
    routed.tick("1900", seconds=2)
    day = routed.book.day
    assert (before.end_ms, day.start_ms) == (1_700_053_200_000, 1_700_053_200_000)
    # The day's first price is the one that held at its begin, not the tick that came after it.
    assert routed.book.day_ticks[ETH].mid == D(2000)
    assert routed.book.ticks[ETH].mid == D(1900)
    assert routed.told() == DAY_WAKES
    for _ in range(3):
        routed.tick("1900", seconds=0)
    assert routed.told() == len(routed.ears)
    routed.tick("1900")
    assert routed.told() == len(routed.ears)
