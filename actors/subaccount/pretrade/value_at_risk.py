"""Historical value at risk of one account: what the last minutes' returns would do to its positions."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from actors.core.constants import RETURNS_MIN
from actors.core.units import ZERO, Symbol
from actors.subaccount.market import Market
from actors.subaccount.position import Position

QUANTILE = Decimal("0.05")


def one_minute(
    positions: tuple[Position, ...], added: Iterable[tuple[Symbol, Decimal]], market: Market
) -> Decimal | None:
    """95 % value at risk over one minute, in quote asset (>= 0), of positions and signed notionals added to them.

    The loss that all but 5 % of the last minutes would not have exceeded, each minute's returns of all
    symbols taken together (historical simulation).

    Returns:
        None when a price or enough of its history is missing.
    """
    notionals: dict[Symbol, Decimal] = {}
    for symbol, notional in added:
        notionals[symbol] = notionals.get(symbol, ZERO) + notional
    for position in positions:
        tick = market.ticks.get(position.symbol)
        if tick is None:
            return None
        notionals[position.symbol] = notionals.get(position.symbol, ZERO) + position.quantity * tick.mid
    if market.price_history is None:
        return None
    series = [(n, market.price_history.returns(s)) for s, n in sorted(notionals.items())]
    length = min(len(returns) for _, returns in series)
    if length < RETURNS_MIN:
        return None
    profits = sorted(
        sum((n * returns[len(returns) - length + i] for n, returns in series), ZERO) for i in range(length)
    )
    worst = int((QUANTILE * length).to_integral_value(ROUND_CEILING)) - 1
    return max(ZERO, -profits[worst])
