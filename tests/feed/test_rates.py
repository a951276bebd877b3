"""Rates of past minutes: asked of the venue once, told to all who wait, and never made up."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.messages import AskRate, RateKnown
from actors.feed import rates as module
from actors.feed.actor import Feed
from actors.feed.rates import MinuteRate, Rates
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.symbol_router.book import PriceBook
from tests.factories import BNB, ETH
from tests.sink import Sink

AT = 1_700_000_012_345
BEGIN = AT - AT % 60_000
TOLD = MinuteRate(BNB, BEGIN, D(510))
KNOWN = RateKnown(BNB, BEGIN, BEGIN + 60_000, D(510), f"rate:BNBUSDT:{BEGIN}")


def ask(account="acct-1", at_ms=AT):
    return AskRate(account, BNB, at_ms)


def test_a_minute_is_asked_once_and_told_to_all_who_wait():
    rates = Rates()
    assert rates.want(ask()) == (BNB, BEGIN)
    assert rates.want(ask("acct-2", BEGIN)) is None
    assert rates.want(ask("acct-2", BEGIN + 59_999)) is None
    assert rates.want(ask("acct-2", BEGIN + 60_000)) == (BNB, BEGIN + 60_000)
    assert rates.waiting == 2
    assert rates.answered(TOLD) == (KNOWN, ["acct-1", "acct-2"])
    assert rates.want(ask("acct-3")) == KNOWN


def test_a_minute_that_is_not_over_is_told_and_asked_again():
    rates = Rates()
    rates.want(ask())
    assert rates.answered(replace(TOLD, is_whole=False)) == (KNOWN, ["acct-1"])
    assert rates.want(ask()) == (BNB, BEGIN)


@pytest.mark.parametrize("rate", [None, D(0), D(-1), D("NaN"), D("Infinity")])
def test_a_failure_is_told_to_nobody_and_asked_again(rate):
    rates = Rates()
    rates.want(ask())
    assert rates.answered(replace(TOLD, rate=rate)) == (None, [])
    assert rates.waiting == 0
    assert rates.want(ask()) == (BNB, BEGIN)


def test_so_many_are_remembered_and_the_oldest_forgotten(monkeypatch):
    monkeypatch.setattr(module, "KNOWN_MAX", 2)
    rates = Rates()
    for n in range(3):
        rates.answered(replace(TOLD, begin_ms=BEGIN + n * 60_000))
    assert rates.want(ask(at_ms=BEGIN)) == (BNB, BEGIN)
    assert isinstance(rates.want(ask(at_ms=BEGIN + 60_000)), RateKnown)


class Nothing:
    """A source without prices, which remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def start(self, router, feed):
        pass

    def refresh(self, symbols, router):
        pass

    def rate(self, symbol, begin_ms, feed):
        self.asked.append((symbol, begin_ms))


def test_the_feed_asks_once_for_all_and_tells_those_who_live():
    dispatcher, source, alarms = SeededDispatcher("t", VirtualClock()), Nothing(), []
    accounts = {name: Sink.start(name, dispatcher) for name in ("acct-1", "acct-2")}
    feed = Feed.start(
        "feed", dispatcher, source, None, PriceBook(), [ETH, BNB], 10**9, alarms.append, accounts, [BNB]
    )
    for account in ("acct-1", "acct-2", "acct-gone"):
        feed.tell(ask(account))
    dispatcher.run_until_quiet()
    assert source.asked == [(BNB, BEGIN)]
    feed.tell(TOLD)
    dispatcher.run_until_quiet()
    assert [ref.cell.actor.got for ref in accounts.values()] == [[KNOWN], [KNOWN]]
    feed.tell(ask("acct-2"))
    dispatcher.run_until(2 * 10**9)
    assert accounts["acct-2"].cell.actor.got == [KNOWN, KNOWN]
    assert source.asked == [(BNB, BEGIN)]
    # What a fee asset is worth is not traded, and its alarm says what it is good for.
    assert alarms == [
        "the price of BNBUSDT is stale: fees in its asset are booked when it is known again",
        "the price of ETHUSDT is stale: no new risk in it, and no liquidation either",
    ]


def test_a_feed_that_loses_all_prices_at_once_raises_one_alarm():
    dispatcher, alarms = SeededDispatcher("t", VirtualClock()), []
    symbols = [f"S{n:03}USDT" for n in range(500)]
    Feed.start("feed", dispatcher, Nothing(), None, PriceBook(), symbols, 10**9, alarms.append, {})
    dispatcher.run_until(5 * 10**9)
    [alarm] = alarms
    assert alarm == (
        "the price of S000USDT, S001USDT, S002USDT, S003USDT, S004USDT and 495 more symbols is stale: "
        "no new risk in it, and no liquidation either"
    )
