"""What a fee asset was worth in a past minute: exact, of that minute, and of no other."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D

import httpx
import pytest

from actors.feed.rates import MinuteRate
from actors.runtime.io_loop import IoLoop
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.klines import is_over, minute_mean, minute_params
from actors.venues.binance.market_data import BinanceFeed, FeedTerms
from actors.venues.binance.throttle import Throttle
from tests.factories import BNB

BEGIN = 1_723_161_600_000
ROW = b'[1723161600000,"510.150","510.400","510.010","510.250","154.2",1723161659999,"78678.1",120,"80.1","40872.2","0"]'


def test_a_minute_is_the_mean_of_its_open_and_close():
    assert minute_mean(b"[" + ROW + b"]", BEGIN) == D("510.2")
    assert minute_params("BNBUSDT", BEGIN) == {
        "symbol": "BNBUSDT", "interval": "1m", "startTime": str(BEGIN), "limit": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"<html>",
        b"[[]]",
        b"[" + ROW.replace(b"1723161600000", b"1723161660000") + b"]",
        b"[" + ROW.replace(b'"510.150"', b'"x"') + b"]",
        b"[" + ROW.replace(b'"510.150"', b'"0"') + b"]",
        b"[" + ROW.replace(b'"510.250"', b'"-1"') + b"]",
        b"[" + ROW.replace(b'"510.250"', b'"NaN"') + b"]",
    ],
)
def test_anything_else_is_refused(content):
    with pytest.raises(MalformedMessage, match="klines"):
        minute_mean(content, BEGIN)


def test_a_minute_is_final_two_seconds_after_it():
    assert not is_over(BEGIN, BEGIN + 61_999)
    assert is_over(BEGIN, BEGIN + 62_000)


class Told(list):
    tell = list.append


def asked(handler):
    terms = FeedTerms(
        throttle=Throttle(),
        exchange_ms=lambda: 0,
        clock_uncertain_ms=lambda: 0,
        max_age_ns=10**10,
        on_alarm=[].append,
    )
    feed = BinanceFeed(Addresses("http://x", "ws://x", "ws://x"), [], IoLoop("t"), terms)
    feed._client = httpx.AsyncClient(base_url="http://x", transport=httpx.MockTransport(handler))
    told = Told()
    asyncio.run(feed._rate(BNB, BEGIN, told))
    return told


def test_the_feed_asks_for_the_minute_and_is_told():
    requests = []

    def answer(request):
        requests.append(str(request.url))
        return httpx.Response(200, content=b"[" + ROW + b"]")

    assert asked(answer) == [MinuteRate(BNB, BEGIN, D("510.2"))]
    assert requests == [f"http://x/fapi/v1/klines?symbol=BNBUSDT&interval=1m&startTime={BEGIN}&limit=1"]


def refuse(_request):
    raise httpx.ConnectError("gone")


@pytest.mark.parametrize(
    "handler",
    [
        lambda _: httpx.Response(400, content=b'{"code":-1121,"msg":"Invalid symbol."}'),
        lambda _: httpx.Response(200, content=b"[]"),
        lambda _: httpx.Response(502, content=b"<html>"),
        refuse,
    ],
    ids=["no such symbol", "no such minute", "a proxy", "nobody there"],
)
def test_the_feed_is_told_too_that_it_could_not_be_had(handler):
    assert asked(handler) == [MinuteRate(BNB, BEGIN, None)]
