"""Who waits for an actor's answer without a thread: an event loop, or somebody who counts answers.

An actor answers by ``set`` and ``set_exception``, which are what it uses of Pykka's future.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any


class LoopReply:
    """An answer that is awaited in the running event loop as ``future``.

    Args:
        on_answer: called in the loop once there is an answer, whether or not anybody still awaits it.
    """

    __slots__ = ("_loop", "_on_answer", "future")

    def __init__(self, on_answer: Callable[[], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_answer = on_answer
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def set(self, value: Any = None) -> None:
        """The answer; from any thread."""
        self._tell(value, None)

    def set_exception(self, exc_info: tuple[Any, BaseException, Any]) -> None:
        """The failure; from any thread."""
        self._tell(None, exc_info[1])

    def _tell(self, value: Any, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self._on_answer is not None:
            self._on_answer()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)
            self.future.exception()  # whoever asked may have gone


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
        """One more failure: it was told to somebody, or needs no second time."""
        self.set()
