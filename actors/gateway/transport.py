"""Bytes to and from Binance USD-M: signed REST requests and the user stream.

Each request of the gateway is answered to it once, whatever happens on the wire. What may have
reached the exchange and was not answered is UNKNOWN; what surely did not is NOT_SENT.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import structlog
import websockets
from msgspec.structs import replace

from actors.binance import rest
from actors.binance.errors import MalformedMessage, Outcome, outcome_of
from actors.binance.filters import brackets_of, instrument_of
from actors.binance.signing import sign
from actors.binance.streams import ListenKeyExpired, OrderTradeUpdate, decode_user_event
from actors.errors import ExchangeUnreachable
from actors.gateway.messages import (
    Answered,
    LimitsLearned,
    OpenOrders,
    Reported,
    Traded,
    UserStreamDown,
    UserStreamUp,
    Verdict,
)
from actors.gateway.orders import Request
from actors.gateway.translate import (
    error_of,
    order_params,
    report_of,
    report_of_event,
    retry_after_ms,
    trade_of,
)
from actors.limits import RECV_WINDOW_MS
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.units import Bracket, Instrument, Symbol

log = structlog.get_logger("transport")

BATCH_MAX = 5
"""Orders in one request, the exchange's limit."""

HTTP_OK, HTTP_BAD = 200, 400
REQUEST_SECONDS = 5.0
CONNECT_SECONDS = 2.0
CONNECTIONS = 24
KEEP_ALIVE_SECONDS = 30 * 60
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

_VERDICTS = {
    Outcome.OK: Verdict.OK,
    Outcome.REJECTED: Verdict.REFUSED,
    Outcome.UNKNOWN: Verdict.UNKNOWN,
    Outcome.RATE_LIMITED: Verdict.THROTTLED,
    Outcome.NO_SUCH_ORDER: Verdict.NOT_FOUND,
}

_order_decoder = msgspec.json.Decoder(rest.Order)
_orders_decoder = msgspec.json.Decoder(list[rest.Order])
_answers_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_trades_decoder = msgspec.json.Decoder(list[rest.UserTrade])


class Venue(msgspec.Struct, frozen=True):
    """What the exchange says of itself: rules, order limits, and how far its clock is ahead."""

    instruments: dict[Symbol, Instrument]
    orders_per_10s: int
    orders_per_minute: int
    clock_ahead_ms: int


class BinanceTransport:
    """See the module.

    Args:
        base: REST base URL.
        websocket: websocket base URL.
        key: API key of the master account.
        secret: its secret.
        venue: what ``discover`` found.
        loop: where requests run.
    """

    def __init__(self, base: str, websocket: str, key: str, secret: str, venue: Venue, loop: IoLoop) -> None:  # noqa: PLR0913 - one per credential and address
        self._websocket, self._secret, self._venue, self._loop = websocket, secret, venue, loop
        self._headers = {"X-MBX-APIKEY": key}
        self._base = base
        self._gateway: Ref
        self._client: httpx.AsyncClient | None = None
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
            self._loop.spawn(self._user_stream())
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
        verdict, content, retry_ms = await self._call("POST", "/fapi/v1/batchOrders", params, signed_ms)
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
                request, _VERDICTS[outcome_of(HTTP_OK if not code else HTTP_BAD, code or None)], answer, 0
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
        self._tell(request, *await self._call(method, "/fapi/v1/order", params, request.timestamp_ms))

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
        verdict, content, _ = await self._call("GET", "/fapi/v1/userTrades", params, request.timestamp_ms)
        trades = None
        if verdict is Verdict.OK:
            try:
                trades = tuple(trade_of(t) for t in _trades_decoder.decode(content))
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("trades cannot be read", error=str(error))
        return Traded(client_order_id=request.client_order_id, trades=trades)

    async def _read_open_orders(self) -> None:
        for wait in (*RECONNECT_SECONDS, 0.0):
            verdict, content, _ = await self._call("GET", "/fapi/v1/openOrders", {}, self.now_ms())
            if verdict is Verdict.OK:
                orders = _orders_decoder.decode(content)
                self._gateway.tell(OpenOrders(tuple(report_of(o) for o in orders)))
                return
            await asyncio.sleep(wait)
        log.error("open orders could not be read; orphans may rest at the exchange")

    async def _call(
        self, method: str, path: str, params: Mapping[str, str], timestamp_ms: int
    ) -> tuple[Verdict, bytes, int]:
        signed = sign(
            {**params, "recvWindow": str(RECV_WINDOW_MS), "timestamp": str(timestamp_ms)}, self._secret
        )
        try:
            answer = await self._http().request(method, f"{path}?{signed}")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Verdict.NOT_SENT, str(error).encode(), 0
        except httpx.HTTPError as error:
            return Verdict.UNKNOWN, f"{type(error).__name__}: {error}".encode(), 0
        code, _ = (0, "") if answer.is_success else error_of(answer.content)
        retry_ms = retry_after_ms(answer.headers.get("retry-after", ""), time.time())
        return _VERDICTS[outcome_of(answer.status_code, code or None)], answer.content, retry_ms

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base,
                headers=self._headers,
                timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=CONNECTIONS + 8, max_keepalive_connections=CONNECTIONS),
            )
        return self._client

    # -- user stream

    async def _user_stream(self) -> None:
        failures = 0
        while True:
            try:
                key = await self._listen_key("POST")
                # A frame missed is a fill missed, so the connection must not drop any quietly.
                async with websockets.connect(
                    f"{self._websocket}/ws/{key}", max_queue=None, open_timeout=CONNECT_SECONDS
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
        answer = await self._http().request(method, "/fapi/v1/listenKey")
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=rest.ListenKey).listenKey


