"""What is counted of drop copies, for the metrics; the API's event loop alone writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.core.safe_copy import pairs


class DropCopyStats:
    """Counters since the start. ``positions`` is up to where each connection has read, by its number."""

    def __init__(self) -> None:
        self.connections = 0
        self.events = 0
        self.cut_off = 0
        self.positions: dict[int, int] = {}

    @contextmanager
    def counted(self, number: int) -> Iterator[None]:
        """Count a connection while it is open."""
        self.connections += 1
        try:
            yield
        finally:
            self.connections -= 1
            self.positions.pop(number, None)

    def view(self, last: int) -> dict[str, int]:
        """As people look at it; ``last`` as of ``behind``."""
        return {
            "connections": self.connections,
            "events": self.events,
            "cut_off": self.cut_off,
            "behind": self.behind(last),
            "journal_position": last,
        }

    def behind(self, last: int) -> int:
        """How many rows of the journal, which ends at ``last``, the slowest connection has not read; 0 without any."""
        return max((last - position for _, position in pairs(self.positions)), default=0)
