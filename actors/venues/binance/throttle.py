"""Every request to the exchange passes here: counted, in its turn, and never above the budget of weight.

``throttled`` and ``throttled_sync`` make httpx transports, so that no sender can forget to count.
A request waits in line, more urgent ones first. An order does not wait here: its sender gets
``OverBudget``, because it would be stale when its turn came.

I/O: waits, on an event loop or in a thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping

import httpx
import msgspec

from actors.core.units import NANOS_PER_MS
from actors.venues.binance.endpoints import weight_of
from actors.venues.binance.translate import count_of, retry_after_ms
from actors.venues.binance.weight import LOOK_AGAIN_MS, Ticket, Urgency, WeightBudget, WeightUse

NEVER_WAIT = frozenset({(m, f"/fapi/v1/{p}") for m in ("POST", "PUT") for p in ("order", "batchOrders")})
GO_FIRST = NEVER_WAIT | {
    ("GET", "/fapi/v1/time"),
    ("POST", "/fapi/v1/listenKey"),
    ("PUT", "/fapi/v1/listenKey"),
}
"""What everything else depends on: orders, the clock, the user stream."""
FIRST = -1
"""The rank of those: before all that wait."""
PATIENCE_MS = 65_000
"""A minute's window is over by then; a request that still has no turn fails."""
LOOK_SECONDS = 0.25
THROTTLED_STATUS = frozenset({418, 429})
PAUSE_MIN_MS = 1_000
USED_HEADER = "x-mbx-used-weight-1m"
MINUTE_MS = 60_000
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class OverBudget(httpx.TransportError):
    """Not sent: it would weigh more than the exchange allows in a minute. ``wait_ms`` says when it may.

    ``is_told``: the exchange itself told us to wait.
    """

    def __init__(self, weight: int, used: WeightUse, wait_ms: int) -> None:
        self.wait_ms, self.is_told = wait_ms, bool(used.paused_ms)
        reason = "the exchange told us to wait" if used.paused_ms else f"{used.used} of {used.limit} are used"
        super().__init__(
            f"a request of weight {weight} must wait {(wait_ms + 999) // 1000} s: {reason} in this minute"
        )


class Terms(msgspec.Struct, frozen=True):
    """What a request asks of the budget; it waits for its turn until ``until_ms``, on the monotonic clock."""

    weight: int
    urgency: Urgency
    rank: int
    until_ms: int

    @classmethod
    def of(cls, method: str, path: str, params: Mapping[str, str], urgency: Urgency) -> Terms:
        """The terms of one request. Orders do not wait here, and people get an answer at once."""
        at_once = (method, path) in NEVER_WAIT or urgency is Urgency.PEOPLE
        patience_ms = 0 if at_once else PATIENCE_MS
        rank = FIRST if (method, path) in GO_FIRST else int(urgency)
        return cls(weight_of(method, path, params), urgency, rank, _now_ms() + patience_ms)

    @classmethod
    def of_request(cls, request: httpx.Request, urgency: Urgency) -> Terms:
        """The same; the request's own extension ``urgency`` goes first."""
        urgency = request.extensions.get("urgency", urgency)
        return cls.of(request.method, request.url.path, request.url.params, urgency)


