"""Leverage brackets of the paper exchange's symbols. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ZERO


class PaperBracket(msgspec.Struct, frozen=True):
    """Leverage bracket for notionals from ``floor`` to ``cap``; maintenance margin = notional x ``rate`` - ``cum``."""

    number: int
    leverage: int
    floor: int
    cap: int
    rate: Decimal
    cum: Decimal


BRACKETS = tuple(
    PaperBracket(number, leverage, floor, cap, Decimal(rate), Decimal(cumulative))
    for number, (leverage, floor, cap, rate, cumulative) in enumerate(
        (
            (125, 0, 50_000, "0.004", 0),
            (100, 50_000, 600_000, "0.005", 50),
            (75, 600_000, 3_000_000, "0.0065", 950),
            (50, 3_000_000, 12_000_000, "0.01", 11_450),
            (25, 12_000_000, 70_000_000, "0.02", 131_450),
            (10, 70_000_000, 100_000_000, "0.025", 481_450),
            (5, 100_000_000, 230_000_000, "0.05", 2_981_450),
            (2, 230_000_000, 480_000_000, "0.125", 20_231_450),
            (1, 480_000_000, 800_000_000, "0.25", 80_231_450),
        ),
        1,
    )
)
"""One table for all symbols, with the shape of Binance's.

Maintenance margin is a piecewise linear function of notional: within a bracket it grows by ``rate``. ``cum`` (Binance's
"maintenance amount") is chosen so that the function has no jump at a bracket's floor:
cum[n] = cum[n-1] + floor[n] x (rate[n] - rate[n-1]), with cum[1] = 0. So only the part of a notional above the
floor is charged at the higher rate, as with tax brackets.
"""

LEVERAGE_MAX = BRACKETS[0].leverage
LEVERAGE_DEFAULT = 20


def max_notional(leverage: int) -> int:
    """Maximum notional, in the quote asset, at this leverage."""
    return max(b.cap for b in BRACKETS if b.leverage >= leverage)


def bracket_of(notional: Decimal) -> PaperBracket:
    """The bracket of an absolute notional; the last one above all caps."""
    return next((b for b in BRACKETS if notional < b.cap), BRACKETS[-1])


def maintenance(notional: Decimal) -> Decimal:
    """Maintenance margin of an absolute notional, in the quote asset."""
    if not notional:
        return ZERO
    bracket = bracket_of(notional)
    return notional * bracket.rate - bracket.cum
