"""ccxt: what the exchange refuses, and the exception that a bot sees.

On a host that is not named ``fapi.`` ccxt does not look into its table of futures, so some of the
codes become a plain ExchangeError; the number is in its text.
"""

from __future__ import annotations

import ccxt
from steps import Steps, done, refused

step = Steps()
SYMBOL = "BTC/USDT:USDT"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


@step
async def more_than_the_margin_is_refused(client, _exchange):
    await done(client.set_leverage(1, SYMBOL))
    balance = await done(client.fetch_balance())
    price = (await done(client.fetch_bids_asks([SYMBOL])))[SYMBOL]["ask"]
    amount = min(900, balance["USDT"]["free"] / price * 3)
    before = len(await done(client.fetch_orders(SYMBOL)))
    for _ in range(40):
        try:
            await done(client.create_order(SYMBOL, "limit", "buy", amount, price * 0.99))
        except ccxt.ExchangeError as error:
            assert type(error) is ccxt.ExchangeError and "-2019" in str(error), error
            break
    else:
        raise AssertionError("forty orders of three times the wallet were taken")
    await done(client.cancel_all_orders(SYMBOL))
    assert len(await done(client.fetch_orders(SYMBOL))) - before < 40


@step
async def unknown_symbols_are_refused(client, _exchange):
    await refused(
        lambda: client.fapiPrivatePostOrder({**ORDER, "symbol": "NOSUCHUSDT"}), ccxt.BadSymbol, "-1121"
    )
    await refused(lambda: client.fapiPublicGetDepth({"symbol": "NOSUCHUSDT"}), ccxt.BadSymbol, "-1121")
    await refused(lambda: client.fapiPrivateGetUserTrades({"symbol": "NOSUCHUSDT"}), ccxt.BadSymbol, "-1121")


@step
async def bad_orders_are_refused_by_what_is_bad(client, _exchange):
    limit = {**ORDER, "type": "LIMIT", "timeInForce": "GTC", "price": "50000", "quantity": "0.2"}
    for change, kind, code in (
        ({"quantity": "0.0123456"}, ccxt.BadRequest, "-1111"),
        ({"side": "SIDEWAYS"}, ccxt.BadRequest, "-1117"),
        ({"type": "MAYBE"}, ccxt.BadRequest, "-1116"),
        ({"type": "LIMIT", "price": "50000"}, ccxt.BadRequest, "-1102"),
        ({"quantity": ""}, ccxt.BadRequest, "-1102"),
        ({"quantity": "0"}, ccxt.BadRequest, "-4003"),
        ({"quantity": "5000"}, ccxt.BadRequest, "-4005"),
        ({"quantity": "0.001"}, ccxt.ExchangeError, "-4164"),
        ({"newClientOrderId": "a" * 37}, ccxt.BadRequest, "-4015"),
    ):
        await refused(lambda c=change: client.fapiPrivatePostOrder({**ORDER, **c}), kind, code)
    for change, kind, code in (
        ({"price": "50000.05"}, ccxt.BadRequest, "-4014"),
        ({"timeInForce": "LATER"}, ccxt.BadRequest, "-1115"),
        ({"price": "1000000"}, ccxt.BadRequest, "-4016"),
        ({"price": "1000"}, ccxt.BadRequest, "-4024"),
        ({"price": "-5"}, ccxt.BadRequest, "-4001"),
    ):
        side = {"side": "SELL"} if code == "-4024" else {}
        await refused(lambda c={**change, **side}: client.fapiPrivatePostOrder({**limit, **c}), kind, code)


@step
async def a_client_order_id_is_unique_among_open_orders(client, _exchange):
    price = client.price_to_precision(
        SYMBOL, (await done(client.fetch_bids_asks([SYMBOL])))[SYMBOL]["bid"] * 0.97
    )
    order = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": price,
        "newClientOrderId": "the-same-one",
    }  # fmt: skip
    first = await done(client.fapiPrivatePostOrder(order))
    await refused(lambda: client.fapiPrivatePostOrder(order), ccxt.ExchangeError, "-4116")
    await done(client.cancel_order(first["orderId"], SYMBOL))
    second = await done(client.fapiPrivatePostOrder(order))
    assert second["orderId"] != first["orderId"]
    await done(client.cancel_order("", SYMBOL, {"clientOrderId": "the-same-one"}))
    assert (await done(client.fetch_order(second["orderId"], SYMBOL)))["status"] == "canceled"
    del order["newClientOrderId"]
    unnamed = await done(client.fapiPrivatePostOrder(order))
    assert unnamed["clientOrderId"]
    await done(client.cancel_order(unnamed["orderId"], SYMBOL))


@step
async def leverage_and_brackets(client, _exchange):
    await refused(
        lambda: client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": "126"}),
        ccxt.BadRequest,
        "-4028",
    )
    tiers = (await done(client.fetch_leverage_tiers([SYMBOL])))[SYMBOL]
    await done(client.set_leverage(int(tiers[0]["maxLeverage"]), SYMBOL))
    price = (await done(client.fetch_bids_asks([SYMBOL])))[SYMBOL]["ask"]
    over = client.amount_to_precision(SYMBOL, tiers[0]["maxNotional"] * 1.5 / price)
    await refused(
        lambda: client.create_order(SYMBOL, "market", "buy", float(over)), ccxt.ExchangeError, "-2027"
    )


@step
async def keys_signatures_and_times(client, exchange):
    hosts = {"urls": client.urls}
    strangers = type(client)({"apiKey": "no-such-key", "secret": exchange.secret, **hosts})
    liars = type(client)({"apiKey": exchange.key, "secret": "no-such-secret", **hosts})
    behind = {"options": {"timeDifference": 60_000}}
    late = type(client)({"apiKey": exchange.key, "secret": exchange.secret, **behind, **hosts})
    try:
        await refused(strangers.fapiPrivateV3GetAccount, ccxt.AuthenticationError, "-2015")
        await refused(liars.fapiPrivateV3GetAccount, ccxt.AuthenticationError, "-1022")
        await refused(late.fapiPrivateV3GetAccount, ccxt.InvalidNonce, "-1021")
        await refused(
            lambda: client.fapiPrivateV3GetAccount({"recvWindow": 70_000}), ccxt.ExchangeError, "-1131"
        )
    finally:
        for other in (strangers, liars, late):
            if hasattr(other, "close"):
                await done(other.close())


@step
async def a_listen_key_that_is_gone_is_refused(client, _exchange):
    first = (await done(client.fapiPrivatePostListenKey()))["listenKey"]
    assert (await done(client.fapiPrivatePostListenKey()))["listenKey"] == first
    await done(client.fapiPrivatePutListenKey({"listenKey": first}))
    await done(client.fapiPrivateDeleteListenKey())
    await refused(
        lambda: client.fapiPrivatePutListenKey({"listenKey": first}), ccxt.AuthenticationError, "-1125"
    )
