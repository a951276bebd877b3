"""The master's past, in pages: nothing is left out, whichever end of a full page the exchange cuts off."""

from __future__ import annotations

from decimal import Decimal as D
from types import SimpleNamespace

import msgspec
import pytest

from actors.core.enums import OrderType, TimeInForce
from actors.core.errors import ExchangeBusy, ExchangeUnreachable
from actors.gateway.messages import ReportStatus
from actors.venues.binance import history
from actors.venues.binance.history import WINDOW_MS, past_orders, past_trades
from actors.venues.binance.weight import Urgency
from tests.factories import BUY, ETH

DAY_MS = 86_400_000


class Exchange:
    """Answers as the exchange does: up to ``history.ROWS_MAX`` rows of a span, the newest ones or the oldest."""

    base = "https://exchange"

    def __init__(self, rows, *, newest, now_ms):
        self.rows, self.newest, self.asked, self.busy = rows, newest, [], 0
        self.now_ms = lambda: now_ms

    def signed(self, method, path, kind, urgency, params):
        assert (method, urgency) == ("GET", Urgency.PEOPLE)
        begin_ms, end_ms, most = (int(params[name]) for name in ("startTime", "endTime", "limit"))
        assert end_ms - begin_ms < 7 * DAY_MS
        if self.busy:
            self.busy -= 1
            raise ExchangeBusy("not now")
        self.asked.append((path, params["symbol"], begin_ms, end_ms))
        found = [row for row in self.rows if begin_ms <= row["time"] <= end_ms]
        cut = found[-most:] if self.newest else found[:most]
        return msgspec.convert(cut, kind, strict=False)


def order(number, at_ms, **more):
    said = {
        "orderId": number, "symbol": "ETHUSDT", "status": "FILLED", "clientOrderId": f"bh-000000-{number}", "price": "0",
        "origQty": "2", "executedQty": "2", "timeInForce": "GTC", "type": "MARKET", "side": "BUY", "time": at_ms,
    }  # fmt: skip
    return {**said, **more}


def trade(number, at_ms, **more):
    said = {
        "id": number, "orderId": 7, "symbol": "ETHUSDT", "side": "BUY", "price": "2000", "qty": "1", "quoteQty": "2000",
        "realizedPnl": "0", "time": at_ms, "buyer": True, "maker": False, "commission": "0.8", "commissionAsset": "USDT",
    }  # fmt: skip
    return {**said, **more}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(history, "ROWS_MAX", 4)
    monkeypatch.setattr(history, "BUSY_WAIT_SECONDS", 0)


@pytest.mark.parametrize("newest", [True, False])
def test_all_of_it_is_read_in_order_and_once(newest):
    times = [1_000, 1_001, 1_001, 1_001, 5_000, 5_100, 5_200, 90_000, 8 * DAY_MS, 8 * DAY_MS + 1, 20 * DAY_MS]
    rows = [order(n, at_ms) for n, at_ms in enumerate(times, 1)]
    exchange = Exchange(rows, newest=newest, now_ms=20 * DAY_MS)
    found = past_orders(exchange, ETH, 1_000, "bh-")
    assert [o.report.exchange_order_id for o in found] == list(range(1, 12))
    assert {(path, symbol) for path, symbol, *_ in exchange.asked} == {("/fapi/v1/allOrders", "ETHUSDT")}
    trades = past_trades(
        Exchange([trade(n, t) for n, t in enumerate(times, 1)], newest=newest, now_ms=20 * DAY_MS), ETH, 1_001
    )
    assert [t.trade_id for t in trades] == list(range(2, 12))


def test_a_week_is_one_page_and_what_the_clock_has_not_reached_yet_is_asked_for_too():
    exchange = Exchange([trade(1, WINDOW_MS + 59_000)], newest=True, now_ms=WINDOW_MS)
    assert [t.trade_id for t in past_trades(exchange, ETH, 0)] == [1]
    assert exchange.asked == [
        ("/fapi/v1/userTrades", "ETHUSDT", 0, WINDOW_MS - 1),
        ("/fapi/v1/userTrades", "ETHUSDT", WINDOW_MS, WINDOW_MS + 60_000),
    ]


def test_more_rows_of_one_millisecond_than_a_page_has_are_no_answer():
    exchange = Exchange([trade(n, 7) for n in range(4)], newest=True, now_ms=10)
    with pytest.raises(ExchangeUnreachable, match="4 rows or more within one millisecond, 7"):
        past_trades(exchange, ETH, 0)


def test_orders_of_others_are_not_looked_at_and_ours_say_what_they_were():
    limit = order(
        2, 20, type="LIMIT", price="1990.5", status="CANCELED", executedQty="0.5", timeInForce="IOC"
    )
    rows = [order(1, 10, clientOrderId="web_1", type="TRAILING"), limit]
    [found] = past_orders(Exchange(rows, newest=True, now_ms=30), ETH, 0, "bh-000000-")
    assert (found.side, found.quantity, found.order_type, found.price) == (
        BUY,
        D(2),
        OrderType.LIMIT,
        D("1990.5"),
    )
    assert (found.time_in_force, found.placed_ms) == (TimeInForce.IOC, 20)
    assert (found.report.status, found.report.executed) == (ReportStatus.CANCELED, D("0.5"))
    [market] = past_orders(Exchange([order(1, 10)], newest=True, now_ms=30), ETH, 0, "bh-")
    assert market.price is None


@pytest.mark.parametrize("wrong", [{"type": "MAYBE"}, {"origQty": "NaN"}, {"side": "HOLD"}])
def test_what_no_order_of_ours_can_be_is_no_answer(wrong):
    exchange = Exchange([order(1, 10, **wrong)], newest=True, now_ms=30)
    with pytest.raises(ExchangeUnreachable, match="https://exchange does not answer as an exchange"):
        past_orders(exchange, ETH, 0, "bh-")


def test_the_budget_of_weight_is_waited_for_but_not_for_ever(monkeypatch):
    exchange = Exchange([trade(1, 5)], newest=True, now_ms=10)
    exchange.busy = 3
    assert len(past_trades(exchange, ETH, 0)) == 1
    exchange.busy = 3
    clock = iter([0, history.BUSY_SECONDS, history.BUSY_SECONDS + 1])
    monkeypatch.setattr(
        history, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _s: None)
    )
    with pytest.raises(ExchangeBusy):
        past_trades(exchange, ETH, 0)
