"""REST messages of Binance USD-M futures, by the exchange's own field names. Pure.

Numbers travel as JSON strings, as the exchange sends them; ``Decimal`` does that by itself.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ZERO


class ErrorBody(msgspec.Struct, frozen=True):
    """What comes with any status but 200."""

    code: int
    msg: str


class ServerTime(msgspec.Struct, frozen=True):
    """GET /fapi/v1/time; Unix milliseconds."""

    serverTime: int  # noqa: N815 - the wire's spelling, here and below


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a symbol's ``filters``; which fields count depends on ``filterType``."""

    filterType: str  # noqa: N815
    tickSize: Decimal | None = None  # noqa: N815
    minPrice: Decimal | None = None  # noqa: N815
    maxPrice: Decimal | None = None  # noqa: N815
    stepSize: Decimal | None = None  # noqa: N815
    minQty: Decimal | None = None  # noqa: N815
    maxQty: Decimal | None = None  # noqa: N815
    notional: Decimal | None = None


class SymbolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of ``exchangeInfo``."""

    symbol: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    marginAsset: str = ""  # noqa: N815
    status: str = "TRADING"
    contractType: str = "PERPETUAL"  # noqa: N815
    pricePrecision: int = 8  # noqa: N815
    quantityPrecision: int = 8  # noqa: N815
    filters: tuple[Filter, ...] = ()


class RateLimit(msgspec.Struct, frozen=True):
    """One entry of ``rateLimits``."""

    rateLimitType: str  # noqa: N815
    interval: str
    intervalNum: int  # noqa: N815
    limit: int


class ExchangeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """GET /fapi/v1/exchangeInfo."""

    symbols: tuple[SymbolInfo, ...]
    rateLimits: tuple[RateLimit, ...] = ()  # noqa: N815
    timezone: str = "UTC"
    serverTime: int = 0  # noqa: N815


class BookTicker(msgspec.Struct, frozen=True, kw_only=True):
    """GET /fapi/v1/ticker/bookTicker."""

    symbol: str
    bidPrice: Decimal  # noqa: N815
    bidQty: Decimal  # noqa: N815
    askPrice: Decimal  # noqa: N815
    askQty: Decimal  # noqa: N815
    time: int
    lastUpdateId: int = 0  # noqa: N815


class FundingRate(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v1/fundingRate, oldest first. ``markPrice`` is empty for very old ones."""

    symbol: str
    fundingRate: Decimal  # noqa: N815
    fundingTime: int  # noqa: N815
    markPrice: str = ""  # noqa: N815


class BracketEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One bracket of ``LeverageBracket``; numbers, not text."""

    bracket: int
    initialLeverage: int  # noqa: N815
    notionalCap: Decimal  # noqa: N815
    notionalFloor: Decimal  # noqa: N815
    maintMarginRatio: Decimal  # noqa: N815
    cum: Decimal


class LeverageBracket(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of GET /fapi/v1/leverageBracket."""

    symbol: str
    brackets: tuple[BracketEntry, ...]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order, as placing, querying and cancelling answer it; only queries tell what it cost."""

    orderId: int  # noqa: N815
    symbol: str
    status: str
    clientOrderId: str  # noqa: N815
    price: Decimal
    avgPrice: Decimal = ZERO  # noqa: N815
    origQty: Decimal  # noqa: N815
    executedQty: Decimal  # noqa: N815
    cumQuote: Decimal = ZERO  # noqa: N815
    timeInForce: str  # noqa: N815
    type: str
    side: str
    reduceOnly: bool = False  # noqa: N815
    positionSide: str = "BOTH"  # noqa: N815
    stopPrice: Decimal = ZERO  # noqa: N815
    closePosition: bool = False  # noqa: N815
    origType: str = ""  # noqa: N815
    time: int = 0
    updateTime: int = 0  # noqa: N815


class AlgoOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v1/openAlgoOrders."""

    algoId: int  # noqa: N815
    clientAlgoId: str = ""  # noqa: N815
    symbol: str
    side: str
    quantity: Decimal = ZERO


class UserTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v1/userTrades."""

    id: int
    orderId: int  # noqa: N815
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    quoteQty: Decimal  # noqa: N815
    realizedPnl: Decimal  # noqa: N815
    time: int
    buyer: bool
    maker: bool
    positionSide: str = "BOTH"  # noqa: N815
    commission: Decimal | None = None
    commissionAsset: str | None = None  # noqa: N815


class PositionAmount(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v3/positionRisk, which lists symbols with a position or an order."""

    symbol: str
    positionAmt: Decimal  # noqa: N815


class PositionRisk(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v2/positionRisk."""

    symbol: str
    positionAmt: Decimal  # noqa: N815
    entryPrice: Decimal  # noqa: N815
    markPrice: Decimal  # noqa: N815
    unRealizedProfit: Decimal  # noqa: N815
    liquidationPrice: Decimal = ZERO  # noqa: N815
    leverage: Decimal = Decimal(20)
    marginType: str = "cross"  # noqa: N815
    positionSide: str = "BOTH"  # noqa: N815
    updateTime: int = 0  # noqa: N815


class PositionMode(msgspec.Struct, frozen=True):
    """GET /fapi/v1/positionSide/dual; true is hedge mode."""

    dualSidePosition: bool  # noqa: N815


class MultiAssetsMode(msgspec.Struct, frozen=True):
    """GET /fapi/v1/multiAssetsMargin."""

    multiAssetsMargin: bool  # noqa: N815


class SymbolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of GET /fapi/v1/symbolConfig."""

    symbol: str
    marginType: str  # noqa: N815
    leverage: int
    maxNotionalValue: str = ""  # noqa: N815
    isAutoAddMargin: bool | str = False  # noqa: N815


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True):
    """GET /fapi/v1/accountConfig."""

    canTrade: bool  # noqa: N815
    feeTier: int = 0  # noqa: N815
    dualSidePosition: bool | None = None  # noqa: N815
    multiAssetsMargin: bool | None = None  # noqa: N815


class FeeBurn(msgspec.Struct, frozen=True):
    """GET /fapi/v1/feeBurn; true is that commission is paid in BNB."""

    feeBurn: bool  # noqa: N815


class ListenKey(msgspec.Struct, frozen=True):
    """POST and PUT /fapi/v1/listenKey."""

    listenKey: str  # noqa: N815


class Leverage(msgspec.Struct, frozen=True):
    """POST /fapi/v1/leverage."""

    symbol: str
    leverage: int
    maxNotionalValue: str = "1000000000"  # noqa: N815
