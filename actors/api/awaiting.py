"""Actors' answers for coroutines: whoever waits holds no thread, so any number of orders may wait for one commit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pykka

from actors.core.errors import BulkheadError
from actors.runtime.actor import Ref


class Reply(pykka.Future[Any]):
    """What an actor answers into; awaited on the loop that made it. Set from any thread, once.

    Args:
        on_answer: called in the loop when there is an answer, whether or not anybody awaits it.
    """

    def __init__(self, on_answer: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self.awaited: asyncio.Future[Any] = self._loop.create_future()

    def set(self, value: Any | None = None) -> None:
        """The answer."""
        self._tell(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """Why there is none."""
        _, error, _ = exc_info or sys.exc_info()
        self._tell(None, error)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._take, value, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more, and an actor must not fail for that.
            return

    def _take(self, value: Any, error: BaseException | None) -> None:
        if self._on_answer is not None:
            self._on_answer()
        if self.awaited.done():
            return  # who asked has gone
        if error is None:
            self.awaited.set_result(value)
        else:
            self.awaited.set_exception(error)
            self.awaited.exception()  # nobody may ask for it any more


async def ask(ref: Ref, message: Any, seconds: float) -> Any:
    """Ask an actor, and wait without a thread.

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
        raise BulkheadError(
            f"{ref.name} did not answer in {seconds:.0f} s; 'bulkhead inspect {ref.name}' shows why"
        ) from None
