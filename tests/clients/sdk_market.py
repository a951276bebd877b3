"""The official SDK over REST: prices and what is listed."""

from __future__ import annotations

import time

from binance_sdk_derivatives_trading_usds_futures.rest_api import models
from steps import Steps, near

step = Steps()
SYMBOL = "BTCUSDT"


def some(answer):
    """What a model of one of several shapes holds."""
    data = answer.data()
    return getattr(data, "actual_instance", data)


@step
def connectivity(client, _exchange):
    assert client.test_connectivity().status == 200
    assert abs(client.check_server_time().data().server_time - time.time() * 1000) < 5_000


@step
def exchange_information(client, _exchange):
    info = client.exchange_information().data()
    limits = {(r.rate_limit_type, r.interval, r.interval_num): r.limit for r in info.rate_limits}
    assert {("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("ORDERS", "MINUTE", 1)} <= set(limits)
    assert "USDT" in {a.asset for a in info.assets}
    symbol = next(s for s in info.symbols if s.symbol == SYMBOL)
    assert symbol.pair == SYMBOL and symbol.margin_asset == "USDT" and symbol.contract_type == "PERPETUAL"
    assert symbol.price_precision >= 1 and symbol.quantity_precision == 3 and symbol.onboard_date > 0
    assert {"GTC", "IOC", "FOK", "GTX", "GTD"} <= set(symbol.time_in_force)
    filters = {f.filter_type for f in symbol.filters}
    assert {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ORDERS",
        "MIN_NOTIONAL",
        "PERCENT_PRICE",
    } <= filters
    assert "MAX_NUM_ALGO_ORDERS" not in filters


@step
def order_book(client, _exchange):
    for limit in (5, 100, 1000):
        book = client.order_book(SYMBOL, limit).data()
        assert book.last_update_id > 0 and book.E > 0 and book.T > 0
        assert 0 < len(book.bids) <= limit and float(book.bids[0][0]) < float(book.asks[0][0])


@step
def tickers(client, _exchange):
    best = some(client.symbol_order_book_ticker(SYMBOL))
    assert float(best.bid_price) < float(best.ask_price)
    assert len(some(client.symbol_order_book_ticker())) >= 10
    day = some(client.ticker24hr_price_change_statistics(SYMBOL))
    near(float(day.last_price) - float(day.open_price), float(day.price_change), 1e-6)
    assert len(some(client.ticker24hr_price_change_statistics())) >= 10
    for read in (client.symbol_price_ticker, client.symbol_price_ticker_v2):
        assert float(some(read(SYMBOL)).price) > 0
        assert len(some(read())) >= 10


@step
def trades(client, _exchange):
    found = client.compressed_aggregate_trades_list(SYMBOL, limit=10).data()
    assert found and all(float(t.p) > 0 and float(t.q) > 0 for t in found)
    recent = client.recent_trades_list(SYMBOL, limit=10).data()
    assert recent and all(float(t.price) > 0 for t in recent)


@step
def candles(client, _exchange):
    intervals = models.KlineCandlestickDataIntervalEnum
    rows = client.kline_candlestick_data(SYMBOL, intervals.INTERVAL_1m, limit=5).data()
    assert 0 < len(rows) <= 5
    for row in rows:
        opened, high, low, closed = (float(row[n]) for n in range(1, 5))
        assert low <= min(opened, closed) <= max(opened, closed) <= high and row[6] > row[0]
    marks = models.MarkPriceKlineCandlestickDataIntervalEnum.INTERVAL_1h
    assert client.mark_price_kline_candlestick_data(SYMBOL, marks, limit=3).data()
    index = models.IndexPriceKlineCandlestickDataIntervalEnum.INTERVAL_1h
    assert client.index_price_kline_candlestick_data(SYMBOL, index, limit=3).data()


@step
def marks_and_funding(client, exchange):
    mark = some(client.mark_price(SYMBOL))
    assert float(mark.mark_price) > 0 and mark.next_funding_time > time.time() * 1000
    assert len(some(client.mark_price())) >= 10
    exchange.admin("funding", symbol=SYMBOL, rate="0.0001")
    settled = client.get_funding_rate_history(SYMBOL).data()
    assert float(settled[-1].funding_rate) == 0.0001 and float(settled[-1].mark_price) > 0
    for row in client.get_funding_rate_info().data():
        assert row.funding_interval_hours in {1, 4, 8}


@step
def open_interest(client, _exchange):
    assert float(client.open_interest(SYMBOL).data().open_interest) >= 0


@step
def listen_keys(client, _exchange):
    first = client.start_user_data_stream().data().listen_key
    assert client.start_user_data_stream().data().listen_key == first
    assert client.keepalive_user_data_stream().data().listen_key == first
    assert client.close_user_data_stream().status == 200
