"""ccxt: stop, take-profit and trailing orders, which live at /algoOrder."""

from __future__ import annotations

import ccxt
from ccxt_orders import touch
from steps import Steps, done, near, refused, until

step = Steps()
SYMBOL = "LTC/USDT:USDT"
AMOUNT = 2.0
ALGO = {"stop": True}


def rounded(client, price):
    return float(client.price_to_precision(SYMBOL, price))


async def placed(client, side, price, kind="market", limit=None, **params):
    return await done(
        client.create_order(SYMBOL, kind, side, AMOUNT, limit, {"stopLossPrice": price, **params})
    )


@step
async def a_stop_is_placed_found_and_canceled(client, _exchange):
    bid, _ = await touch(client, SYMBOL)
    price = rounded(client, bid * 0.9)
    order = await placed(client, "sell", price)
    assert (
        order["status"] == "open" and order["type"] in {"market", "stop_market"} and order["side"] == "sell"
    )
    near(order["triggerPrice"], price)
    assert order["info"]["algoStatus"] == "NEW" and order["clientOrderId"].startswith("x-cvBPrNm9")
    found = await done(client.fetch_order(order["id"], SYMBOL, ALGO))
    assert found["id"] == order["id"] and found["status"] == "open"
    by_client_id = await done(
        client.fetch_order("", SYMBOL, {**ALGO, "clientAlgoId": order["clientOrderId"]})
    )
    assert by_client_id["id"] == order["id"]
    assert [o["id"] for o in await done(client.fetch_open_orders(SYMBOL, params=ALGO))] == [order["id"]]
    assert order["id"] not in {o["id"] for o in await done(client.fetch_open_orders(SYMBOL))}

    canceled = await done(client.cancel_order(order["id"], SYMBOL, ALGO))
    assert canceled["id"] == order["id"]
    assert (await done(client.fetch_order(order["id"], SYMBOL, ALGO)))["status"] == "canceled"
    assert await done(client.fetch_open_orders(SYMBOL, params=ALGO)) == []
    await refused(lambda: client.cancel_order(order["id"], SYMBOL, ALGO), ccxt.OrderNotFound, "-2011")


@step
async def each_kind_is_placed(client, _exchange):
    bid, ask = await touch(client, SYMBOL)
    low, high = rounded(client, bid * 0.9), rounded(client, ask * 1.1)
    kinds = [
        await placed(client, "sell", low),
        await placed(client, "sell", low, "limit", rounded(client, bid * 0.89)),
        await done(client.create_order(SYMBOL, "market", "sell", AMOUNT, None, {"takeProfitPrice": high})),
        await done(client.create_order(SYMBOL, "limit", "sell", AMOUNT, high, {"takeProfitPrice": high})),
        await done(client.create_order(SYMBOL, "market", "sell", AMOUNT, None, {"trailingPercent": 2})),
        await placed(client, "sell", low, workingType="MARK_PRICE", closePosition=True),
    ]
    wanted = [
        "STOP_MARKET",
        "STOP",
        "TAKE_PROFIT_MARKET",
        "TAKE_PROFIT",
        "TRAILING_STOP_MARKET",
        "STOP_MARKET",
    ]
    assert [o["info"]["orderType"] for o in kinds] == wanted
    assert (
        kinds[4]["info"]["callbackRate"] in {"2", "2.0", "2.00"}
        and kinds[5]["info"]["workingType"] == "MARK_PRICE"
    )
    client.options["fetchOpenOrders"]["warnWithoutSymbol"] = False
    everywhere = await done(client.fetch_open_orders(None, params=ALGO))
    assert {o["id"] for o in kinds} <= {o["id"] for o in everywhere}
    answer = await done(client.cancel_all_orders(SYMBOL, ALGO))
    assert int(answer[0]["info"]["code"]) == 200
    assert await done(client.fetch_open_orders(SYMBOL, params=ALGO)) == []
    history = await done(client.fetch_orders(SYMBOL, params=ALGO))
    assert {o["id"] for o in kinds} <= {o["id"] for o in history}


@step
async def a_stop_triggers_and_its_order_fills(client, exchange):
    await done(client.create_order(SYMBOL, "market", "buy", AMOUNT))
    bid, _ = await touch(client, SYMBOL)
    stop = await placed(client, "sell", rounded(client, bid * 0.98), reduceOnly=True)
    exchange.admin("shock", symbol="LTCUSDT", fraction="-0.04", seconds=0.5)

    async def triggered():
        order = await done(client.fetch_order(stop["id"], SYMBOL, ALGO))
        return order if order["status"] == "closed" else None

    order = await until(triggered, "the stop's trigger")
    assert order["info"]["algoStatus"] in {"TRIGGERED", "FINISHED"}
    actual = await done(client.fetch_order(order["info"]["actualOrderId"], SYMBOL))
    assert actual["status"] == "closed" and actual["filled"] == AMOUNT and actual["side"] == "sell"
    assert await done(client.fetch_positions([SYMBOL])) == []
    assert await done(client.fetch_open_orders(SYMBOL, params=ALGO)) == []


@step
async def a_trailing_stop_follows_and_triggers(client, exchange):
    await done(client.create_order(SYMBOL, "market", "buy", AMOUNT))
    trailing = await done(
        client.create_order(
            SYMBOL, "market", "sell", AMOUNT, None, {"trailingPercent": 1, "reduceOnly": True}
        )
    )
    exchange.admin("shock", symbol="LTCUSDT", fraction="0.03", seconds=0.3)
    exchange.admin("shock", symbol="LTCUSDT", fraction="-0.05", seconds=0.5)

    async def triggered():
        order = await done(client.fetch_order(trailing["id"], SYMBOL, ALGO))
        return order if order["status"] == "closed" else None

    order = await until(triggered, "the trailing stop's trigger")
    assert (await done(client.fetch_order(order["info"]["actualOrderId"], SYMBOL)))["status"] == "closed"
    assert await done(client.fetch_positions([SYMBOL])) == []


@step
async def a_stop_that_would_trigger_at_once_is_refused(client, _exchange):
    _, ask = await touch(client, SYMBOL)
    await refused(lambda: placed(client, "sell", rounded(client, ask * 1.05)), ccxt.ExchangeError, "-2021")


@step
async def stops_elsewhere_are_refused(client, _exchange):
    bid, _ = await touch(client, SYMBOL)
    for kind in ("STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", "STOP", "TAKE_PROFIT"):
        params = {
            "symbol": "LTCUSDT", "side": "SELL", "type": kind, "quantity": "2", "price": str(rounded(client, bid * 0.9)),
            "stopPrice": str(rounded(client, bid * 0.9)), "callbackRate": "1",
        }  # fmt: skip
        await refused(lambda p=params: client.fapiPrivatePostOrder(p), ccxt.ExchangeError, "-4120")
