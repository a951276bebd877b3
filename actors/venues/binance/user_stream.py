"""Binance's user stream: what happens to the master account, to the gateway.

I/O: reads a websocket.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import msgspec
import structlog
import websockets

from actors.core.messages import Message
from actors.core.units import Symbol, plain
from actors.gateway.messages import (
    MasterChanged,
    MasterWarned,
    Reported,
    Unreadable,
    UserStreamConnected,
    UserStreamDown,
)
from actors.runtime.actor import Ref
from actors.venues.binance import rest
from actors.venues.binance.http import CONNECT_SECONDS, SignedHttp
from actors.venues.binance.reconnecting import delays
from actors.venues.binance.streams import (
    AccountConfigUpdate,
    AccountUpdate,
    ListenKeyExpired,
    MarginCall,
    OrderTradeUpdate,
    UserEvent,
    decode_user_event,
)
from actors.venues.binance.translate import report_of_event, sane

log = structlog.get_logger("user stream")

KEEP_ALIVE_SECONDS = 30 * 60
STEADY_SECONDS = 30
"""A connection that lasted this long was a good one: the next try need not wait."""


class UserStream:
    """Connects again and again.

    Args:
        base: base URL of the user stream.
        http: where listen keys come from.
    """

    def __init__(self, base: str, http: SignedHttp) -> None:
        self._base, self._http = base, http
        self._gateway: Ref
        self._socket: Any = None
        self._silent_key = ""
        self._key = ""

    def renew(self) -> None:
        """Reconnect, because this connection is not reliable; called on the loop."""
        self._silent_key = self._key
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self, gateway: Ref) -> None:
        """Listen until cancelled."""
        self._gateway = gateway
        waits = delays()
        while True:
            began = time.monotonic()
            try:
                reason = await self._connection()
            except Exception as error:  # noqa: BLE001 - see below
                # Whatever it was: who does not listen any more hears of no fill.
                reason = f"{type(error).__name__}: {error}"
            self._socket = None
            gateway.tell(UserStreamDown(reason))
            waits = delays() if time.monotonic() - began > STEADY_SECONDS else waits
            await asyncio.sleep(next(waits))

    async def _connection(self) -> str:
        """One connection, from its key to its end.

        Returns:
            Why it ended.
        """
        self._key = await self._new_key()
        # A frame missed is a fill missed, so the connection must not drop any quietly.
        async with websockets.connect(
            f"{self._base}/ws?listenKey={self._key}", max_queue=None, open_timeout=CONNECT_SECONDS
        ) as socket:
            self._socket = socket
            self._gateway.tell(UserStreamConnected())
            return await self._listen(socket)

    async def _new_key(self) -> str:
        key = await self._listen_key("POST")
        if key == self._silent_key:
            # The exchange gives an active key out again. This one was silent, so it is deleted first.
            await self._listen_key("DELETE")
            key = await self._listen_key("POST")
        self._silent_key = ""
        return key

    async def _listen(self, socket: Any) -> str:
        renew_at = time.monotonic() + KEEP_ALIVE_SECONDS
        while True:
            left = renew_at - time.monotonic()
            try:
                frame = await asyncio.wait_for(socket.recv(), max(left, 0.01))
            except TimeoutError:
                await self._listen_key("PUT")
                renew_at = time.monotonic() + KEEP_ALIVE_SECONDS
                continue
            except websockets.ConnectionClosed as closed:
                return f"closed by the exchange: {closed}"
            try:
                event = decode_user_event(frame)
                if isinstance(event, ListenKeyExpired):
                    return "the listen key expired"
                message = None if event is None else _message_of(event)
            except Exception as error:  # noqa: BLE001 - see below
                # One event that cannot be read must not end the hearing of all others.
                message = Unreadable((str(error) or type(error).__name__)[:500])
            if message is not None:
                self._gateway.tell(message)

    async def _listen_key(self, method: str) -> str:
        answer = await self._http.client().request(method, "/fapi/v1/listenKey")
        if not answer.is_success:
            raise httpx.HTTPStatusError(
                f"{method} listenKey: {answer.status_code} {answer.text[:200]}",
                request=answer.request,
                response=answer,
            )
        if method == "DELETE":
            return ""
        return msgspec.json.decode(answer.content, type=rest.ListenKey).listenKey


def _message_of(event: UserEvent) -> Message | None:
    """The message to the gateway of an event.

    Raises:
        ValueError: a number that cannot be.
    """
    match event:
        case OrderTradeUpdate():
            return Reported(report_of_event(event.o))
        case AccountUpdate():
            detail = event.a
            return MasterChanged(
                detail.m,
                tuple((b.a, sane(b.bc)) for b in detail.B),
                tuple((Symbol(p.s), sane(p.pa)) for p in detail.P),
            )
        case MarginCall():
            positions = ", ".join(f"{plain(sane(p.pa))} {p.s} at mark {plain(sane(p.mp))}" for p in event.p)
            return MasterWarned(f"MARGIN_CALL: the master account is near its liquidation: {positions}")
        case AccountConfigUpdate():
            return MasterWarned(f"the master's settings were changed: {_setting(event)}")
        case _:
            return None


def _setting(event: AccountConfigUpdate) -> str:
    said = [] if event.ac is None else [f"leverage of {event.ac.s} is {event.ac.l}"]
    if event.ai is not None:
        said.append(f"multi-assets mode is {'on' if event.ai.j else 'off'}")
    return ", ".join(said) or "unknown"
