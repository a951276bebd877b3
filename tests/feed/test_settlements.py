"""Settled funding is told to everybody, and again to who asks for it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.messages import ApplyFunding, AskFunding
from actors.core.units import AccountId, Nanos, Symbol
from actors.feed.actor import Feed
from actors.feed.settlements import KEPT_MS, Settlements
from actors.runtime.clock import VirtualClock
from actors.runtime.simulation import SeededDispatcher
from actors.symbol_router.book import PriceBook
from tests.factories import BTC, ETH
from tests.sink import Sink

DAY = 24 * 3_600_000
ALL = Symbol("")


def settled(at_ms, symbol=ETH):
    return ApplyFunding(symbol, D("0.0001"), D(2000), at_ms)


def asked(since_ms, symbol=ETH):
    return AskFunding(AccountId("a"), symbol, since_ms)


def test_what_was_settled_after_a_time_is_told_oldest_first():
    known = Settlements()
    for funding in (settled(30), settled(10), settled(20, BTC), settled(20)):
        known.note(funding)
    assert list(known.since(asked(10))) == [settled(20), settled(30)]
    assert list(known.since(asked(30))) == []
    assert list(known.since(asked(0, ALL))) == [settled(10), settled(20), settled(30), settled(20, BTC)]
    assert list(known.since(asked(0, Symbol("SOLUSDT")))) == []


def test_what_is_older_than_a_day_is_forgotten_symbol_by_symbol():
    known = Settlements()
    for funding in (settled(0), settled(1), settled(0, BTC), settled(KEPT_MS + 1)):
        known.note(funding)
    assert list(known.since(asked(-1, ALL))) == [settled(1), settled(KEPT_MS + 1), settled(0, BTC)]
    known.note(settled(5))
    assert list(known.since(asked(1))) == [settled(5), settled(KEPT_MS + 1)]


class Silent:
    """A source that tells nothing by itself."""

    def start(self, router, feed):
        pass

    def refresh(self, symbols, router):
        pass


@pytest.fixture
def desk():
    dispatcher = SeededDispatcher("t", VirtualClock())
    accounts = {AccountId(n): Sink.start(n, dispatcher) for n in ("a", "b")}
    router = Sink.start("router", dispatcher)
    feed = Feed.start(
        "feed", dispatcher, Silent(), router, PriceBook(), [ETH], Nanos(10**9), lambda _text: None, accounts
    )

    def tell(message):
        feed.tell(message)
        dispatcher.run_until_quiet()
        return {name: ref.cell.actor.got for name, ref in accounts.items()}

    return tell


def test_everybody_hears_of_a_settlement_and_who_asks_hears_of_it_again(desk):
    assert desk(settled(DAY)) == {"a": [settled(DAY)], "b": [settled(DAY)]}
    assert desk(asked(0)) == {"a": [settled(DAY)] * 2, "b": [settled(DAY)]}
    assert desk(asked(DAY)) == {"a": [settled(DAY)] * 2, "b": [settled(DAY)]}
    assert desk(AskFunding(AccountId("nobody"), ALL, 0))["b"] == [settled(DAY)]
