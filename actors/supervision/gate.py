"""Whether accounts may take new risk, and whether this process may send orders at all.

Any part that is not healthy closes the gate to new risk. Reading it is one attribute; every closer has a
name, and the gate is open when none is left. Sending ends with the lease: a
process that was frozen past it must not send what another one has taken over meanwhile.
"""

from __future__ import annotations

import threading


class TradingGate:
    """Open for new risk unless a part of the engine closed it. Thread-safe."""

    def __init__(self) -> None:
        self._closers: set[str] = set()
        self._lock = threading.Lock()
        self.reduce_only = False
        self._lease_until_ns: int | None = None
        self._halted = False

    def close(self, who: str) -> None:
        """Let no new risk in, until ``who`` opens again."""
        with self._lock:
            self._closers.add(who)
            self.reduce_only = True

    def open(self, who: str) -> None:
        """Remove this closer."""
        if who not in self._closers:
            return
        with self._lock:
            self._closers.discard(who)
            self.reduce_only = bool(self._closers)

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
        """Who keeps the gate shut."""
        return tuple(sorted(self._closers))
