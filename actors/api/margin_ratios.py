"""How many accounts have which margin ratio, for people."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from actors.core.units import NANOS_PER_SECOND, Nanos
from actors.subaccount import margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.state import AccountState

BOUNDS = ("0.2", "0.4", "0.6", "0.8", "0.9", "0.925", "0.95", "1")
_BOUNDS = tuple(map(Decimal, BOUNDS))

KEPT = Nanos(5 * NANOS_PER_SECOND)
"""How old the answer may be while a crowd of accounts decides: a new one takes the interpreter from them for tens of ms."""


class MarginRatios:
    """See the module. ``of`` is for any thread.

    Args:
        market: the present prices.
        now_ns: the monotonic clock.
        is_crowded: whether a crowd of accounts decides.
    """

    def __init__(
        self, market: Callable[[], Market], now_ns: Callable[[], int], is_crowded: Callable[[], bool]
    ) -> None:
        self._market, self._now_ns, self._is_crowded = market, now_ns, is_crowded
        self._kept: tuple[int, dict[str, int]] | None = None

    def of(self, states: Iterable[AccountState]) -> dict[str, int]:
        """How many accounts with positions have a margin ratio below each bound, and not below the one before."""
        now_ns, kept = self._now_ns(), self._kept
        if kept is not None and now_ns - kept[0] < KEPT and self._is_crowded():
            return kept[1]
        market = self._market()
        counts: Counter[str] = Counter()
        for state in states:
            if state.positions:
                marks = marks_of(state, market)
                ratio = margin.view(state, marks, market.instruments).ratio if marks else None
                counts[_bucket(ratio)] += 1
        found = dict(counts)
        self._kept = (now_ns, found)
        return found


def _bucket(ratio: Decimal | None) -> str:
    if ratio is None:
        return "no price"
    at = bisect_right(_BOUNDS, ratio)
    return BOUNDS[at] if at < len(BOUNDS) else ">= 1"
