"""What the book takes for news, and what for a confirmation."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.messages import Tick
from actors.symbol_router.book import PriceBook
from actors.venues.binance.rest import BookTicker
from actors.venues.binance.streams import BookTickerEvent
from actors.venues.binance.ticks import tick_of_answer, tick_of_event

SECOND = 1_000_000_000


def event(number, at_ms, bid="1999"):
    return BookTickerEvent(u=number, s="ETHUSDT", b=bid, B="1", a="2001", A="1", T=at_ms, E=at_ms)


def answer(at_ms, bid="1999", number=0):
    return BookTicker(
        symbol="ETHUSDT",
        bidPrice=D(bid),
        bidQty=D(1),
        askPrice=D(2001),
        askQty=D(1),
        time=at_ms,
        lastUpdateId=number,
    )


def test_an_answer_without_a_number_confirms_a_quiet_symbol():
    book = PriceBook()
    book.apply(tick_of_event(event(100, 1_000), 1 * SECOND))
    assert book.age_ns("ETHUSDT", 91 * SECOND) == 90 * SECOND
    assert book.apply(tick_of_answer(answer(1_000), 90 * SECOND, 90 * SECOND))
    assert book.age_ns("ETHUSDT", 91 * SECOND) == SECOND


def test_an_older_answer_without_a_number_is_no_news():
    book = PriceBook()
    book.apply(tick_of_event(event(100, 1_000), 1 * SECOND))
    assert not book.apply(tick_of_answer(answer(999, bid="1990"), 90 * SECOND, 90 * SECOND))
    assert book.ticks["ETHUSDT"].bid == D(1999)


def test_after_an_answer_without_a_number_an_older_event_is_still_old():
    book = PriceBook()
    book.apply(tick_of_event(event(100, 1_000), 1 * SECOND))
    book.apply(tick_of_answer(answer(2_000, bid="2000"), 2 * SECOND, 2 * SECOND))
    assert not book.apply(tick_of_event(event(99, 900, bid="1990"), 3 * SECOND))
    assert book.ticks["ETHUSDT"].bid == D(2000)


@pytest.mark.parametrize(
    ("bid", "ask", "taken"),
    [
        ("0.1", "0.1", True),
        ("0.1", "0.2", True),
        ("0", "0.2", False),
        ("-0.1", "0.2", False),
        ("0.2", "0.1", False),
        ("0", "0", False),
    ],
)
def test_a_quote_that_cannot_be_is_refused_and_counted(bid, ask, taken):
    book, middle = PriceBook(), (float(bid) + float(ask)) / 2
    quote = Tick("ETHUSDT", D(bid), D(1), D(ask), D(1), 1, 1, 0, middle)
    assert book.apply(quote) is taken
    assert book.refused == (0 if taken else 1)
    assert ("ETHUSDT" in book.ticks) is taken
    book.checkpoint("BTCUSDT")
    assert book.extremes("BTCUSDT", 0) is None, "nobody knows a price of it"
