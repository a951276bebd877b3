"""Symbols of the paper exchange: trading rules close to Binance's, and their exchangeInfo entries. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from actors.core.instruments import Instrument
from actors.core.units import Symbol
from actors.venues.paper.wire_market import ListedSymbol, RuleFilter

PERPETUAL_DELIVERY_MS = 4_133_404_800_000
"""The delivery date of a perpetual: 2100-12-25."""

ONBOARD_MS = 1_569_398_400_000
DELIVERY_HOUR_MS = 8 * 3_600_000


class Band(msgspec.Struct, frozen=True):
    """PERCENT_PRICE: buys at most mark x ``up``, sells at least mark x ``down``."""

    up: Decimal = Decimal("1.05")
    down: Decimal = Decimal("0.95")


class Listing(msgspec.Struct, frozen=True):
    """A symbol and its price model: start price, annual volatility, typical quantity at the best price."""

    instrument: Instrument
    start_price: Decimal
    volatility: float
    best_size: Decimal
    contract: str = "PERPETUAL"
    delivery_ms: int = PERPETUAL_DELIVERY_MS
    onboard_ms: int = ONBOARD_MS

    @property
    def pair(self) -> str:
        """The symbol without its delivery date."""
        return self.instrument.symbol.partition("_")[0]


def _listing(row: tuple[str, str, str, str, str, str, float, str]) -> Listing:
    base, tick, step, least, most, start, volatility, size = row
    instrument = Instrument(
        symbol=Symbol(f"{base}USDT"),
        base_asset=base,
        quote_asset="USDT",
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        min_qty=Decimal(step),
        max_qty=Decimal(most),
        market_max_qty=Decimal(most),
        min_notional=Decimal(least),
    )
    return Listing(instrument, Decimal(start), volatility, Decimal(size))


_ROWS: tuple[tuple[str, str, str, str, str, str, float, str], ...] = (
    # base, tick, step, min notional, max quantity, start price, volatility, best size
    ("BTC", "0.10", "0.001", "100", "1000", "61800.20", 0.55, "3"),
    ("ETH", "0.01", "0.001", "20", "10000", "2681.60", 0.65, "40"),
    ("SOL", "0.010", "0.1", "5", "100000", "155.320", 0.85, "400"),
    ("BNB", "0.010", "0.01", "5", "20000", "510.150", 0.60, "60"),
    ("XRP", "0.0001", "0.1", "5", "5000000", "0.6123", 0.80, "60000"),
    ("DOGE", "0.00001", "1", "5", "30000000", "0.10452", 0.95, "300000"),
    ("ADA", "0.0001", "1", "5", "10000000", "0.3391", 0.80, "80000"),
    ("AVAX", "0.0010", "1", "5", "200000", "22.4710", 0.90, "900"),
    ("LINK", "0.001", "0.1", "20", "400000", "10.412", 0.85, "2500"),
    ("LTC", "0.01", "0.001", "20", "50000", "61.27", 0.70, "350"),
)

LISTINGS: dict[Symbol, Listing] = {listing.instrument.symbol: listing for listing in map(_listing, _ROWS)}

_NAME = re.compile(r"([A-Z0-9]{1,20})(USDT|USDC)(?:_(\d{6}))?")


def listing_for(symbol: str, now_ms: int = ONBOARD_MS) -> Listing:
    """Create a listing for any well-formed symbol, for example BTCUSDC, BTCUSDT_261225 or NEWUSDT.

    A known base asset keeps its rules and price; others get default rules and a price of 10.

    Raises:
        ValueError: a malformed symbol; the message names it.
    """
    found = _NAME.fullmatch(symbol)
    if found is None:
        raise ValueError(
            f"{symbol!r} is not a symbol; write it like NEWUSDT, BTCUSDC or, with a delivery date, BTCUSDT_261225"
        )
    base, quote, date = found.groups()
    known = LISTINGS.get(Symbol(f"{base}USDT"))
    plain = known or _listing((base, "0.001", "0.1", "5", "1000000", "10.000", 0.9, "2000"))
    instrument = msgspec.structs.replace(
        plain.instrument, symbol=Symbol(symbol), base_asset=base, quote_asset=quote
    )
    listing = msgspec.structs.replace(plain, instrument=instrument, onboard_ms=now_ms)
    if date is None:
        return listing
    return msgspec.structs.replace(listing, contract="CURRENT_QUARTER", delivery_ms=_delivery_ms(date))


def _delivery_ms(date: str) -> int:
    year, month, day = 2000 + int(date[:2]), int(date[2:4]), int(date[4:])
    if not (1 <= month <= 12 and 1 <= day <= 31):  # noqa: PLR2004 - a calendar
        raise ValueError(f"{date!r} is not a valid delivery date; write year, month and day, like 261225")
    # Days of the civil calendar since 1970, by Hinnant's formula; delivery is at 08:00 UTC.
    shifted = year - (month <= 2)  # noqa: PLR2004 - the formula's year begins in March
    era_year = shifted % 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = (
        (shifted // 400) * 146_097 + era_year * 365 + era_year // 4 - era_year // 100 + day_of_year - 719_468
    )
    return days * 86_400_000 + DELIVERY_HOUR_MS


ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")


def _digits(increment: Decimal) -> int:
    exponent = increment.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def exchange_info_entry(listing: Listing, band: Band, status: str, open_orders_max: int) -> ListedSymbol:
    """A symbol's entry in exchangeInfo."""
    i = listing.instrument
    least, most = i.tick_size, listing.start_price * 100
    lot: dict[str, Any] = {"stepSize": f"{i.step_size:f}", "minQty": f"{i.min_qty:f}"}
    filters = (
        RuleFilter(
            filterType="PRICE_FILTER",
            tickSize=f"{i.tick_size:f}",
            minPrice=f"{least:f}",
            maxPrice=f"{most:f}",
        ),
        RuleFilter(filterType="LOT_SIZE", maxQty=f"{i.max_qty:f}", **lot),
        RuleFilter(filterType="MARKET_LOT_SIZE", maxQty=f"{i.market_max_qty:f}", **lot),
        RuleFilter(filterType="MAX_NUM_ORDERS", limit=open_orders_max),
        RuleFilter(filterType="MIN_NOTIONAL", notional=f"{i.min_notional:f}"),
        RuleFilter(
            filterType="PERCENT_PRICE",
            multiplierUp=f"{band.up:f}",
            multiplierDown=f"{band.down:f}",
            multiplierDecimal="4",
        ),
        RuleFilter(filterType="POSITION_RISK_CONTROL", positionControlSide="NONE"),
    )
    return ListedSymbol(
        symbol=i.symbol,
        pair=listing.pair,
        contractType=listing.contract,
        deliveryDate=listing.delivery_ms,
        onboardDate=listing.onboard_ms,
        status=status,
        maintMarginPercent="2.5000",
        requiredMarginPercent="5.0000",
        baseAsset=i.base_asset,
        quoteAsset=i.quote_asset,
        marginAsset=i.quote_asset,
        pricePrecision=_digits(i.tick_size),
        quantityPrecision=_digits(i.step_size),
        baseAssetPrecision=8,
        quotePrecision=8,
        underlyingType="COIN",
        underlyingSubType=("PoW",) if i.base_asset == "BTC" else (),
        settlePlan=0,
        triggerProtect="0.0500",
        liquidationFee="0.012500",
        marketTakeBound="0.05",
        maxMoveOrderLimit=10_000,
        filters=filters,
        orderTypes=ORDER_TYPES,
        timeInForce=TIMES_IN_FORCE,
    )
