"""The official SDK over websockets: market streams, the user stream, and orders by its websocket API."""

from __future__ import annotations

import asyncio

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from binance_sdk_derivatives_trading_usds_futures.rest_api import models as rest
from binance_sdk_derivatives_trading_usds_futures.websocket_api import models as api
from binance_sdk_derivatives_trading_usds_futures.websocket_streams import models as told
from steps import Steps, main, near, until

step = Steps()
SYMBOL, QUANTITY = "XRPUSDT", 100


class Client:
    """The SDK's three doors, and what the user stream told."""

    def __init__(self, exchange):
        made = sdk.DerivativesTradingUsdsFutures(
            config_rest_api=ConfigurationRestAPI(
                api_key=exchange.key, api_secret=exchange.secret, base_path=exchange.rest, timeout=10_000
            ),
            config_ws_api=ConfigurationWebSocketAPI(
                api_key=exchange.key,
                api_secret=exchange.secret,
                stream_url=f"{exchange.websocket}/ws-fapi/v1",
            ),
            config_ws_streams=ConfigurationWebSocketStreams(stream_url=exchange.websocket),
        )
        self.rest, self.api, self.streams = made.rest_api, made.websocket_api, made.websocket_streams
        self.events = []

    def first(self, kind, wanted=bool):
        """The first event of a kind that is wanted."""
        found = (e.actual_instance for e in self.events if isinstance(e.actual_instance, kind))
        return next((e for e in found if wanted(e)), None)


@step
async def connects(client, exchange):
    await client.api.create_connection()
    await client.streams.create_connection()
    assert len(client.api.connections) == 1
    assert {c.url_path for c in client.streams.connections} == {"market", "public", "private"}


async def one(handle, what):
    got = []
    handle.on("message", got.append)
    await until(lambda: got, what)
    await handle.unsubscribe()
    return got[0]


@step
async def public_streams(client, _exchange):
    streams = client.streams
    best = await one(await streams.individual_symbol_book_ticker_streams(SYMBOL), "L1")
    assert best.s == SYMBOL and float(best.b) < float(best.a) and best.u > 0 and best.T > 0
    every = await one(await streams.all_book_tickers_stream(), "all L1")
    assert every.s
    speed = told.DiffBookDepthStreamsUpdateSpeedEnum
    diff = await one(
        await streams.diff_book_depth_streams(SYMBOL, update_speed=next(iter(speed)).value), "depth"
    )
    assert diff.s == SYMBOL and diff.u >= diff.U and diff.pu <= diff.U
    levels = told.PartialBookDepthStreamsLevelsEnum
    part = await one(
        await streams.partial_book_depth_streams(SYMBOL, next(iter(levels)).value), "partial depth"
    )
    assert 0 < len(part.b) <= 20


@step
async def market_streams(client, _exchange):
    streams = client.streams
    mark = await one(await streams.mark_price_stream(SYMBOL), "the mark")
    assert mark.s == SYMBOL and float(mark.p) > 0 and mark.T > 0
    marks = await one(await streams.mark_price_stream_for_all_market(), "all marks")
    assert marks
    trade = await one(await streams.aggregate_trade_streams(SYMBOL), "a trade")
    assert float(trade.p) > 0 and float(trade.q) > 0
    minute = told.KlineCandlestickStreamsIntervalEnum.INTERVAL_1m.value
    candle = (await one(await streams.kline_candlestick_streams(SYMBOL, minute), "a candle")).k
    assert float(candle.l) <= float(candle.c) <= float(candle.h) and candle.s == SYMBOL
    day = await one(await streams.individual_symbol_ticker_streams(SYMBOL), "a ticker")
    assert float(day.l) <= float(day.c) <= float(day.h)
    small = await one(await streams.individual_symbol_mini_ticker_stream(SYMBOL), "a mini ticker")
    assert small.s == SYMBOL


@step
async def the_user_stream_is_opened(client, _exchange):
    key = client.rest.start_user_data_stream().data().listen_key
    handle = await client.streams.user_data(key)
    handle.on("message", client.events.append)


