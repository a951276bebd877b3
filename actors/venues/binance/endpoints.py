"""What each request to Binance USD-M costs of the request weight that one address may use in a minute. Data.

``WEIGHTS[method, path]`` is a plain number, or a ``Cost`` where the parameters decide. Placing and changing
a single order cost no weight: they count against the order limits instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Cost(msgspec.Struct, frozen=True):
    """A weight that depends on parameters.

    ``weight`` counts for one symbol, ``without_symbol`` when all are asked for; ``by_limit`` are pairs
    of a ``limit`` and the weight of requests up to it, smallest first, ``limit`` being what is asked for
    when no limit is given.
    """

    weight: int
    without_symbol: int | None = None
    by_limit: tuple[tuple[int, int], ...] = ()
    limit: int = 0


_DEPTH = Cost(2, by_limit=((50, 2), (100, 5), (500, 10), (1000, 20)), limit=500)
_KLINES = Cost(1, by_limit=((99, 1), (499, 2), (1000, 5), (1500, 10)), limit=500)

WEIGHTS: Mapping[tuple[str, str], int | Cost] = {
    ("GET", "/fapi/v1/ping"): 1,
    ("GET", "/fapi/v1/time"): 1,
    ("GET", "/fapi/v1/exchangeInfo"): 1,
    ("GET", "/fapi/v1/depth"): _DEPTH,
    ("GET", "/fapi/v1/trades"): 5,
    ("GET", "/fapi/v1/historicalTrades"): 200,
    ("GET", "/fapi/v1/aggTrades"): 20,
    ("GET", "/fapi/v1/klines"): _KLINES,
    ("GET", "/fapi/v1/continuousKlines"): _KLINES,
    ("GET", "/fapi/v1/markPriceKlines"): _KLINES,
    ("GET", "/fapi/v1/indexPriceKlines"): _KLINES,
    ("GET", "/fapi/v1/premiumIndexKlines"): _KLINES,
    ("GET", "/fapi/v1/premiumIndex"): Cost(1, without_symbol=10),
    ("GET", "/fapi/v1/fundingRate"): 1,
    ("GET", "/fapi/v1/fundingInfo"): 1,
    ("GET", "/fapi/v1/ticker/24hr"): Cost(1, without_symbol=40),
    ("GET", "/fapi/v1/ticker/price"): Cost(1, without_symbol=2),
    ("GET", "/fapi/v2/ticker/price"): Cost(1, without_symbol=2),
    ("GET", "/fapi/v1/ticker/bookTicker"): Cost(2, without_symbol=5),
    ("GET", "/fapi/v1/openInterest"): 1,
    ("GET", "/fapi/v1/assetIndex"): Cost(1, without_symbol=10),
    ("POST", "/fapi/v1/order"): 0,
    ("PUT", "/fapi/v1/order"): 0,
    ("GET", "/fapi/v1/order"): 1,
    ("DELETE", "/fapi/v1/order"): 1,
    ("POST", "/fapi/v1/order/test"): 1,
    ("POST", "/fapi/v1/batchOrders"): 5,
    ("PUT", "/fapi/v1/batchOrders"): 5,
    ("DELETE", "/fapi/v1/batchOrders"): 1,
    ("GET", "/fapi/v1/openOrder"): 1,
    ("GET", "/fapi/v1/openOrders"): Cost(1, without_symbol=40),
    ("GET", "/fapi/v1/allOrders"): 5,
    ("DELETE", "/fapi/v1/allOpenOrders"): 1,
    ("GET", "/fapi/v1/orderAmendment"): 1,
    ("POST", "/fapi/v1/countdownCancelAll"): 10,
    ("POST", "/fapi/v1/algoOrder"): 0,
    ("GET", "/fapi/v1/algoOrder"): 1,
    ("DELETE", "/fapi/v1/algoOrder"): 1,
    ("GET", "/fapi/v1/openAlgoOrders"): Cost(1, without_symbol=40),
    ("GET", "/fapi/v1/allAlgoOrders"): 5,
    ("DELETE", "/fapi/v1/algoOpenOrders"): 1,
    ("GET", "/fapi/v1/userTrades"): 5,
    ("GET", "/fapi/v1/forceOrders"): Cost(20, without_symbol=50),
    ("GET", "/fapi/v1/adlQuantile"): 5,
    ("GET", "/fapi/v2/account"): 5,
    ("GET", "/fapi/v3/account"): 5,
    ("GET", "/fapi/v2/balance"): 5,
    ("GET", "/fapi/v3/balance"): 5,
    ("GET", "/fapi/v2/positionRisk"): 5,
    ("GET", "/fapi/v3/positionRisk"): 5,
    ("GET", "/fapi/v1/positionMargin/history"): 1,
    ("POST", "/fapi/v1/positionMargin"): 1,
    ("GET", "/fapi/v1/accountConfig"): 5,
    ("GET", "/fapi/v1/symbolConfig"): 5,
    ("GET", "/fapi/v1/positionSide/dual"): 30,
    ("POST", "/fapi/v1/positionSide/dual"): 1,
    ("GET", "/fapi/v1/multiAssetsMargin"): 30,
    ("POST", "/fapi/v1/multiAssetsMargin"): 1,
    ("GET", "/fapi/v1/feeBurn"): 30,
    ("POST", "/fapi/v1/feeBurn"): 1,
    ("POST", "/fapi/v1/leverage"): 1,
    ("POST", "/fapi/v1/marginType"): 1,
    ("GET", "/fapi/v1/leverageBracket"): 1,
    ("GET", "/fapi/v1/commissionRate"): 20,
    ("GET", "/fapi/v1/income"): 30,
    ("GET", "/fapi/v1/rateLimit/order"): 1,
    ("GET", "/fapi/v1/apiTradingStatus"): Cost(1, without_symbol=10),
    ("POST", "/fapi/v1/listenKey"): 1,
    ("PUT", "/fapi/v1/listenKey"): 1,
    ("DELETE", "/fapi/v1/listenKey"): 1,
}

UNLISTED = 40
"""Counted for a request that is not in the table: as much as anything that we know of but history."""


def weight_of(method: str, path: str, params: Mapping[str, str]) -> int:
    """The weight of one request."""
    cost = WEIGHTS.get((method, path), UNLISTED)
    if isinstance(cost, int):
        return cost
    if cost.without_symbol is not None and not params.get("symbol"):
        return cost.without_symbol
    if cost.by_limit:
        asked = params.get("limit", "")
        limit = int(asked) if asked.isascii() and asked.isdigit() else cost.limit
        return next((weight for most, weight in cost.by_limit if limit <= most), cost.by_limit[-1][1])
    return cost.weight
