"""Who gets what of a block's trades. Pure.

Rules
1. Quantity goes by largest remainder over what each member still lacks, in lots: within one lot of pro rata, never more
   than it lacks (a member gets one lot above its part rounded down only if that was rounded, and nobody's part is more than
   it lacks), and in sum exactly what traded.
2. Value and fee go in proportion to quantity, by largest remainder too, in units of 10^-12 or of the sum's last digit if
   that is finer: all members have the same price up to one unit, and the sums are exact.
3. Of equal remainders the smaller client order id comes first: what comes out depends on nobody's place in a list.

Largest remainder is Hamilton's method of apportionment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from actors.core.clearing_facts import Allocation
from actors.core.errors import StateCorrupt
from actors.core.trades import Trade
from actors.core.units import ZERO, ClientOrderId

MONEY_EXPONENT = -12
"""Values and fees are shared in units of ten to this."""


def shares(total: int, weights: Sequence[int], names: Sequence[str]) -> list[int]:
    """``total`` >= 0 in proportion to ``weights``, in whole units: each within one unit of it, in sum exactly ``total``.

    Args:
        total: what is shared.
        weights: not negative, and not all zero unless ``total`` is.
        names: of those who share, to tell equal remainders apart.
    """
    whole = sum(weights)
    if not total:
        return [0] * len(weights)
    given, remainders = [], []
    for place, weight in enumerate(weights):
        share, rest = divmod(total * weight, whole)
        given.append(share)
        if rest:
            remainders.append((-rest, names[place], place))
    left = total - sum(given)
    if left:
        remainders.sort()
        for _, _, place in remainders[:left]:
            given[place] += 1
    return given


def shared_money(total: Decimal, weights: Sequence[int], names: Sequence[str]) -> list[Decimal]:
    """A value or a fee of either sign in proportion to ``weights``; in sum exactly ``total``."""
    exponent = min(MONEY_EXPONENT, _exponent(total))
    units = shares(int(abs(total).scaleb(-exponent)), weights, names)
    sign = -1 if total < ZERO else 1
    return [Decimal(sign * unit).scaleb(exponent) for unit in units]


def allocate(
    lacks: Mapping[ClientOrderId, Decimal], trades: Sequence[Trade], step: Decimal
) -> tuple[Allocation, ...]:
    """The parts of one round, in the order of ``lacks``; who gets nothing is left out.

    Args:
        lacks: what each member still lacks, in base asset, never negative.
        trades: of the round, with one fee asset; without fee if one of them has none.
        step: the symbol's quantity increment.

    Raises:
        StateCorrupt: more traded than is lacked, or nothing did.
    """
    traded = sum((trade.quantity for trade in trades), ZERO)
    if not ZERO < traded <= sum(lacks.values(), ZERO):
        raise StateCorrupt(f"{traded} traded, and the members lack {sum(lacks.values(), ZERO)}")
    lot = _lot(step, (traded, *lacks.values()))
    names = list(lacks)
    lots = shares(int(traded / lot), [int(lack / lot) for lack in lacks.values()], names)
    getting = [(name, part) for name, part in zip(names, lots, strict=True) if part]
    named, weights = [name for name, _ in getting], [part for _, part in getting]
    values = shared_money(sum((t.value for t in trades), ZERO), weights, named)
    known = all(trade.fee is not None for trade in trades)
    fees = shared_money(sum((t.fee or ZERO for t in trades), ZERO) if known else ZERO, weights, named)
    return tuple(
        Allocation(name, part * lot, value, fee)
        for (name, part), value, fee in zip(getting, values, fees, strict=True)
    )


def weights_of(quantities: Sequence[Decimal]) -> list[int]:
    """Quantities as whole numbers in proportion to them."""
    exponent = min(_exponent(quantity) for quantity in quantities)
    return [int(quantity.scaleb(-exponent)) for quantity in quantities]


def _lot(step: Decimal, quantities: Sequence[Decimal]) -> Decimal:
    """The step; should a quantity be no multiple of it (the exchange changed it since), the last digit of any of them."""
    if all(quantity % step == 0 for quantity in quantities):
        return step
    return Decimal(1).scaleb(min(_exponent(quantity) for quantity in (step, *quantities)))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # every number from outside was checked to be finite
    return exponent
