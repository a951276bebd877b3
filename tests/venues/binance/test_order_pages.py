"""A symbol's history for the gateway: whole, or none at all."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors.gateway.messages import Outcome
from actors.venues.binance import order_pages
from actors.venues.binance.history import LATER_MS
from actors.venues.binance.http import Answer
from actors.venues.binance.order_pages import listed_since
from tests.factories import ETH
from tests.venues.binance.test_history import order, trade

NOTHING = (None, None)


class Http:
    """Answers as the exchange does: up to ``ROWS_MAX`` rows of a span, the newest ones or the oldest."""

    def __init__(self, orders, trades, *, newest=False, fails_at=None):
        self.rows = {"/fapi/v1/allOrders": orders, "/fapi/v1/userTrades": trades}
        self.newest, self.fails_at, self.asked = newest, fails_at, []

    async def call(self, method, path, params):
        self.asked.append((path, int(params["startTime"]), int(params["endTime"])))
        assert (method, params["symbol"]) == ("GET", "ETHUSDT")
        if len(self.asked) - 1 == self.fails_at:
            return Answer(Outcome.UNKNOWN, b"reset")
        begin_ms, end_ms, most = (int(params[name]) for name in ("startTime", "endTime", "limit"))
        found = [row for row in self.rows[path] if begin_ms <= row["time"] <= end_ms]
        return Answer(Outcome.OK, msgspec.json.encode(found[-most:] if self.newest else found[:most]))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(order_pages, "ROWS_MAX", 4)
    monkeypatch.setattr("actors.venues.binance.history.ROWS_MAX", 4)


def listed(http, since_ms=1_000, now_ms=90_000):
    return asyncio.run(listed_since(http, ETH, since_ms, now_ms))


@pytest.mark.parametrize("newest", [True, False])
def test_full_pages_are_asked_for_again_and_each_row_is_there_once(newest):
    orders = [order(n, 1_000 + 7 * n) for n in range(30)]
    trades = [trade(n, 1_000 + 11 * n, orderId=n) for n in range(20)]
    http = Http(orders, trades, newest=newest)
    found_orders, found_trades = listed(http)
    assert {r.exchange_order_id for r in found_orders} == set(range(30))
    assert sorted(t.trade_id for t in found_trades) == list(range(20))
    paths = [path for path, _, _ in http.asked]
    assert paths == sorted(paths), "trades are read after orders, so that none of them is missing"
    assert (http.asked[0][1], http.asked[0][2]) == (1_000, 90_000 + LATER_MS)


@pytest.mark.parametrize("fails_at", [0, 3, -1])
def test_with_a_page_missing_there_is_no_history(fails_at):
    orders, trades = [order(n, 1_000 + 7 * n) for n in range(9)], [trade(1, 2_000)]
    whole = Http(orders, trades)
    assert listed(whole) != NOTHING
    assert listed(Http(orders, trades, fails_at=fails_at % len(whole.asked))) == NOTHING


def test_what_cannot_be_read_or_told_apart_is_no_history(monkeypatch):
    assert listed(Http([order(1, 2_000, executedQty="NaN")], [])) == NOTHING
    assert listed(Http([{"orderId": "x", "time": 2_000}], [])) == NOTHING
    assert listed(Http([order(n, 5_000) for n in range(5)], [])) == NOTHING
    monkeypatch.setattr(order_pages, "PAGES_MAX", 3)
    assert listed(Http([order(n, 1_000 + 7 * n) for n in range(30)], [])) == NOTHING
