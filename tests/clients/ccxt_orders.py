"""ccxt: orders, their fills, and what these do to balance, positions and history."""

from __future__ import annotations

import ccxt
from steps import Steps, done, near, refused, until

step = Steps()
SYMBOL = "ETH/USDT:USDT"
OTHER = "SOL/USDT:USDT"
AMOUNT = 0.5


async def touch(client, symbol):
    quote = (await done(client.fetch_bids_asks([symbol])))[symbol]
    return quote["bid"], quote["ask"]


async def far_below(client, symbol, fraction=0.97):
    return float(client.price_to_precision(symbol, (await touch(client, symbol))[0] * fraction))


async def wallet(client):
    """What is in the wallet, and the equity, of USDT."""
    balance = await done(client.fetch_balance())
    row = next(a for a in balance["info"]["assets"] if a["asset"] == "USDT")
    return float(row["walletBalance"]), balance["USDT"]["total"]


@step
async def a_limit_order_rests_is_found_changed_and_canceled(client, _exchange):
    price = await far_below(client, SYMBOL)
    order = await done(client.create_order(SYMBOL, "limit", "buy", AMOUNT, price))
    assert order["status"] == "open" and order["type"] == "limit" and order["side"] == "buy"
    assert order["clientOrderId"].startswith("x-cvBPrNm9") and len(order["clientOrderId"]) == 32
    near(order["price"], price)
    near(order["amount"], AMOUNT)
    assert order["filled"] == 0 and order["timeInForce"] == "GTC" and order["reduceOnly"] is False
    assert "avgPrice" not in order["info"] and "cumQuote" not in order["info"]

    found = await done(client.fetch_order(order["id"], SYMBOL))
    assert found["id"] == order["id"] and found["status"] == "open" and found["timestamp"] > 0
    by_client_id = await done(client.fetch_order("", SYMBOL, {"clientOrderId": order["clientOrderId"]}))
    assert by_client_id["id"] == order["id"]
    assert order["id"] in {o["id"] for o in await done(client.fetch_open_orders(SYMBOL))}
    assert (await done(client.fetch_open_order(order["id"], SYMBOL)))["id"] == order["id"]

    changed = await done(client.edit_order(order["id"], SYMBOL, "limit", "buy", 2 * AMOUNT, price * 0.999))
    assert changed["id"] == order["id"] and changed["status"] == "open"
    near(changed["amount"], 2 * AMOUNT)
    assert changed["price"] < price
    history = await done(client.fapiPrivateGetOrderAmendment({"symbol": "ETHUSDT", "orderId": order["id"]}))
    assert float(history[-1]["amendment"]["origQty"]["after"]) == 2 * AMOUNT

    canceled = await done(client.cancel_order(order["id"], SYMBOL))
    assert canceled["status"] == "canceled" and canceled["id"] == order["id"]
    await refused(lambda: client.cancel_order(order["id"], SYMBOL), ccxt.OrderNotFound, "-2011")
    assert (await done(client.fetch_order(order["id"], SYMBOL)))["status"] == "canceled"
    assert order["id"] in {o["id"] for o in await done(client.fetch_canceled_orders(SYMBOL))}
    await refused(lambda: client.fetch_order("999999999999", SYMBOL), ccxt.OrderNotFound, "-2013")


@step
async def open_orders_of_all_symbols(client, _exchange):
    made = [
        await done(client.create_order(symbol, "limit", "buy", amount, await far_below(client, symbol)))
        for symbol, amount in ((SYMBOL, AMOUNT), (OTHER, 10))
    ]
    client.options["fetchOpenOrders"]["warnWithoutSymbol"] = False
    assert {o["id"] for o in await done(client.fetch_open_orders())} == {o["id"] for o in made}
    balance = await done(client.fetch_balance())
    assert float(balance["info"]["totalOpenOrderInitialMargin"]) > 0
    for order in made:
        await done(client.cancel_order(order["id"], order["symbol"]))
    assert await done(client.fetch_open_orders()) == []


