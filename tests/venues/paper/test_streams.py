"""Routed websockets over real sockets: which route carries which stream.

Covers: actors/venues/paper/connections.py, actors/venues/paper/listen_keys.py, actors/venues/paper/stream_frames.py
"""

from __future__ import annotations

import time

import pytest
import websockets.sync.client
from websockets.exceptions import InvalidStatus

from tests.venues.paper.running import Running, code


@pytest.fixture(scope="module")
def paper():
    running = Running()
    yield running
    running.stop()


PUBLIC = {
    "ethusdt@bookTicker": "bookTicker",
    "ethusdt@depth@100ms": "depthUpdate",
    "ethusdt@depth5": "depthUpdate",
}
MARKET = {
    "ethusdt@aggTrade": "aggTrade",
    "ethusdt@markPrice@1s": "markPriceUpdate",
    "ethusdt@kline_1m": "kline",
    "ethusdt@ticker": "24hrTicker",
    "ethusdt@miniTicker": "24hrMiniTicker",
}


@pytest.mark.parametrize(("route", "streams"), [("public", PUBLIC), ("market", MARKET)])
def test_each_stream_is_sent_on_its_route_single_and_combined(paper, route, streams):
    with (
        paper.listening(f"/{route}/stream?streams={'/'.join(streams)}") as combined,
        paper.listening(f"/{route}/ws/{'/'.join(streams)}") as single,
    ):
        for name, kind in streams.items():
            frame = combined.until(lambda f, n=name: f.get("stream") == n, name)
            assert frame["data"]["e"] == kind
            assert abs(frame["data"]["E"] - time.time() * 1000) < 60_000
            assert single.until(lambda f, k=kind: f.get("e") == k, kind)["s"] == "ETHUSDT"


def test_a_stream_of_another_route_is_accepted_and_never_sent(paper):
    with (
        paper.listening("/public/stream?streams=ethusdt@aggTrade/ethusdt@bookTicker") as public,
        paper.listening("/market/stream?streams=ethusdt@aggTrade/ethusdt@bookTicker") as market,
        paper.listening("/stream?streams=ethusdt@aggTrade/ethusdt@bookTicker") as unrouted,
    ):
        for listener in (public, market, unrouted):
            listener.until(lambda _: len(listener.frames) > 40, "40 frames")  # noqa: B023
        assert {f["stream"] for f in public.frames} == {"ethusdt@bookTicker"}
        assert {f["stream"] for f in unrouted.frames} == {"ethusdt@bookTicker"}
        assert {f["stream"] for f in market.frames} == {"ethusdt@aggTrade"}
    assert "public: ethusdt@aggTrade" in paper.state()["silent_streams"]


def test_subscribing_while_connected(paper):
    with paper.listening("/public/ws") as feed:
        feed.send({"method": "SUBSCRIBE", "params": ["solusdt@bookTicker"], "id": 7})
        assert feed.until(lambda f: f.get("id") == 7, "the answer") == {"result": None, "id": 7}
        feed.until(lambda f: f.get("s") == "SOLUSDT", "a price")
        feed.send({"method": "LIST_SUBSCRIPTIONS", "id": 8})
        assert feed.until(lambda f: f.get("id") == 8, "the list")["result"] == ["solusdt@bookTicker"]
        feed.send({"method": "UNSUBSCRIBE", "params": ["solusdt@bookTicker"], "id": 9})
        feed.until(lambda f: f.get("id") == 9, "the answer")
        seen = len(feed.frames)
        feed.send("not json")
        feed.send({"method": "SUBSCRIBE", "params": ["ethusdt@bookTicker"], "id": 10})
        feed.until(lambda f: f.get("s") == "ETHUSDT", "a price")
        later = feed.frames[seen:]
        assert sum("error" in f for f in later) == 1
        assert all(f.get("s") != "SOLUSDT" for f in later)


def test_user_events_go_to_private_connections_with_the_live_key_only(paper):
    key = paper.listen_key()
    with (
        paper.listening(f"/private/ws?listenKey={key}") as plain,
        paper.listening(f"/private/stream?listenKey={key}") as combined,
        paper.listening("/private/stream") as subscribing,
        paper.listening(f"/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE/ALGO_UPDATE") as filtered,
        paper.listening(f"/ws/{key}") as old,
        paper.listening(f"/stream?streams={key}") as old_combined,
        paper.listening(f"/public/ws/{key}") as wrong_route,
        paper.listening("/private/ws?listenKey=another") as dead,
    ):
        subscribing.send({"method": "SUBSCRIBE", "params": [key], "id": 1})
        subscribing.until(lambda f: f.get("id") == 1, "the answer")
        placed = paper.place().json()
        mine = {"c": placed["clientOrderId"], "X": "FILLED"}
        event = plain.event("ORDER_TRADE_UPDATE", **mine)
        plain.event("ACCOUNT_UPDATE")
        plain.event("TRADE_LITE")
        for listener in (combined, subscribing):
            wrapped = listener.until(lambda f: f.get("data", {}).get("o") == event["o"], "the fill")
            assert wrapped["stream"] == key
        filtered.event("ORDER_TRADE_UPDATE", **mine)
        assert {f["e"] for f in filtered.frames} == {"ORDER_TRADE_UPDATE"}
        # Events reached their subscribers by now; these connections got nothing before that.
        for silent in (old, old_combined, wrong_route, dead):
            assert silent.frames == []


