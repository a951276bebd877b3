"""Binance's user stream: order updates of the master account to the gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import msgspec
import structlog
import websockets

from actors.gateway.messages import Reported, UserStreamDown, UserStreamUp
from actors.runtime.actor import Ref
from actors.venues.binance import rest
from actors.venues.binance.errors import MalformedMessage
from actors.venues.binance.http import CONNECT_SECONDS, SignedHttp
from actors.venues.binance.streams import ListenKeyExpired, OrderTradeUpdate, decode_user_event
from actors.venues.binance.translate import report_of_event

log = structlog.get_logger("user stream")

KEEP_ALIVE_SECONDS = 30 * 60
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class UserStream:
    """Connects again and again.

    Args:
        base: base URL of the user stream.
        http: where listen keys come from.
        gateway: who is told.
    """

    def __init__(self, base: str, http: SignedHttp, gateway: Ref) -> None:
        self._base, self._http, self._gateway = base, http, gateway

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                key = await self._listen_key("POST")
                # A frame missed is a fill missed, so the connection must not drop any quietly.
                async with websockets.connect(
                    f"{self._base}/ws?listenKey={key}", max_queue=None, open_timeout=CONNECT_SECONDS
                ) as socket:
                    failures = 0
                    self._gateway.tell(UserStreamUp())
                    await self._listen(socket)
                reason = "closed by the exchange"
            except (
                OSError,
                httpx.HTTPError,
                websockets.WebSocketException,
                TimeoutError,
                msgspec.MsgspecError,
            ) as error:
                reason = f"{type(error).__name__}: {error}"
            self._gateway.tell(UserStreamDown(reason))
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _listen(self, socket: Any) -> None:
        renew_at = time.monotonic() + KEEP_ALIVE_SECONDS
        while True:
            left = renew_at - time.monotonic()
            try:
                frame = await asyncio.wait_for(socket.recv(), max(left, 0.01))
            except TimeoutError:
                await self._listen_key("PUT")
                renew_at = time.monotonic() + KEEP_ALIVE_SECONDS
                continue
            except websockets.ConnectionClosed:
                return
            try:
                event = decode_user_event(frame)
                if isinstance(event, OrderTradeUpdate):
                    self._gateway.tell(Reported(report_of_event(event.o)))
                elif isinstance(event, ListenKeyExpired):
                    return
            except (MalformedMessage, ValueError) as error:
                log.exception("user event cannot be read", error=str(error))
                return

    async def _listen_key(self, method: str) -> str:
        answer = await self._http.client().request(method, "/fapi/v1/listenKey")
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=rest.ListenKey).listenKey
