"""L1 messages become ticks, or are refused."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.rest import BookTicker, FundingRate
from actors.venues.binance.streams import BookTickerEvent
from actors.venues.binance.ticks import event_time, funding_of, tick_of_answer, tick_of_event
from tests.factories import ETH


def event(**changes):
    return BookTickerEvent(
        **{"u": 7, "s": "ETHUSDT", "b": "100.1", "B": "2", "a": "100.2", "A": "3", "E": 9, **changes}
    )


def test_an_event_becomes_a_tick():
    tick = tick_of_event(event(), 55)
    assert (tick.symbol, tick.bid, tick.mid, tick.update_id, tick.event_ms, tick.received_ns) == (
        ETH, D("100.1"), D("100.15"), 7, 9, 55,
    )  # fmt: skip
    assert tick.mid_float == pytest.approx(100.15)


@pytest.mark.parametrize(
    "changes",
    [
        {"b": "NaN"},
        {"a": "Infinity"},
        {"b": "0"},
        {"b": "-1"},
        {"b": "100.3"},
        {"b": "x"},
        {"B": "-1"},
        {"A": "NaN"},
    ],
)
def test_nonsense_is_refused_by_symbol(changes):
    with pytest.raises(MalformedMessage, match="ETHUSDT"):
        tick_of_event(event(**changes), 0)


def test_a_rest_answer_becomes_the_same_tick():
    ticker = BookTicker(
        symbol="ETHUSDT",
        bidPrice=D("100.1"),
        bidQty=D(2),
        askPrice=D("100.2"),
        askQty=D(3),
        time=9,
        lastUpdateId=7,
    )
    found = tick_of_answer(ticker, 55, 55)
    assert found.by_rest
    assert replace(found, by_rest=False) == tick_of_event(event(), 55)
    asked, came = 40, 55
    assert tick_of_answer(ticker, asked, came).delay_ns == 15, "the last change is old, the answer is not"
    crossed = BookTicker(symbol="ETHUSDT", bidPrice=D(2), bidQty=D(2), askPrice=D(1), askQty=D(3), time=9)
    with pytest.raises(MalformedMessage, match="no market"):
        tick_of_answer(crossed, 0, 0)


def test_the_time_of_an_event_is_when_the_book_changed():
    assert event_time(event(T=8, E=9)) == 8
    assert event_time(event(E=9)) == 9
    assert event_time(event(T=10, E=9)) == 9


def rate(**changes):
    return FundingRate(
        **{
            "symbol": "ETHUSDT",
            "fundingRate": D("0.0001"),
            "fundingTime": 9,
            "markPrice": "2000.5",
            **changes,
        }
    )


def test_a_funding_rate_becomes_what_accounts_are_told():
    told = funding_of(rate())
    assert (told.symbol, told.rate, told.mark, told.funding_ms) == (ETH, D("0.0001"), D("2000.5"), 9)
    assert told.cause == "funding:ETHUSDT:9"


@pytest.mark.parametrize(
    "changes",
    [
        {"markPrice": ""}, {"markPrice": "NaN"}, {"markPrice": "0"}, {"markPrice": "-1"}, {"markPrice": "1e60"},
        {"fundingRate": D("NaN")}, {"fundingRate": D("1.1")}, {"fundingRate": D("1e-60")},
    ],
)  # fmt: skip
def test_a_funding_rate_that_cannot_be_is_refused(changes):
    with pytest.raises(MalformedMessage, match="fundingRate: ETHUSDT"):
        funding_of(rate(**changes))