# -- asked once, at start


def discover(base: str, wanted: tuple[str, ...], key: str = "", secret: str = "") -> Venue:
    """Read the exchange's rules, limits and clock; with a key, leverage brackets too.

    Raises:
        ExchangeUnreachable: no usable answer; names the address and the cure.
        MalformedMessage: rules that cannot be used.
    """
    try:
        with httpx.Client(base_url=base, timeout=REQUEST_SECONDS) as client:
            before = time.time_ns() // 1_000_000
            server = msgspec.json.decode(
                client.get("/fapi/v1/time").raise_for_status().content, type=rest.ServerTime
            )
            after = time.time_ns() // 1_000_000
            content = client.get("/fapi/v1/exchangeInfo").raise_for_status().content
            info = msgspec.json.decode(content, type=rest.ExchangeInfo)
            brackets = _brackets(client, key, secret) if key else {}
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ExchangeUnreachable(
            f"{base} does not answer as an exchange ({type(error).__name__}: {error}); "
            "is it running? 'bulkhead paper' starts one for trying out"
        ) from None
    listed = {Symbol(s.symbol): s for s in info.symbols if s.status == "TRADING"}
    missing = [s for s in wanted if s not in listed]
    if missing:
        raise MalformedMessage(f"the exchange does not list {', '.join(missing)}")
    chosen = [Symbol(s) for s in wanted] or list(listed)
    limits = {(r.interval, r.intervalNum): r.limit for r in info.rateLimits if r.rateLimitType == "ORDERS"}
    return Venue(
        {s: replace(instrument_of(listed[s]), brackets=brackets.get(s, ())) for s in chosen},
        limits.get(("SECOND", 10), 300),
        limits.get(("MINUTE", 1), 1200),
        server.serverTime - (before + after) // 2,
    )


def _brackets(client: httpx.Client, key: str, secret: str) -> dict[Symbol, tuple[Bracket, ...]]:
    """Leverage brackets by symbol; none where the exchange does not tell them to this key.

    Raises:
        MalformedMessage: brackets that cannot be.
    """
    query = sign({"recvWindow": "5000", "timestamp": str(time.time_ns() // 1_000_000)}, secret)
    answer = client.get(f"/fapi/v1/leverageBracket?{query}", headers={"X-MBX-APIKEY": key})
    if not answer.is_success:
        # Accounts that need them are refused new risk; nobody else needs them.
        log.warning("leverage brackets not told", status=answer.status_code, answer=answer.text[:200])
        return {}
    found = msgspec.json.decode(answer.content, type=list[rest.LeverageBracket])
    return {Symbol(b.symbol): brackets_of(b) for b in found}


def master_positions(base: str, key: str, secret: str) -> dict[Symbol, Decimal]:
    """The master account's signed positions that are not zero.

    Raises:
        ExchangeUnreachable: no usable answer.
    """
    query = sign({"recvWindow": "5000", "timestamp": str(time.time_ns() // 1_000_000)}, secret)
    try:
        answer = httpx.get(
            f"{base}/fapi/v2/positionRisk?{query}", headers={"X-MBX-APIKEY": key}, timeout=REQUEST_SECONDS
        ).raise_for_status()
        positions = msgspec.json.decode(answer.content, type=list[rest.PositionRisk])
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise ExchangeUnreachable(f"{base}: positions cannot be read: {error}") from None
    return {Symbol(p.symbol): p.positionAmt for p in positions if p.positionAmt}
