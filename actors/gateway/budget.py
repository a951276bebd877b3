"""How many orders may be sent now. Pure: time comes in, in milliseconds that never go back.

Rules
1. No window of ten seconds or of a minute ever holds more orders than the exchange allows, wherever in it the
   exchange sees them: an order counts from when it is sent, and leaves a window that long after its answer.
2. A share of each window is kept for what liquidates, and a larger one for that and what reduces: a crowd of reduce-only
   limit orders can not use up what liquidations need, nor new risk what both need.
3. Cancels do not count as orders at the exchange and are not held back here.
4. What the exchange counts beyond that is counted too: an earlier run of ours, or another client, sent it.
5. A slot counts from when it is granted; the order that is sent with it takes its place.
6. Within its windows a class sends at its pace (``pacing``): a burst, then evenly. Groups of orders are told how to spread theirs.
7. ``room`` and ``forecast`` change nothing and may be called from any thread; everything else has one caller.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from actors.core.clearing_messages import Group
from actors.core.enums import OrderClass
from actors.gateway.orders import IN_FLIGHT_MAX, VenueRules
from actors.gateway.pacing import WindowNow, burst_of, interval_ms, pause_ms, wait_ms
from actors.gateway.slots import Slots

RESERVED_SHARE = {OrderClass.LIQUIDATION: 0.0, OrderClass.REDUCING: 0.1, OrderClass.NEW_RISK: 0.2}
"""Share of each window, and of what may be in flight, that is kept for higher classes."""

NOT_LOWER = {order_class: tuple(OrderClass)[: n + 1] for n, order_class in enumerate(OrderClass)}
"""A class, and those that go before it."""

WINDOWS_MS = (10_000, 60_000)

ANSWER_MAX_MS = 60_000
"""An order whose answer never came to us counts as answered after this long."""


CATCH_UP_MS = 100
"""How far the pace may be made up for: the gateway looks at its queue that often when nothing else happens."""


class Window:
    """Orders that the exchange counts in the last ``length_ms``, by when they were answered."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self.limit = 1
        self.times: deque[int] = deque()

    def expire(self, now_ms: int) -> None:
        """Forget what has left it."""
        while self.times and self.times[0] <= now_ms - self.length_ms:
            self.times.popleft()

    def now(self, now_ms: int) -> list[int]:
        """When those were answered that are in it. Callable from any thread."""
        return [t for t in list(self.times) if t > now_ms - self.length_ms]


class Forecast(NamedTuple):
    """The windows at one time: length, limit, and when those in it were answered."""

    windows: list[tuple[int, int, list[int]]]
    in_flight: int
    now_ms: int
    paused_until_ms: int

    def wait_ms(self, ahead: int, order_class: OrderClass) -> int:
        """How long an order of a class waits that has so many before it, at the pace of now."""
        waits = [wait_ms(window, ahead, self.now_ms) for window in self.of_class(order_class)]
        return int(max(0, self.paused_until_ms - self.now_ms, *waits))

    def of_class(self, order_class: OrderClass) -> list[WindowNow]:
        """The windows as a class may use them."""
        return [
            WindowNow(
                length_ms, usable(limit, order_class), burst_of(limit, order_class), times, self.in_flight
            )
            for length_ms, limit, times in self.windows
        ]