@step
async def orders_by_the_websocket_api(client, _exchange):
    best = (await client.api.symbol_order_book_ticker(symbol=SYMBOL)).data().actual_instance.result
    price = round(float(best.bid_price) * 0.97, 4)
    placed = (
        await client.api.new_order(
            SYMBOL, api.NewOrderSideEnum.BUY, api.NewOrderTypeEnum.LIMIT, quantity=QUANTITY, price=price,
            time_in_force=api.NewOrderTimeInForceEnum.GTC, new_client_order_id="ws-1",
        )
    ).data().result  # fmt: skip
    assert placed.status == "NEW" and placed.client_order_id == "ws-1"
    found = (await client.api.query_order(SYMBOL, order_id=placed.order_id)).data().result
    assert found.order_id == placed.order_id and found.status == "NEW" and found.time > 0
    side = api.ModifyOrderSideEnum.BUY
    changed = (
        (await client.api.modify_order(SYMBOL, side, QUANTITY * 2, price, order_id=placed.order_id))
        .data()
        .result
    )
    assert float(changed.orig_qty) == QUANTITY * 2
    canceled = (await client.api.cancel_order(SYMBOL, orig_client_order_id="ws-1")).data().result
    assert canceled.status == "CANCELED" and canceled.order_id == placed.order_id
    event = await until(
        lambda: client.first(told.OrderTradeUpdate, lambda e: e.o.X == "CANCELED"),
        "the cancel on the user stream",
    )
    assert event.o.c == "ws-1" and event.o.i == placed.order_id and event.o.x == "CANCELED" and event.E > 0
    new = client.first(told.OrderTradeUpdate, lambda e: e.o.X == "NEW")
    assert new.o.i == placed.order_id and new.o.V == "EXPIRE_MAKER" and new.o.R is False


@step
async def a_fill_on_the_user_stream(client, _exchange):
    client.events.clear()
    filled = (
        await client.api.new_order(
            SYMBOL, api.NewOrderSideEnum.BUY, api.NewOrderTypeEnum.MARKET, quantity=QUANTITY,
            new_order_resp_type=api.NewOrderNewOrderRespTypeEnum.RESULT,
        )
    ).data().result  # fmt: skip
    assert filled.status == "FILLED" and float(filled.executed_qty) == QUANTITY
    event = await until(lambda: client.first(told.OrderTradeUpdate, lambda e: e.o.X == "FILLED"), "the fill")
    assert event.o.i == filled.order_id and float(event.o.z) == QUANTITY and event.o.N == "USDT"
    assert float(event.o.n) > 0 and event.o.t > 0 and event.o.m is False
    account = await until(
        lambda: client.first(told.AccountUpdate, lambda e: e.a.m == "ORDER"), "the account's update"
    )
    position = next(p for p in account.a.P if p.s == SYMBOL)
    assert float(position.pa) == QUANTITY and position.mt == "cross" and position.ps == "BOTH"
    near(float(position.ep), float(event.o.ap), 1e-3)
    assert "USDT" in {b.a for b in account.a.B}
    light = await until(lambda: client.first(told.TradeLite), "TRADE_LITE")
    assert light.s == SYMBOL and light.i == filled.order_id


@step
async def the_account_by_the_websocket_api(client, _exchange):
    for read in (client.api.account_information, client.api.account_information_v2):
        account = (await read()).data().result
        assert float(account.total_wallet_balance) > 1_000
    for read in (client.api.futures_account_balance, client.api.futures_account_balance_v2):
        assert {b.asset for b in (await read()).data().result} >= {"USDT"}
    for read in (client.api.position_information, client.api.position_information_v2):
        (position,) = (await read(symbol=SYMBOL)).data().result
        assert float(position.position_amt) == QUANTITY
    answer = (await client.api.futures_account_balance()).rate_limits
    assert "REQUEST_WEIGHT" in {r.rateLimitType for r in answer}


@step
async def prices_by_the_websocket_api(client, _exchange):
    book = (await client.api.order_book(SYMBOL, limit=5)).data().result
    levels = book.additional_properties  # its model of this answer has forgotten them
    assert float(levels["bids"][0][0]) < float(levels["asks"][0][0])
    price = (await client.api.symbol_price_ticker(symbol=SYMBOL)).data().actual_instance.result
    assert float(price.price) > 0
    assert len((await client.api.symbol_order_book_ticker()).data().actual_instance.result) >= 10
    assert len((await client.api.symbol_price_ticker()).data().actual_instance.result) >= 10


