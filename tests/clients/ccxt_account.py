"""ccxt: the account, its balances, positions and settings."""

from __future__ import annotations

import itertools

import ccxt
from steps import Steps, done, near, refused

step = Steps()
SYMBOL = "ETH/USDT:USDT"


@step
async def fetch_balance(client, _exchange):
    for params in ({}, {"useV2": True}):
        balance = await done(client.fetch_balance(params))
        assert balance["USDT"]["total"] > 1_000 and balance["USDT"]["free"] > 0
        assert balance["USDT"]["total"] >= balance["USDT"]["free"]
        assert {a["asset"] for a in balance["info"]["assets"]} >= {"USDT"}


@step
async def fetch_positions_of_nobody(client, _exchange):
    assert await done(client.fetch_positions()) == []
    assert await done(client.fetch_positions([SYMBOL], {"method": "account"})) == []
    assert await done(client.fetch_positions([SYMBOL], {"useV2": True})) == []


@step
async def fetch_leverage_tiers(client, _exchange):
    tiers = (await done(client.fetch_leverage_tiers()))[SYMBOL]
    assert tiers[0]["minNotional"] == 0 and tiers[0]["maxLeverage"] >= 20
    for lower, upper in itertools.pairwise(tiers):
        assert lower["maxNotional"] == upper["minNotional"]
        assert lower["maintenanceMarginRate"] < upper["maintenanceMarginRate"]
        assert lower["maxLeverage"] > upper["maxLeverage"]


@step
async def set_leverage_is_kept(client, _exchange):
    for leverage in (7, 13):
        raw = await done(client.set_leverage(leverage, SYMBOL))
        assert int(raw["leverage"]) == leverage and float(raw["maxNotionalValue"]) > 0
        found = (await done(client.fetch_leverages([SYMBOL])))[SYMBOL]
        assert found["longLeverage"] == leverage and found["marginMode"] == "cross"
    assert (await done(client.fetch_leverage(SYMBOL)))["shortLeverage"] == 13


@step
async def set_margin_mode(client, _exchange):
    raw = await done(client.set_margin_mode("isolated", SYMBOL))
    assert raw["code"] in {200, "200"} and raw["msg"] == "success"
    assert (await done(client.fetch_margin_modes([SYMBOL])))[SYMBOL]["marginMode"] == "isolated"
    await refused(lambda: client.set_margin_mode("isolated", SYMBOL), ccxt.MarginModeAlreadySet, "-4046")
    await done(client.set_margin_mode("cross", SYMBOL))
    await refused(lambda: client.set_margin_mode("cross", SYMBOL), ccxt.MarginModeAlreadySet, "-4046")
    assert (await done(client.fetch_margin_mode(SYMBOL)))["marginMode"] == "cross"


@step
async def position_mode(client, _exchange):
    assert (await done(client.fetch_position_mode()))["hedged"] is False
    await refused(lambda: client.set_position_mode(False), ccxt.OperationRejected, "-4059")
    await done(client.set_position_mode(True))
    assert (await done(client.fetch_position_mode()))["hedged"] is True
    await done(client.set_position_mode(False))
    raw = await done(client.fapiPrivateGetPositionSideDual())
    assert raw["dualSidePosition"] is False


@step
async def multi_assets_margin(client, _exchange):
    raw = await done(client.fapiPrivateGetMultiAssetsMargin())
    assert raw["multiAssetsMargin"] is False


@step
async def fetch_trading_fees(client, _exchange):
    one = await done(client.fetch_trading_fee(SYMBOL))
    assert 0 < one["maker"] < one["taker"] < 0.01
    every = await done(client.fetch_trading_fees())
    near(every[SYMBOL]["taker"], one["taker"], 0.5)


@step
async def fetch_my_liquidations(client, _exchange):
    assert await done(client.fetch_my_liquidations(SYMBOL)) == []


@step
async def account_reads_of_other_clients(client, _exchange):
    assert (await done(client.fapiPrivateGetFeeBurn()))["feeBurn"] in {True, False}
    assert (await done(client.fapiPrivateGetAccountConfig()))["dualSidePosition"] is False
    rows = await done(client.fapiPrivateGetRateLimitOrder())
    assert {(r["interval"], int(r["intervalNum"])) for r in rows} == {("SECOND", 10), ("MINUTE", 1)}
    for read in (client.fapiPrivateV2GetBalance, client.fapiPrivateV3GetBalance):
        assert {b["asset"] for b in await done(read())} >= {"USDT"}
    assert "indicators" in await done(client.fapiPrivateGetApiTradingStatus())
