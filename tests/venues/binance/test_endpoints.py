"""The weight of each request."""

from __future__ import annotations

import pytest

from actors.venues.binance.endpoints import UNLISTED, WEIGHTS, weight_of


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    [
        ("GET", "/fapi/v1/ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ("GET", "/fapi/v1/ticker/bookTicker", {}, 5),
        ("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET", "/fapi/v1/openOrders", {"timestamp": "1"}, 40),
        ("POST", "/fapi/v1/order", {}, 0),
        ("POST", "/fapi/v1/batchOrders", {}, 5),
        ("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT"}, 10),
        ("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "5"}, 2),
        ("GET", "/fapi/v1/klines", {"limit": "1500"}, 10),
        ("GET", "/fapi/v1/klines", {"limit": "nonsense"}, 5),
        ("GET", "/fapi/v1/positionSide/dual", {}, 30),
        ("GET", "/fapi/v1/somethingNew", {}, UNLISTED),
    ],
)
def test_a_request_weighs_what_the_table_says(method, path, params, weight):
    assert weight_of(method, path, params) == weight


def test_every_entry_has_a_weight_for_any_parameters():
    for method, path in WEIGHTS:
        for params in ({}, {"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT", "limit": "100000"}):
            assert weight_of(method, path, params) >= 0
