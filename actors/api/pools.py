"""Bulkheads between kinds of requests: each has its own threads, and a bound on how many may wait.

Why not one pool: threads that all wait for the same dead thing serve no one else. With one pool a frozen Postgres would
hold every thread within seconds, and ``inspect`` or an emergency stop, which need no Postgres, would wait behind
questions that nothing answers. So there is one pool for each thing that may block by itself:

- the interpreter (``INSPECT``: walks over all accounts, which take long when there are many),
- Postgres (``STORE``),
- the exchange (``EXCHANGE``),

- Postgres again for who reads the journal from far behind (``JOURNAL``): that takes long, and operators must not wait for it,

and one more for what must get through when the others are full (``STOP``: emergency stops walk over all accounts
too). Orders and operators' commands need no thread: they wait in the event loop (``awaiting.py``), bounded by
``ORDERS`` and ``OPERATORS``. Health needs neither.

Why a bound: a queue without one only turns overload into answers that come too late. Beyond it a request is refused at
once with 503 and ``Retry-After``.
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
"""After how many seconds a client that was refused with 503 should try again."""

QUESTION_SECONDS = 10.0
"""How long a request waits for Postgres; a question that is still in the queue then is never asked."""


class Slots:
    """How many requests may wait for one thing. Thread-safe."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self._lock = threading.Lock()
        self.taken = 0
        self.refused = 0

    def take(self, count: int = 1) -> None:
        """Take slots, all or none.

        Raises:
            Overloaded: there are not so many free.
        """
        with self._lock:
            if self.taken + count > self.most:
                self.refused += 1
                raise Overloaded(
                    f"{self.taken} {self.name} wait already, at most {self.most} may; try again in {RETRY_AFTER_S} s"
                )
            self.taken += count

    def give_back(self, count: int = 1) -> None:
        """Free slots."""
        with self._lock:
            self.taken -= count

    @contextmanager
    def taken_for(self, count: int = 1) -> Iterator[None]:
        """Hold slots for the time of a ``with`` block."""
        self.take(count)
        try:
            yield
        finally:
            self.give_back(count)


class Pool:
    """Threads for one kind of request, and slots for those that run or wait for a thread."""

    def __init__(self, name: str, threads: int, waiting_max: int) -> None:
        self.slots = Slots(name, threads + waiting_max)
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
            # The time-out cancels the future, and a call that has not begun by then is never begun: Postgres,
            # when it is back, is not flooded with questions whose askers have gone.
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise StoreUnreachable(
                f"Postgres did not answer within {seconds:.0f} s; 'bulkhead alarms' says whether it is away"
            ) from None

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self.slots.take()
        future = self._executor.submit(call)
        # Given back when the call ends, not when its request stops waiting: until then it holds a thread.
        future.add_done_callback(lambda _done: self.slots.give_back())
        return future


# The names are labels of the metrics bulkhead_api_waiting and bulkhead_api_refused.
INSPECT = Pool("looks at the engine", threads=2, waiting_max=64)
STORE = Pool("questions to Postgres", threads=4, waiting_max=60)
EXCHANGE = Pool("questions to the exchange", threads=2, waiting_max=16)
REDIS = Pool("questions to Redis", threads=2, waiting_max=30)
STOP = Pool("emergency stops", threads=2, waiting_max=16)
ORDERS = Slots("orders", 20_000)
OPERATORS = Slots("operators' requests", 1_000)
DROP_COPIES = Slots("drop copies", 32)
JOURNAL = Pool("drop copies that are behind", threads=1, waiting_max=32)

ALL = (
    INSPECT.slots,
    STORE.slots,
    EXCHANGE.slots,
    REDIS.slots,
    STOP.slots,
    ORDERS,
    OPERATORS,
    DROP_COPIES,
    JOURNAL.slots,
)
