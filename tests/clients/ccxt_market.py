"""ccxt: markets and prices."""

from __future__ import annotations

import time

from steps import Steps, done, near

step = Steps()
SYMBOL = "BTC/USDT:USDT"


@step
async def load_markets(client, _exchange):
    markets = await done(client.load_markets())
    market = markets[SYMBOL]
    assert market["linear"] and market["swap"] and market["settle"] == "USDT" and market["active"]
    near(market["precision"]["price"], 0.1)
    near(market["precision"]["amount"], 0.001)
    near(market["limits"]["amount"]["min"], 0.001)
    near(market["limits"]["cost"]["min"], 100)
    near(market["contractSize"], 1)
    assert {"LIMIT", "MARKET", "STOP_MARKET", "TRAILING_STOP_MARKET"} <= set(market["info"]["orderTypes"])
    assert len(markets) >= 10


@step
async def fetch_time(client, _exchange):
    assert abs(await done(client.fetch_time()) - time.time() * 1000) < 5_000


@step
async def fetch_ticker(client, _exchange):
    ticker = await done(client.fetch_ticker(SYMBOL))
    assert ticker["symbol"] == SYMBOL and ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["baseVolume"] >= 0 and ticker["open"] > 0


@step
async def fetch_tickers(client, _exchange):
    tickers = await done(client.fetch_tickers())
    assert set(tickers) >= {SYMBOL, "ETH/USDT:USDT"}
    assert all(t["last"] > 0 for t in tickers.values())


@step
async def fetch_bids_asks(client, _exchange):
    quotes = await done(client.fetch_bids_asks())
    assert all(0 < q["bid"] < q["ask"] and q["bidVolume"] > 0 for q in quotes.values())
    assert SYMBOL in quotes


@step
async def fetch_last_prices(client, _exchange):
    prices = await done(client.fetch_last_prices())
    assert prices[SYMBOL]["price"] > 0 and abs(prices[SYMBOL]["timestamp"] - time.time() * 1000) < 60_000


@step
async def fetch_order_book(client, _exchange):
    for limit in (5, 20, 1000):
        book = await done(client.fetch_order_book(SYMBOL, limit))
        assert 0 < len(book["bids"]) <= limit
        assert 0 < len(book["asks"]) <= limit
        assert book["bids"][0][0] < book["asks"][0][0] and book["nonce"] > 0
        assert book["bids"] == sorted(book["bids"], reverse=True) and book["asks"] == sorted(book["asks"])


@step
async def fetch_ohlcv(client, _exchange):
    for timeframe in ("1m", "1h", "1d"):
        candles = await done(client.fetch_ohlcv(SYMBOL, timeframe, limit=50))
        assert candles
        for at, opened, high, low, closed, volume in candles:
            assert at > 0 and low <= min(opened, closed) <= max(opened, closed) <= high and volume >= 0
        assert [c[0] for c in candles] == sorted({c[0] for c in candles})


@step
async def fetch_mark_and_index_candles(client, _exchange):
    for price in ("mark", "index"):
        candles = await done(client.fetch_ohlcv(SYMBOL, "1h", limit=10, params={"price": price}))
        assert candles and all(c[4] > 0 for c in candles)


@step
async def fetch_trades(client, _exchange):
    trades = await done(client.fetch_trades(SYMBOL, limit=20))
    assert trades and all(t["price"] > 0 and t["amount"] > 0 and t["side"] in {"buy", "sell"} for t in trades)


@step
async def fetch_funding_rate(client, _exchange):
    rate = await done(client.fetch_funding_rate(SYMBOL))
    assert rate["markPrice"] > 0 and rate["indexPrice"] > 0 and abs(rate["fundingRate"]) < 0.05
    assert rate["fundingTimestamp"] > time.time() * 1000


@step
async def fetch_funding_rates(client, _exchange):
    rates = await done(client.fetch_funding_rates())
    assert SYMBOL in rates and len(rates) >= 10


@step
async def fetch_mark_prices(client, _exchange):
    one = await done(client.fetch_mark_price(SYMBOL))
    assert one["markPrice"] > 0
    assert len(await done(client.fetch_mark_prices())) >= 10


@step
async def fetch_funding_rate_history(client, exchange):
    exchange.admin("funding", symbol="ETHUSDT", rate="0.0002")
    history = await done(client.fetch_funding_rate_history("ETH/USDT:USDT"))
    assert history and history[-1]["fundingRate"] == 0.0002 and history[-1]["symbol"] == "ETH/USDT:USDT"


@step
async def fetch_funding_intervals(client, _exchange):
    # At Binance only symbols whose interval or cap was ever changed are listed.
    intervals = await done(client.fetch_funding_intervals())
    assert all(i["interval"] in {"1h", "4h", "8h"} for i in intervals.values())


@step
async def fetch_open_interest(client, _exchange):
    found = await done(client.fetch_open_interest(SYMBOL))
    assert found["openInterestAmount"] >= 0 and found["symbol"] == SYMBOL
