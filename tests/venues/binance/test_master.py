"""The master's settings: what fits, what is changed, what is refused."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.venues.binance.filters import brackets_of
from actors.venues.binance.master import (
    MasterSettings,
    max_leverage,
    misfits,
    notional_cap,
    plan,
    wanted_leverage,
)
from actors.venues.binance.rest import LeverageBracket, SymbolConfig
from tests.factories import BTC, ETH, INSTRUMENTS
from tests.venues.binance.recorded import brackets


def listed(*leverages):
    answer = msgspec.convert(brackets("BTCUSDT", *leverages), LeverageBracket, strict=False)
    return {s: replace(INSTRUMENTS[s], brackets=brackets_of(answer)) for s in (BTC, ETH)}


def settings(margin="CROSSED", leverage=20, **more):
    configs = {s: SymbolConfig(symbol=s, marginType=margin, leverage=leverage) for s in (BTC, ETH)}
    return MasterSettings(**{"hedge_mode": False, "multi_assets": False, "symbols": configs, **more})


def test_what_fits_is_left_alone():
    assert plan(settings(), listed(), {"default": 20}, may_set=True).changes == ()
    assert plan(settings(), listed(), {}, may_set=False) == plan(settings(), listed(), {}, may_set=True)


@pytest.mark.parametrize(
    ("found", "named", "path"),
    [
        (settings(hedge_mode=True), "hedge mode", "/fapi/v1/positionSide/dual"),
        (settings(multi_assets=True), "multi-assets mode", "/fapi/v1/multiAssetsMargin"),
        (settings(margin="ISOLATED"), "margin type of BTCUSDT is ISOLATED", "/fapi/v1/marginType"),
    ],
)
def test_a_mode_that_does_not_fit_is_set_if_that_is_allowed_and_else_a_fault(found, named, path):
    allowed = plan(found, listed(), {}, may_set=True)
    assert allowed.faults == ()
    assert allowed.changes[0].path == path
    refused = plan(found, listed(), {}, may_set=False)
    assert refused.changes == ()
    assert named in refused.faults[0]


def test_leverage_is_set_where_it_differs():
    todo = plan(settings(), listed(), {"default": 20, "BTCUSDT": 50}, may_set=False)
    assert [c.params for c in todo.changes] == [{"symbol": "BTCUSDT", "leverage": "50"}]
    assert plan(settings(), listed(), {}, may_set=False).changes == ()
    assert wanted_leverage(listed()[BTC], {}) is None


def test_a_named_leverage_above_the_exchange_s_is_refused_and_a_default_is_lowered():
    todo = plan(settings(), listed(25, 10), {"BTCUSDT": 50}, may_set=True)
    assert "leverage of BTCUSDT is set to 50, the exchange allows 25 at most" in todo.faults[0]
    lowered = plan(settings(), listed(25, 10), {"default": 50}, may_set=True)
    assert {c.params["leverage"] for c in lowered.changes} == {"25"}
    assert wanted_leverage(INSTRUMENTS[BTC], {"default": 50}) == 50, "nobody told its brackets"


def test_leverage_of_what_is_not_traded_is_named():
    todo = plan(settings(), listed(), {"XRPUSDT": 5}, may_set=True)
    assert todo.faults == ("leverage names XRPUSDT, which is not traded here; take it out",)


def test_nothing_is_set_on_a_symbol_that_does_not_trade():
    halted = {s: replace(i, status="BREAK") for s, i in listed().items()}
    assert plan(settings(margin="ISOLATED"), halted, {"default": 5, "BTCUSDT": 7}, may_set=True).changes == ()


def test_an_account_that_may_not_trade_is_a_fault_and_an_untold_one_is_not():
    assert "canTrade is false" in plan(settings(can_trade=False), listed(), {}, may_set=True).faults[0]
    assert plan(settings(can_trade=None), listed(), {}, may_set=True).faults == ()


def test_a_bracket_limits_what_the_master_may_hold_at_a_leverage():
    instrument = listed(125, 50, 10)[BTC]
    caps = {leverage: notional_cap(instrument, leverage) for leverage in (125, 51, 50, 11, 10, 1, 126)}
    assert caps == {125: 50_000, 51: 50_000, 50: 100_000, 11: 100_000, 10: 150_000, 1: 150_000, 126: 0}
    assert notional_cap(INSTRUMENTS[BTC], 20) is None
    assert max_leverage(instrument) == 125


def test_a_fleet_that_does_not_fit_is_named_with_both_figures():
    caps = {BTC: D(50_000), ETH: D(100_000)}
    assert misfits(caps, D(50_000), {BTC: D(50_000)}) == []
    [present] = misfits(caps, D(50_000), {BTC: D("50000.004"), ETH: D(1)})
    assert present.startswith("BTCUSDT: the fleet holds 50000")
    [configured] = misfits(caps, D(50_001), {})
    assert "accounts may hold 50001" in configured
    assert "BTCUSDT 50000" in configured
    assert "ETHUSDT" not in configured
