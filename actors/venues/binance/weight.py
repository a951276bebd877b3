"""How much request weight may be used now. Pure: time comes in, in milliseconds on a monotonic clock.

Rules
1. What we sent in any window of a minute never weighs more than the limit, whether the exchange counts by
   sliding or by full minutes. A request counts from when it is sent until a minute after its answer.
2. What others use on the same address is learned from each answer's header, and counts as used.
3. A share is kept for orders, and one for market data; people's questions can use up neither.
4. When the exchange says to wait, nothing is sent until then.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

import msgspec

WINDOW_MS = 60_000

DEFAULT_LIMIT = 2_400
"""Weight a minute, until exchangeInfo says otherwise."""

LOOK_AGAIN_MS = 50
"""When requests under way fill the window, their answers decide when there is room."""


class Urgency(IntEnum):
    """Who asks; the smaller number is served first."""

    ORDERS = 0
    MARKET_DATA = 1
    PEOPLE = 2


SHARES = {Urgency.ORDERS: 100, Urgency.MARKET_DATA: 80, Urgency.PEOPLE: 50}
"""Percent of the limit up to which each may fill the window."""


class WeightUse(msgspec.Struct, frozen=True):
    """Where the budget stands: weight in this minute, ours and others', and who waits for some."""

    used: int
    limit: int
    by_others: int
    waiting: int
    refused: int
    paused_ms: int


class Ticket(msgspec.Struct):
    """Weight taken for one request under way."""

    weight: int
    number: int
    answered: int
    ours_answered: int


class WeightBudget:
    """See the module. Not thread-safe; ``throttle`` holds its lock."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.set_limit(limit)
        self._under_way = 0
        self._answered: deque[tuple[int, int]] = deque()
        self._window = 0
        self._taken_ever = 0
        self._answered_ever = 0
        self._newest = 0
        self._number = 0
        self._others = 0
        self._others_until_ms = 0
        self._told = 0
        self._told_until_ms = 0
        self._paused_until_ms = 0

    def set_limit(self, limit: int) -> None:
        """Change the limit.

        Raises:
            ValueError: below 1.
        """
        if limit < 1:
            raise ValueError(f"the limit of request weight must be at least 1, not {limit}")
        self.limit = limit

    def take(self, weight: int, urgency: Urgency, now_ms: int) -> Ticket | None:
        """Use some weight; None if it does not fit now."""
        if self.wait_ms(weight, urgency, now_ms):
            return None
        self._number += 1
        ticket = Ticket(weight, self._number, self._answered_ever, self._window)
        self._under_way += weight
        self._taken_ever += weight
        return ticket

    def settle(self, ticket: Ticket, now_ms: int, told: int | None, minute_left_ms: int) -> None:
        """A request was answered, or surely came to its end.

        Args:
            ticket: from ``take``.
            now_ms: the present.
            told: the header's weight used in this minute, by all on this address; None without an answer.
            minute_left_ms: until the exchange begins to count from zero, if it counts by full minutes.
        """
        self._under_way -= ticket.weight
        self._answered_ever += ticket.weight
        self._answered.append((now_ms + WINDOW_MS, ticket.weight))
        self._window += ticket.weight
        if told is None or ticket.number < self._newest:
            return
        self._newest = ticket.number
        self._others = max(0, told - ticket.ours_answered - ticket.weight)
        self._others_until_ms = now_ms + WINDOW_MS
        # Whatever of ours was not answered when this was sent may not be in what the exchange counted.
        self._told = told - ticket.weight - ticket.answered
        self._told_until_ms = now_ms + minute_left_ms

    def give_back(self, ticket: Ticket) -> None:
        """The request surely never left this machine."""
        self._under_way -= ticket.weight
        self._answered_ever += ticket.weight

    def pause(self, until_ms: int) -> None:
        """The exchange said to wait."""
        self._paused_until_ms = max(self._paused_until_ms, until_ms)

    def used(self, now_ms: int) -> int:
        """Weight that counts now, ours and others'."""
        ours = self._ours(now_ms) + self.by_others(now_ms)
        if now_ms >= self._told_until_ms:
            return ours
        return max(ours, self._told + self._taken_ever)

    def by_others(self, now_ms: int) -> int:
        """Weight that others on this address used, as far as the answers show."""
        return self._others if now_ms < self._others_until_ms else 0

    def paused_ms(self, now_ms: int) -> int:
        """How long the exchange wants us to wait; 0 when it does not."""
        return max(0, self._paused_until_ms - now_ms)

    def wait_ms(self, weight: int, urgency: Urgency, now_ms: int) -> int:
        """How long until so much fits; 0 when it does now."""
        if now_ms < self._paused_until_ms:
            return self._paused_until_ms - now_ms
        usable = self.limit * SHARES[urgency] // 100
        # What alone is more than a share may still go when nothing else is under way.
        over = self.used(now_ms) + weight - max(usable, weight)
        if over <= 0 or not weight:
            return 0
        wait = LOOK_AGAIN_MS
        left = self._ours(now_ms) + self.by_others(now_ms) + weight - max(usable, weight)
        for leaves_ms, entry in self._answered:
            if left <= 0:
                break
            left -= entry
            wait = max(wait, leaves_ms - now_ms)
        if left > 0 and now_ms < self._others_until_ms:
            wait = max(wait, self._others_until_ms - now_ms)
        if now_ms < self._told_until_ms and self._told + self._taken_ever + weight > max(usable, weight):
            wait = max(wait, self._told_until_ms - now_ms)
        return wait

    def _ours(self, now_ms: int) -> int:
        while self._answered and self._answered[0][0] <= now_ms:
            self._window -= self._answered.popleft()[1]
        return self._under_way + self._window
