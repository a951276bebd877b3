"""Whether accounts may take new risk: shut by anybody who cannot vouch for the engine.

Reading is one attribute; every closer has a name, and the gate is open when none is left.
"""

from __future__ import annotations

import threading


class TradingGate:
    """Open for new risk unless somebody closed it. Thread-safe."""

    def __init__(self) -> None:
        self._closers: set[str] = set()
        self._lock = threading.Lock()
        self.reduce_only = False

    def close(self, who: str) -> None:
        """Let no new risk in, until ``who`` opens again."""
        with self._lock:
            self._closers.add(who)
            self.reduce_only = True

    def open(self, who: str) -> None:
        """Take back ``who``'s objection."""
        if who not in self._closers:
            return
        with self._lock:
            self._closers.discard(who)
            self.reduce_only = bool(self._closers)

    @property
    def closers(self) -> tuple[str, ...]:
        """Who keeps the gate shut."""
        return tuple(sorted(self._closers))
