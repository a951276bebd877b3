"""Rate limits: request weight per minute, orders per 10 seconds and per minute, and IP bans. Pure.

Binance counts in fixed windows of its clock. The paper exchange uses sliding windows, which are at least as strict:
traffic that passes here passes on Binance, wherever its windows start.
"""

from __future__ import annotations

from collections import deque

import msgspec

MINUTE_MS, TEN_SECONDS_MS = 60_000, 10_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Rate limits and order limits of an exchange."""

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
    # Wide enough for demos with thousands of accounts.
    "none": Limits(
        weight_per_minute=600_000,
        orders_per_10s=30_000,
        orders_per_minute=180_000,
        open_orders_per_symbol=1_000_000,
        conditional_orders=1_000_000,
    ),
}


class RateDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a rate limit check: HTTP ``status`` 200, 429 or 418. ``limit_kind`` is the limit that was exceeded."""

    status: int
    limit_kind: str
    retry_after_s: int
    headers: dict[str, str]


class RequestStats(msgspec.Struct):
    """Peak use of each limit, and counts of rejected requests."""

    rejected_weight: int = 0
    rejected_orders: int = 0
    banned: int = 0
    most_weight_in_a_minute: int = 0
    most_orders_in_10s: int = 0
    most_orders_in_a_minute: int = 0


class _Window:
    """Sum over a sliding window of ``length_ms``."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._entries: deque[tuple[int, int]] = deque()
        self.used = 0

    def used_at(self, now_ms: int) -> int:
        while self._entries and self._entries[0][0] <= now_ms - self._length_ms:
            self.used -= self._entries.popleft()[1]
        return self.used

    def add(self, now_ms: int, amount: int) -> None:
        if amount:
            self._entries.append((now_ms, amount))
            self.used += amount

    def wait_ms(self, now_ms: int, amount: int, limit: int) -> int:
        """Milliseconds until ``amount`` fits under ``limit``; 0 if it fits now."""
        left = self.used
        for at, used in self._entries:
            if left + amount <= limit:
                return 0
            left -= used
            if left + amount <= limit:
                return max(1, at + self._length_ms - now_ms)
        return 0 if left + amount <= limit else self._length_ms


class RateWindows:
    """Request weight and order counts in sliding windows.

    Args:
        limits: the limits.
        ban_after: number of rejected requests within a minute that causes a ban.
        ban_ms: duration of a ban, in milliseconds.
    """

    def __init__(self, limits: Limits, ban_after: int, ban_ms: int) -> None:
        self.stats = RequestStats()
        self._ban_after, self._ban_ms = ban_after, ban_ms
        self.start(limits)

    def start(self, limits: Limits) -> None:
        """Set the limits, and forget what was counted; the peaks stay."""
        self.limits = limits
        self._weight = _Window(MINUTE_MS)
        self._orders_10s, self._orders_minute = _Window(TEN_SECONDS_MS), _Window(MINUTE_MS)
        self._refused = _Window(MINUTE_MS)
        self._banned_until_ms = 0

    def count_request(self, now_ms: int, weight: int, orders: int) -> RateDecision:
        """Count a request if the limits allow it. A rejected one counts towards a ban only."""
        limits, stats = self.limits, self.stats
        if now_ms < self._banned_until_ms:
            return self._decision(now_ms, 418, "ban", self._banned_until_ms - now_ms)
        windows = (
            ("weight", self._weight, weight, limits.weight_per_minute),
            ("orders", self._orders_10s, orders, limits.orders_per_10s),
            ("orders", self._orders_minute, orders, limits.orders_per_minute),
        )
        for limit_kind, window, amount, limit in windows:
            if amount and window.used_at(now_ms) + amount > limit:
                if limit_kind == "weight":
                    stats.rejected_weight += 1
                else:
                    stats.rejected_orders += 1
                self._refused.add(now_ms, 1)
                if self._refused.used_at(now_ms) >= self._ban_after:
                    stats.banned += 1
                    self._banned_until_ms = now_ms + self._ban_ms
                return self._decision(now_ms, 429, limit_kind, window.wait_ms(now_ms, amount, limit))
        for _, window, amount, _ in windows:
            window.add(now_ms, amount)
        stats.most_weight_in_a_minute = max(stats.most_weight_in_a_minute, self._weight.used_at(now_ms))
        if orders:
            stats.most_orders_in_10s = max(stats.most_orders_in_10s, self._orders_10s.used)
            stats.most_orders_in_a_minute = max(stats.most_orders_in_a_minute, self._orders_minute.used)
        return self._decision(now_ms, 200, "", 0)

    def counts(self, now_ms: int) -> tuple[int, int, int]:
        """Current use: weight per minute, orders per 10 seconds, orders per minute."""
        return (
            self._weight.used_at(now_ms),
            self._orders_10s.used_at(now_ms),
            self._orders_minute.used_at(now_ms),
        )

    def _decision(self, now_ms: int, status: int, limit_kind: str, wait_ms: int) -> RateDecision:
        weight, in_10s, in_minute = self.counts(now_ms)
        headers = {
            "x-mbx-used-weight-1m": str(weight),
            "x-mbx-order-count-10s": str(in_10s),
            "x-mbx-order-count-1m": str(in_minute),
        }
        wait_s = -(-wait_ms // 1_000)
        if wait_s:
            headers["retry-after"] = str(wait_s)
        return RateDecision(status=status, limit_kind=limit_kind, retry_after_s=wait_s, headers=headers)
