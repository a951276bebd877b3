"""How many orders may be sent now. Pure: time comes in.

Rules
1. No window of ten seconds or of a minute ever holds more orders than the exchange allows.
2. A share of each window is kept for reducing orders; new risk can never use it up.
3. Cancels do not count as orders at the exchange and are not held back here.
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
        self._sent: deque[int] = deque()
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
        if self.room(now_ms, reducing=reducing) < 1:
            return False
        self._sent.append(now_ms)
        return True

    def room(self, now_ms: int, *, reducing: bool) -> int:
        """How many orders may be sent at this moment."""
        if now_ms < self._paused_until_ms:
            return 0
        while self._sent and self._sent[0] <= now_ms - WINDOWS_MS[-1]:
            self._sent.popleft()
        room = []
        for window_ms, limit in zip(WINDOWS_MS, self.limits, strict=True):
            usable = limit if reducing else limit - int(limit * RESERVED_FOR_REDUCING)
            used = sum(1 for t in reversed(self._sent) if t > now_ms - window_ms) if (
                window_ms != WINDOWS_MS[-1]
            ) else len(self._sent)
            room.append(usable - used)
        return max(0, min(room))

    def pause(self, until_ms: int) -> None:
        """The exchange said to wait: send nothing before ``until_ms``."""
        self._paused_until_ms = max(self._paused_until_ms, until_ms)

    @property
    def paused_until_ms(self) -> int:
        """When the exchange lets us send again; 0 when it never stopped us."""
        return self._paused_until_ms
