"""Keeps Python's garbage collector from stopping a million actors for a second.

A full collection looks at every object that may be part of a cycle, and none of ours is in one
for long. So what has survived is *frozen*: moved where the collector does not look. After each
full collection that took too long the survivors are frozen again, so a long pause happens once.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

PAUSE_MAX_MS = 20.0
"""A full collection that takes longer is the last one to look at these objects."""

GENERATIONS = (20_000, 20, 20)
"""Objects made before the youngest generation is collected, and how many of those for the next."""

FULL = 2


class GcControl:
    """Freezes what survives, and knows the longest pause. One for a process."""

    def __init__(self, pause_max_ms: float = PAUSE_MAX_MS) -> None:
        self._pause_max_ms = pause_max_ms
        self._began = 0.0
        self._before: tuple[int, int, int] | None = None
        self.longest_ms = 0.0
        self.collections = 0
        self.freezes = 0

    def start(self) -> None:
        """Begin to watch collections."""
        self._before = gc.get_threshold()
        gc.set_threshold(*GENERATIONS)
        gc.callbacks.append(self._collected)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Collect nothing while very much is made that will stay, and freeze it.

        What is garbage before is collected before, as long as there is little to look at: with 100,000 accounts that takes
        half a second less than after. What becomes a garbage cycle in between stays for ever; a start makes some ten.
        """
        gc.collect()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            self._freeze()

    def stop(self) -> None:
        """Leave the collector as it was."""
        if self._before is not None:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)
            self._before = None
            gc.unfreeze()

    def _freeze(self) -> None:
        self.freezes += 1
        gc.freeze()

    def _collected(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        took_ms = (time.perf_counter() - self._began) * 1e3
        self.longest_ms = max(self.longest_ms, took_ms)
        if info["generation"] == FULL:
            self.collections += 1
            if took_ms > self._pause_max_ms:
                self._freeze()
