"""How old an event of a stream was when it arrived, by the exchange's own time of it. Pure.

A frame may have waited in a buffer on its way: that it arrived just now says nothing of its age.

Rules
1. Age is counted on the exchange's clock, as far as that is known: what half a round trip leaves open is not
   counted as age.
2. A clock of ours that runs behind is noticed: nothing comes from the future, so the newest event time seen
   is a time that the exchange's clock has passed. Newest of the last minute or two: clocks drift. One that runs
   ahead makes prices look old, which is safe: REST then confirms them.
3. An event time so far ahead that no clock error explains it is nonsense; it is counted, and proves nothing.
"""

from __future__ import annotations

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos

FUTURE_MAX_MS = 5_000
"""An event further ahead of the exchange's clock than this does not correct the clock."""


FORGET_NS = 60 * NANOS_PER_SECOND


class EventAge:
    """See the module. ``future`` counts event times of rule 3."""

    def __init__(self) -> None:
        self.future = 0
        # How far the newest event was ahead of our monotonic clock: in this minute and in the one before.
        self._newest: int | None = None
        self._before: int | None = None
        self._minute_until_ns = 0

    def delay_ns(self, event_ms: int, now_ns: Nanos, exchange_ms: int, uncertain_ms: int) -> Nanos:
        """How old an event is; 0 for one without a time.

        Args:
            event_ms: when it happened, Unix milliseconds on the exchange's clock.
            now_ns: the present on our monotonic clock.
            exchange_ms: the present on the exchange's clock, as measured.
            uncertain_ms: by how much ``exchange_ms`` may be wrong.
        """
        if event_ms <= 0:
            return Nanos(0)
        if event_ms > exchange_ms + FUTURE_MAX_MS:
            self.future += 1
            return Nanos(0)
        ahead_ns = event_ms * NANOS_PER_MS - now_ns
        if now_ns >= self._minute_until_ns:
            self._before, self._newest = self._newest, None
            self._minute_until_ns = now_ns + FORGET_NS
        if self._newest is None or ahead_ns > self._newest:
            self._newest = ahead_ns
        newest = self._newest if self._before is None else max(self._newest, self._before)
        by_clock_ns = (exchange_ms - uncertain_ms - event_ms) * NANOS_PER_MS
        return Nanos(max(0, by_clock_ns, newest - ahead_ns))
