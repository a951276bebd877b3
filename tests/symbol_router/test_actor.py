"""The router's actor: whom a tick wakes, what time brings in front of it, and who is gone.

Covers: actors/core/messages.py
"""

from __future__ import annotations

import pytest

from actors.core.messages import LoseTriggers, RegisterTriggers, Trigger, Wake
from actors.core.trading_day import ALWAYS, DayRule
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.symbol_router.actor import CHORE_EVERY, DAY_WAKES, WAKE_AGAIN, WAKE_AGAIN_IN_CROWD, SymbolRouter
from actors.symbol_router.book import PriceBook
from actors.symbol_router.price_history import SAMPLE_EVERY
from tests.factories import BTC, ETH, tick
from tests.sink import Sink

HOUR = 3_600 * NANOS_PER_SECOND


class Bench:
    def __init__(self, accounts=2, day_rule=None):
        self.dispatcher = SeededDispatcher("t", VirtualClock())
        self.book, self.number = PriceBook(), 0
        self.accounts = {f"a{n}": Sink.start(f"a{n}", self.dispatcher) for n in range(accounts)}
        self.router = SymbolRouter.start("router", self.dispatcher, self.book, self.accounts, day_rule)
        self.dispatcher.run_until_quiet()

    @property
    def actor(self):
        return self.router.cell.actor

    def after(self, ns):
        self.dispatcher.run_until(self.dispatcher.clock.monotonic_ns() + ns)

    def tick(self, mid="2000", symbol=ETH, **changes):
        self.number += 1
        now_ns = self.dispatcher.clock.monotonic_ns()
        self.tell(
            tick(
                symbol,
                mid,
                **{"received_ns": now_ns, "update_id": self.number, "event_ms": self.number, **changes},
            )
        )

    def tell(self, message):
        self.router.tell(message)
        self.dispatcher.run_until_quiet()

    def register(self, name, *triggers, every=()):
        self.tell(RegisterTriggers(name, triggers, tuple(every)))

    def woken(self):
        """Causes of the wakes since the last look, by account."""
        found = {}
        for name, ref in self.accounts.items():
            causes = [m.cause for m in ref.cell.actor.got if isinstance(m, Wake)]
            ref.cell.actor.got.clear()
            if causes:
                found[name] = causes
        return found


def test_a_tick_wakes_those_whose_trigger_it_crosses_with_its_name():
    bench = Bench()
    bench.tick("2000")
    bench.register("a0", Trigger(ETH, True, 1_990.0))
    bench.register("a1", Trigger(ETH, False, 2_010.0))
    assert bench.woken() == {}
    bench.tick("1990")
    assert bench.woken() == {"a0": ["tick:ETHUSDT:2"]}
    assert bench.actor.stats.wakes == 1
    bench.tick("1980")
    assert bench.woken() == {}, "it reads the newest price when it looks"
    bench.register("a0", Trigger(ETH, True, 1_985.0))
    assert bench.woken() == {"a0": ["register:ETHUSDT"]}, "and what it registers is held against it"
    bench.register("a0", Trigger(ETH, True, 1_975.0))
    bench.tick("1976")
    assert bench.woken() == {}
    bench.tick("1975")
    assert bench.woken() == {"a0": ["tick:ETHUSDT:5"]}


def test_who_looks_at_every_tick_is_woken_by_the_next_once_it_has_looked():
    bench = Bench()
    bench.register("a0", every=(ETH, BTC))
    bench.tick("2000")
    bench.tick("60000", BTC)
    assert bench.woken() == {"a0": ["tick:ETHUSDT:1"]}
    bench.register("a0", every=(ETH, BTC))
    bench.tick("60001", BTC)
    assert bench.woken() == {"a0": ["tick:BTCUSDT:3"]}


def test_who_does_not_register_after_a_wake_is_woken_again_each_second():
    bench = Bench()
    bench.register("a0", Trigger(ETH, True, 1_990.0))
    bench.register("a1", Trigger(ETH, True, 1_980.0))
    bench.tick("1990")
    assert bench.woken() == {"a0": ["tick:ETHUSDT:1"]}
    bench.after(WAKE_AGAIN)
    bench.tick("1991")
    assert bench.woken() == {}
    bench.after(CHORE_EVERY)
    bench.tick("60000", BTC)
    assert bench.woken() == {"a0": ["again:BTCUSDT"]}
    bench.after(CHORE_EVERY)
    bench.tick("60000", BTC)
    assert bench.woken() == {}
    bench.after(WAKE_AGAIN + CHORE_EVERY)
    bench.tick("60001", BTC)
    assert bench.woken() == {"a0": ["again:BTCUSDT"]}
    bench.register("a0")
    bench.after(WAKE_AGAIN + CHORE_EVERY)
    bench.tick("60000", BTC)
    assert bench.woken() == {}


def test_in_a_crowd_who_does_not_register_after_a_wake_is_woken_again_later_but_is():
    bench = Bench()
    bench.dispatcher.is_crowded = lambda: True
    bench.register("a0", Trigger(ETH, True, 1_990.0))
    bench.tick("1990")
    bench.woken()
    bench.after(WAKE_AGAIN_IN_CROWD - CHORE_EVERY)
    bench.tick("1991")
    assert bench.woken() == {}
    bench.after(2 * CHORE_EVERY)
    bench.tick("1992")
    assert bench.woken() == {"a0": ["again:ETHUSDT"]}
    bench.after(WAKE_AGAIN + CHORE_EVERY)
    bench.tick("1993")
    assert bench.woken() == {}
    bench.dispatcher.is_crowded = lambda: False
    bench.after(CHORE_EVERY)
    bench.tick("1994")
    assert bench.woken() == {"a0": ["again:ETHUSDT"]}, "the crowd is over"


