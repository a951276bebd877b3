"""The gateway's port for Binance USD-M: orders, cancels and queries.

Each request of the gateway is answered to it once, whatever happens on the wire. What may have
reached the exchange and was not answered is UNKNOWN; what surely did not is NOT_SENT.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import msgspec
import structlog

from actors.gateway.messages import (
    Answered,
    LimitsLearned,
    OpenOrders,
    Traded,
    Verdict,
)
from actors.gateway.orders import Request
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.venues.binance import rest
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.discovery import Venue
from actors.venues.binance.errors import outcome_of
from actors.venues.binance.http import VERDICTS, SignedHttp
from actors.venues.binance.translate import (
    error_of,
    order_params,
    report_of,
    trade_of,
)
from actors.venues.binance.user_stream import RECONNECT_SECONDS, UserStream

log = structlog.get_logger("orders")

BATCH_MAX = 5
"""Orders in one request, the exchange's limit."""

HTTP_OK, HTTP_BAD = 200, 400

_order_decoder = msgspec.json.Decoder(rest.Order)
_orders_decoder = msgspec.json.Decoder(list[rest.Order])
_answers_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_trades_decoder = msgspec.json.Decoder(list[rest.UserTrade])


class BinanceOrders:
    """See the module.

    Args:
        where: the exchange's addresses.
        key: API key of the master account.
        secret: its secret.
        venue: what ``discover`` found.
        loop: where requests run.
    """

    def __init__(self, where: Addresses, key: str, secret: str, venue: Venue, loop: IoLoop) -> None:
        self._where, self._venue, self._loop = where, venue, loop
        self._http = SignedHttp(where.rest, key, secret)
        self._gateway: Ref
        self._unsent: deque[Request] = deque()

    def now_ms(self) -> int:
        """Unix milliseconds on the exchange's clock."""
        return time.time_ns() // 1_000_000 + self._venue.clock_ahead_ms

    def start(self, gateway: Ref) -> None:
        """Connect the user stream and learn the limits."""
        first = not hasattr(self, "_gateway")
        self._gateway = gateway
        venue = self._venue
        gateway.tell(
            LimitsLearned(orders_per_10s=venue.orders_per_10s, orders_per_minute=venue.orders_per_minute)
        )
        if first:
            self._loop.spawn(UserStream(self._where.private, self._http, gateway).run())
        self._loop.spawn(self._read_open_orders())

    def request(self, request: Request) -> None:
        """Send one request of the gateway; orders that come together go together."""
        if request.kind != "place":
            self._loop.spawn(self._answered([request]))
            return
        self._unsent.append(request)
        if len(self._unsent) == 1:
            self._loop.spawn(self._send_orders())

    # -- requests

    async def _send_orders(self) -> None:
        """Send what has gathered: singly, or in batches as large as the exchange takes."""
        while self._unsent:
            batch = [self._unsent.popleft() for _ in range(min(BATCH_MAX, len(self._unsent)))]
            self._loop.spawn(self._answered(batch))

    async def _answered(self, requests: list[Request]) -> None:
        """Whatever happens to a request, the gateway is told: one of no answer would wait for ever."""
        try:
            await (self._serve(requests[0]) if len(requests) == 1 else self._serve_batch(requests))
        except Exception as error:
            log.exception("a request failed in the transport")
            text = f"{type(error).__name__}: {error}".encode()
            for request in requests:
                if request.kind == "trades":
                    self._gateway.tell(Traded(client_order_id=request.client_order_id, trades=None))
                else:
                    self._tell(request, Verdict.UNKNOWN, text, 0)

    async def _serve_batch(self, batch: list[Request]) -> None:
        orders = [order_params(r.order) for r in batch if r.order is not None]
        # The earliest timestamp of all: none may be accepted later than the gateway believes.
        signed_ms = min(r.timestamp_ms for r in batch)
        params = {"batchOrders": msgspec.json.encode(orders).decode()}
        verdict, content, retry_ms = await self._http.call("POST", "/fapi/v1/batchOrders", params, signed_ms)
        answers: list[msgspec.Raw] = []
        if verdict is Verdict.OK:
            try:
                answers = _answers_decoder.decode(content)
            except msgspec.MsgspecError:
                verdict = Verdict.UNKNOWN
        if verdict is Verdict.OK and len(answers) != len(batch):
            verdict = Verdict.UNKNOWN
        for number, request in enumerate(batch):
            if verdict is not Verdict.OK:
                self._tell(request, verdict, content, retry_ms)
                continue
            answer = bytes(answers[number])
            code, _ = error_of(answer)
            self._tell(
                request, VERDICTS[outcome_of(HTTP_OK if not code else HTTP_BAD, code or None)], answer, 0
            )

    async def _serve(self, request: Request) -> None:
        if request.kind == "trades":
            self._gateway.tell(await self._trades(request))
            return
        method = {"place": "POST", "cancel": "DELETE", "query": "GET"}[request.kind]
        if request.kind == "place" and request.order is not None:
            params = order_params(request.order)
        else:
            params = {"symbol": request.symbol, "origClientOrderId": request.client_order_id}
        self._tell(request, *await self._http.call(method, "/fapi/v1/order", params, request.timestamp_ms))

    def _tell(self, request: Request, verdict: Verdict, content: bytes, retry_ms: int) -> None:
        report = None
        code, text = 0, ""
        if verdict is Verdict.OK:
            try:
                report = report_of(_order_decoder.decode(content))
            except (msgspec.MsgspecError, ValueError) as error:
                verdict, text = Verdict.UNKNOWN, f"an answer that cannot be read: {error}"
        else:
            code, text = error_of(content)
        self._gateway.tell(
            Answered(
                request=request.kind,
                client_order_id=request.client_order_id,
                verdict=verdict,
                report=report,
                code=code,
                text=text,
                retry_after_ms=retry_ms,
            )
        )

    async def _trades(self, request: Request) -> Traded:
        params = {"symbol": request.symbol, "orderId": str(request.exchange_order_id), "limit": "1000"}
        verdict, content, _ = await self._http.call(
            "GET", "/fapi/v1/userTrades", params, request.timestamp_ms
        )
        trades = None
        if verdict is Verdict.OK:
            try:
                trades = tuple(trade_of(t) for t in _trades_decoder.decode(content))
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("trades cannot be read", error=str(error))
        return Traded(client_order_id=request.client_order_id, trades=trades)

    async def _read_open_orders(self) -> None:
        for wait in (*RECONNECT_SECONDS, 0.0):
            verdict, content, _ = await self._http.call("GET", "/fapi/v1/openOrders", {}, self.now_ms())
            if verdict is Verdict.OK:
                orders = _orders_decoder.decode(content)
                self._gateway.tell(OpenOrders(tuple(report_of(o) for o in orders)))
                return
            await asyncio.sleep(wait)
        log.error("open orders could not be read; orphans may rest at the exchange")
