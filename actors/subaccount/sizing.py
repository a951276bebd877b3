"""How large a position should be: fixed, from signal and volatility, or by Kelly. Pure; nothing is sent.

Sizes are notionals in quote asset, fractions are of the account's equity. Sources: seed 002 (fixed size),
seed 004 (base 2 %, multipliers, ATR, annualized volatility, half Kelly).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec

from actors.core.errors import BadInput
from actors.core.units import ONE, ZERO

BASE_FRACTION = Decimal("0.02")
"""Seed 004: 2 % of the account before any multiplier."""

SIGNAL_FLOOR, SIGNAL_SPAN = Decimal("0.5"), Decimal("1.5")
"""Seed 004: a signal strength of 0 to 1 makes a multiplier of 0.5 to 2."""

PERFORMANCE_FLOOR, PERFORMANCE_CEILING = Decimal("0.5"), Decimal("1.5")
PERFORMANCE_TRADES_MIN = 10
"""Fewer closed trades of a strategy say nothing about it: multiplier 1."""

KELLY_MIN, KELLY_MAX, KELLY_SAFETY = Decimal("0.01"), Decimal("0.05"), Decimal("0.5")
"""Seed 004: half Kelly, and never less than 1 % or more than 5 %."""

ATR_LOOKBACK = 20
PERIODS_PER_YEAR = 252
"""Seed 004: daily returns, trading days."""

MAX_FRACTION = Decimal("0.10")
"""Seed 004: ``max_position_size``, where the account has no ``max_position_percent`` of its own."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A notional in quote asset, and the factors that made it."""

    notional: Decimal
    base: Decimal
    signal_multiplier: Decimal
    volatility_multiplier: Decimal
    performance_multiplier: Decimal
    capped: bool


def fixed(order_size: Decimal | None) -> Decimal:
    """The notional that every order has (seed 002, ``fixed_order_size``).

    Raises:
        BadInput: the account has none.
    """
    if order_size is None:
        raise BadInput(
            "fixed_order_size is off; set it, for example with: bulkhead set-limit acct-42 fixed_order_size 100"
        )
    return order_size


def dynamic(
    equity: Decimal,
    signal_strength: Decimal,
    volatility: Decimal,
    performance: Decimal = ONE,
    max_fraction: Decimal | None = None,
) -> Size:
    """Base 2 % x signal x 1 / (1 + volatility) x performance, capped at a share of the account.

    Args:
        equity: of the account, quote asset.
        signal_strength: 0 to 1.
        volatility: annualized, a fraction (0.8 is 80 %), not negative.
        performance: see ``performance_multiplier``.
        max_fraction: the cap; 10 % if None.

    Raises:
        BadInput: a value out of its range; names it.
    """
    _in_range("signal_strength", signal_strength, ZERO, ONE)
    _in_range("volatility", volatility, ZERO, None)
    _in_range("performance", performance, ZERO, None)
    _in_range("equity", equity, None, None)
    base = BASE_FRACTION * max(ZERO, equity)
    by_signal = SIGNAL_FLOOR + signal_strength * SIGNAL_SPAN
    by_volatility = ONE / (ONE + volatility)
    wanted = base * by_signal * by_volatility * performance
    most = (MAX_FRACTION if max_fraction is None else max_fraction) * max(ZERO, equity)
    return Size(
        notional=min(wanted, most),
        base=base,
        signal_multiplier=by_signal,
        volatility_multiplier=by_volatility,
        performance_multiplier=performance,
        capped=wanted > most,
    )


def performance_multiplier(nets: Sequence[Decimal]) -> Decimal:
    """0.5 to 1.5 by the share of winning trades among a strategy's last ones; 1 with too few.

    Args:
        nets: what the closed positions brought, fees and funding included.
    """
    if len(nets) < PERFORMANCE_TRADES_MIN:
        return ONE
    winning = Decimal(sum(net > ZERO for net in nets)) / len(nets)
    return PERFORMANCE_FLOOR + winning * (PERFORMANCE_CEILING - PERFORMANCE_FLOOR)


def average_true_range(prices: Sequence[Decimal], lookback: int = ATR_LOOKBACK) -> Decimal:
    """Mean absolute change of the last ``lookback`` prices, in quote asset; 0 with fewer prices than that.

    With closes only, a true range is the distance of two closes (seed 004).
    """
    if len(prices) < lookback:
        return ZERO
    ranges = [abs(b - a) for a, b in pairwise(prices)][-lookback:]
    return sum(ranges, ZERO) / len(ranges)


def annualized_volatility(returns: Sequence[Decimal], periods_per_year: int = PERIODS_PER_YEAR) -> Decimal:
    """Population standard deviation of returns x square root of the periods in a year; 0 with fewer than two.

    Args:
        returns: relative changes, one per period.
        periods_per_year: 252 trading days by default.
    """
    if len(returns) < 2:  # noqa: PLR2004 - one return deviates from nothing
        return ZERO
    mean = sum(returns, ZERO) / len(returns)
    variance = sum(((r - mean) ** 2 for r in returns), ZERO) / len(returns)
    return (variance * periods_per_year).sqrt()


def half_kelly(win_rate: Decimal, average_win: Decimal, average_loss: Decimal) -> Decimal:
    """Fraction of the account: half of (w x b - (1 - w)) / b with b = win / |loss|, from 1 % to 5 %.

    Raises:
        BadInput: a value out of its range; names it.
    """
    _in_range("win_rate", win_rate, ZERO, ONE)
    _in_range("average_win", average_win, ZERO, None)
    _in_range("average_loss", average_loss, None, None)
    if ZERO in {average_loss, average_win}:
        return KELLY_MIN
    ratio = average_win / abs(average_loss)
    fraction = (win_rate * ratio - (ONE - win_rate)) / ratio * KELLY_SAFETY
    return max(KELLY_MIN, min(fraction, KELLY_MAX))


def _in_range(name: str, value: Decimal, least: Decimal | None, most: Decimal | None) -> None:
    good = value.is_finite() and (least is None or value >= least) and (most is None or value <= most)
    if not good:
        bounds = (
            f"from {least} to {most}"
            if most is not None
            else f"at least {least}"
            if least is not None
            else "finite"
        )
        raise BadInput(f"{name}: {value} must be {bounds}")
