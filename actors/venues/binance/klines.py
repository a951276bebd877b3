"""The mean price of a past minute out of an answer of GET /fapi/v1/klines. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from actors.core.fees import RATE_SPAN_MS
from actors.core.units import ZERO, is_sane
from actors.venues.binance.errors import MalformedMessage

OPEN_TIME, OPEN, CLOSE = 0, 1, 4
"""Places in a kline, which is a list."""

SETTLED_MS = 2_000
"""A minute that ended so long ago does not change any more, though clocks differ."""

_decoder = msgspec.json.Decoder(list[list[Any]])


def minute_params(symbol: str, begin_ms: int) -> dict[str, str]:
    """The parameters that ask for one minute."""
    return {"symbol": symbol, "interval": "1m", "startTime": str(begin_ms), "limit": "1"}


def minute_mean(content: bytes, begin_ms: int) -> Decimal:
    """(open + close) / 2 of the minute that begins at ``begin_ms``, exact, in quote asset.

    Raises:
        MalformedMessage: no such minute in the answer, or no prices in it.
    """
    try:
        found = _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise MalformedMessage(f"klines: {error}: {content[:200]!r}") from None
    # The exchange answers with the first minute that it has from there on, which may be a later one.
    if not found or len(found[0]) <= CLOSE or found[0][OPEN_TIME] != begin_ms:
        raise MalformedMessage(f"klines: no minute of {begin_ms} in {content[:200]!r}")
    try:
        opened, closed = Decimal(str(found[0][OPEN])), Decimal(str(found[0][CLOSE]))
    except InvalidOperation:
        raise MalformedMessage(f"klines: no prices in {content[:200]!r}") from None
    if not (is_sane(opened) and is_sane(closed) and opened > ZERO and closed > ZERO):
        raise MalformedMessage(f"klines: {opened} and {closed} are no prices")
    return (opened + closed) / 2


def is_over(begin_ms: int, now_ms: int) -> bool:
    """Whether the minute's prices are final."""
    return now_ms >= begin_ms + RATE_SPAN_MS + SETTLED_MS
