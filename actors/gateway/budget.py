"""How many orders may be sent now. Pure: time comes in.

Rules
1. No window of ten seconds or of a minute ever holds more orders than the exchange allows.
2. A share of each window is kept for reducing orders; new risk can never use it up.
3. Cancels do not count as orders at the exchange and are not held back here.
4. ``room`` changes nothing and may be called from any thread; ``take`` has one caller.
"""

from __future__ import annotations

from collections import deque

RESERVED_FOR_REDUCING = 0.2
"""Share of each window that only reducing orders may use."""

WINDOWS_MS = (10_000, 60_000)


class OrderBudget:
    """Sliding windows over the times at which orders were sent, in Unix milliseconds."""

    def __init__(self, per_10s: int, per_minute: int) -> None:
        self.set_limits(per_10s, per_minute)
        self._sent: tuple[deque[int], deque[int]] = (deque(), deque())
        self._paused_until_ms = 0

    def set_limits(self, per_10s: int, per_minute: int) -> None:
        """Change the limits.

        Raises:
            ValueError: a limit below 1.
        """
        if per_10s < 1 or per_minute < 1:
            raise ValueError(f"order limits must be at least 1, not {per_10s} and {per_minute}")
        self.limits = (per_10s, per_minute)

    def take(self, now_ms: int, *, reducing: bool) -> bool:
        """Use one order's worth, if there is one.

        Returns:
            Whether an order may be sent now.
        """
        if now_ms < self._paused_until_ms:
            return False
        for sent, window_ms, limit in zip(self._sent, WINDOWS_MS, self.limits, strict=True):
            while sent and sent[0] <= now_ms - window_ms:
                sent.popleft()
            if len(sent) >= _usable(limit, reducing=reducing):
                return False
        for sent in self._sent:
            sent.append(now_ms)
        return True

    def room(self, now_ms: int, *, reducing: bool) -> int:
        """How many orders may be sent at this moment."""
        if now_ms < self._paused_until_ms:
            return 0
        room = [
            _usable(limit, reducing=reducing) - sum(t > now_ms - window_ms for t in list(sent))
            for sent, window_ms, limit in zip(self._sent, WINDOWS_MS, self.limits, strict=True)
        ]
        return max(0, min(room))

    def pause(self, until_ms: int) -> None:
        """The exchange said to wait: send nothing before ``until_ms``."""
        self._paused_until_ms = max(self._paused_until_ms, until_ms)

    @property
    def paused_until_ms(self) -> int:
        """When the exchange lets us send again; 0 when it never stopped us."""
        return self._paused_until_ms


def _usable(limit: int, *, reducing: bool) -> int:
    return limit if reducing else limit - int(limit * RESERVED_FOR_REDUCING)