def test_a_registration_that_the_present_price_has_crossed_wakes_at_once():
    bench = Bench()
    bench.tick("2000")
    bench.tick("60000", BTC)
    bench.register("a0", Trigger(ETH, True, 2_000.0), Trigger(BTC, True, 1.0))
    assert bench.woken() == {"a0": ["register:ETHUSDT"]}
    bench.tick("1900")
    assert bench.woken() == {}, "it has not looked yet"


def test_an_old_or_impossible_tick_wakes_nobody():
    bench = Bench()
    bench.tick("2000", update_id=5, event_ms=50)
    bench.register("a0", Trigger(ETH, True, 1_990.0))
    bench.tick("1000", update_id=4, event_ms=40)
    bench.tick("-1", update_id=6, event_ms=60)
    assert bench.woken() == {}
    assert (bench.actor.stats.ticks, bench.actor.stats.old_ticks) == (3, 2)
    assert bench.book.ticks[ETH].mid == 2000


def test_lost_triggers_are_looked_at_with_the_next_tick():
    bench = Bench()
    bench.tick("2000")
    bench.register("a0", Trigger(ETH, True, 1_990.0))
    bench.tell(LoseTriggers("a0"))
    bench.tick("2001")
    assert bench.woken() == {"a0": ["tick:ETHUSDT:2"]}
    bench.tell(LoseTriggers("a0"))
    bench.tick("2002")
    assert bench.woken() == {"a0": ["tick:ETHUSDT:3"]}, "its wake may have been what it failed on"


@pytest.mark.parametrize("how", ["stopped", "gone"])
def test_who_is_gone_is_forgotten(how):
    bench = Bench()
    bench.tick("2000")
    bench.register("a0", every=(ETH,))
    bench.register("a1", every=(ETH,))
    ref = bench.accounts["a0"]
    if how == "stopped":
        bench.dispatcher.stop_cell(ref.cell)
    else:
        del bench.accounts["a0"]
    bench.tick("2001")
    assert list(bench.woken()) == ["a1"]
    assert bench.actor.registered("a0") is None
    assert bench.actor.inspect_state()["accounts"] == 1
    assert bench.actor.stats.wakes == 1


def test_how_late_a_tick_was_looked_at_is_counted_and_never_less_than_nothing():
    bench = Bench()
    bench.after(NANOS_PER_SECOND)
    bench.tick(received_ns=bench.dispatcher.clock.monotonic_ns() - 1_000)
    bench.tick(received_ns=bench.dispatcher.clock.monotonic_ns() + 1_000)
    assert bench.actor.lags_sum_ns == 1_000
    assert {n: count for n, count in enumerate(bench.actor.lags) if count} == {0: 1, 10: 1}


def test_prices_are_sampled_once_a_minute():
    bench = Bench()
    bench.tick("2000")
    bench.after(SAMPLE_EVERY - CHORE_EVERY)
    bench.tick("2100")
    assert bench.book.returns(ETH) == (), "the first sample was taken before there was a price"
    bench.after(CHORE_EVERY)
    bench.tick("2200")
    bench.after(SAMPLE_EVERY)
    bench.tick("2400")
    # What was before each minute's first tick: 2100, 2200.
    assert [round(float(r), 6) for r in bench.book.returns(ETH)] == [round(2_200 / 2_100 - 1, 6)]


def test_a_new_trading_day_is_told_to_everybody_once_and_to_few_at_a_time():
    bench = Bench(accounts=2 * DAY_WAKES + 5, day_rule=DayRule("08:00", "UTC"))
    bench.tick("2000")
    told = bench.woken()
    assert len(told) == DAY_WAKES, "the first day begins with the first tick"
    day = bench.book.day
    assert day is not ALWAYS
    assert bench.book.day_ticks is None, "nobody saw it begin"
    for _ in range(3):
        bench.tick("2001")
        told |= bench.woken()
    assert len(told) == 2 * DAY_WAKES + 5
    assert {tuple(causes) for causes in told.values()} == {(f"day:{day.start_ms}",)}
    bench.after(CHORE_EVERY)
    bench.tick("2002")
    assert bench.woken() == {}
    left_ms = day.end_ms - bench.dispatcher.clock.wall_ms()
    bench.after((left_ms - 1) * NANOS_PER_MS)
    bench.tick("2003")
    assert (bench.woken(), bench.book.day) == ({}, day)
    bench.after(CHORE_EVERY)
    bench.tick("2004")
    assert len(bench.woken()) == DAY_WAKES
    assert bench.book.day.start_ms == day.end_ms
    assert bench.book.day_ticks[ETH].mid == 2003, "the last price before it"


def test_a_day_that_ends_at_this_very_moment_is_over():
    bench = Bench(day_rule=DayRule("08:00", "UTC"))
    bench.tick("2000")
    day = bench.book.day
    bench.after((day.end_ms - bench.dispatcher.clock.wall_ms()) * NANOS_PER_MS)
    assert bench.dispatcher.clock.wall_ms() == day.end_ms
    bench.tick("2001")
    assert bench.book.day.start_ms == day.end_ms


def test_as_many_accounts_as_are_told_at_once_are_told_at_once():
    bench = Bench(accounts=DAY_WAKES, day_rule=DayRule("08:00", "UTC"))
    bench.tick("2000")
    assert len(bench.woken()) == DAY_WAKES
    bench.tick("2001")
    assert bench.woken() == {}


def test_without_a_rule_there_is_one_day():
    bench = Bench()
    bench.tick("2000")
    bench.after(48 * HOUR)
    bench.tick("2001")
    assert (bench.book.day, bench.woken()) == (ALWAYS, {})
