"""Lowest and highest mid of one symbol since any checkpoint. Pure.

A monotone stack for each direction (the structure behind sliding-window maxima). A checkpoint pushes a segment; a
segment holds the best price since all checkpoints up to its own number. The maximum since an early checkpoint is never
below the one since a later checkpoint, so from bottom to top prices only get worse, and a new price that betters
segments betters those at the top: they are popped, and one segment with the newest of their numbers takes their place.

Why it is right: from any of those checkpoints on, the best price is now the new one, so one segment answers for all.
Cost: a tick that betters nothing is two comparisons; each popped segment was pushed by a checkpoint, so the work is
amortized O(1) a checkpoint, a query is a binary search, and memory grows with checkpoints, never with ticks.

Prices are compared as floats first, which is fast, and as Decimals where the floats are too close to tell.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

from actors.core.messages import Tick

NEAR = 2.0**-46
"""Two float mids closer than this, relatively, may be in another order than their Decimals."""


class _Segment:
    __slots__ = ("last_checkpoint", "price", "tick")

    def __init__(self, last_checkpoint: int, tick: Tick) -> None:
        self.last_checkpoint = last_checkpoint
        self.price = tick.mid_float
        self.tick = tick


class Extremes:
    """One symbol's. Numbers of checkpoints only grow."""

    __slots__ = ("_highs", "_lows")

    def __init__(self, checkpoint: int, tick: Tick) -> None:
        self._lows = [_Segment(checkpoint, tick)]
        self._highs = [_Segment(checkpoint, tick)]

    def apply(self, tick: Tick) -> None:
        """A new mid."""
        price = tick.mid_float
        if price >= self._highs[-1].price * (1.0 - NEAR):
            _absorb(self._highs, tick, 1)
        if price <= self._lows[-1].price * (1.0 + NEAR):
            _absorb(self._lows, tick, -1)

    def checkpoint(self, number: int, tick: Tick) -> None:
        """From now on, ``since(number)`` can be asked; ``tick`` is the present one."""
        for stack, sign in ((self._highs, 1), (self._lows, -1)):
            if stack[-1].last_checkpoint < number:
                stack.append(_Segment(number, tick))
                _absorb(stack, tick, sign)

    def since(self, checkpoint: int) -> tuple[Decimal, Decimal]:
        """Lowest and highest mid since ``checkpoint``; since the first tick for what lies before it.

        Callable from any thread.
        """
        return _best(self._lows, checkpoint), _best(self._highs, checkpoint)

    def size(self) -> int:
        """Segments held."""
        return len(self._lows) + len(self._highs)


def _best(stack: list[_Segment], checkpoint: int) -> Decimal:
    segments = list(stack)
    found = bisect_left(segments, checkpoint, key=lambda s: s.last_checkpoint)
    # A number without a checkpoint of its own, later than all, lies in the newest segment.
    return segments[min(found, len(segments) - 1)].tick.mid


def _absorb(stack: list[_Segment], tick: Tick, sign: int) -> None:
    """Replace all segments at the top that a price betters by one; ``sign`` is 1 for highs, -1 for lows."""
    mid = tick.mid
    last_checkpoint = stack[-1].last_checkpoint
    kept = len(stack)
    while kept and sign * (mid - stack[kept - 1].tick.mid) >= 0:
        kept -= 1
    if kept < len(stack):
        # In one step: other threads read, and must never meet an empty stack.
        stack[kept:] = (_Segment(last_checkpoint, tick),)
