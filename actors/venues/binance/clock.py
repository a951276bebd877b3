"""What time it is at the exchange. Pure: both clocks of the machine are passed in.

The exchange's time is derived from the monotonic clock, so a step of the wall clock does not move it. The wall
clock only warns: where the two diverge (a suspended machine, a step), the exchange is asked again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.core.errors import ExchangeUnreachable
from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND

MEASURE_EVERY_NS = 60 * NANOS_PER_SECOND
"""Ordinary clocks drift by some milliseconds in this time."""

PARTED_NS = 250 * NANOS_PER_MS
"""The machine's two clocks have parted when they differ by more since the last measurement."""

ROUND_TRIP_MAX_NS = 1 * NANOS_PER_SECOND
"""A slower answer says too little about the time: half of this may be wrong."""


class _Anchor(msgspec.Struct, frozen=True):
    """One measurement: at ``monotonic_ns`` and ``wall_ns`` it was ``venue_ns`` at the exchange."""

    monotonic_ns: int
    wall_ns: int
    venue_ns: int
    error_ns: int


class ExchangeClock:
    """Read from any thread; written by who measures.

    Args:
        monotonic_ns: a clock that never goes back.
        wall_ns: Unix nanoseconds.
    """

    def __init__(self, monotonic_ns: Callable[[], int], wall_ns: Callable[[], int]) -> None:
        self._monotonic_ns, self._wall_ns = monotonic_ns, wall_ns
        self._anchor: _Anchor | None = None

    def now_ms(self) -> int:
        """Unix milliseconds at the exchange.

        Raises:
            ExchangeUnreachable: it was never measured.
        """
        anchor = self._anchor
        if anchor is None:
            raise ExchangeUnreachable("the exchange's clock has not been measured")
        return (anchor.venue_ns + self._monotonic_ns() - anchor.monotonic_ns) // NANOS_PER_MS

    def began(self) -> int:
        """A question for the time leaves now; give this to ``measured``."""
        return self._monotonic_ns()

    def measured(self, began_ns: int, server_ms: int) -> int | None:
        """The exchange answered ``server_ms`` to a question that left at ``began_ns``.

        Returns:
            By how many milliseconds what we believed was wrong; None when the answer took too long to say
            anything, and nothing was changed.
        """
        now_ns = self._monotonic_ns()
        round_trip_ns = now_ns - began_ns
        if round_trip_ns > ROUND_TRIP_MAX_NS:
            return None
        before = self._anchor
        # Taken to be the time in the middle of the way there and back; it is at most half of that wrong.
        venue_ns = server_ms * NANOS_PER_MS + round_trip_ns // 2
        self._anchor = _Anchor(now_ns, self._wall_ns(), venue_ns, round_trip_ns // 2)
        if before is None:
            return 0
        believed_ns = before.venue_ns + now_ns - before.monotonic_ns
        return (venue_ns - believed_ns) // NANOS_PER_MS

    @property
    def error_ms(self) -> int:
        """By how much the last measurement may be wrong."""
        return 0 if self._anchor is None else self._anchor.error_ns // NANOS_PER_MS

    def doubt(self) -> str:
        """Why the exchange must be asked before anything is signed; empty when there is no reason."""
        anchor = self._anchor
        if anchor is None:
            return "it was never measured"
        parted_ns = (self._wall_ns() - anchor.wall_ns) - (self._monotonic_ns() - anchor.monotonic_ns)
        if abs(parted_ns) > PARTED_NS:
            return f"this machine's clocks parted by {parted_ns // NANOS_PER_MS} ms: a step of the time, or a suspension"
        return ""

    def is_old(self) -> bool:
        """Whether it is time to measure again."""
        return self._anchor is None or self._monotonic_ns() - self._anchor.monotonic_ns >= MEASURE_EVERY_NS
