"""How one value is written in a table or a line: numbers, prices, times, long texts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Found = Any


def number(value: Any, digits: int = 2) -> str:
    """A number with thousands separators; ``no price`` for None."""
    if value is None:
        return "no price"
    return f"{Decimal(value):,.{digits}f}"


def price(value: Any) -> str:
    """A price with two to five decimals."""
    whole, _, cents = number(value, 5).partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}" if cents else whole


def brief(text: str, length: int) -> str:
    """A text cut after a word to at most ``length`` characters, with the number of those left out."""
    if len(text) <= length:
        return text
    kept = text[: length + 1].rpartition(" ")[0] or text[:length]
    return f"{kept} ... ({len(text) - len(kept):,} characters more)"


def day_time(unix_ms: int) -> str:
    """Date and time, UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
