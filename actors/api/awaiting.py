"""Answers of actors for coroutines: a request that waits holds no thread.

An actor answers after the commit of its decision, some milliseconds later, or seconds while Postgres is slow. With
Pykka's own future each waiting request would block a thread: thousands of orders that wait for one commit would need
thousands of threads, and a pool of some dozens would make the next request, an emergency stop perhaps, wait behind them.
So the future that an actor answers into is tied to the event loop. The actor, in the dispatcher's thread, only hands the
value over (``call_soon_threadsafe``, which never blocks); the loop wakes the coroutine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pykka

from actors.core.errors import BulkheadError
from actors.runtime.actor import Ref


class Reply(pykka.Future[Any]):
    """The future that an actor answers into; awaited on the loop that made it. Set from any thread, once.

    Args:
        on_answer: called in the loop when there is an answer, also when the request has gone meanwhile.
    """

    def __init__(self, on_answer: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self.awaited: asyncio.Future[Any] = self._loop.create_future()

    def set(self, value: Any | None = None) -> None:
        """Answer with a value."""
        self._hand_over(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error."""
        _, error, _ = exc_info or sys.exc_info()
        self._hand_over(None, error)

    def _hand_over(self, value: Any, error: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._take, value, error)
        except RuntimeError:
            # The loop is closed, so no request waits any more; an actor must not fail because of that.
            return

    def _take(self, value: Any, error: BaseException | None) -> None:
        if self._on_answer is not None:
            self._on_answer()
        if self.awaited.done():
            return  # cancelled: the client has gone, or its time was up
        if error is None:
            self.awaited.set_result(value)
        else:
            self.awaited.set_exception(error)
            # Marks it as read: asyncio would log an error that no coroutine awaits any more.
            self.awaited.exception()


async def ask(ref: Ref, message: Any, seconds: float) -> Any:
    """Ask an actor, and wait without a thread.

    Args:
        ref: who is asked.
        message: what.
        seconds: how long to wait.

    Raises:
        BulkheadError: no answer in time.
        pykka.ActorDeadError: it is stopped.
        Refused: its commands lane is full.
    """
    reply = Reply()
    if not ref.is_alive():
        raise pykka.ActorDeadError(f"{ref.name} is stopped")
    ref.cell.dispatcher.post(ref.cell, message, reply)
    try:
        async with asyncio.timeout(seconds):
            return await reply.awaited
    except TimeoutError:
        raise no_answer(ref, seconds) from None


def no_answer(ref: Ref, seconds: float) -> BulkheadError:
    """The error for an actor that did not answer in time."""
    return BulkheadError(
        f"{ref.name} did not answer in {seconds:.0f} s; 'bulkhead inspect {ref.name}' shows why"
    )
