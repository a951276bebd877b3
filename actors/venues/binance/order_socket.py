"""The exchange's websocket order API: one connection, on which each request is sent once and awaits its own answer.

``ask`` says None when a request was surely not sent, for it to go another way. What was sent and is not answered,
because the time is up or the connection ended, is UNKNOWN. A connection that left a request unanswered, or will
soon be as old as the exchange lets it become, takes no more requests; it ends when the last of its own is answered,
and another is made.

I/O: sends requests over a websocket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import structlog
import websockets
from websockets.protocol import State

from actors.gateway.messages import Outcome
from actors.venues.binance.clock import ExchangeClock
from actors.venues.binance.http import CONNECT_SECONDS, REQUEST_SECONDS, Answer
from actors.venues.binance.order_frames import METHODS, Frame, Signer, can_carry, read, told_by
from actors.venues.binance.reconnecting import delays
from actors.venues.binance.rules import RECV_WINDOW_MS
from actors.venues.binance.throttle import OverBudget, Throttle
from actors.venues.binance.weight import Urgency

log = structlog.get_logger("order api")

LIFE_SECONDS = 23 * 3_600
"""The exchange ends a connection after 24 hours."""

PING_SECONDS = 5
"""How often the connection is tried, and how long it has to answer."""

STEADY_SECONDS = 30
"""A connection that lasted this long and left nothing unanswered was a good one: the next try need not wait."""

TELL_SECONDS = 60
"""An alarm is raised when orders went by REST for this long."""

FRAME_MAX = 1 << 20


class _Connection:
    """One websocket, and what is under way on it."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.pending: dict[str, asyncio.Future[Frame | None]] = {}
        self.retired = ""
        self.failed = False

    @property
    def takes_requests(self) -> bool:
        return not self.retired and self.socket.state is State.OPEN

    def retire(self, reason: str, *, failed: bool = False) -> None:
        """Take no more requests; end when none is under way."""
        self.retired = self.retired or reason
        self.failed = self.failed or failed
        self.end_when_done()

    def end_when_done(self) -> None:
        if self.retired and not self.pending:
            # Aborted, not closed: nothing of ours is on it, and a dead peer would not answer a close.
            self.socket.transport.abort()


class OrderSocket:
    """See the module; everything but ``is_up`` runs on the loop of the requests.

    Args:
        url: where the exchange takes orders over a websocket; empty: nowhere.
        key: API key of the master account.
        secret: its secret.
        clock: the exchange's time.
        throttle: the budget of request weight.
    """

    def __init__(self, url: str, key: str, secret: str, clock: ExchangeClock, throttle: Throttle) -> None:
        self._url, self._clock, self._throttle = url, clock, throttle
        self._signer = Signer(key, secret)
        self._connection: _Connection | None = None
        self._numbers = count(1)
        self.on_mistimed: Callable[[], None] = lambda: None
        self.on_alarm: Callable[[str], None] = lambda _text: None

    @property
    def is_up(self) -> bool:
        """Whether requests go this way."""
        connection = self._connection
        return connection is not None and connection.takes_requests

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        waits, down_since, told = delays(), time.monotonic(), False
        while self._url:
            began = time.monotonic()
            connected = failed = False
            try:
                reason, failed = await self._live()
                connected = True
            except Exception as error:  # noqa: BLE001 - see below
                # Whatever it was: orders go by REST meanwhile, and the trying must not end.
                reason = f"{type(error).__name__}: {error}"
            self._connection = None
            if connected:
                down_since, told = time.monotonic(), False
            log.warning("orders go by REST", reason=reason)
            if not told and time.monotonic() - down_since >= TELL_SECONDS:
                told = True
                self.on_alarm(
                    f"orders go by REST, which is slower: the websocket for orders is down: {reason}"
                )
            steady = connected and not failed and time.monotonic() - began > STEADY_SECONDS
            waits = delays() if steady else waits
            await asyncio.sleep(next(waits))

    async def ask(
        self, method: str, params: Mapping[str, str], signed_ms: int | None = None
    ) -> Answer | None:
        """Send one request once; None if it surely was not sent and may go another way.

        Args:
            method: one of ``METHODS``.
            params: its parameters, without key, time and signature.
            signed_ms: the time that its fate will be judged by; the present when it does not matter.
        """
        if not self.is_up or not can_carry(params):
            return None
        try:
            ticket = await self._throttle.turn(*METHODS[method], params, Urgency.ORDERS)
        except OverBudget as error:
            return Answer(Outcome.THROTTLED, str(error).encode(), error.wait_ms, no_room=not error.is_told)
        connection = self._connection
        if connection is None or not connection.takes_requests:  # it may have waited for its turn
            self._throttle.give_back(ticket)
            return None
        id_ = next(self._numbers)
        time_ms = self._clock.now_ms() if signed_ms is None else signed_ms
        text = self._signer.request(id_, method, params, time_ms, RECV_WINDOW_MS)
        try:
            frame = await self._exchanged(connection, str(id_), text)
        except BaseException:
            self._throttle.settled(ticket, None)
            raise
        if isinstance(frame, Answer):
            self._throttle.settled(ticket, None)
            return frame
        told = told_by(frame, self._clock.now_ms())
        self._throttle.settled(ticket, told.weight, told.pause_ms)
        if told.answer.outcome is Outcome.MISTIMED:
            self.on_mistimed()
        return told.answer

    async def _exchanged(self, connection: _Connection, id_: str, text: str) -> Frame | Answer:
        """The answer's frame, or how it ended without one. Whatever fails from here on, it may have been sent."""
        pending: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        connection.pending[id_] = pending
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await connection.socket.send(text)
                frame = await pending
        except TimeoutError:
            text = f"no answer on the websocket for {REQUEST_SECONDS:g} s"
            connection.retire(text, failed=True)
            return Answer(Outcome.UNKNOWN, text.encode())
        except websockets.ConnectionClosed as closed:
            return Answer(Outcome.UNKNOWN, f"the websocket ended: {closed}".encode(), cut_off=True)
        finally:
            del connection.pending[id_]
            connection.end_when_done()
        if frame is None:
            return Answer(
                Outcome.UNKNOWN, b"the websocket ended before the answer to this request", cut_off=True
            )
        return frame

    async def _live(self) -> tuple[str, bool]:
        """One connection from begin to end.

        Returns:
            Why it ended, and whether it left a request unanswered.
        """
        async with websockets.connect(
            self._url,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            max_size=FRAME_MAX,
            compression=None,
        ) as socket:
            connection = self._connection = _Connection(socket)
            log.info("orders go by websocket", url=self._url)
            aging = asyncio.get_running_loop().call_later(
                LIFE_SECONDS, lambda: connection.retire("it is as old as the exchange lets it become")
            )
            try:
                while True:
                    _take(connection, await socket.recv())
            except websockets.ConnectionClosed as closed:
                return connection.retired or f"closed: {closed}", connection.failed
            finally:
                aging.cancel()
                for pending in connection.pending.values():
                    if not pending.done():
                        pending.set_result(None)


def _take(connection: _Connection, frame: bytes | str) -> None:
    """Hand an answer to who waits for it, in whatever order answers come."""
    answer = read(frame)
    pending = None if answer is None else connection.pending.get(str(answer.id))
    if answer is None or pending is None:
        # An answer that came too late, or to no request of ours: its request is unknown, and queried.
        log.warning("a frame that answers nothing under way", frame=str(frame[:200]))
    elif not pending.done():
        pending.set_result(answer)
