"""Lowest and highest mid of one symbol since any moment that somebody marked. Pure.

For each direction a stack of stretches, oldest at the bottom, each with the best price since all moments
up to its own; towards the top prices only get worse. A tick melts away what it betters. So a tick costs two
comparisons, whatever it melts was once marked, and memory grows with marks, never with ticks.

Prices are compared as floats first, which is fast, and as Decimals where the floats cannot tell.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

from actors.core.messages import Tick

NEAR = 2.0**-46
"""Two float mids closer than this, relatively, may be in another order than their Decimals."""


class _Stretch:
    __slots__ = ("last_moment", "price", "tick")

    def __init__(self, last_moment: int, tick: Tick) -> None:
        self.last_moment = last_moment
        self.price = tick.mid_float
        self.tick = tick


class Extremes:
    """One symbol's. ``moment`` numbers only grow."""

    __slots__ = ("_highs", "_lows")

    def __init__(self, moment: int, tick: Tick) -> None:
        self._lows = [_Stretch(moment, tick)]
        self._highs = [_Stretch(moment, tick)]

    def apply(self, tick: Tick) -> None:
        """A new mid."""
        price = tick.mid_float
        if price >= self._highs[-1].price * (1.0 - NEAR):
            _melt(self._highs, tick, 1)
        if price <= self._lows[-1].price * (1.0 + NEAR):
            _melt(self._lows, tick, -1)

    def mark(self, moment: int, tick: Tick) -> None:
        """From now on, ``since(moment)`` can be told; ``tick`` is the present one."""
        for stack, sign in ((self._highs, 1), (self._lows, -1)):
            if stack[-1].last_moment < moment:
                stack.append(_Stretch(moment, tick))
                _melt(stack, tick, sign)

    def since(self, moment: int) -> tuple[Decimal, Decimal]:
        """Lowest and highest mid since ``moment``; since the first tick for what lies before it.

        Callable from any thread.
        """
        return _best(self._lows, moment), _best(self._highs, moment)

    def size(self) -> int:
        """Stretches held."""
        return len(self._lows) + len(self._highs)


def _best(stack: list[_Stretch], moment: int) -> Decimal:
    stretches = list(stack)
    found = bisect_left(stretches, moment, key=lambda s: s.last_moment)
    # A moment that nobody marked lies in the newest stretch.
    return stretches[min(found, len(stretches) - 1)].tick.mid


def _melt(stack: list[_Stretch], tick: Tick, sign: int) -> None:
    mid = tick.mid
    last_moment = stack[-1].last_moment
    kept = len(stack)
    while kept and sign * (mid - stack[kept - 1].tick.mid) >= 0:
        kept -= 1
    if kept < len(stack):
        # In one step: other threads read, and must never meet an empty stack.
        stack[kept:] = (_Stretch(last_moment, tick),)