@step
async def a_market_order_fills_pays_its_fee_and_makes_a_position(client, _exchange):
    await done(client.set_leverage(13, SYMBOL))
    before, _ = await wallet(client)
    order = await done(client.create_order(SYMBOL, "market", "buy", AMOUNT))
    assert order["status"] == "closed" and order["filled"] == AMOUNT and order["remaining"] == 0
    known = await done(client.fetch_order(order["id"], SYMBOL))
    assert known["status"] == "closed" and known["average"] > 0
    near(known["cost"], known["average"] * AMOUNT, 1e-6)
    assert order["id"] in {o["id"] for o in await done(client.fetch_closed_orders(SYMBOL))}

    trades = [t for t in await done(client.fetch_my_trades(SYMBOL)) if t["order"] == order["id"]]
    near(sum(t["amount"] for t in trades), AMOUNT)
    near(sum(t["cost"] for t in trades), known["cost"], 1e-6)
    assert all(t["fee"]["cost"] > 0 and t["fee"]["currency"] == "USDT" for t in trades)
    assert all(t["takerOrMaker"] == "taker" and t["side"] == "buy" for t in trades)
    fee = sum(t["fee"]["cost"] for t in trades)
    near(fee, known["cost"] * (await done(client.fetch_trading_fee(SYMBOL)))["taker"], 1e-4)
    near((await wallet(client))[0], before - fee, 1e-12)

    for params in ({}, {"useV2": True}, {"method": "account"}):
        positions = await done(client.fetch_positions([SYMBOL], params))
        assert len(positions) == 1, params
        position = positions[0]
        assert position["side"] == "long" and position["contracts"] == AMOUNT and position["hedged"] is False
        if "method" not in params:
            near(position["entryPrice"], known["average"], 1e-4)
        assert position["marginMode"] == "cross" and position["initialMargin"] > 0
        assert position["maintenanceMargin"] > 0 and position["notional"] > 0
        # The newer answers leave what is configured to symbolConfig.
        assert position["leverage"] == (13 if "useV2" in params else position["leverage"])
    risk = (await done(client.fetch_positions([SYMBOL])))[0]
    assert risk["markPrice"] > 0 and risk["timestamp"] > 0


@step
async def funding_of_the_position_is_in_the_income(client, exchange):
    exchange.admin("funding", symbol="ETHUSDT", rate="0.001")
    paid = await until(lambda: client.fetch_funding_history(SYMBOL), "funding")
    assert paid[-1]["amount"] < 0 and paid[-1]["code"] == "USDT" and paid[-1]["symbol"] == SYMBOL
    assert await done(client.fetch_funding_history(SYMBOL, paid[-1]["timestamp"] + 1)) == []


@step
async def adl_ranks_of_the_position(client, _exchange):
    ranks = await done(client.fetch_positions_adl_rank([SYMBOL]))
    assert [r["symbol"] for r in ranks] == [SYMBOL] and 0 <= ranks[0]["rank"] <= 4


@step
async def a_reduce_only_order_closes_and_realizes(client, _exchange):
    before, _ = await wallet(client)
    order = await done(client.create_order(SYMBOL, "market", "sell", AMOUNT, params={"reduceOnly": True}))
    assert order["status"] == "closed" and order["reduceOnly"] is True
    assert await done(client.fetch_positions([SYMBOL])) == []
    trades = [t for t in await done(client.fetch_my_trades(SYMBOL)) if t["order"] == order["id"]]
    realized = sum(float(t["info"]["realizedPnl"]) for t in trades)
    near((await wallet(client))[0], before + realized - sum(t["fee"]["cost"] for t in trades), 1e-12)
    ledger = await done(client.fetch_ledger())
    assert {"REALIZED_PNL", "COMMISSION", "FUNDING_FEE"} <= {e["info"]["incomeType"] for e in ledger}
    booked = [e for e in ledger if e["info"]["incomeType"] == "REALIZED_PNL"]
    near(float(booked[-1]["info"]["income"]), float(trades[-1]["info"]["realizedPnl"]), 1e-9)
    await refused(
        lambda: client.create_order(SYMBOL, "market", "sell", AMOUNT, params={"reduceOnly": True}),
        ccxt.ExchangeError, "-2022",
    )  # fmt: skip


@step
async def times_in_force(client, _exchange):
    bid, ask = await touch(client, SYMBOL)
    low, high = (float(client.price_to_precision(SYMBOL, p)) for p in (bid * 0.98, ask * 1.01))
    ioc = await done(client.create_order(SYMBOL, "limit", "buy", AMOUNT, low, {"timeInForce": "IOC"}))
    assert ioc["status"] == "expired" and ioc["filled"] == 0
    await refused(
        lambda: client.create_order(SYMBOL, "limit", "buy", AMOUNT, low, {"timeInForce": "FOK"}),
        ccxt.InvalidOrder, "-5021",
    )  # fmt: skip
    await refused(
        lambda: client.create_order(SYMBOL, "limit", "buy", AMOUNT, high, {"postOnly": True}),
        ccxt.InvalidOrder, "-5022",
    )  # fmt: skip
    resting = await done(client.create_order(SYMBOL, "limit", "buy", AMOUNT, low, {"postOnly": True}))
    assert resting["status"] == "open" and resting["info"]["timeInForce"] == "GTX" and resting["postOnly"]
    filled = await done(client.create_order(SYMBOL, "limit", "buy", AMOUNT, high, {"timeInForce": "FOK"}))
    assert filled["status"] == "closed"
    await done(client.cancel_order(resting["id"], SYMBOL))
    await done(client.create_order(SYMBOL, "market", "sell", AMOUNT, params={"reduceOnly": True}))


