"""The paper exchange's symbols: trading rules close to the real ones, and a start price. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.units import Instrument, Symbol
from actors.venues.binance.rest import BracketEntry


class Listing(msgspec.Struct, frozen=True):
    """A symbol and how its L1 moves: start price, yearly volatility, typical best size."""

    instrument: Instrument
    start_price: Decimal
    volatility: float
    best_size: Decimal


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

BRACKETS = tuple(
    BracketEntry(
        bracket=number,
        initialLeverage=leverage,
        notionalFloor=Decimal(floor),
        notionalCap=Decimal(cap),
        maintMarginRatio=Decimal(rate),
        cum=Decimal(cumulative),
    )
    for number, (leverage, floor, cap, rate, cumulative) in enumerate(
        (
            (125, 0, 50_000, "0.004", 0),
            (100, 50_000, 600_000, "0.005", 50),
            (75, 600_000, 3_000_000, "0.0065", 950),
            (50, 3_000_000, 12_000_000, "0.01", 11_450),
            (25, 12_000_000, 70_000_000, "0.02", 131_450),
            (10, 70_000_000, 100_000_000, "0.025", 481_450),
        ),
        1,
    )
)
"""Leverage brackets of every symbol: shaped like the real ones, and continuous like them."""
