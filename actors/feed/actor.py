"""The feed: watches how old each symbol's L1 is, and has stale ones asked for by REST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from actors.messages import Lane, Message
from actors.runtime.actor import DispatchedActor, Ref
from actors.symbol_router.book import PriceBook
from actors.units import NANOS_PER_MS, Nanos, Symbol

WATCH_EVERY = Nanos(500 * NANOS_PER_MS)


class Source(Protocol):
    """Where L1 comes from."""

    def start(self, router: Ref) -> None:
        """Begin to tell the router."""
        ...

    def refresh(self, symbols: Sequence[Symbol], router: Ref) -> None:
        """Get these symbols' L1 another way, once."""
        ...


class Watch(Message, frozen=True, gc=False):
    """The feed's own timer."""

    LANE = Lane.CONTROL

    life: int


class Feed(DispatchedActor):
    """See the module.

    Args:
        source: where L1 comes from.
        router: who gets it.
        book: whose ages are watched.
        symbols: what must be fresh.
        max_age_ns: when an account stops using a price; asked for again at a third of that.
        on_alarm: told once when a symbol becomes stale, and once when it is back.
    """

    def __init__(  # noqa: PLR0913 - what it watches, for whom, and whom it tells
        self,
        source: Source,
        router: Ref,
        book: PriceBook,
        symbols: Sequence[Symbol],
        max_age_ns: Nanos,
        on_alarm: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._source, self._router, self._book, self._symbols = source, router, book, list(symbols)
        self._max_age_ns, self._on_alarm = max_age_ns, on_alarm
        self._stale: set[Symbol] = set()

    def on_start(self) -> None:
        """Begin to read and to watch."""
        self._source.start(self._router)
        self._later()

    def on_receive(self, message: Any) -> Any:
        """Handle one message."""
        if not isinstance(message, Watch):
            raise TypeError(f"the feed does not understand {type(message).__name__}")
        if message.life != self._cell.restarts:
            return  # of an earlier life, whose timers go on
        now_ns = Nanos(self._cell.dispatcher.clock.monotonic_ns())
        ages = {s: self._book.age_ns(s, now_ns) for s in self._symbols}
        old = [s for s, age in ages.items() if age is None or age > self._max_age_ns // 3]
        if old:
            self._source.refresh(old, self._router)
        self._tell({s for s, age in ages.items() if age is None or age > self._max_age_ns})
        self._later()

    def inspect_state(self) -> Any:
        """Stale symbols."""
        return {"symbols": len(self._symbols), "stale": sorted(self._stale)}

    def _tell(self, stale: set[Symbol]) -> None:
        for symbol in sorted(stale - self._stale):
            self._on_alarm(f"the price of {symbol} is stale: no new risk in it, and no liquidation either")
        for symbol in sorted(self._stale - stale):
            self._on_alarm(f"the price of {symbol} is fresh again")
        self._stale = stale

    def _later(self) -> None:
        self._cell.dispatcher.after(WATCH_EVERY, self._cell, Watch(self._cell.restarts))
