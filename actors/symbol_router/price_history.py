"""Samples of every symbol's mid, a minute apart: for correlation and value at risk. Floats, never money.

A return is the relative change between two samples. A symbol that does not tick in between repeats its price.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise

from actors.core.constants import RETURNS_MIN
from actors.core.messages import Tick
from actors.core.units import NANOS_PER_SECOND, Nanos, Symbol

SAMPLE_EVERY = Nanos(60 * NANOS_PER_SECOND)
SAMPLES_MAX = 241
"""Four hours of returns."""

DIGITS = Decimal("1e-9")


class History:
    """Mids by symbol. Written by the router, read by accounts."""

    def __init__(self) -> None:
        self._samples: dict[Symbol, deque[float]] = {}

    def sample(self, ticks: Mapping[Symbol, Tick]) -> None:
        """Take one sample of everything."""
        for symbol, tick in ticks.items():
            known = self._samples.get(symbol)
            if known is None:
                known = self._samples[symbol] = deque(maxlen=SAMPLES_MAX)
            known.append(tick.mid_float)

    def returns(self, symbol: Symbol) -> list[float]:
        """The last returns, oldest first."""
        mids = list(self._samples.get(symbol, ()))
        return [b / a - 1.0 for a, b in pairwise(mids)]

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """Pearson correlation of the returns that both have; None with too few, or where one never moved."""
        a, b = self.returns(one), self.returns(other)
        length = min(len(a), len(b))
        if length < RETURNS_MIN:
            return None
        try:
            found = statistics.correlation(a[-length:], b[-length:])
        except statistics.StatisticsError:
            return None
        return Decimal(found).quantize(DIGITS)
