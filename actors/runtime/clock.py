"""Time, passed in: the system's, or a virtual one that only simulation moves."""

from __future__ import annotations

import time
from typing import Protocol

from actors.core.units import NANOS_PER_MS, Nanos


class Clock(Protocol):
    """Where an actor gets its time from."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; for ages, deadlines and timers."""
        ...

    def wall_ms(self) -> int:
        """Unix milliseconds; for records and for the exchange."""
        ...


class SystemClock:
    """The machine's clocks."""

    # The function itself: it is called twice for each message.
    monotonic_ns = staticmethod(time.monotonic_ns)

    def wall_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // NANOS_PER_MS


class VirtualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start_wall_ms: int = 0) -> None:
        self._now_ns = 0
        self._start_wall_ms = start_wall_ms

    def monotonic_ns(self) -> int:
        """See ``Clock``."""
        return self._now_ns

    def wall_ms(self) -> int:
        """See ``Clock``."""
        return self._start_wall_ms + self._now_ns // NANOS_PER_MS

    def advance_to(self, now_ns: Nanos) -> None:
        """Move forward.

        Raises:
            ValueError: ``now_ns`` lies in the past.
        """
        if now_ns < self._now_ns:
            raise ValueError(f"virtual time stands at {self._now_ns} ns and cannot go back to {now_ns} ns")
        self._now_ns = now_ns
