"""ccxt.pro: prices, the account's events, and orders, all over websockets."""

from __future__ import annotations

import asyncio

import ccxt
import ccxt.pro
from ccxt_rest import settings
from steps import Steps, main, near, refused, until

step = Steps()
SYMBOL = "SOL/USDT:USDT"
AMOUNT = 10.0
SECONDS = 20


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, SECONDS)


async def listening(client):
    """Until the user stream is up: only what comes after that is told."""
    await until(
        lambda: any("/private/" in url and c.connectionEstablished for url, c in client.clients.items()), "the user stream"
    )  # fmt: skip


class Watched:
    """What one kind of watching told, from before the order that causes it on.

    Two frames that come at once are told as one: what was told first is changed in place by what follows.
    """

    def __init__(self, watch, wanted, what, cache=list):
        self._watch, self._wanted, self._what, self._cache = watch, wanted, what, cache
        self._told = []
        self._task = asyncio.ensure_future(self._keep())

    async def _keep(self):
        while True:
            self._told += await self._watch()

    def _find(self):
        return next((t for t in [*self._told, *self._cache()] if self._wanted(t)), None)

    async def told(self):
        found = await until(lambda: self._task.done() or self._find(), self._what)
        if self._task.done():
            self._task.result()
        self._task.cancel()
        return found


@step
async def load_markets(client, _exchange):
    assert SYMBOL in await client.load_markets()


@step
async def watch_bids_asks(client, _exchange):
    quotes = await soon(client.watch_bids_asks([SYMBOL, "BTC/USDT:USDT"]))
    assert all(0 < q["bid"] < q["ask"] and q["bidVolume"] > 0 for q in quotes.values())


@step
async def watch_order_book(client, _exchange):
    book = await soon(client.watch_order_book(SYMBOL))
    first = book["nonce"]
    for _ in range(3):
        book = await soon(client.watch_order_book(SYMBOL))
    assert book["nonce"] > first and book["bids"][0][0] < book["asks"][0][0]


@step
async def watch_ticker(client, _exchange):
    ticker = await soon(client.watch_ticker(SYMBOL))
    assert ticker["symbol"] == SYMBOL and ticker["low"] <= ticker["last"] <= ticker["high"]
    tickers = await soon(client.watch_tickers([SYMBOL]))
    assert tickers[SYMBOL]["last"] > 0


@step
async def watch_mark_price(client, _exchange):
    assert (await soon(client.watch_mark_price(SYMBOL)))["markPrice"] > 0


@step
async def watch_trades(client, _exchange):
    trades = await soon(client.watch_trades(SYMBOL))
    assert all(t["price"] > 0 and t["amount"] > 0 for t in trades)


@step
async def watch_ohlcv(client, _exchange):
    candles = await soon(client.watch_ohlcv(SYMBOL, "1m"))
    _, opened, high, low, closed, _ = candles[-1]
    assert low <= min(opened, closed) <= max(opened, closed) <= high


@step
async def a_resting_order_is_told_from_begin_to_end(client, _exchange):
    begun = Watched(lambda: client.watch_orders(SYMBOL), lambda o: o["status"] == "open", "a new order")
    await listening(client)
    bid = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
    price = float(client.price_to_precision(SYMBOL, bid * 0.97))
    mine = await client.create_order(SYMBOL, "limit", "buy", AMOUNT, price)
    told = await begun.told()
    assert told["id"] == mine["id"] and told["clientOrderId"] == mine["clientOrderId"]
    near(told["price"], price)
    ended = Watched(
        lambda: client.watch_orders(SYMBOL), lambda o: o["status"] == "canceled" and o["id"] == mine["id"], "the cancel"
    )  # fmt: skip
    await client.cancel_order(mine["id"], SYMBOL)
    assert (await ended.told())["filled"] == 0


@step
async def a_fill_is_told_as_order_trade_balance_and_position(client, _exchange):
    before = (await client.fetch_balance())["USDT"]["total"]
    orders = Watched(
        lambda: client.watch_orders(SYMBOL), lambda o: o["status"] == "closed", "the filled order"
    )
    trades = Watched(lambda: client.watch_my_trades(SYMBOL), lambda t: t["amount"] > 0, "the trade")
    positions = Watched(
        lambda: client.watch_positions([SYMBOL]), lambda p: p["contracts"] == AMOUNT, "the position"
    )

    async def balance():
        return [await client.watch_balance()]

    balances = Watched(balance, lambda b: b["USDT"]["total"] not in {None, before}, "the balance")
    await listening(client)
    # Positions are first asked for by REST; one that begins before that would be told as there already.
    await until(lambda: client.positions, "what watch_positions asks first")
    order = await client.create_order(SYMBOL, "market", "buy", AMOUNT)
    told = await orders.told()
    assert told["id"] == order["id"] and told["filled"] == AMOUNT and told["average"] > 0
    trade = await trades.told()
    assert trade["order"] == order["id"] and trade["fee"]["cost"] > 0 and trade["fee"]["currency"] == "USDT"
    assert trade["takerOrMaker"] == "taker" and trade["side"] == "buy"
    position = await positions.told()
    assert position["side"] == "long" and position["marginMode"] == "cross"
    near(position["entryPrice"], told["average"], 1e-3)
    assert (await balances.told())["USDT"]["total"] < before


