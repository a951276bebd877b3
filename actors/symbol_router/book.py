"""The newest L1 of each symbol. Pure data, written by the router only, read by everybody."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

from actors.messages import Tick
from actors.units import ZERO, Nanos, Symbol


class PriceBook:
    """Holds one immutable ``Tick`` per symbol; readers get them by reference."""

    def __init__(self) -> None:
        self._ticks: dict[Symbol, Tick] = {}
        self.ticks: Mapping[Symbol, Tick] = MappingProxyType(self._ticks)
        self.refused = 0

    def apply(self, tick: Tick) -> bool:
        """Take a tick in, unless it is nonsense or older than what is known.

        Returns:
            Whether the book took it.
        """
        known = self._ticks.get(tick.symbol)
        # The same update again is a confirmation: a quiet market is not a stale one.
        if known is not None and tick.update_id < known.update_id and tick.event_ms <= known.event_ms:
            return False
        if not (isfinite(tick.mid_float) and ZERO < tick.bid <= tick.ask):
            self.refused += 1
            return False
        self._ticks[tick.symbol] = tick
        return True

    def age_ns(self, symbol: Symbol, now_ns: Nanos) -> Nanos | None:
        """How old the symbol's L1 is; None when there is none."""
        tick = self._ticks.get(symbol)
        return None if tick is None else Nanos(now_ns - tick.received_ns)
