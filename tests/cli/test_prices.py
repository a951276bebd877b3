"""The command about prices, and its table."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from actors.api.client import NotKnown
from actors.cli.prices import table

FOUND = [
    {"symbol": "BTCUSDT", "mark": "65000.5", "source": "WS", "age_ms": 40},
    {"symbol": "ETHUSDT", "mark": "2000", "source": "REST", "age_ms": 3_000},
    {"symbol": "LTCUSDT", "mark": "80.12345", "source": "REDIS", "age_ms": 9_900},
    {"symbol": "SOLUSDT", "mark": None, "source": None, "age_ms": 61_000},
    {"symbol": "XRPUSDT", "mark": None, "source": None, "age_ms": None},
]


@pytest.mark.parametrize("width", [80, 130])
def test_each_price_says_where_it_came_from_and_how_old_it_is(width):
    out = io.StringIO()
    table(FOUND, Console(file=out, width=width))
    lines = [" ".join(line.replace("│", " ").split()) for line in out.getvalue().split("\n")]
    for wanted in (
        "BTCUSDT 65,000.50 the exchange's stream 0.0",
        "ETHUSDT 2,000.00 the exchange, asked 3.0",
        "LTCUSDT 80.12345 Redis; only shown 9.9",
        "SOLUSDT no price none is young enough 61.0",
        "XRPUSDT no price none is young enough",
    ):
        assert any(wanted in line for line in lines), (wanted, lines)


def test_one_symbol_or_all_is_one_get(engine, cli):
    engine.answers["GET", "/v1/prices"] = FOUND
    assert json.loads(cli("prices --json").out) == FOUND
    cli("prices BTCUSDT --limit 3")
    assert engine.requests == [
        ("GET", "/v1/prices", {"limit": 100}),
        ("GET", "/v1/prices", {"limit": 3, "symbol": "BTCUSDT"}),
    ]
    engine.answers["GET", "/v1/prices"] = NotKnown("symbol 'X' is not traded here")
    refused = cli("prices X")
    assert (refused.code, refused.err) == (2, "error: symbol 'X' is not traded here\n")
