"""python-binance's client of USD-M futures: prices, account, orders, conditional orders and the user stream."""

from __future__ import annotations

import binance
from binance.exceptions import BinanceAPIException
from steps import Steps, main, near, refused, until

step = Steps()
SYMBOL, QUANTITY = "SOLUSDT", 10


@step
def prices(client, _exchange):
    assert client.futures_ping() == {}
    assert client.futures_time()["serverTime"] > 0
    info = client.futures_exchange_info()
    assert SYMBOL in {s["symbol"] for s in info["symbols"]}
    book = client.futures_order_book(symbol=SYMBOL, limit=5)
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    assert float(client.futures_orderbook_ticker(symbol=SYMBOL)["bidPrice"]) > 0
    assert float(client.futures_mark_price(symbol=SYMBOL)["markPrice"]) > 0
    assert client.futures_klines(symbol=SYMBOL, interval="1m", limit=2)
    assert float(client.futures_ticker(symbol=SYMBOL)["lastPrice"]) > 0
    assert client.futures_aggregate_trades(symbol=SYMBOL)


@step
def account(client, _exchange):
    assert float(client.futures_account()["totalWalletBalance"]) > 1_000
    assert "USDT" in {b["asset"] for b in client.futures_account_balance()}
    assert client.futures_get_position_mode()["dualSidePosition"] is False
    assert client.futures_get_multi_assets_mode()["multiAssetsMargin"] is False
    assert client.futures_change_leverage(symbol=SYMBOL, leverage=8)["leverage"] == 8
    assert client.futures_change_margin_type(symbol=SYMBOL, marginType="ISOLATED")["code"] == 200
    assert client.futures_change_margin_type(symbol=SYMBOL, marginType="CROSSED")["code"] == 200
    assert client.futures_leverage_bracket(symbol=SYMBOL)
    assert float(client.futures_commission_rate(symbol=SYMBOL)["takerCommissionRate"]) > 0


@step
async def orders(client, _exchange):
    bid = float(client.futures_orderbook_ticker(symbol=SYMBOL)["bidPrice"])
    price = f"{bid * 0.97:.2f}"
    order = client.futures_create_order(
        symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity=QUANTITY, price=price
    )
    assert order["status"] == "NEW" and order["clientOrderId"].startswith("x-")
    assert client.futures_get_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "NEW"
    assert [o["orderId"] for o in client.futures_get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    changed = client.futures_modify_order(
        symbol=SYMBOL, orderId=order["orderId"], side="BUY", quantity=2 * QUANTITY, price=price
    )
    near(float(changed["origQty"]), 2 * QUANTITY)
    assert client.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"] == "CANCELED"
    gone = {"symbol": SYMBOL, "orderId": order["orderId"]}
    error = await refused(
        lambda: client.futures_cancel_order(**gone), BinanceAPIException, "Unknown order sent"
    )
    assert error.code == -2011
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "10",
        "price": price,
    }
    batch = client.futures_place_batch_order(batchOrders=[dict(row), dict(row)])
    assert [o["status"] for o in batch] == ["NEW", "NEW"]
    assert client.futures_cancel_all_open_orders(symbol=SYMBOL)["code"] == 200


@step
def fills(client, _exchange):
    order = client.futures_create_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity=QUANTITY, newOrderRespType="RESULT"
    )
    assert order["status"] == "FILLED"
    trades = [t for t in client.futures_account_trades(symbol=SYMBOL) if t["orderId"] == order["orderId"]]
    near(sum(float(t["qty"]) for t in trades), QUANTITY)
    (position,) = client.futures_position_information(symbol=SYMBOL)
    near(float(position["positionAmt"]), QUANTITY)
    assert {"COMMISSION"} <= {i["incomeType"] for i in client.futures_income_history(symbol=SYMBOL)}


@step
async def conditional_orders(client, exchange):
    bid = float(client.futures_orderbook_ticker(symbol=SYMBOL)["bidPrice"])
    # This client sends what is conditional to /algoOrder by itself.
    stop = client.futures_create_order(
        symbol=SYMBOL, side="SELL", type="STOP_MARKET", quantity=QUANTITY, triggerPrice=f"{bid * 0.98:.2f}"
    )
    assert stop["algoStatus"] == "NEW" and stop["clientAlgoId"].startswith("x-")
    assert [o["algoId"] for o in client.futures_get_open_algo_orders(symbol=SYMBOL)] == [stop["algoId"]]
    exchange.admin("shock", symbol=SYMBOL, fraction="-0.04", seconds=0.5)
    found = {"algoId": stop["algoId"]}
    await until(
        lambda: client.futures_get_algo_order(**found)["algoStatus"] in {"TRIGGERED", "FINISHED"},
        "the trigger",
    )
    await until(lambda: client.futures_position_information(symbol=SYMBOL) == [], "the position's end")


@step
def the_user_stream(client, _exchange):
    key = client.futures_stream_get_listen_key()
    assert client.futures_stream_keepalive(key) in ({}, {"listenKey": key})
    client.futures_stream_close(key)


async def run(exchange):
    class Client(binance.Client):
        """The host is a constant of its class, and its maker pings the spot exchange unless told not to."""

        FUTURES_URL = f"{exchange.rest}/fapi"

    client = Client(exchange.key, exchange.secret, ping=False)
    return await step.run(client, exchange)


if __name__ == "__main__":
    main(run)
