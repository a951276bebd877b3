"""Rate limits: rejections, counts and bans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.venues.paper.limits import PROFILES, RateWindows
from tests.venues.paper.running import Running, code

BINANCE = PROFILES["binance"]


def windows(ban_after=1_000, ban_ms=60_000):
    return RateWindows(BINANCE, ban_after, ban_ms)


def test_binances_numbers():
    w = windows()
    assert [w.count_request(n, 0, 1).status for n in range(301)] == [200] * 300 + [429]
    assert w.count_request(500, 0, 1).retry_after_s == 10
    assert w.count_request(10_000, 0, 1).status == 200
    heavy = windows()
    assert [heavy.count_request(n, 40, 0).status for n in range(61)] == [200] * 60 + [429]
    assert heavy.count_request(61, 40, 0).headers["x-mbx-used-weight-1m"] == "2400"
    assert (heavy.stats.rejected_weight, heavy.stats.rejected_orders) == (2, 0)


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 400), st.integers(0, 60)), max_size=200))
def test_no_window_that_begins_anywhere_is_ever_exceeded(requests):
    w, now, passed = windows(), 0, []
    for wait, weight, orders in requests:
        now += wait
        if w.count_request(now, weight, orders).status == 200:
            passed.append((now, weight, orders))
    for begins, _, _ in passed:
        minute = [p for p in passed if begins <= p[0] < begins + 60_000]
        assert sum(p[1] for p in minute) <= 2_400
        assert sum(p[2] for p in minute) <= 1_200
        assert sum(p[2] for p in minute if p[0] < begins + 10_000) <= 300
    assert w.stats.most_weight_in_a_minute <= 2_400
    assert w.stats.most_orders_in_10s <= 300


def test_a_client_that_ignores_429_is_banned_for_a_time():
    w = windows(ban_after=3, ban_ms=5_000)
    w.count_request(0, 2_400, 0)
    assert [w.count_request(n, 1, 0).status for n in range(1, 5)] == [429, 429, 429, 418]
    assert w.count_request(3_003, 0, 0).retry_after_s == 2
    assert w.count_request(5_003, 0, 0).status == 200
    assert w.stats.banned == 1


def test_over_http_refusals_say_when_and_are_counted():
    running = Running(limits="binance", orders_per_10s=3, weight_per_minute=60, ban_after=3, ban_seconds=3)
    try:
        answers = [running.place() for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert answers[2].headers["X-MBX-ORDER-COUNT-10S"] == "3"
        assert answers[2].headers["X-MBX-ORDER-COUNT-1M"] == "3"
        assert (code(answers[3]), 0 < int(answers[3].headers["retry-after"]) <= 10) == (-1015, True)
        assert running.signed("GET", "/fapi/v1/openOrders").headers["X-MBX-USED-WEIGHT-1M"] == "40"
        assert [code(running.signed("GET", "/fapi/v1/openOrders")) for _ in range(2)] == [-1003, -1003]
        banned = running.http.get("/fapi/v1/ping")
        assert (banned.status_code, int(banned.headers["retry-after"]) <= 3) == (418, True)
        assert "banned until" in banned.json()["msg"]
        stats = running.state()
        assert (stats["rejected_orders"], stats["rejected_weight"], stats["banned"]) == (1, 2, 1)
        assert (stats["most_orders_in_10s"], stats["most_weight_in_a_minute"]) == (3, 40)
    finally:
        running.stop()


def test_weights_of_the_dearest_reads():
    running = Running(limits="binance")
    dear = {
        "v1/ticker/bookTicker": (2, 5), "v1/openOrders": (1, 40), "v1/ticker/24hr": (1, 40), "v1/premiumIndex": (1, 10),
        "v1/allOrders": (5, 5), "v2/account": (5, 5), "v3/positionRisk": (5, 5), "v1/income": (30, 30),
        "v1/forceOrders": (20, 50), "v1/ping": (1, 1), "v1/openAlgoOrders": (1, 40), "v1/fundingRate": (0, 0),
    }  # fmt: skip
    by_limit = {
        ("v1/depth", 5): 2, ("v1/depth", 100): 5, ("v1/depth", 500): 10, ("v1/depth", 1000): 20,
        ("v1/klines", 99): 1, ("v1/klines", 100): 2, ("v1/klines", 500): 5, ("v1/klines", 1001): 10,
    }  # fmt: skip
    used = 0
    try:
        for path, costs in dear.items():
            for params, cost in zip(({"symbol": "ETHUSDT"}, {}), costs, strict=True):
                used += cost
                assert running.signed("GET", f"/fapi/{path}", **params).headers[
                    "x-mbx-used-weight-1m"
                ] == str(used)
        for (path, limit), cost in by_limit.items():
            used += cost
            found = running.signed("GET", f"/fapi/{path}", symbol="ETHUSDT", interval="1m", limit=limit)
            assert found.headers["x-mbx-used-weight-1m"] == str(used), (path, limit)
        assert running.place().headers["x-mbx-used-weight-1m"] == str(used)
    finally:
        running.stop()
