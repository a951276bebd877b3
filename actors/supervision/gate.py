"""Whether accounts may take new risk, and whether this process may send orders at all.

Any part that is not healthy closes the gate to new risk: to that of one symbol if it is that symbol's clearing, else to all.
Reading it is one attribute; every closer has a name, and the gate is open when none is left. Sending ends with the lease: a
process that was frozen past it must not send what another one has taken over meanwhile.
"""

from __future__ import annotations

import threading

from actors.core.clearing_messages import CLEARING_PREFIX, is_clearing
from actors.core.units import Symbol


class TradingGate:
    """Open for new risk unless a part of the engine closed it. Thread-safe."""

    def __init__(self) -> None:
        self._closers: set[str] = set()
        self._lock = threading.Lock()
        self.reduce_only = False
        self.closed_symbols: frozenset[Symbol] = frozenset()
        """Symbols that take no new risk, whatever the others do."""
        self._lease_until_ns: int | None = None
        self._halted = False

    def close(self, who: str) -> None:
        """Let no new risk in, until ``who`` opens again; a clearing closes its own symbol only."""
        with self._lock:
            self._closers.add(who)
            self._look()

    def open(self, who: str) -> None:
        """Remove this closer."""
        if who not in self._closers:
            return
        with self._lock:
            self._closers.discard(who)
            self._look()

    def _look(self) -> None:
        symbols = frozenset(
            Symbol(who.removeprefix(CLEARING_PREFIX)) for who in self._closers if is_clearing(who)
        )
        self.reduce_only = len(self._closers) > len(symbols)
        self.closed_symbols = symbols

    def extend_lease(self, until_ns: int) -> None:
        """Orders may be sent until then, on the monotonic clock. Never called: no lease needed."""
        self._lease_until_ns = until_ns

    def halt(self) -> None:
        """No new risk and no sending any more, in this run of the process."""
        self._halted = True
        self.close("halt")

    def may_send(self, now_ns: int) -> bool:
        """Whether the lease still runs, and the engine is not halted."""
        if self._halted:
            return False
        return self._lease_until_ns is None or now_ns < self._lease_until_ns

    @property
    def closers(self) -> tuple[str, ...]:
        """Who keeps the gate shut for all symbols."""
        # Copied in one step: other threads read it.
        return tuple(sorted(who for who in self._closers.copy() if not is_clearing(who)))
