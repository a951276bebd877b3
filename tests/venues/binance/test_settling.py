"""The master's settings at start, over a real connection."""

from __future__ import annotations

import pytest

from actors.core.errors import MasterUnfit, VenueRefused
from actors.venues.binance.asking import Asker
from actors.venues.binance.discovery import discover
from actors.venues.binance.settling import settle_master
from actors.venues.binance.throttle import Throttle
from tests.venues.binance.recorded import Recorded, symbol


@pytest.fixture
def exchange():
    with Recorded(
        symbol("BTCUSDT"), symbol("ETHUSDT"), symbol("BTCUSDT_261225", contractType="CURRENT_QUARTER")
    ) as server:
        yield server


def settle(exchange, leverage=None, *, may_set=False):
    asker = Asker(exchange.base, "key", "secret", Throttle())
    try:
        instruments = discover(asker, ()).instruments
        return settle_master(
            asker, instruments, leverage or {}, may_set=may_set, on_progress=lambda _text: None
        )
    finally:
        asker.close()


def changes(exchange):
    return [
        (path.removeprefix("/fapi/v1/"), params.get("symbol"))
        for m, path, params in exchange.requests
        if m == "POST"
    ]


def test_settings_that_fit_are_read_and_nothing_is_sent(exchange):
    found, notices = settle(exchange)
    assert (found.hedge_mode, found.multi_assets, found.bnb_burn, found.can_trade) == (
        False,
        False,
        True,
        True,
    )
    assert found.symbols["BTCUSDT"].leverage == 20
    assert notices == ()
    assert changes(exchange) == []


def test_what_does_not_fit_keeps_the_engine_from_starting_and_is_named_with_the_cure(exchange):
    exchange.hedge = exchange.multi = True
    exchange.margin["ETHUSDT"] = "ISOLATED"
    with pytest.raises(MasterUnfit) as caught:
        settle(exchange)
    text = str(caught.value)
    assert "hedge mode (dualSidePosition is true)" in text
    assert "multi-assets mode (multiAssetsMargin is true)" in text
    assert "margin type of ETHUSDT is ISOLATED" in text
    assert "set_master = true" in text
    assert changes(exchange) == []


def test_what_configuration_says_is_set_modes_first_and_on_perpetuals_only(exchange):
    exchange.hedge = exchange.multi = True
    exchange.margin["ETHUSDT"] = exchange.margin["BTCUSDT_261225"] = "ISOLATED"
    found, notices = settle(exchange, {"default": 10, "BTCUSDT": 50}, may_set=True)
    assert changes(exchange)[:3] == [
        ("positionSide/dual", None),
        ("multiAssetsMargin", None),
        ("marginType", "ETHUSDT"),
    ]
    assert sorted(changes(exchange)[3:]) == [("leverage", "BTCUSDT"), ("leverage", "ETHUSDT")]
    assert exchange.leverage == {"BTCUSDT": 50, "ETHUSDT": 10, "BTCUSDT_261225": 20}
    assert exchange.margin == {"BTCUSDT": "CROSSED", "ETHUSDT": "CROSSED", "BTCUSDT_261225": "ISOLATED"}
    assert not found.hedge_mode
    assert found.symbols["BTCUSDT"].leverage == 50
    assert any("leverage of BTCUSDT: 20 -> 50" in text for text in notices)
    before = len(exchange.requests)
    settle(exchange, {"default": 10, "BTCUSDT": 50}, may_set=True)
    assert not [r for r in exchange.requests[before:] if r[0] == "POST"], "nothing is left to set"


def test_leverage_needs_no_leave_to_change_modes(exchange):
    settle(exchange, {"BTCUSDT": 50})
    assert exchange.leverage["BTCUSDT"] == 50


def test_no_need_to_change_is_fine(exchange):
    # Somebody else set it between our reading and our setting.
    exchange.margin["ETHUSDT"] = "ISOLATED"
    answer = exchange._set

    def raced(path, params):
        if path == "marginType":
            exchange.margin["ETHUSDT"] = "CROSSED"
        return answer(path, params)

    exchange._set = raced
    found, _ = settle(exchange, may_set=True)
    assert found.symbols["ETHUSDT"].marginType == "CROSSED"


def test_a_change_that_the_exchange_refuses_is_named_with_its_reason(exchange):
    exchange.hedge = True
    exchange.refusals["POST", "/fapi/v1/positionSide/dual"] = (
        400, -4067, "Position side cannot be changed if there exists open orders.",
    )  # fmt: skip
    with pytest.raises(
        MasterUnfit, match=r"hedge mode.*-4067 Position side cannot be changed.*Close its positions"
    ):
        settle(exchange, may_set=True)


@pytest.mark.parametrize("path", ["positionSide/dual", "multiAssetsMargin", "symbolConfig"])
def test_what_must_be_known_and_is_not_told_keeps_the_engine_from_starting(exchange, path):
    exchange.refusals["GET", f"/fapi/v1/{path}"] = (404, -5000, "Path is not here")
    with pytest.raises(MasterUnfit, match=f"does not tell /fapi/v1/{path}.*-5000"):
        settle(exchange)


@pytest.mark.parametrize(("path", "field"), [("feeBurn", "bnb_burn"), ("accountConfig", "can_trade")])
def test_what_is_only_shown_may_be_missing_with_a_notice(exchange, path, field):
    exchange.refusals["GET", f"/fapi/v1/{path}"] = (404, -5000, "Path is not here")
    found, notices = settle(exchange)
    assert getattr(found, field) is None
    assert f"does not tell /fapi/v1/{path}" in notices[0]


def test_a_bad_key_is_said_as_such(exchange):
    exchange.refusals["GET", "/fapi/v1/feeBurn"] = (
        401,
        -2015,
        "Invalid API-key, IP, or permissions for action.",
    )
    with pytest.raises(VenueRefused, match=r"-2015.*may trade futures"):
        settle(exchange)
