"""Symbols and times as the platform's tables spell them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.core.units import Symbol

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the platform's times have no zone

QUOTE_ASSETS = ("USDT", "USDC", "FDUSD")


def platform_symbol(symbol: Symbol) -> str:
    """``BTCUSDT`` as the platform stores it: ``BTC/USDT:USDT``; a delivery contract has its day behind that.

    What cannot be taken apart is stored as the exchange spells it: no such symbol is traded here, but if
    something happened in one all the same, that must not be lost, and its account must not fail.
    """
    pair, _, delivery = symbol.partition("_")
    for quote in QUOTE_ASSETS:
        if pair.endswith(quote) and pair != quote:
            return f"{pair.removesuffix(quote)}/{quote}:{quote}" + (f"-{delivery}" if delivery else "")
    return symbol


def when(unix_ms: int) -> datetime:
    """A platform timestamp: UTC without a zone."""
    # A third of what a time with a zone costs, which then loses it.
    return _EPOCH + timedelta(milliseconds=unix_ms)
