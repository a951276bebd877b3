"""How many rejections are written down one by one: so many of an account and so many of all within a window. Pure.

A bot that places the same refused order a thousand times a second fills no disk. What is left out is counted, by account.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

WINDOW_MS = 10_000
OF_ACCOUNT = 10
OF_ALL = 500
NAMED = 20
"""Accounts that the line about what was left out names, those with the most first."""


class LeftOut(NamedTuple):
    """What was not written within a window."""

    total: int
    accounts: dict[str, int]
    others: int
    """Of accounts that are not named."""
    since_ms: int
    until_ms: int


class RejectionLimit:
    """Counts rejections in windows of ``WINDOW_MS`` of wall time."""

    def __init__(self) -> None:
        self._window = 0
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._taken = 0
        self._over: list[LeftOut] = []

    def takes(self, account: str, wall_ms: int) -> bool:
        """Whether one more is written down; counted as left out if not."""
        self._at(wall_ms)
        self._counts[account] += 1
        if self._counts[account] > OF_ACCOUNT or self._taken >= OF_ALL:
            self._left_out[account] += 1
            return False
        self._taken += 1
        return True

    def over(self, wall_ms: int) -> list[LeftOut]:
        """What was left out in windows that have ended, each once."""
        self._at(wall_ms)
        found, self._over = self._over, []
        return found

    def rest(self, wall_ms: int) -> list[LeftOut]:
        """As ``over``, with the window that has not ended; for the end of everything."""
        self._end(wall_ms)
        return self.over(wall_ms)

    def _at(self, wall_ms: int) -> None:
        if wall_ms // WINDOW_MS != self._window:
            self._end((self._window + 1) * WINDOW_MS)
            self._window = wall_ms // WINDOW_MS

    def _end(self, until_ms: int) -> None:
        if self._left_out:
            named = dict(self._left_out.most_common(NAMED))
            total = self._left_out.total()
            others = total - sum(named.values())
            self._over.append(LeftOut(total, named, others, self._window * WINDOW_MS, until_ms))
        self._counts, self._left_out, self._taken = Counter(), Counter(), 0
