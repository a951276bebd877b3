"""The exchange's limits on requests: weight a minute, orders per 10 seconds and a minute, and bans. Pure.

Binance counts in fixed windows of its clock. Here they slide, which refuses no less: what passes here
passes there, whenever its windows begin.
"""

from __future__ import annotations

from collections import deque

import msgspec

MINUTE_MS, TEN_SECONDS_MS = 60_000, 10_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange allows."""

    weight_per_minute: int
    orders_per_10s: int
    orders_per_minute: int
    open_orders_per_symbol: int
    conditional_orders: int


PROFILES = {
    "binance": Limits(
        weight_per_minute=2_400,
        orders_per_10s=300,
        orders_per_minute=1_200,
        open_orders_per_symbol=200,
        conditional_orders=200,
    ),
    # Wide enough for demos at thousands of accounts, where limits are not the point.
    "none": Limits(
        weight_per_minute=600_000,
        orders_per_10s=30_000,
        orders_per_minute=180_000,
        open_orders_per_symbol=1_000_000,
        conditional_orders=1_000_000,
    ),
}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a request may pass: ``status`` 200, 429 or 418; ``by`` says what is used up."""

    status: int
    by: str
    retry_after_s: int
    headers: dict[str, str]


class Seen(msgspec.Struct):
    """The most that was asked for, and what was refused."""

    rejected_weight: int = 0
    rejected_orders: int = 0
    banned: int = 0
    most_weight_in_a_minute: int = 0
    most_orders_in_10s: int = 0
    most_orders_in_a_minute: int = 0


class _Window:
    """A sum over the last so many milliseconds."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._entries: deque[tuple[int, int]] = deque()
        self.used = 0

    def at(self, now_ms: int) -> int:
        while self._entries and self._entries[0][0] <= now_ms - self._length_ms:
            self.used -= self._entries.popleft()[1]
        return self.used

    def add(self, now_ms: int, amount: int) -> None:
        if amount:
            self._entries.append((now_ms, amount))
            self.used += amount

    def room_in_ms(self, now_ms: int, amount: int, limit: int) -> int:
        """How long until ``amount`` fits; 0 if it does."""
        left = self.used
        for at, used in self._entries:
            if left + amount <= limit:
                return 0
            left -= used
            if left + amount <= limit:
                return max(1, at + self._length_ms - now_ms)
        return 0 if left + amount <= limit else self._length_ms


class RateWindows:
    """Weight and orders over sliding windows.

    Args:
        limits: what is allowed.
        ban_after: so many refused requests in a minute are a ban.
        ban_ms: how long it lasts.
    """

    def __init__(self, limits: Limits, ban_after: int, ban_ms: int) -> None:
        self.limits = limits
        self.seen = Seen()
        self._ban_after, self._ban_ms = ban_after, ban_ms
        self._weight = _Window(MINUTE_MS)
        self._orders_10s, self._orders_minute = _Window(TEN_SECONDS_MS), _Window(MINUTE_MS)
        self._refused = _Window(MINUTE_MS)
        self._banned_until_ms = 0

    def take(self, now_ms: int, weight: int, orders: int) -> Taken:
        """Count a request if the limits allow it."""
        limits, seen = self.limits, self.seen
        if now_ms < self._banned_until_ms:
            return self._taken(now_ms, 418, "ban", self._banned_until_ms - now_ms)
        windows = (
            ("weight", self._weight, weight, limits.weight_per_minute),
            ("orders", self._orders_10s, orders, limits.orders_per_10s),
            ("orders", self._orders_minute, orders, limits.orders_per_minute),
        )
        for by, window, amount, limit in windows:
            if amount and window.at(now_ms) + amount > limit:
                if by == "weight":
                    seen.rejected_weight += 1
                else:
                    seen.rejected_orders += 1
                self._refused.add(now_ms, 1)
                if self._refused.at(now_ms) >= self._ban_after:
                    seen.banned += 1
                    self._banned_until_ms = now_ms + self._ban_ms
                return self._taken(now_ms, 429, by, window.room_in_ms(now_ms, amount, limit))
        for _, window, amount, _ in windows:
            window.add(now_ms, amount)
        seen.most_weight_in_a_minute = max(seen.most_weight_in_a_minute, self._weight.at(now_ms))
        if orders:
            seen.most_orders_in_10s = max(seen.most_orders_in_10s, self._orders_10s.used)
            seen.most_orders_in_a_minute = max(seen.most_orders_in_a_minute, self._orders_minute.used)
        return self._taken(now_ms, 200, "", 0)

    def counts(self, now_ms: int) -> tuple[int, int, int]:
        """Weight used in a minute, orders in ten seconds, orders in a minute."""
        return self._weight.at(now_ms), self._orders_10s.at(now_ms), self._orders_minute.at(now_ms)

    def _taken(self, now_ms: int, status: int, by: str, wait_ms: int) -> Taken:
        weight, in_10s, in_minute = self.counts(now_ms)
        headers = {
            "x-mbx-used-weight-1m": str(weight),
            "x-mbx-order-count-10s": str(in_10s),
            "x-mbx-order-count-1m": str(in_minute),
        }
        wait_s = -(-wait_ms // 1_000)
        if wait_s:
            headers["retry-after"] = str(wait_s)
        return Taken(status=status, by=by, retry_after_s=wait_s, headers=headers)
