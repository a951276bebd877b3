"""The newest L1 of each symbol, where its mid has been, and which trading day it is.

Pure data, written by the router only, read by all.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from types import MappingProxyType

from msgspec.structs import replace

from actors.core.messages import Tick
from actors.core.trading_day import ALWAYS, TradingDay
from actors.core.units import ZERO, Nanos, Symbol
from actors.symbol_router.extremes import Extremes
from actors.symbol_router.price_history import DIGITS, History


class PriceBook:
    """Holds one immutable ``Tick`` per symbol; readers get them by reference.

    Args:
        first_checkpoint: number of the first checkpoint; larger than any of an earlier process, so that a
            position of that time gets what this process has seen.
    """

    def __init__(self, first_checkpoint: int = 0) -> None:
        self._ticks: dict[Symbol, Tick] = {}
        self._extremes: dict[Symbol, Extremes] = {}
        self.ticks: Mapping[Symbol, Tick] = MappingProxyType(self._ticks)
        self.history = History()
        self.day: TradingDay = ALWAYS
        self.day_ticks: Mapping[Symbol, Tick] | None = None
        self.next_checkpoint = first_checkpoint
        self.refused = 0

    def apply(self, tick: Tick) -> bool:
        """Take a tick in, unless it is nonsense or older than what is known.

        Returns:
            Whether the book took it.
        """
        symbol = tick.symbol
        known = self._ticks.get(symbol)
        if known is not None and not tick.update_id and tick.event_ms >= known.event_ms:
            # An answer of REST need not have a number: one that is not older by its time is the update that is known.
            tick = replace(tick, update_id=known.update_id)
        if known is not None and tick.update_id <= known.update_id and not _is_news(tick, known):
            return False
        if not (isfinite(tick.mid_float) and ZERO < tick.bid <= tick.ask):
            self.refused += 1
            return False
        self._ticks[symbol] = tick
        if known is None:
            self._extremes[symbol] = Extremes(self.next_checkpoint, tick)
        else:
            self._extremes[symbol].apply(tick)
        self.next_checkpoint += 1
        return True

    def begin_day(self, day: TradingDay, *, seen: bool) -> None:
        """A trading day began; with ``seen`` its first prices are the present ones."""
        self.day_ticks = MappingProxyType(dict(self._ticks)) if seen else None
        self.day = day

    def checkpoint(self, symbol: Symbol) -> None:
        """From now on, ``extremes`` of the symbol since ``next_checkpoint`` can be asked."""
        tick = self._ticks.get(symbol)
        if tick is not None:
            self._extremes[symbol].checkpoint(self.next_checkpoint, tick)

    def extremes(self, symbol: Symbol, checkpoint: int) -> tuple[Decimal, Decimal] | None:
        """Lowest and highest mid since a checkpoint, or since the first tick; None before that."""
        found = self._extremes.get(symbol)
        return None if found is None else found.since(checkpoint)

    def correlation(self, one: Symbol, other: Symbol) -> Decimal | None:
        """See ``History``."""
        return self.history.correlation(one, other)

    def returns(self, symbol: Symbol) -> tuple[Decimal, ...]:
        """See ``History``; as Decimals, for those who count money with them."""
        return tuple(Decimal(r).quantize(DIGITS) for r in self.history.returns(symbol))

    def age_ns(self, symbol: Symbol, now_ns: Nanos) -> Nanos | None:
        """How old the symbol's L1 is, what it waited before it arrived included; None when there is none."""
        tick = self._ticks.get(symbol)
        return None if tick is None else Nanos(now_ns - tick.received_ns + tick.delay_ns)


def _is_news(tick: Tick, known: Tick) -> bool:
    """Whether a tick whose update is not newer by its number still tells something."""
    if tick.update_id < known.update_id:
        return tick.event_ms > known.event_ms
    # The same update again is a confirmation: a quiet market is not a stale one. But what was confirmed later
    # must not become older by a copy of the update that was late.
    return tick.received_ns - tick.delay_ns >= known.received_ns - known.delay_ns
