"""The engine's alarms: kept, counted, logged. Callable from any thread."""

from __future__ import annotations

from collections import deque

import msgspec
import structlog

from actors.runtime.clock import Clock
from actors.units import NANOS_PER_SECOND

log = structlog.get_logger("engine")

KEPT = 500
ACCOUNTS_PER_SECOND = 50
"""Alarms of accounts that are kept one by one in a second; a market drop may set off a hundred thousand."""


class AlarmEntry(msgspec.Struct, frozen=True):
    """One alarm; Unix milliseconds."""

    at_ms: int
    text: str


class Alarms:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._in_second = 0
        self.entries: deque[AlarmEntry] = deque(maxlen=KEPT)
        self.count = 0

    def tell(self, text: str) -> None:
        """Keep and log an alarm."""
        self.count += 1
        self.entries.append(AlarmEntry(self._clock.wall_ms(), text))
        log.warning("alarm", text=text)

    def of_account(self, text: str) -> None:
        """An alarm of an account: above ``ACCOUNTS_PER_SECOND`` they are only counted, and that is said."""
        second = self._clock.monotonic_ns() // NANOS_PER_SECOND
        if second != self._second:
            left_out = self._in_second - ACCOUNTS_PER_SECOND
            self._second, self._in_second = second, 0
            if left_out > 0:
                self.tell(f"{left_out} more alarms of accounts within one second; 'bulkhead top --by ratio'")
        self._in_second += 1
        if self._in_second <= ACCOUNTS_PER_SECOND:
            self.tell(text)
        else:
            self.count += 1
