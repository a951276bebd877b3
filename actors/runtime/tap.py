"""A live trace of one actor that costs the actor little and ends by itself.

Rules
1. At most ``per_second`` messages are taken in each second; what is above is counted only.
2. It ends after ``seconds``, whether or not its reader is still there.
3. The actor's thread only appends; describing messages is the reader's work.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from actors.core.errors import BadInput
from actors.core.units import NANOS_PER_SECOND

TAP_SECONDS_MAX = 600
TAP_RATE_MAX = 1_000


class Tap:
    """What the reader and the actor share. One actor's thread appends, one reader takes.

    Args:
        now_ns: the present, on the clock of the actor's dispatcher.
        seconds: how long it lives.
        per_second: how many messages it takes in a second.

    Raises:
        BadInput: a bound is out of range.
    """

    __slots__ = ("_taken", "_waiting", "_window_ns", "per_second", "skipped", "until_ns")

    def __init__(self, now_ns: int, seconds: int, per_second: int) -> None:
        if not 1 <= seconds <= TAP_SECONDS_MAX:
            raise BadInput(f"seconds {seconds} must be 1 to {TAP_SECONDS_MAX}")
        if not 1 <= per_second <= TAP_RATE_MAX:
            raise BadInput(f"rate {per_second} must be 1 to {TAP_RATE_MAX} messages per second")
        self.until_ns = now_ns + seconds * NANOS_PER_SECOND
        self.per_second = per_second
        self.skipped = 0
        self._window_ns = now_ns
        self._taken = 0
        self._waiting: deque[tuple[Any, int, int]] = deque(maxlen=2 * per_second)

    def take(self, message: Any, at_ns: int, took_ns: int) -> bool:
        """Keep a handled message, if the rate allows.

        Returns:
            Whether the tap still lives.
        """
        if at_ns >= self.until_ns:
            return False
        if at_ns - self._window_ns >= NANOS_PER_SECOND:
            self._window_ns, self._taken = at_ns, 0
        if self._taken >= self.per_second:
            self.skipped += 1
            return True
        self._taken += 1
        self._waiting.append((message, at_ns, took_ns))
        return True

    def read(self) -> list[tuple[Any, int, int]]:
        """Take out what was kept: message, when it began, how long it took (ns)."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken
