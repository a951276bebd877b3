"""Which symbols become instruments, and what changed."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from msgspec.structs import replace

from actors.core.instruments import NOT_CONFIGURED
from actors.persistence.projection.spelling import platform_symbol
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.listing import changes, select, told_of, with_brackets
from actors.venues.binance.rest import LeverageBracket, SymbolInfo
from tests.venues.binance.recorded import brackets, symbol

DELIVERY = symbol("BTCUSDT_261225", contractType="CURRENT_QUARTER")
USDC = symbol("BTCUSDC")
COIN = symbol("ETHBTC")
STOCK = symbol("TSLAUSDT", contractType="TRADIFI_PERPETUAL")
HALTED = symbol("OLDUSDT", status="SETTLING")
PENDING = symbol("NEWUSDT", status="PENDING_TRADING")
ALL = [symbol("BTCUSDT"), symbol("ETHUSDT"), DELIVERY, USDC, COIN, STOCK, HALTED, PENDING]


def infos(entries):
    return msgspec.convert(entries, list[SymbolInfo], strict=False)


def chosen(entries=ALL, wanted=(), held=(), asset="USDT", **more):
    return select(infos(entries), wanted, held, asset, **more)


def test_perpetuals_of_the_configured_asset_are_traded_and_nothing_else():
    found = chosen()
    assert set(found.instruments) == {"BTCUSDT", "ETHUSDT", "TSLAUSDT"}
    assert found.notices == ()
    assert set(chosen(asset="USDC").instruments) == {"BTCUSDC"}


def test_every_instrument_can_be_stored():
    for asset in ("USDT", "USDC"):
        for name in chosen(asset=asset).instruments:
            assert platform_symbol(name) == f"{name.removesuffix(asset)}/{asset}:{asset}"
    odd = symbol("BTC-USDT", baseAsset="BTC")
    with pytest.raises(MalformedMessage, match="cannot be stored"):
        chosen([odd], ("BTC-USDT",))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("BTCUSDT_261225", "BTCUSDT_261225 is a CURRENT_QUARTER contract; only perpetual"),
        ("BTCUSDC", "BTCUSDC is quoted in USDC with margin in USDC, accounts are in USDT"),
        ("ETHBTC", "ETHBTC is quoted in BTC"),
        ("DOGEUSDT", "DOGEUSDT is not listed"),
    ],
)
def test_what_settings_name_and_cannot_be_traded_is_refused_with_the_cure(name, why):
    with pytest.raises(MalformedMessage, match=why) as caught:
        chosen(wanted=("BTCUSDT", name))
    assert "out of 'symbols'" in str(caught.value)
    later = chosen(wanted=("BTCUSDT", name), strict=False)
    assert set(later.instruments) == {"BTCUSDT"}
    assert why in later.notices[0]


def test_named_symbols_are_all_that_is_traded():
    assert set(chosen(wanted=("ETHUSDT",)).instruments) == {"ETHUSDT"}


def test_a_symbol_that_somebody_holds_stays_whatever_its_status():
    found = chosen(held=("OLDUSDT",))
    assert not found.instruments["OLDUSDT"].is_trading
    assert "OLDUSDT is SETTLING: no new risk in it; positions in it" in found.notices[0]
    named = chosen(wanted=("OLDUSDT",))
    assert not named.instruments["OLDUSDT"].is_trading
    left_out = chosen(wanted=("BTCUSDT",), held=("ETHUSDT",))
    assert left_out.instruments["ETHUSDT"].status == NOT_CONFIGURED
    assert left_out.instruments["BTCUSDT"].is_trading
    assert "ETHUSDT is not in 'symbols'" in left_out.notices[0]


def test_what_somebody_holds_and_nobody_can_trade_is_named():
    gone = chosen(held=("GONEUSDT", "BTCUSDT_261225"))
    assert "BTCUSDT_261225 is a CURRENT_QUARTER contract" in gone.notices[0]
    assert "GONEUSDT is not listed any more, but somebody holds it" in gone.notices[1]
    assert "GONEUSDT" not in gone.instruments


def test_a_symbol_without_usable_rules_is_left_out_alone_unless_it_was_asked_for():
    broken = symbol("ETHUSDT", filters=[])
    found = chosen([symbol("BTCUSDT"), broken])
    assert set(found.instruments) == {"BTCUSDT"}
    assert "left out: exchangeInfo: ETHUSDT has no usable PRICE_FILTER" in found.notices[0]
    with pytest.raises(MalformedMessage, match="PRICE_FILTER"):
        chosen([broken], ("ETHUSDT",))


def test_brackets_that_cannot_be_cost_one_symbol_its_brackets():
    bad = brackets("ETHUSDT")
    bad["brackets"][1]["notionalFloor"] = 1
    answers = msgspec.convert([brackets("BTCUSDT"), bad], list[LeverageBracket], strict=False)
    found, notices = with_brackets(chosen().instruments, answers)
    assert [b.max_leverage for b in found["BTCUSDT"].brackets] == [125, 50, 10]
    assert found["ETHUSDT"].brackets == ()
    assert "of ETHUSDT does not fit" in notices[0]


def test_what_changed_is_told_as_an_alarm_where_somebody_holds_it():
    before = chosen(wanted=("BTCUSDT", "ETHUSDT")).instruments
    after = dict(before)
    after["BTCUSDT"] = replace(before["BTCUSDT"], tick_size=D("0.01"), status="BREAK")
    after["TSLAUSDT"] = chosen().instruments["TSLAUSDT"]
    del after["ETHUSDT"]
    found = changes(before, after)
    assert (found.added, found.removed, set(found.changed)) == (("TSLAUSDT",), ("ETHUSDT",), {"BTCUSDT"})
    alarms, notices = told_of(found, ("BTCUSDT",))
    assert alarms == ["the exchange changed BTCUSDT: status TRADING -> BREAK, tick_size 0.10 -> 0.01"]
    assert notices == ["the exchange does not trade ETHUSDT any more", "new symbols: TSLAUSDT"]
    alarms, _ = told_of(found, ("ETHUSDT",))
    assert alarms == ["the exchange does not trade ETHUSDT any more, but somebody holds it; close it by hand"]
    assert not changes(before, dict(before))
