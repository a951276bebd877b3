"""The venues by name: each opens from the engine's settings, and one that is not there is said with those that are.

Covers: actors/venues/port.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.assembly.config import EngineConfig
from actors.core.errors import BadConfig
from actors.core.units import ZERO
from actors.venues.port import FleetExposure
from actors.venues.registry import VENUES, open_venue


def opened(name, **settings):
    return open_venue(name, EngineConfig(**settings), print, lambda: FleetExposure({}, {}, ZERO))


@pytest.mark.parametrize("name", VENUES)
def test_each_venue_opens_from_the_engine_s_settings(name):
    venue = opened(name, api_key="k", symbols=("BTCUSDT",), leverage={"default": 20})
    assert venue.instruments == {}
    assert venue.market_data_counts() == {}
    assert venue.weight().used == 0
    venue.stop()


def test_a_venue_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(BadConfig, match="venue: 'nyse' is none of binance"):
        opened("nyse")


def test_an_address_that_the_venue_cannot_use_names_its_setting():
    with pytest.raises(BadConfig, match="exchange_ws_public: must be set"):
        opened("binance", exchange="https://example.com")


@pytest.mark.parametrize("name", VENUES)
def test_no_module_outside_the_venues_names_one(name):
    root = Path(__file__).parents[2]
    files = [root / "supervisor.py", *(root / "actors").rglob("*.py")]
    outside = [f for f in files if "venues" not in f.relative_to(root).parts]
    assert outside
    assert [f.name for f in outside if f"venues.{name}" in f.read_text(encoding="utf-8")] == []
