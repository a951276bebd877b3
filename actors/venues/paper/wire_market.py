"""REST answers about market data and trading rules. Pure data; field names are the exchange's."""

from __future__ import annotations

import msgspec


class Time(msgspec.Struct, frozen=True):
    """Exchange time, Unix milliseconds."""

    serverTime: int


class RateLimitRule(msgspec.Struct, frozen=True):
    """A rate limit."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


class RuleFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of a symbol's ``filters``; its fields depend on ``filterType``."""

    filterType: str
    minPrice: str = ""
    maxPrice: str = ""
    tickSize: str = ""
    minQty: str = ""
    maxQty: str = ""
    stepSize: str = ""
    limit: int = 0
    notional: str = ""
    multiplierUp: str = ""
    multiplierDown: str = ""
    multiplierDecimal: str = ""
    positionControlSide: str = ""


class ListedSymbol(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol of exchangeInfo."""

    symbol: str
    pair: str
    contractType: str
    deliveryDate: int
    onboardDate: int
    status: str
    maintMarginPercent: str
    requiredMarginPercent: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str
    pricePrecision: int
    quantityPrecision: int
    baseAssetPrecision: int
    quotePrecision: int
    underlyingType: str
    underlyingSubType: tuple[str, ...]
    settlePlan: int
    triggerProtect: str
    liquidationFee: str
    marketTakeBound: str
    maxMoveOrderLimit: int
    filters: tuple[RuleFilter, ...]
    orderTypes: tuple[str, ...]
    timeInForce: tuple[str, ...]


class ListedAsset(msgspec.Struct, frozen=True):
    """An asset of exchangeInfo."""

    asset: str
    marginAvailable: bool
    autoAssetExchange: str


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """exchangeInfo."""

    timezone: str
    serverTime: int
    futuresType: str
    rateLimits: tuple[RateLimitRule, ...]
    exchangeFilters: tuple[str, ...]
    assets: tuple[ListedAsset, ...]
    symbols: tuple[ListedSymbol, ...]


class BookTicker(msgspec.Struct, frozen=True, kw_only=True):
    """ticker/bookTicker."""

    symbol: str
    bidPrice: str
    bidQty: str
    askPrice: str
    askQty: str
    time: int
    lastUpdateId: int


class PriceTicker(msgspec.Struct, frozen=True):
    """ticker/price."""

    symbol: str
    price: str
    time: int


class Ticker24h(msgspec.Struct, frozen=True, kw_only=True):
    """ticker/24hr."""

    symbol: str
    priceChange: str
    priceChangePercent: str
    weightedAvgPrice: str
    lastPrice: str
    lastQty: str
    openPrice: str
    highPrice: str
    lowPrice: str
    volume: str
    quoteVolume: str
    openTime: int
    closeTime: int
    firstId: int
    lastId: int
    count: int


class Premium(msgspec.Struct, frozen=True, kw_only=True):
    """premiumIndex."""

    symbol: str
    markPrice: str
    indexPrice: str
    estimatedSettlePrice: str
    lastFundingRate: str
    interestRate: str
    nextFundingTime: int
    time: int


class SettledFunding(msgspec.Struct, frozen=True, kw_only=True):
    """fundingRate."""

    symbol: str
    fundingRate: str
    fundingTime: int
    markPrice: str
    rateType: str = "REALIZED"


class FundingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """fundingInfo."""

    symbol: str
    adjustedFundingRateCap: str
    adjustedFundingRateFloor: str
    fundingIntervalHours: int
    disclaimer: bool
    updateTime: int


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """depth: price and quantity by level, best first."""

    lastUpdateId: int
    E: int
    T: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class AggregateTrade(msgspec.Struct, frozen=True, kw_only=True):
    """aggTrades."""

    a: int
    p: str
    q: str
    nq: str
    f: int
    l: int  # noqa: E741 - the wire's name
    T: int
    m: bool


class MarketTrade(msgspec.Struct, frozen=True, kw_only=True):
    """trades."""

    id: int
    price: str
    qty: str
    quoteQty: str
    time: int
    isBuyerMaker: bool
    isRPITrade: bool


class OpenInterest(msgspec.Struct, frozen=True):
    """openInterest."""

    openInterest: str
    symbol: str
    time: int
