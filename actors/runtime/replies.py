"""A reply that counts actors' answers instead of reading them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Countdown:
    """Calls ``done`` once so many answers, or failures, are there; at once for none. Thread-safe."""

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._left, self._done = count, done
        self._lock = threading.Lock()
        if not count:
            done()

    def set(self, _value: Any = None) -> None:
        """One more answer."""
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._done()

    def set_exception(self, _exc_info: Any) -> None:
        """One more failure, which the supervisor has seen already."""
        self.set()
