"""How fast a window of the exchange's limits is used up. Pure.

The exchange counts in windows: 300 orders in ten seconds, 1,200 in a minute at Binance. Whoever sends as fast as a window
allows has sent 300 in the first instant of a crash and nothing for ten seconds after it, and nothing from the thirtieth
second of a minute on: the account that is worst off by then waits behind those that came first, whatever the order of
service. So:

1. *A share of a window may be used at once*, by class: two thirds by liquidations, half by what reduces, a quarter by new
   risk; in any case ``BURST_MIN`` orders. At Binance's limits those are 200, 150 and 75 orders in ten seconds. Who sends
   single orders, or a few dozen at once, is never delayed.
2. *The rest goes evenly*, at the highest rate at which the window never fills up: with ``room`` orders left, and ``n`` of
   those in it gone after ``t``, no more than ``(room + n) / t`` for any ``t`` up to the window's length.

Why not a token bucket of capacity B and rate (limit - B) / length, which keeps every window by itself: in a long crowd it
never gives more than that rate, which with a burst of two thirds is a third of what the exchange allows. What is spread
here is what is truly left: right after the burst that is the same, and as orders leave in the course of the window the
rate rises to the limit's own. So nearly all of a window is used, and yet while anybody waits the next one goes after a
fraction of a second (tests hold both). What that costs: of 800 orders that arrive at once the last one goes after 27
seconds and not after 20. The windows themselves are counted exactly, in ``budget``: pacing only delays.

A lower class never gets ahead by pacing: its share is smaller and so is its room, so its pause is at least as long.

Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.core.enums import OrderClass

BURST_SHARE = {OrderClass.LIQUIDATION: 2 / 3, OrderClass.REDUCING: 1 / 2, OrderClass.NEW_RISK: 1 / 4}
"""Share of a window that a class may use at once."""

BURST_MIN = 36
"""Orders that may always be sent at once, as far as the window has room: limits below it are not paced."""


def burst_of(limit: int, order_class: OrderClass) -> int:
    """How many orders of a window a class may use at once."""
    return max(BURST_MIN, int(limit * BURST_SHARE[order_class]))


SAMPLES = 64
"""At how many times the rate is looked at; between them it is taken to be lower than it is."""


def pause_ms(room: int, times: Sequence[int], now_ms: int, length_ms: int) -> float:
    """The pause between two orders at the highest even rate at which a window never fills up.

    Args:
        room: how many more orders the window has room for, at least 1.
        times: since when it counts those that were answered, oldest first; the others stay for its whole length.
        now_ms: on the same clock.
        length_ms: of the window.

    Returns:
        Milliseconds.
    """
    pause = length_ms / (room + len(times))
    step = len(times) // SAMPLES + 1
    for gone in range(0, len(times), step):
        last = min(gone + step, len(times)) - 1
        pause = max(pause, (times[last] + length_ms - now_ms) / (room + gone))
    return pause


class WindowNow(NamedTuple):
    """A window as it is: its length, the limit of a class in it, its burst, who is in it, and how many besides are in flight."""

    length_ms: int
    limit: int
    burst: int
    times: Sequence[int]
    in_flight: int

    def at_once(self) -> int:
        """How many orders may be sent without a pause."""
        return max(0, min(self.burst, self.limit) - len(self.times) - self.in_flight)

    def room_behind(self) -> int:
        """How many it has room for besides those, at its pace."""
        return self.limit - max(len(self.times) + self.in_flight, min(self.burst, self.limit))


def wait_ms(window: WindowNow, ahead: int, now_ms: int) -> float:
    """How long an order waits that has so many before it, at the pace of now, as far as this window goes.

    What leaves the window in time is in the pace; as it only rises, the wait is not longer than this.
    """
    behind, room = ahead + 1 - window.at_once(), window.room_behind()
    if behind <= 0:
        return 0
    if room > 0:
        return behind * pause_ms(room, window.times, now_ms, window.length_ms)
    # Full, or a limit of a few orders, or lowered: the next one goes when enough have left.
    leaves = behind - 1 - room
    if leaves < len(window.times):
        return window.times[leaves] + window.length_ms - now_ms
    return window.length_ms * (1 + (leaves - len(window.times)) // window.limit)


AHEAD_MS = 3_000
"""How far ahead the orders are shared out that groups of orders may use.

Served five times a second, ten symbols have used up a burst within four seconds of a crash, and each waits for a second or two at
the pace behind it. Spread, the same orders reach everybody in time, and where there are plenty nobody is held back for them:
``bench clearing`` has the figures. Farther, crowds wait for the sake of orders that come too late to matter; less far, the spreading
begins when the burst is nearly gone.
"""


def interval_ms(window: WindowNow, groups: int, now_ms: int) -> int:
    """How far apart the slots of each of so many groups should be, for what may be sent in ``AHEAD_MS`` to serve them all.

    That is what may be sent at once, and what may be sent at the pace behind it.

    Returns:
        Milliseconds, at most ``AHEAD_MS``.
    """
    orders, room = float(window.at_once()), window.room_behind()
    if room > 0:
        orders += AHEAD_MS / pause_ms(room, window.times, now_ms, window.length_ms)
    return int(min(AHEAD_MS, groups * AHEAD_MS / max(1.0, orders)))
