"""Route table of the paper exchange: security type, request weight, order count and handler of each path. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from actors.venues.paper.account_endpoints import AccountEndpoints
from actors.venues.paper.algo_endpoints import AlgoEndpoints
from actors.venues.paper.market_endpoints import MarketEndpoints
from actors.venues.paper.order_endpoints import OrderEndpoints
from actors.venues.paper.requests import Params
from actors.venues.paper.settings_endpoints import SettingsEndpoints
from actors.venues.paper.venue import PaperVenue, Reply, answer

Cost = int | Callable[[Params], int]


class SecurityType(Enum):
    """Authorization that a request needs: Binance's security types, reduced to what is checked."""

    NONE = "nothing"
    API_KEY = "an API key"
    SIGNED = "an API key and a signature"


class Route(msgspec.Struct, frozen=True):
    """A route: security type, request weight, handler, and number of orders it places."""

    security: SecurityType
    weight: Cost
    handle: Callable[[Params, int], Reply]
    orders: Cost = 0

    def cost(self, params: Params) -> tuple[int, int]:
        """Request weight and order count of a request."""
        weight = self.weight if isinstance(self.weight, int) else self.weight(params)
        return weight, self.orders if isinstance(self.orders, int) else self.orders(params)


def _by_symbol(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if params.get("symbol") else every


def _by_limit(default: int, *steps: tuple[int, int]) -> Callable[[Params], int]:
    """Weight by ``limit``, in steps of (highest limit, weight); the last step applies above all."""

    def weight(params: Params) -> int:
        text = params.get("limit", "")
        limit = int(text) if text.isdigit() else default
        return next((cost for most, cost in steps if limit <= most), steps[-1][1])

    return weight


def _orders_in_batch(params: Params) -> int:
    # A malformed list is rejected later; here counting the names is enough.
    return max(1, params.get("batchOrders", "").count('"symbol"'))


_DEPTH = _by_limit(500, (50, 2), (100, 5), (500, 10), (1_000, 20))
_KLINES = _by_limit(500, (99, 1), (499, 2), (1_000, 5), (10_000, 10))


def routes(venue: PaperVenue) -> Mapping[tuple[str, str], Route]:
    """The route table, by method and path."""
    market, orders = MarketEndpoints(venue), OrderEndpoints(venue)
    account, settings = AccountEndpoints(venue), SettingsEndpoints(venue)
    table: dict[tuple[str, str], Route] = {}
    table |= _market_routes(market)
    table |= _order_routes(orders)
    table |= _algo_routes(AlgoEndpoints(venue))
    table |= _account_routes(account)
    table |= _settings_routes(settings)
    table["GET", "/fapi/v1/rateLimit/order"] = Route(
        SecurityType.SIGNED,
        1,
        lambda _p, _n: answer([r for r in market.rate_limits() if r.rateLimitType == "ORDERS"]),
    )
    return table


def _fapi(rows: list[tuple[Any, ...]]) -> dict[tuple[str, str], Route]:
    return {(method, f"/fapi/{path}"): Route(*rest) for method, path, *rest in rows}


def _market_routes(m: MarketEndpoints) -> dict[tuple[str, str], Route]:
    public = SecurityType.NONE
    table = _fapi(
        [
            ("GET", "v1/ping", public, 1, m.ping),
            ("GET", "v1/time", public, 1, m.time),
            ("GET", "v1/exchangeInfo", public, 1, m.exchange_info),
            ("GET", "v1/ticker/bookTicker", public, _by_symbol(2, 5), m.book_ticker),
            ("GET", "v1/ticker/price", public, _by_symbol(1, 2), m.price),
            ("GET", "v2/ticker/price", public, _by_symbol(1, 2), m.price),
            ("GET", "v1/ticker/24hr", public, _by_symbol(1, 40), m.day_ticker),
            ("GET", "v1/depth", public, _DEPTH, m.depth),
            ("GET", "v1/trades", public, 5, m.trades),
            ("GET", "v1/historicalTrades", SecurityType.API_KEY, 200, m.trades),
            ("GET", "v1/aggTrades", public, 20, m.aggregate_trades),
            ("GET", "v1/klines", public, _KLINES, m.klines),
            ("GET", "v1/markPriceKlines", public, _KLINES, m.klines),
            ("GET", "v1/premiumIndexKlines", public, _KLINES, m.klines),
            ("GET", "v1/indexPriceKlines", public, _KLINES, m.pair_klines),
            ("GET", "v1/continuousKlines", public, _KLINES, m.pair_klines),
            ("GET", "v1/premiumIndex", public, _by_symbol(1, 10), m.premium_index),
            ("GET", "v1/fundingRate", public, 0, m.funding_rates),
            ("GET", "v1/fundingInfo", public, 0, m.funding_info),
            ("GET", "v1/openInterest", public, 1, m.open_interest),
        ]
    )
    # ccxt requests these paths of the spot API at start; this exchange has no data for them.
    table["GET", "/sapi/v1/capital/config/getall"] = Route(SecurityType.SIGNED, 0, m.empty_list)
    table["GET", "/sapi/v1/margin/allPairs"] = Route(SecurityType.NONE, 0, m.empty_list)
    return table


def _order_routes(o: OrderEndpoints) -> dict[tuple[str, str], Route]:
    signed = SecurityType.SIGNED
    return _fapi(
        [
            ("POST", "v1/order", signed, 0, o.place, 1),
            ("GET", "v1/order", signed, 1, o.query),
            ("PUT", "v1/order", signed, 0, o.amend, 1),
            ("DELETE", "v1/order", signed, 1, o.cancel),
            ("POST", "v1/order/test", signed, 1, o.test),
            ("POST", "v1/batchOrders", signed, 5, o.place_batch, _orders_in_batch),
            ("PUT", "v1/batchOrders", signed, 5, o.amend_batch, _orders_in_batch),
            ("DELETE", "v1/batchOrders", signed, 1, o.cancel_batch),
            ("GET", "v1/openOrder", signed, 1, o.query_open),
            ("GET", "v1/openOrders", signed, _by_symbol(1, 40), o.open_orders),
            ("GET", "v1/allOrders", signed, 5, o.all_orders),
            ("DELETE", "v1/allOpenOrders", signed, 1, o.cancel_all),
            ("GET", "v1/orderAmendment", signed, 1, o.amendments),
            ("POST", "v1/countdownCancelAll", signed, 10, o.countdown),
            ("GET", "v1/userTrades", signed, 5, o.user_trades),
            ("GET", "v1/forceOrders", signed, _by_symbol(20, 50), o.force_orders),
        ]
    )


def _algo_routes(a: AlgoEndpoints) -> dict[tuple[str, str], Route]:
    signed = SecurityType.SIGNED
    return _fapi(
        [
            ("POST", "v1/algoOrder", signed, 0, a.place, 1),
            ("GET", "v1/algoOrder", signed, 1, a.query),
            ("DELETE", "v1/algoOrder", signed, 1, a.cancel),
            ("GET", "v1/openAlgoOrders", signed, _by_symbol(1, 40), a.open_orders),
            ("GET", "v1/allAlgoOrders", signed, 5, a.all_orders),
            ("DELETE", "v1/algoOpenOrders", signed, 1, a.cancel_all),
        ]
    )


def _account_routes(a: AccountEndpoints) -> dict[tuple[str, str], Route]:
    signed = SecurityType.SIGNED
    return _fapi(
        [
            ("GET", "v2/account", signed, 5, a.account_v2),
            ("GET", "v3/account", signed, 5, a.account_v3),
            ("GET", "v2/balance", signed, 5, a.balance),
            ("GET", "v3/balance", signed, 5, a.balance),
            ("GET", "v2/positionRisk", signed, 5, a.position_risk_v2),
            ("GET", "v3/positionRisk", signed, 5, a.position_risk_v3),
            ("GET", "v1/adlQuantile", signed, 5, a.adl_quantile),
            ("GET", "v1/income", signed, 30, a.income),
            ("GET", "v1/leverageBracket", signed, 1, a.leverage_bracket),
            ("GET", "v1/commissionRate", signed, 20, a.commission_rate),
            ("GET", "v1/apiTradingStatus", signed, _by_symbol(1, 10), a.trading_status),
            ("POST", "v1/positionMargin", signed, 1, a.change_isolated_margin),
            ("GET", "v1/positionMargin/history", signed, 1, a.margin_history),
        ]
    )


def _settings_routes(s: SettingsEndpoints) -> dict[tuple[str, str], Route]:
    signed, api_key = SecurityType.SIGNED, SecurityType.API_KEY
    return _fapi(
        [
            ("POST", "v1/leverage", signed, 1, s.set_leverage),
            ("POST", "v1/marginType", signed, 1, s.set_margin_type),
            ("GET", "v1/symbolConfig", signed, 5, s.symbol_config),
            ("GET", "v1/accountConfig", signed, 5, s.account_config),
            ("GET", "v1/positionSide/dual", signed, 30, s.dual_side),
            ("POST", "v1/positionSide/dual", signed, 1, s.set_dual_side),
            ("GET", "v1/multiAssetsMargin", signed, 30, s.multi_assets),
            ("POST", "v1/multiAssetsMargin", signed, 1, s.set_multi_assets),
            ("GET", "v1/feeBurn", signed, 30, s.fee_burn),
            ("POST", "v1/feeBurn", signed, 1, s.set_fee_burn),
            ("POST", "v1/listenKey", api_key, 1, s.get_listen_key),
            ("PUT", "v1/listenKey", api_key, 1, s.extend_listen_key),
            ("DELETE", "v1/listenKey", api_key, 1, s.close_listen_key),
        ]
    )
