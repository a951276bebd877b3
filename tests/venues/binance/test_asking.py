"""Questions at start: each ends in an answer or an error that names what came, and the cure.

Covers: actors/venues/binance/discovery.py
"""

from __future__ import annotations

import time

import pytest

from actors.core.errors import ExchangeBusy, ExchangeUnreachable, VenueRefused
from actors.venues.binance import rest
from actors.venues.binance.asking import Asker
from actors.venues.binance.discovery import discover, master_positions
from actors.venues.binance.throttle import Throttle


@pytest.fixture
def asker(exchange):
    found = Asker(exchange.base, "key", "secret", Throttle())
    yield found
    found.close()


def test_discovery_reads_rules_limits_clock_and_brackets(exchange, asker):
    venue = discover(asker, ())
    assert set(venue.instruments) == {"BTCUSDT", "ETHUSDT"}
    assert (venue.orders_per_10s, venue.orders_per_minute, venue.weight_per_minute) == (300, 1_200, 2_400)
    assert abs(venue.clock.now_ms() - time.time_ns() // 1_000_000) < 5_000
    assert [b.max_leverage for b in venue.instruments["BTCUSDT"].brackets] == [125, 50, 10]


@pytest.mark.parametrize(
    ("code", "text", "cure"),
    [
        (-2015, "Invalid API-key, IP, or permissions for action.", "may trade futures"),
        (-2014, "API-key format invalid.", "BULKHEAD_API_KEY"),
        (-1022, "Signature for this request is not valid.", "BULKHEAD_API_SECRET"),
    ],
)
def test_a_key_that_is_not_good_is_named_with_the_cure(exchange, asker, code, text, cure):
    exchange.refusals["GET", "/fapi/v1/leverageBracket"] = (401, code, text)
    with pytest.raises(VenueRefused, match=f"{code} {text}.*{cure}") as caught:
        discover(asker, ())
    assert caught.value.code == code


def test_brackets_that_are_not_told_are_no_reason_not_to_start(exchange, asker):
    exchange.refusals["GET", "/fapi/v1/leverageBracket"] = (400, -1000, "An unknown error")
    venue = discover(asker, ())
    assert venue.instruments["BTCUSDT"].brackets == ()
    assert "leverage brackets not told" in venue.notices[0]


def test_a_proxy_s_page_is_no_answer_of_the_exchange(exchange, asker):
    exchange.refusals["GET", "/fapi/v1/exchangeInfo"] = (502, 0, "Bad Gateway")
    with pytest.raises(ExchangeUnreachable, match="HTTP 502"):
        discover(asker, ())
    exchange.refusals["GET", "/fapi/v1/exchangeInfo"] = (200, 0, "welcome")
    with pytest.raises(ExchangeUnreachable, match=r"exchangeInfo as an exchange: .*symbols"):
        discover(asker, ())


def test_an_exchange_that_is_not_there_is_named():
    asker = Asker("http://127.0.0.1:9", "", "", Throttle())
    with pytest.raises(
        ExchangeUnreachable,
        match=r"127\.0\.0\.1:9 does not answer as an exchange \(/fapi/v1/time.*bulkhead paper",
    ):
        asker.get("/fapi/v1/time", rest.ServerTime)
    asker.close()


def test_people_s_questions_are_refused_when_orders_need_the_weight(exchange):
    throttle = Throttle()
    asker = Asker(exchange.base, "key", "secret", throttle)
    throttle.set_limit(10)
    assert master_positions(asker) == {}
    with pytest.raises(ExchangeBusy, match=r"was not asked for /fapi/v2/positionRisk.*must wait"):
        master_positions(asker)
    assert exchange.count("/fapi/v2/positionRisk") == 1
    asker.close()
