"""The official SDK over REST: every call that an account needs, each answer read with its own strict types.

Only host and key differ from Binance; timeouts are longer than its default of a second. A warning of the SDK
says that an answer did not have the declared types: the report has it, and the test refuses any.
"""

from __future__ import annotations

import sdk_market
import sdk_orders
import sdk_settings
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from steps import main, together


async def run(exchange):
    configuration = ConfigurationRestAPI(
        api_key=exchange.key, api_secret=exchange.secret, base_path=exchange.rest, timeout=10_000
    )
    client = sdk.DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api
    return await together((sdk_market, sdk_settings, sdk_orders), client, exchange)


if __name__ == "__main__":
    main(run)