class Throttle:
    """One engine's budget of request weight. Thread-safe."""

    def __init__(self) -> None:
        self._budget = WeightBudget()
        self._lock = threading.Lock()
        self._line: set[tuple[int, int]] = set()
        self._arrivals = 0
        self.refused = 0

    def set_limit(self, limit: int) -> None:
        """What exchangeInfo says."""
        with self._lock:
            self._budget.set_limit(limit)

    def use(self) -> WeightUse:
        """Where the budget stands."""
        with self._lock:
            now_ms, budget = _now_ms(), self._budget
            return WeightUse(
                used=budget.used(now_ms),
                limit=budget.limit,
                by_others=budget.by_others(now_ms),
                waiting=len(self._line),
                refused=self.refused,
                paused_ms=budget.paused_ms(now_ms),
            )

    def fits(self, method: str, path: str) -> bool:
        """Whether a request of the order side would go at once."""
        with self._lock:
            return not self._budget.wait_ms(weight_of(method, path, {}), Urgency.ORDERS, _now_ms())

    async def turn(self, method: str, path: str, params: Mapping[str, str], urgency: Urgency) -> Ticket:
        """Wait for a request's turn and take its weight, before it is signed: a signature grows stale.

        Pass the ticket on as the request's extension ``ticket``.

        Raises:
            OverBudget: its turn did not come.
        """
        return await self.admit(Terms.of(method, path, params, urgency))

    async def admit(self, terms: Terms) -> Ticket:
        """Take the weight of a request when its turn comes.

        Raises:
            OverBudget: not while it is willing to wait.
        """
        place = self._arrive(terms)
        try:
            while isinstance(found := self._take(terms, place), int):  # noqa: ASYNC110 - room comes with time
                await asyncio.sleep(self._nap(terms, found))
        finally:
            self._leave(place)
        return found

    def admit_sync(self, terms: Terms) -> Ticket:
        """The same, for a thread that may block."""
        place = self._arrive(terms)
        try:
            while isinstance(found := self._take(terms, place), int):
                time.sleep(self._nap(terms, found))
        finally:
            self._leave(place)
        return found

    def _arrive(self, terms: Terms) -> tuple[int, int]:
        with self._lock:
            self._arrivals += 1
            place = (terms.rank, self._arrivals)
            self._line.add(place)
            return place

    def _leave(self, place: tuple[int, int]) -> None:
        with self._lock:
            self._line.discard(place)

    def _take(self, terms: Terms, place: tuple[int, int]) -> Ticket | int:
        """The ticket, or how many milliseconds to wait before trying again."""
        with self._lock:
            now_ms = _now_ms()
            if terms.weight and min(self._line) != place:
                return self._budget.wait_ms(terms.weight, terms.urgency, now_ms) or LOOK_AGAIN_MS
            ticket = self._budget.take(terms.weight, terms.urgency, now_ms)
            if ticket is not None:
                self._line.discard(place)
                return ticket
            return self._budget.wait_ms(terms.weight, terms.urgency, now_ms) or LOOK_AGAIN_MS

    def _nap(self, terms: Terms, wait_ms: int) -> float:
        if _now_ms() + wait_ms > terms.until_ms:
            with self._lock:
                self.refused += 1
            raise OverBudget(terms.weight, self.use(), wait_ms)
        return min(wait_ms / 1_000, LOOK_SECONDS)

    def settle(self, ticket: Ticket, answer: httpx.Response | None, error: BaseException | None) -> None:
        """Count a request by what became of it."""
        if isinstance(error, NOT_SENT):
            self.give_back(ticket)
        elif answer is None:
            self.settled(ticket, None)
        else:
            pause_ms = 0
            if answer.status_code in THROTTLED_STATUS:
                pause_ms = max(1, retry_after_ms(answer.headers.get("retry-after", ""), time.time()))
            self.settled(ticket, count_of(answer.headers.get(USED_HEADER, "")), pause_ms)

    def settled(self, ticket: Ticket, told: int | None, pause_ms: int = 0) -> None:
        """Count a request that may have arrived.

        Args:
            ticket: from ``turn``.
            told: the weight that the exchange counts in this minute; None where it does not say.
            pause_ms: how long it asked us to wait, 0 when it did not.
        """
        with self._lock:
            now_ms = _now_ms()
            if pause_ms:
                self._budget.pause(now_ms + max(pause_ms, PAUSE_MIN_MS))
            left_ms = MINUTE_MS - time.time_ns() // NANOS_PER_MS % MINUTE_MS
            self._budget.settle(ticket, now_ms, told, left_ms)

    def give_back(self, ticket: Ticket) -> None:
        """A request surely never left this machine."""
        with self._lock:
            self._budget.give_back(ticket)


class _Async(httpx.AsyncBaseTransport):
    def __init__(self, throttle: Throttle, urgency: Urgency, inner: httpx.AsyncBaseTransport) -> None:
        self._throttle, self._urgency, self._inner = throttle, urgency, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        ticket = request.extensions.get("ticket") or await self._throttle.admit(
            Terms.of_request(request, self._urgency)
        )
        try:
            answer = await self._inner.handle_async_request(request)
        except BaseException as error:
            self._throttle.settle(ticket, None, error)
            raise
        self._throttle.settle(ticket, answer, None)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Sync(httpx.BaseTransport):
    def __init__(self, throttle: Throttle, urgency: Urgency, inner: httpx.BaseTransport) -> None:
        self._throttle, self._urgency, self._inner = throttle, urgency, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        ticket = request.extensions.get("ticket") or self._throttle.admit_sync(
            Terms.of_request(request, self._urgency)
        )
        try:
            answer = self._inner.handle_request(request)
        except BaseException as error:
            self._throttle.settle(ticket, None, error)
            raise
        self._throttle.settle(ticket, answer, None)
        return answer

    def close(self) -> None:
        self._inner.close()


def throttled(
    throttle: Throttle, urgency: Urgency, limits: httpx.Limits | None = None
) -> httpx.AsyncBaseTransport:
    """A transport for ``httpx.AsyncClient``; a request's extension ``urgency`` goes before ``urgency``."""
    return _Async(throttle, urgency, httpx.AsyncHTTPTransport(limits=limits or httpx.Limits()))


def throttled_sync(throttle: Throttle, urgency: Urgency) -> httpx.BaseTransport:
    """A transport for ``httpx.Client``."""
    return _Sync(throttle, urgency, httpx.HTTPTransport())


def _now_ms() -> int:
    return time.monotonic_ns() // NANOS_PER_MS