def test_the_listen_key_lives_is_extended_and_closed():
    running = Running(listen_key_minutes=1)
    try:
        assert code(running.http.put("/fapi/v1/listenKey")) == -1125
        key = running.listen_key()
        assert running.listen_key() == key
        assert running.http.put("/fapi/v1/listenKey").json() == {"listenKey": key}
        assert running.http.delete("/fapi/v1/listenKey").json() == {}
        assert code(running.http.put("/fapi/v1/listenKey")) == -1125
        assert running.listen_key() != key
    finally:
        running.stop()


def test_an_expired_key_is_published_and_then_nothing(paper):
    with paper.user_stream() as stream:
        key = paper.state()["listen_key"]
        paper.admin("listen-key", action="expire")
        event = stream.event("listenKeyExpired")
        assert (event["listenKey"], type(event["E"])) == (key, int)
        paper.place()
        with paper.user_stream() as fresh:
            paper.place()
            fresh.event("ORDER_TRADE_UPDATE", X="FILLED")
        assert stream.frames[-1]["e"] == "listenKeyExpired"


def test_a_key_that_another_client_deleted_is_silent(paper):
    with paper.user_stream() as stream:
        paper.admin("listen-key", action="delete")
        paper.place()
        with paper.user_stream() as fresh:
            paper.place()
            fresh.event("ORDER_TRADE_UPDATE", X="FILLED")
        assert stream.frames == []


def test_an_unknown_path_is_refused(paper):
    for path in ("/elsewhere", "/public", "/ws-fapi/v9"):
        with pytest.raises(InvalidStatus):
            websockets.sync.client.connect(paper.address.websocket + path)


def test_a_proxy_may_refuse_a_websocket(paper):
    paper.admin("faults", kind="proxy", status=403, path="/private")
    key = paper.listen_key()
    with pytest.raises(InvalidStatus) as caught:
        websockets.sync.client.connect(f"{paper.address.websocket}/private/ws?listenKey={key}")
    assert caught.value.response.status_code == 403
    with paper.user_stream() as stream:
        paper.place()
        stream.event("ORDER_TRADE_UPDATE", X="FILLED")


def test_quotes_may_have_an_old_timestamp(paper):
    with paper.listening("/public/ws/ethusdt@bookTicker") as feed:
        paper.admin("faults", kind="old_quotes", ms=3_600_000)
        old = feed.until(lambda f: f["E"] < time.time() * 1000 - 3_500_000, "an old price")
        assert old["T"] == old["E"]
        assert paper.http.get("/fapi/v1/ticker/bookTicker").json()[0]["time"] < time.time() * 1000 - 3_500_000
        paper.admin("faults", kind="old_quotes", ms=0)
        seen = len(feed.frames)
        feed.until(
            lambda _: feed.frames[seen:] and feed.frames[-1]["E"] > time.time() * 1000 - 60_000, "a fresh one"
        )


def test_a_listing_is_announced_and_traded(paper):
    with paper.listening("/market/ws/!contractInfo") as feed:
        paper.admin("symbols", symbol="FRESHUSDT")
        assert feed.until(lambda f: f.get("s") == "FRESHUSDT", "the listing")["cs"] == "TRADING"
        assert paper.place(symbol="FRESHUSDT", quantity="10").json()["status"] == "FILLED"
        paper.admin("symbols", symbol="FRESHUSDT", status="SETTLING", rules={"step_size": "5"})
        feed.until(lambda f: f.get("cs") == "SETTLING", "the end")
    info = {s["symbol"]: s for s in paper.http.get("/fapi/v1/exchangeInfo").json()["symbols"]}["FRESHUSDT"]
    assert info["status"] == "SETTLING"
    assert next(f for f in info["filters"] if f["filterType"] == "LOT_SIZE")["stepSize"] == "5"
    assert code(paper.place(symbol="FRESHUSDT", quantity="10")) == -4140