@step
async def a_conditional_order_on_the_user_stream(client, exchange):
    client.events.clear()
    best = (await client.api.symbol_order_book_ticker(symbol=SYMBOL)).data().actual_instance.result
    stop = (
        await client.api.new_algo_order(
            api.NewAlgoOrderAlgoTypeEnum.CONDITIONAL, SYMBOL, api.NewAlgoOrderSideEnum.SELL,
            api.NewAlgoOrderTypeEnum.STOP_MARKET, quantity=QUANTITY, trigger_price=round(float(best.bid_price) * 0.98, 4),
            reduce_only=api.NewAlgoOrderReduceOnlyEnum("true"), client_algo_id="ws-stop",
        )
    ).data().result  # fmt: skip
    assert stop.algo_status == "NEW" and stop.client_algo_id == "ws-stop"
    event = await until(
        lambda: client.first(told.AlgoUpdate, lambda e: e.o.X == "NEW"), "the stop on the user stream"
    )
    assert event.o.aid == stop.algo_id and event.o.caid == "ws-stop" and event.o.s == SYMBOL
    exchange.admin("shock", symbol=SYMBOL, fraction="-0.04", seconds=0.5)
    await until(lambda: client.first(told.AlgoUpdate, lambda e: e.o.X == "FINISHED"), "the stop's end")
    assert client.first(told.AlgoUpdate, lambda e: e.o.X == "TRIGGERED")
    fill = await until(lambda: client.first(told.OrderTradeUpdate, lambda e: e.o.X == "FILLED"), "its fill")
    assert fill.o.S == "SELL" and fill.o.si is not None
    other = (
        await client.api.new_algo_order(
            api.NewAlgoOrderAlgoTypeEnum.CONDITIONAL, SYMBOL, api.NewAlgoOrderSideEnum.SELL,
            api.NewAlgoOrderTypeEnum.STOP_MARKET, quantity=QUANTITY, trigger_price=round(float(best.bid_price) * 0.8, 4),
        )
    ).data().result  # fmt: skip
    canceled = (await client.api.cancel_algo_order(algo_id=other.algo_id)).data().result
    assert canceled.algo_id == other.algo_id


@step
async def settings_on_the_user_stream(client, _exchange):
    client.rest.change_initial_leverage(SYMBOL, 11)
    event = await until(
        lambda: client.first(told.AccountConfigUpdate, lambda e: e.ac is not None), "the leverage"
    )
    assert event.ac.s == SYMBOL and event.ac.l == 11
    client.rest.change_multi_assets_mode("true")
    event = await until(
        lambda: client.first(told.AccountConfigUpdate, lambda e: e.ai is not None), "the mode"
    )
    assert event.ai.j is True
    client.rest.change_multi_assets_mode("false")


@step
async def funding_on_the_user_stream(client, exchange):
    client.rest.new_order(SYMBOL, rest.NewOrderSideEnum.BUY, rest.NewOrderTypeEnum.MARKET, quantity=QUANTITY)
    exchange.admin("funding", symbol=SYMBOL, rate="0.001")
    event = await until(
        lambda: client.first(told.AccountUpdate, lambda e: e.a.m == "FUNDING_FEE"), "the funding"
    )
    assert float(event.a.B[0].bc) < 0
    client.rest.new_order(
        SYMBOL, rest.NewOrderSideEnum.SELL, rest.NewOrderTypeEnum.MARKET, quantity=QUANTITY,
        reduce_only=rest.NewOrderReduceOnlyEnum("true"),
    )  # fmt: skip


@step
async def the_user_stream_by_the_websocket_api(client, _exchange):
    key = (await client.api.start_user_data_stream()).data().result.listen_key
    assert key == client.rest.start_user_data_stream().data().listen_key
    assert (await client.api.keepalive_user_data_stream()).data().result.listen_key == key


@step
async def the_end_of_the_listen_key_is_told(client, exchange):
    exchange.admin("listen-key", action="expire")
    await until(lambda: client.first(told.ListenKeyExpired), "the key's end")


async def run(exchange):
    client = Client(exchange)
    try:
        return await step.run(client, exchange)
    finally:
        await client.api.close_connection(close_session=True)
        await client.streams.close_connection(close_session=True)
        await asyncio.sleep(0)


if __name__ == "__main__":
    main(run)