@step
async def a_conditional_order_is_told(client, exchange):
    begun = Watched(
        lambda: client.watch_orders(SYMBOL), lambda o: o["triggerPrice"] and o["status"] == "open", "the stop"
    )
    await listening(client)
    bid = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
    trigger = float(client.price_to_precision(SYMBOL, bid * 0.98))
    stop = await client.create_order(
        SYMBOL, "market", "sell", AMOUNT, None, {"stopLossPrice": trigger, "reduceOnly": True}
    )
    told = await begun.told()
    assert told["id"] == stop["id"]
    near(told["triggerPrice"], trigger)
    filled = Watched(
        lambda: client.watch_my_trades(SYMBOL), lambda t: t["side"] == "sell" and t["amount"] > 0, "the stop's fill"
    )  # fmt: skip
    exchange.admin("shock", symbol="SOLUSDT", fraction="-0.04", seconds=0.5)
    assert (await filled.told())["amount"] > 0


@step
async def orders_over_the_websocket(client, _exchange):
    bid = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
    price = float(client.price_to_precision(SYMBOL, bid * 0.97))
    order = await soon(client.create_order_ws(SYMBOL, "limit", "buy", AMOUNT, price))
    assert order["status"] == "open" and order["clientOrderId"].startswith("x-")
    found = await soon(client.fetch_order_ws(order["id"], SYMBOL))
    assert found["id"] == order["id"] and found["status"] == "open"
    changed = await soon(client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 2 * AMOUNT, price))
    assert changed["id"] == order["id"]
    near(changed["amount"], 2 * AMOUNT)
    canceled = await soon(client.cancel_order_ws(order["id"], SYMBOL))
    assert canceled["status"] == "canceled"
    await refused(lambda: soon(client.cancel_order_ws(order["id"], SYMBOL)), ccxt.OrderNotFound, "-2011")
    filled = await soon(client.create_order_ws(SYMBOL, "market", "buy", AMOUNT))
    assert filled["status"] == "closed" and filled["filled"] == AMOUNT


@step
async def conditional_orders_over_the_websocket(client, _exchange):
    bid = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
    trigger = float(client.price_to_precision(SYMBOL, bid * 0.9))
    stop = await soon(
        client.create_order_ws(SYMBOL, "market", "sell", AMOUNT, None, {"stopLossPrice": trigger})
    )
    assert stop["info"]["algoStatus"] == "NEW"
    canceled = await soon(client.cancel_order_ws(stop["id"], SYMBOL, {"trigger": True}))
    assert canceled["id"] == stop["id"]
    await client.fetch_open_orders(SYMBOL, params={"stop": True})


@step
async def the_account_over_the_websocket(client, _exchange):
    for method in ("account.status", "v2/account.status", "account.balance", "v2/account.balance"):
        balance = await soon(client.fetch_balance_ws({"method": method}))
        assert balance["USDT"]["total"] > 1_000, method
    for method in ("account.position", "v2/account.position"):
        positions = await soon(client.fetch_positions_ws([SYMBOL], {"method": method}))
        assert [p["contracts"] for p in positions] == [AMOUNT], method


@step
async def prices_over_the_websocket(client, _exchange):
    book = await soon(client.fetch_order_book_ws(SYMBOL, 5))
    assert book["bids"][0][0] < book["asks"][0][0]
    ticker = await soon(client.fetch_ticker_ws(SYMBOL, {"method": "ticker.book"}))
    assert 0 < ticker["bid"] < ticker["ask"]


@step
async def nothing_is_left(client, _exchange):
    await client.create_order(SYMBOL, "market", "sell", AMOUNT, params={"reduceOnly": True})
    assert await client.fetch_positions([SYMBOL]) == []
    assert await client.fetch_open_orders(SYMBOL) == []


async def run(exchange):
    configuration = settings(exchange)
    configuration["urls"]["api"]["ws"] = {
        "linear": f"{exchange.websocket}/ws",
        "ws-api": {"linear": f"{exchange.websocket}/ws-fapi/v1"},
    }
    client = ccxt.pro.binanceusdm(configuration)
    try:
        return await step.run(client, exchange)
    finally:
        await client.close()


if __name__ == "__main__":
    main(run)