class OrderBudget:
    """Sliding windows over the orders that are under way, and the times at which others were answered."""

    def __init__(self, per_10s: int, per_minute: int) -> None:
        self._windows = tuple(Window(length_ms) for length_ms in WINDOWS_MS)
        self.set_limits(per_10s, per_minute)
        self._under_way: deque[int] = deque()
        self.slots = Slots()
        self._paced_ms: float = 0
        self._paused_until_ms = 0

    def set_limits(self, per_10s: int, per_minute: int) -> None:
        """Change the limits.

        Raises:
            ValueError: a limit below 1.
        """
        if per_10s < 1 or per_minute < 1:
            raise ValueError(f"order limits must be at least 1, not {per_10s} and {per_minute}")
        self.limits = (per_10s, per_minute)
        for window, limit in zip(self._windows, self.limits, strict=True):
            window.limit = limit

    def take(self, now_ms: int, order_class: OrderClass) -> bool:
        """Use one order's worth, if there is one; ``answered`` must follow.

        Returns:
            Whether an order may be sent now.
        """
        if not self._uses_up(now_ms, order_class):
            return False
        self._under_way.append(now_ms)
        return True

    def grant(self, group: Group, now_ms: int) -> int | None:
        """Take one order's worth for a group, if there is one; ``use`` or ``slots.give_back`` must follow.

        Returns:
            The slot.
        """
        return self.slots.grant(group, now_ms) if self._uses_up(now_ms, group.order_class) else None

    def use(self, slot: int, group: Group, now_ms: int) -> bool:
        """An order of a group is sent with a slot instead of with ``take``; whether the slot is held for it."""
        self.expire(now_ms)
        if not self.slots.use(slot, group):
            return False
        self._under_way.append(now_ms)
        return True

    def ready(self, now_ms: int, order_class: OrderClass, within_ms: int = 0) -> int:
        """How many orders of a class may be sent within a time, at its pace and as the windows are now.

        Never more than of a higher class: one whose burst has room for a last order would be behind one that is paced already.
        """
        return min(self._ready(now_ms, each, within_ms) for each in NOT_LOWER[order_class])

    def _ready(self, now_ms: int, order_class: OrderClass, within_ms: int) -> int:
        room, at_once, pause = self._pace(now_ms, order_class)
        if pause == 0:
            return min(room, at_once)
        since_ms = min(now_ms - self._paced_ms, max(pause, CATCH_UP_MS))
        return min(room, int((since_ms + within_ms) / pause))

    def interval_ms(self, now_ms: int, order_class: OrderClass, groups: int) -> int:
        """How far apart the slots of each of so many groups of a class should be; see ``pacing.AHEAD_MS``."""
        windows = self.forecast(now_ms).of_class(order_class)
        return max(interval_ms(window, groups, now_ms) for window in windows)

    def _uses_up(self, now_ms: int, order_class: OrderClass) -> bool:
        """Whether an order of a class may be sent now; then its pause begins."""
        _, _, pause = self._pace(now_ms, order_class)
        if now_ms - self._paced_ms < pause:
            return False
        self._paced_ms = max(self._paced_ms + pause, now_ms - CATCH_UP_MS) if pause else now_ms
        return True

    def _pace(self, now_ms: int, order_class: OrderClass) -> tuple[int, int, float]:
        """How many orders there is room for, how many of them at once, and the pause between two of them."""
        self.expire(now_ms)
        room = at_once = usable(IN_FLIGHT_MAX, order_class) - self.in_flight
        pause = 0.0
        for window in self._windows:
            window.expire(now_ms)
            used, burst = len(window.times) + self.in_flight, burst_of(window.limit, order_class)
            left = usable(window.limit, order_class) - used
            room, at_once = min(room, left), min(at_once, burst - used)
            if left > 0 and used >= burst:
                pause = max(pause, pause_ms(left, window.times, now_ms, window.length_ms))
        if now_ms < self._paused_until_ms or room <= 0:
            return 0, 0, float("inf")
        return room, at_once, pause

    def expire(self, now_ms: int) -> None:
        """Orders without an answer for ``ANSWER_MAX_MS`` are no longer under way; slots that nobody uses are taken back."""
        self.slots.expire(now_ms)
        while self._under_way and self._under_way[0] <= now_ms - ANSWER_MAX_MS:
            self.answered(now_ms)

    def answered(self, now_ms: int, *, counts: bool = True) -> None:
        """An order that was taken is no longer under way; it does not count if it surely never reached the exchange."""
        if self._under_way:
            self._under_way.popleft()
        if counts:
            for window in self._windows:
                window.times.append(now_ms)

    def count_used(self, used: tuple[int, int], now_ms: int) -> None:
        """Count at least as many orders as the exchange says it counts, in ten seconds and in a minute."""
        for window, count in zip(self._windows, used, strict=True):
            window.expire(now_ms)
            ours = self.under_way + len(window.times)
            window.times.extend([now_ms] * min(max(0, count - ours), max(self.limits)))

    def room(self, now_ms: int, order_class: OrderClass) -> int:
        """How many orders the windows have room for, at whatever pace."""
        if now_ms < self._paused_until_ms:
            return 0
        in_flight = self.in_flight
        return max(
            0, min(usable(w.limit, order_class) - in_flight - len(w.now(now_ms)) for w in self._windows)
        )

    def forecast(self, now_ms: int) -> Forecast:
        """How long orders will wait, as things are now. Callable from any thread."""
        windows = [(w.length_ms, w.limit, w.now(now_ms)) for w in self._windows]
        return Forecast(windows, self.in_flight, now_ms, self._paused_until_ms)

    def pause(self, until_ms: int) -> None:
        """The exchange said to wait: send nothing before ``until_ms``."""
        self._paused_until_ms = max(self._paused_until_ms, until_ms)

    @classmethod
    def of(cls, rules: VenueRules) -> OrderBudget:
        """A venue's own limits, until it says otherwise."""
        return cls(rules.orders_per_10s, rules.orders_per_minute)

    @property
    def under_way(self) -> int:
        """Orders that are sent and not answered yet."""
        return len(self._under_way)

    @property
    def in_flight(self) -> int:
        """Orders that are under way, and slots that are held for others."""
        return len(self._under_way) + len(self.slots)

    @property
    def paused_until_ms(self) -> int:
        """When the exchange lets us send again; 0 when it never stopped us."""
        return self._paused_until_ms


def usable(limit: int, order_class: OrderClass) -> int:
    """What of a limit a class may use."""
    return limit - int(limit * RESERVED_SHARE[order_class])
