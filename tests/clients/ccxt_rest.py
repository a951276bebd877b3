"""ccxt over REST: every unified call that a USD-M account needs, with the synchronous and the asynchronous client.

Only hosts and key differ from what a trader configures at Binance, and its throttle is off, which would hold the same
calls back for a minute.
"""

from __future__ import annotations

import sys

import ccxt
import ccxt.async_support
import ccxt_account
import ccxt_conditional
import ccxt_market
import ccxt_orders
import ccxt_refusals
from steps import main, together


def settings(exchange):
    """A trader's configuration, with this host for each of Binance's."""
    urls = ccxt.binanceusdm().urls["api"]
    hosts = {name: url for name, url in urls.items() if isinstance(url, str)}
    for host in ("https://fapi.binance.com", "https://api.binance.com"):
        hosts = {name: url.replace(host, exchange.rest) for name, url in hosts.items()}
    return {
        "apiKey": exchange.key, "secret": exchange.secret, "urls": {"api": hosts}, "enableRateLimit": False
    }  # fmt: skip


async def run(exchange):
    made = ccxt if sys.argv[5] == "sync" else ccxt.async_support
    client = made.binanceusdm(settings(exchange))
    try:
        return await together(
            (ccxt_market, ccxt_account, ccxt_orders, ccxt_conditional, ccxt_refusals), client, exchange
        )
    finally:
        if sys.argv[5] != "sync":
            await client.close()


if __name__ == "__main__":
    main(run)
