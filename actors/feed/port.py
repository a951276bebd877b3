"""What the feed needs of a venue's market data. Each venue implements it; the feed imports none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.core.units import Symbol
from actors.runtime.actor import Ref


class Source(Protocol):
    """Where L1 comes from."""

    def start(self, router: Ref, feed: Ref) -> None:
        """Begin to send L1 to the router, and settled funding to the feed."""
        ...

    def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Read these symbols too."""
        ...

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """Get these symbols' L1 another way, once."""
        ...

    def rate(self, symbol: Symbol, begin_ms: int, feed: Ref) -> None:
        """Send the feed the mean price of a symbol's minute as ``MinuteRate``, once, also if it cannot be had."""
        ...
