"""Paths and stream names."""

from __future__ import annotations

import pytest

from actors.venues.paper.stream_names import parse_stream, parse_target


@pytest.mark.parametrize(
    ("name", "kind", "route", "update_ms"),
    [
        ("btcusdt@bookTicker", "bookTicker", "public", 0),
        ("btcusdt@depth", "depth", "public", 250),
        ("btcusdt@depth@100ms", "depth", "public", 100),
        ("btcusdt@depth20@500ms", "depth", "public", 500),
        ("btcusdt@aggTrade", "aggTrade", "market", 0),
        ("btcusdt@markPrice", "markPrice", "market", 3_000),
        ("btcusdt@markPrice@1s", "markPrice", "market", 1_000),
        ("btcusdt@kline_15m", "kline", "market", 250),
        ("btcusdt_261225@ticker", "ticker", "market", 1_000),
        ("!markPrice@arr@1s", "markPrice", "market", 1_000),
        ("!bookTicker", "bookTicker", "public", 0),
        ("!contractInfo", "contractInfo", "market", 0),
    ],
)
def test_streams(name, kind, route, update_ms):
    found = parse_stream(name)
    assert (found.kind, found.route, found.update_ms) == (kind, route, update_ms)


@pytest.mark.parametrize(
    "name",
    [
        "btcusdt",
        "btcusdt@",
        "btcusdt@nothing",
        "BTCUSDT@bookTicker",
        "btcusdt@kline_7m",
        "btcusdt@depth7",
        "btcusdt@depth@9ms",
        "!x",
        "btcusdt@ticker_1h",
    ],
)
def test_invalid_names(name):
    assert parse_stream(name) is None


@pytest.mark.parametrize(
    ("path", "query", "wanted"),
    [
        ("/public/stream", "streams=a/b", ("public", True, ("a", "b"), "")),
        ("/market/ws/a/b", "", ("market", False, ("a", "b"), "")),
        ("/private/ws", "listenKey=K&events=A/B", ("private", False, (), "K")),
        ("/private/stream", "listenKey=K", ("private", True, (), "K")),
        ("/ws/K", "", ("", False, ("K",), "")),
        ("/public/ws", "listenKey=K", ("public", False, (), "")),
        ("/stream", "streams=a", ("", True, ("a",), "")),
        ("/ws-fapi/v1", "", ("ws-fapi", False, (), "")),
    ],
)
def test_targets(path, query, wanted):
    found = parse_target(path, query)
    assert (found.route, found.combined, found.names, found.listen_key) == wanted


@pytest.mark.parametrize("path", ["/", "/private", "/privates/ws", "/wsx", "/public/other"])
def test_unknown_paths(path):
    assert parse_target(path, "") is None
