"""Who may wait for what, and how many: one kind of request never waits for a thread of another.

Orders and what operators do need no thread at all: they wait in the event loop for an actor's answer. What
walks over all accounts, what asks Postgres and what asks the exchange runs in threads, each kind in its own,
and health in none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from actors.core.errors import Overloaded, StoreUnreachable

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER_S = 1
"""What a 503 tells a client to wait."""

QUESTION_SECONDS = 10.0
"""How long somebody waits for Postgres; a question that nobody waits for any more is not asked."""


class Places:
    """How many may wait for one thing. Thread-safe."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self._lock = threading.Lock()
        self.taken = 0
        self.refused = 0

    def take(self, count: int = 1) -> None:
        """Take places.

        Raises:
            Overloaded: there are not so many free; none is taken.
        """
        with self._lock:
            if self.taken + count > self.most:
                self.refused += 1
                raise Overloaded(
                    f"{self.taken} {self.name} wait already, at most {self.most} may; try again in {RETRY_AFTER_S} s"
                )
            self.taken += count

    def give_back(self, count: int = 1) -> None:
        """Free them."""
        with self._lock:
            self.taken -= count

    @contextmanager
    def taken_for(self, count: int = 1) -> Iterator[None]:
        """Hold places for a while."""
        self.take(count)
        try:
            yield
        finally:
            self.give_back(count)


class Pool:
    """Threads for one kind of request, and places for those that wait for one."""

    def __init__(self, name: str, threads: int, waiting_max: int) -> None:
        self.places = Places(name, threads + waiting_max)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"api-{name}")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in one of the threads, when it is its turn.

        Raises:
            Overloaded: too many wait already.
        """
        return await asyncio.wrap_future(self._submit(partial(call, *args, **kwargs)))

    async def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a question to Postgres; see ``within``."""
        return await self.within(QUESTION_SECONDS, partial(call, *args, **kwargs))

    async def within(self, seconds: float, call: Callable[[], T]) -> T:
        """Run a question to Postgres.

        Raises:
            Overloaded: too many wait already.
            StoreUnreachable: no answer in time.
        """
        future = self._submit(call)
        try:
            # When the time is up, one that was not begun is never begun.
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise StoreUnreachable(
                f"Postgres did not answer within {seconds:.0f} s; 'bulkhead alarms' says whether it is away"
            ) from None

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self.places.take()
        future = self._executor.submit(call)
        future.add_done_callback(lambda _done: self.places.give_back())
        return future


SIGHT = Pool("looks at the engine", threads=2, waiting_max=64)
STORE = Pool("questions to Postgres", threads=4, waiting_max=60)
EXCHANGE = Pool("questions to the exchange", threads=2, waiting_max=16)
STOP = Pool("emergency stops", threads=2, waiting_max=16)
ORDERS = Places("orders", 20_000)
DEEDS = Places("operators' requests", 1_000)

ALL = (SIGHT.places, STORE.places, EXCHANGE.places, STOP.places, ORDERS, DEEDS)
