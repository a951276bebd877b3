"""freqtrade, the bot itself: its start, an entry with a stop on the exchange, its polls, and an exit.

Only hosts and key differ from Binance. Currencies and the markets of spot and COIN-M, which ccxt asks for in other
places, are switched off in ccxt's own options.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import ccxt
from freqtrade.configuration import Configuration
from freqtrade.enums import ExitCheckTuple, ExitType, RunMode, State
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade
from steps import Steps, main, near, plainly_until

step = Steps()
PAIR = "ETH/USDT:USDT"
STRATEGY = """
from freqtrade.strategy import IStrategy


class Once(IStrategy):
    timeframe = "1m"
    stoploss = -0.10
    minimal_roi = {"0": 10}
    can_short = True
    startup_candle_count = 0
    process_only_new_candles = False
    order_types = {
        "entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 1, "stoploss_price_type": "mark",
    }

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def leverage(self, *args, **kwargs):
        return 5.0
"""


def configuration(exchange, folder):
    """A user's configuration, on disk, as freqtrade reads it."""
    urls = {k: u for k, u in ccxt.binance().urls["api"].items() if isinstance(u, str)}
    for host in ("https://fapi.binance.com", "https://api.binance.com", "https://dapi.binance.com"):
        urls = {k: u.replace(host, exchange.rest) for k, u in urls.items()}
    (folder / "strategies").mkdir()
    (folder / "strategies" / "once.py").write_text(STRATEGY)
    wanted = {
        "dry_run": False, "max_open_trades": 1, "stake_currency": "USDT", "stake_amount": 500, "timeframe": "1m",
        "trading_mode": "futures", "margin_mode": "isolated", "db_url": "sqlite://", "initial_state": "running",
        "strategy": "Once", "strategy_path": str(folder / "strategies"), "cancel_open_orders_on_exit": True,
        "unfilledtimeout": {"entry": 10, "exit": 10}, "fiat_display_currency": "",
        "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exchange": {
            "name": "binance", "key": exchange.key, "secret": exchange.secret, "pair_whitelist": [PAIR],
            "pair_blacklist": [], "ccxt_config": {"urls": {"api": urls}, "options": {"fetchCurrencies": False, "fetchMarkets": {"types": ["linear"]}}},
        },
        "pairlists": [{"method": "StaticPairList"}], "internals": {"process_throttle_secs": 1},
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps(wanted))
    given = {"config": [str(path)], "user_data_dir": str(folder)}
    return Configuration(given, RunMode.LIVE).get_config()


@step
def starts(bot, _exchange):
    bot["bot"] = FreqtradeBot(bot["config"])
    bot["bot"].startup()
    assert bot["bot"].state == State.RUNNING
    tiers = bot["bot"].exchange._leverage_tiers[PAIR]
    assert tiers[0]["maxLeverage"] >= 20


@step
def wallets(bot, _exchange):
    bot["bot"].wallets.update()
    assert bot["bot"].wallets.get_total("USDT") > 1_000


@step
def prices(bot, _exchange):
    exchange = bot["bot"].exchange
    tickers = exchange.get_tickers()
    assert tickers[PAIR]["bid"] > 0 and tickers[PAIR]["last"] > 0
    assert exchange.fetch_funding_rates([PAIR])[PAIR]["fundingRate"] is not None


@step
def enters_with_a_stop_on_the_exchange(bot, _exchange):
    def entered():
        bot["bot"].process()
        trades = Trade.get_open_trades()
        return trades and trades[0].has_open_position and trades[0].has_open_sl_orders

    plainly_until(entered, "an entry and its stop", 60)
    (trade,) = Trade.get_open_trades()
    assert trade.leverage == 5 and trade.amount > 0 and trade.fee_open_cost > 0
    assert trade.liquidation_price and trade.liquidation_price < trade.open_rate
    stop = trade.open_sl_orders[0]
    near(stop.stop_price, trade.open_rate * (1 - 0.10 / 5), 0.01)
    bot["stop"] = stop.order_id


@step
def the_stop_triggers_and_is_found(bot, exchange):
    exchange.admin("shock", symbol="ETHUSDT", fraction="-0.06", seconds=1)

    def closed():
        bot["bot"].process()
        return [t for t in Trade.get_trades_proxy(is_open=False) if t.exit_reason == "stoploss_on_exchange"]

    (trade,) = plainly_until(closed, "the stop's end", 60)
    assert trade.close_rate < trade.open_rate and trade.close_profit_abs < 0 and trade.fee_close_cost > 0


@step
def enters_again_and_exits(bot, _exchange):
    bot["bot"].strategy.lock_pair = lambda *_a, **_k: None

    def entered():
        bot["bot"].process()
        return [t for t in Trade.get_open_trades() if t.has_open_position and t.has_open_sl_orders]

    (trade,) = plainly_until(entered, "a second entry", 90)
    reason = ExitCheckTuple(exit_type=ExitType.FORCE_EXIT)
    assert bot["bot"].execute_trade_exit(trade, trade.open_rate, exit_check=reason)
    bot["bot"].exit_positions(Trade.get_open_trades())
    bot["bot"].update_trades_without_assigned_fees()
    plainly_until(
        lambda: not trade.is_open or bot["bot"].update_trade_state(trade, trade.orders[-1].order_id),
        "the exit",
        20,
    )


def run(exchange):
    with tempfile.TemporaryDirectory() as folder:
        bot = {"config": configuration(exchange, Path(folder))}
        report = step.run_plainly(bot, exchange)
        if "bot" in bot:
            bot["bot"].cleanup()
    return report


if __name__ == "__main__":
    sys.argv[0] = "freqtrade"
    main(run)
