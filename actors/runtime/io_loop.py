"""A thread with an event loop, for transports: actors hand it coroutines, which send messages to actors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

log = structlog.get_logger("io")


class IoLoop:
    """Runs coroutines for callers of other threads."""

    def __init__(self, name: str) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"io-{name}", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin a coroutine; its failure is logged, never lost."""
        self._loop.call_soon_threadsafe(self._begin, work)

    def call(self, work: Callable[[], object]) -> None:
        """Call something on the loop's own thread, soon."""
        self._loop.call_soon_threadsafe(work)

    def stop(self, timeout_s: float) -> bool:
        """Cancel what runs and end the thread.

        Returns:
            Whether it ended in time.
        """
        if not self._thread.is_alive():
            return True
        self._loop.call_soon_threadsafe(lambda: self._begin(self._finish()))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task failed", error=repr(task.exception()))

    async def _finish(self) -> None:
        mine = asyncio.current_task()
        for task in list(self._tasks):
            if task is not mine:
                task.cancel()
        others = [t for t in self._tasks if t is not mine]
        await asyncio.wait(others, timeout=2) if others else None
        self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()