@step
async def orders_of_one_account_do_not_trade_with_each_other(client, exchange):
    exchange.admin("halt", symbol="SOLUSDT", halted=True)  # so that the market is not in between
    price = (await done(client.fetch_order_book(OTHER, 5)))["bids"][0][0]
    for mode, ended in (("EXPIRE_TAKER", "taker"), ("EXPIRE_MAKER", "maker"), ("EXPIRE_BOTH", "both")):
        resting = await done(client.create_order(OTHER, "limit", "buy", 10, price))
        assert resting["status"] == "open"
        params = {"selfTradePrevention": mode, "timeInForce": "GTC"}
        taker = await done(client.create_order(OTHER, "limit", "sell", 10, price, params))
        assert taker["info"]["selfTradePreventionMode"] == mode
        ids = {"maker": resting["id"], "taker": taker["id"]}
        found = {who: await done(client.fetch_order(id_, OTHER)) for who, id_ in ids.items()}
        for who, order in found.items():
            if ended in {who, "both"}:
                assert order["info"]["status"] == "EXPIRED_IN_MATCH" and order["status"] == "expired", (
                    mode,
                    who,
                )
                assert order["filled"] == 0
            else:
                assert order["info"]["status"] != "EXPIRED_IN_MATCH", (mode, who)
        await done(client.cancel_all_orders(OTHER))
        for position in await done(client.fetch_positions([OTHER])):
            side = "sell" if position["side"] == "long" else "buy"
            await done(
                client.create_order(OTHER, "market", side, position["contracts"], params={"reduceOnly": True})
            )
    exchange.admin("halt", symbol="SOLUSDT", halted=False)


@step
async def batches(client, _exchange):
    price = await far_below(client, SYMBOL)

    def wanted(amount, cheaper=1.0, **more):
        row = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": amount, "price": price * cheaper}
        return {**row, **more}

    placed = await done(client.create_orders([wanted(AMOUNT), wanted(AMOUNT, 0.999), wanted(1_000_000.0)]))
    good = [o for o in placed if o["status"] == "open"]
    bad = [int(o["info"]["code"]) for o in placed if "code" in o["info"]]
    assert len(good) == 2 and bad == [-4005]

    changed = await done(client.edit_orders([wanted(2 * AMOUNT, 0.998, id=o["id"]) for o in good]))
    assert [o["id"] for o in changed] == [o["id"] for o in good]
    assert all(o["amount"] == 2 * AMOUNT for o in changed)

    first = await done(client.cancel_orders([good[0]["id"]], SYMBOL))
    assert [o["status"] for o in first] == ["canceled"]
    ids = {"clientOrderIds": [good[1]["clientOrderId"]]}
    second = await done(client.cancel_orders([], SYMBOL, ids))
    assert [o["status"] for o in second] == ["canceled"]

    await done(client.create_orders([wanted(AMOUNT), wanted(AMOUNT, 0.999)]))
    answer = await done(client.cancel_all_orders(SYMBOL))
    assert int(answer[0]["info"]["code"]) == 200
    assert await done(client.fetch_open_orders(SYMBOL)) == []


@step
async def the_history_of_orders(client, _exchange):
    orders = await done(client.fetch_orders(SYMBOL))
    assert {"closed", "canceled", "expired"} <= {o["status"] for o in orders}
    assert [o["timestamp"] for o in orders] == sorted(o["timestamp"] for o in orders)
    assert len(await done(client.fetch_orders(SYMBOL, limit=2))) == 2
    assert await done(client.fetch_orders(SYMBOL, orders[-1]["timestamp"] + 60_000)) == []
    one = await done(client.fetch_my_trades(SYMBOL, limit=1))
    assert len(one) == 1


@step
async def isolated_margin_is_added(client, _exchange):
    await done(client.set_margin_mode("isolated", OTHER))
    await done(client.set_leverage(10, OTHER))
    await done(client.create_order(OTHER, "market", "buy", 20))
    before = (await done(client.fetch_positions([OTHER])))[0]
    assert before["marginMode"] == "isolated" and before["collateral"] > 0
    added = await done(client.add_margin(OTHER, 5))
    assert added["type"] == "add" and added["amount"] == 5
    after = (await done(client.fetch_positions([OTHER])))[0]
    near(
        after["collateral"] - after["unrealizedPnl"] - before["collateral"] + before["unrealizedPnl"], 5, 1e-3
    )
    taken = await done(client.reduce_margin(OTHER, 2))
    assert taken["type"] == "reduce" and taken["amount"] == 2
    log = await done(client.fetch_margin_adjustment_history(OTHER))
    assert [e["amount"] for e in log][-2:] == [5, 2]
    await done(client.create_order(OTHER, "market", "sell", 20, params={"reduceOnly": True}))
    await done(client.set_margin_mode("cross", OTHER))


@step
async def hedge_mode_wants_a_side(client, _exchange):
    await done(client.set_position_mode(True))
    await refused(
        lambda: client.create_order(SYMBOL, "market", "buy", AMOUNT), ccxt.OperationRejected, "-4061"
    )
    await done(client.set_position_mode(False))
    order = await done(client.create_order(SYMBOL, "market", "buy", AMOUNT))
    await refused(lambda: client.set_position_mode(True), ccxt.OperationRejected, "-4068")
    await done(client.create_order(SYMBOL, "market", "sell", order["filled"], params={"reduceOnly": True}))
