"""Signed REST requests to Binance, and what became of each. Every request of the order side goes through here.

I/O: sends HTTP requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx
import msgspec

from actors.gateway.messages import Outcome
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.errors import outcome_of
from actors.venues.binance.rules import RECV_WINDOW_MS
from actors.venues.binance.signing import sign
from actors.venues.binance.throttle import OverBudget, Throttle, throttled
from actors.venues.binance.translate import count_of, error_of, retry_after_ms
from actors.venues.binance.weight import Urgency

REQUEST_SECONDS = 5.0
CONNECT_SECONDS = 2.0
CONNECTIONS = 24


class Answer(msgspec.Struct, frozen=True):
    """How one request ended. ``cut_off``: the connection ended before any answer came.

    ``no_room``: it was not sent, because it weighs something and our own budget of weight is used up.
    ``orders_used`` is what the exchange counts in ten seconds and in a minute, where it says so.
    """

    outcome: Outcome
    content: bytes
    retry_ms: int = 0
    cut_off: bool = False
    no_room: bool = False
    orders_used: tuple[int, int] | None = None


class SignedHttp:
    """One master account's REST connection; made on the loop that uses it.

    Args:
        base: REST base URL.
        key: API key of the master account.
        secret: its secret.
        clock: the exchange's time.
        throttle: the budget of request weight.
    """

    def __init__(self, base: str, key: str, secret: str, clock: ExchangeClock, throttle: Throttle) -> None:
        self._base, self._secret, self.clock = base, secret, clock
        self._throttle = throttle
        self._headers = {"X-MBX-APIKEY": key}
        self._client: httpx.AsyncClient | None = None
        self.on_mistimed: Callable[[], None] = lambda: None
        self._measured: asyncio.Event | None = None

    async def place(self, method: str, path: str, params: Mapping[str, str], signed_ms: int) -> Answer:
        """Send an order once, signed with the time that its fate will be judged by."""
        return await self._send(method, path, params, signed_ms)

    async def call(self, method: str, path: str, params: Mapping[str, str]) -> Answer:
        """Send a request that may be sent again: once more with a new time, if its own was refused."""
        answer = await self._send(method, path, params)
        if answer.outcome is not Outcome.MISTIMED:
            return answer
        try:
            await asyncio.wait_for(self._wait_for_clock(), REQUEST_SECONDS)
        except TimeoutError:
            return answer
        return await self._send(method, path, params)

    def clock_is_measured(self) -> None:
        """The time is known again: who waits for it goes on."""
        if self._measured is not None:
            self._measured.set()

    async def _wait_for_clock(self) -> None:
        if self._measured is None:
            self._measured = asyncio.Event()
        self._measured.clear()
        await self._measured.wait()

    async def _send(
        self, method: str, path: str, params: Mapping[str, str], signed_ms: int | None = None
    ) -> Answer:
        try:
            ticket = await self._throttle.turn(method, path, params, Urgency.ORDERS)
            # Signed after the wait for its turn, which an order never has.
            time_ms = self.clock.now_ms() if signed_ms is None else signed_ms
            signed = sign(
                {**params, "recvWindow": str(RECV_WINDOW_MS), "timestamp": str(time_ms)}, self._secret
            )
            answer = await self.client().request(method, f"{path}?{signed}", extensions={"ticket": ticket})
        except OverBudget as error:
            return Answer(Outcome.THROTTLED, str(error).encode(), error.wait_ms, no_room=not error.is_told)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Answer(Outcome.NOT_SENT, f"{type(error).__name__}: {error}".encode())
        except httpx.TimeoutException as error:
            return Answer(Outcome.UNKNOWN, f"{type(error).__name__}: {error}".encode())
        except httpx.HTTPError as error:
            return Answer(Outcome.UNKNOWN, f"{type(error).__name__}: {error}".encode(), cut_off=True)
        code = None if answer.status_code == httpx.codes.OK else error_of(answer.content)[0]
        outcome = outcome_of(answer.status_code, code)
        if outcome is Outcome.MISTIMED:
            self.on_mistimed()
        retry_ms = retry_after_ms(answer.headers.get("retry-after", ""), time.time())
        return Answer(outcome, answer.content, retry_ms, orders_used=_orders_used(answer.headers))

    def client(self) -> httpx.AsyncClient:
        """The connection pool, with the key in its headers."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base,
                headers=self._headers,
                timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
                transport=throttled(
                    self._throttle,
                    Urgency.ORDERS,
                    httpx.Limits(max_connections=CONNECTIONS + 8, max_keepalive_connections=CONNECTIONS),
                ),
            )
        return self._client


def _orders_used(headers: Mapping[str, str]) -> tuple[int, int] | None:
    in_10s, in_1m = (count_of(headers.get(f"x-mbx-order-count-{window}", "")) for window in ("10s", "1m"))
    return None if in_10s is None or in_1m is None else (in_10s, in_1m)
