"""The gateway's port for Binance USD-M: orders, cancels and queries.

Each request of the gateway is answered to it once, whatever happens on the wire. What may have
reached the exchange and was not answered is UNKNOWN; what surely did not is NOT_SENT.

Orders and cancels go over a websocket while it is up (``order_socket``), else by REST, orders that come together in
batches. Queries always go by REST: what one connection lost is asked for on another.

I/O: sends requests, on an event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal

import msgspec
import structlog
from msgspec.structs import replace

from actors.core.trades import Trade
from actors.core.units import ClientOrderId, Symbol
from actors.gateway.messages import (
    Answered,
    HistoryListed,
    LimitsLearned,
    MasterWarned,
    Outcome,
    Report,
    RequestWeight,
    Surveyed,
    Traded,
)
from actors.gateway.orders import Request
from actors.runtime.actor import Ref
from actors.runtime.io_loop import IoLoop
from actors.venues.binance import rest
from actors.venues.binance.addresses import Addresses
from actors.venues.binance.discovery import VenueRules
from actors.venues.binance.errors import RULE_CODES, outcome_of
from actors.venues.binance.http import Answer, SignedHttp
from actors.venues.binance.order_frames import CANCEL, PLACE
from actors.venues.binance.order_pages import listed_since
from actors.venues.binance.order_socket import OrderSocket
from actors.venues.binance.rules import RULES
from actors.venues.binance.throttle import Throttle
from actors.venues.binance.timekeeper import Timekeeper
from actors.venues.binance.translate import error_of, order_params, report_of, sane, trade_of
from actors.venues.binance.user_stream import UserStream

log = structlog.get_logger("orders")

BATCH_MAX = 5
"""Orders in one request, the exchange's limit."""

BATCH = "/fapi/v1/batchOrders"

HTTP_BAD = 400
TRADES = ("trades", "fees")
"""Kinds of requests that the trades of an order answer."""


class _Named(msgspec.Struct, frozen=True):
    clientOrderId: str = ""  # noqa: N815 - the wire's spelling


_named_decoder = msgspec.json.Decoder(_Named)
_order_decoder = msgspec.json.Decoder(rest.Order)
_orders_decoder = msgspec.json.Decoder(list[rest.Order])
_answers_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_positions_decoder = msgspec.json.Decoder(list[rest.PositionAmount])
_trades_decoder = msgspec.json.Decoder(list[rest.UserTrade])


class BinanceOrders:
    """See the module.

    Args:
        where: the exchange's addresses.
        key: API key of the master account.
        secret: its secret.
        venue: what ``discover`` found.
        loop: where requests run.
        throttle: the budget of request weight.
    """

    rules = RULES

    def __init__(  # noqa: PLR0913 - one per credential and address
        self, where: Addresses, key: str, secret: str, venue: VenueRules, loop: IoLoop, throttle: Throttle
    ) -> None:
        self._venue, self._loop, self._throttle = venue, loop, throttle
        self._http = SignedHttp(where.rest, key, secret, venue.clock, throttle)
        self._socket = OrderSocket(where.orders, key, secret, venue.clock, throttle)
        self.on_rule_broken: Callable[[], None] = lambda: None
        self._stream = UserStream(where.private, self._http)
        self._gateway: Ref
        self._timekeeper: Timekeeper
        self._unsent: deque[Request] = deque()

    def now_ms(self) -> int:
        """Unix milliseconds on the exchange's clock."""
        return self._venue.clock.now_ms()

    def orders_go_by(self) -> str:
        """The connection that an order would take now."""
        return "websocket" if self._socket.is_up else "REST"

    def weight(self) -> RequestWeight:
        """How much request weight this minute has seen."""
        use = self._throttle.use()
        return RequestWeight(use.used, use.limit, use.by_others, use.waiting, use.refused, use.paused_ms)

    def start(self, gateway: Ref) -> None:
        """Connect the user stream, keep the time and send the limits; a new gateway gets a new connection."""
        first = not hasattr(self, "_gateway")
        self._gateway = gateway
        venue = self._venue
        gateway.tell(
            LimitsLearned(orders_per_10s=venue.orders_per_10s, orders_per_minute=venue.orders_per_minute)
        )
        if first:
            self._timekeeper = Timekeeper(self._http, gateway)
            self._socket.on_mistimed = self._http.on_mistimed
            self._socket.on_alarm = lambda text: self._gateway.tell(MasterWarned(text))
            self._loop.spawn(self._socket.run())
            self._loop.spawn(self._stream.run(gateway))
            self._loop.spawn(self._timekeeper.run())
        else:
            self._loop.call(self._stream.renew)
            self._loop.call(self._timekeeper.remind)

    def request(self, request: Request) -> None:
        """Send one request of the gateway; orders that come together go together."""
        if request.kind != "place":
            self._loop.spawn(self._answered([request]))
            return
        self._unsent.append(request)
        if len(self._unsent) == 1:
            self._loop.spawn(self._send_orders())

    def survey(self, asked_ms: int) -> None:
        """Ask for all open orders and positions, once each."""
        self._loop.spawn(self._survey(asked_ms))

    def history(self, symbol: Symbol, since_ms: int, asked_ms: int) -> None:
        """Ask for a symbol's orders and trades since then, in pages."""
        self._loop.spawn(self._history(symbol, since_ms, asked_ms))

    def renew_stream(self) -> None:
        """Reconnect the user stream."""
        self._loop.call(self._stream.renew)

    # -- requests

    async def _send_orders(self) -> None:
        """Send what has gathered: singly over the websocket, by REST in batches as large as the exchange takes."""
        while self._unsent:
            # A batch weighs something, a single order nothing: with the weight used up they go one by one.
            single = self._socket.is_up or not self._throttle.fits("POST", BATCH)
            most = 1 if single else BATCH_MAX
            batch = [self._unsent.popleft() for _ in range(min(most, len(self._unsent)))]
            self._loop.spawn(self._answered(batch))

    async def _answered(self, requests: list[Request]) -> None:
        """Whatever happens to a request, the gateway gets an answer; without one the order would wait for ever."""
        try:
            await (self._serve(requests[0]) if len(requests) == 1 else self._serve_batch(requests))
        except Exception as error:
            log.exception("a request failed in the transport")
            text = f"{type(error).__name__}: {error}".encode()
            for request in requests:
                if request.kind in TRADES:
                    self._gateway.tell(_traded(request, None))
                else:
                    self._tell(request, Answer(Outcome.UNKNOWN, text))

    async def _serve_batch(self, batch: list[Request]) -> None:
        orders = [order_params(r.order) for r in batch if r.order is not None]
        # The earliest timestamp of all: none may be accepted later than the gateway believes.
        signed_ms = min(r.timestamp_ms for r in batch)
        params = {"batchOrders": msgspec.json.encode(orders).decode()}
        answer = await self._http.place("POST", BATCH, params, signed_ms)
        if answer.no_room:
            # Another one took the weight first. It was not sent, and single orders weigh nothing.
            for request in batch:
                self._loop.spawn(self._answered([request]))
            return
        parts = _parts(answer, [r.client_order_id for r in batch])
        for request, part in zip(batch, parts, strict=True):
            self._tell(request, part)

    async def _serve(self, request: Request) -> None:
        if request.kind in TRADES:
            self._gateway.tell(await self._trades(request))
            return
        if request.kind == "place" and request.order is not None:
            answer = await self._placed(order_params(request.order), request.timestamp_ms)
        else:
            params = {"symbol": request.symbol, "origClientOrderId": request.client_order_id}
            answer = await self._called(request.kind, params)
            if answer.no_room:
                # Not the exchange throttled it, and orders, which weigh nothing, must not be paused for it.
                answer = replace(answer, outcome=Outcome.UNKNOWN)
        self._tell(request, answer)

    async def _placed(self, params: dict[str, str], signed_ms: int) -> Answer:
        """Place an order, once, on one of the ways."""
        answer = await self._socket.ask(PLACE, params, signed_ms)
        if answer is not None:
            return answer
        return await self._http.place("POST", "/fapi/v1/order", params, signed_ms)

    async def _called(self, kind: str, params: dict[str, str]) -> Answer:
        """Cancel or query, which may be sent again."""
        answer = await self._socket.ask(CANCEL, params) if kind == "cancel" else None
        if answer is not None and answer.outcome is not Outcome.MISTIMED:
            return answer
        return await self._http.call("DELETE" if kind == "cancel" else "GET", "/fapi/v1/order", params)

    def _tell(self, request: Request, answer: Answer) -> None:
        report, outcome = None, answer.outcome
        code, text = 0, ""
        if outcome is Outcome.OK:
            try:
                report = report_of(_order_decoder.decode(answer.content))
            except (msgspec.MsgspecError, ValueError) as error:
                outcome, text = Outcome.UNKNOWN, f"an answer that cannot be read: {error}"
        else:
            found, text = error_of(answer.content)
            code = found or 0
            if code in RULE_CODES:
                self.on_rule_broken()
        self._gateway.tell(
            Answered(
                request=request.kind,
                client_order_id=request.client_order_id,
                outcome=outcome,
                report=report,
                code=code,
                text=text,
                retry_after_ms=answer.retry_ms,
                cut_off=answer.cut_off,
                orders_used=answer.orders_used,
            )
        )

    async def _trades(self, request: Request) -> Traded:
        params = {"symbol": request.symbol, "orderId": str(request.exchange_order_id), "limit": "1000"}
        answer = await self._http.call("GET", "/fapi/v1/userTrades", params)
        trades = None
        if answer.outcome is Outcome.OK:
            try:
                trades = tuple(trade_of(t) for t in _trades_decoder.decode(answer.content))
            except (msgspec.MsgspecError, ValueError) as error:
                log.warning("trades cannot be read", error=str(error))
        return _traded(request, trades)

    async def _survey(self, asked_ms: int) -> None:
        orders, positions = None, None
        try:
            orders, positions = await asyncio.gather(self._open_orders(), self._positions())
        except Exception:
            # The gateway waits for an answer, whatever went wrong.
            log.exception("a survey failed in the transport")
        self._gateway.tell(Surveyed(asked_ms=asked_ms, orders=orders, positions=positions))

    async def _history(self, symbol: Symbol, since_ms: int, asked_ms: int) -> None:
        orders, trades = None, None
        try:
            orders, trades = await listed_since(self._http, symbol, since_ms, self.now_ms())
        except Exception:
            # The gateway waits for an answer, whatever went wrong.
            log.exception("a symbol's history failed in the transport", symbol=symbol)
        self._gateway.tell(HistoryListed(symbol=symbol, asked_ms=asked_ms, orders=orders, trades=trades))

    async def _open_orders(self) -> tuple[Report, ...] | None:
        answer = await self._http.call("GET", "/fapi/v1/openOrders", {})
        if answer.outcome is not Outcome.OK:
            log.warning("open orders not told", answer=answer.content[:200].decode("utf-8", "replace"))
            return None
        try:
            return tuple(report_of(o) for o in _orders_decoder.decode(answer.content))
        except (msgspec.MsgspecError, ValueError) as error:
            log.warning("open orders cannot be read", error=str(error))
            return None

    async def _positions(self) -> dict[Symbol, Decimal] | None:
        answer = await self._http.call("GET", "/fapi/v3/positionRisk", {})
        if answer.outcome is not Outcome.OK:
            log.warning("positions not told", answer=answer.content[:200].decode("utf-8", "replace"))
            return None
        try:
            return {Symbol(p.symbol): sane(p.positionAmt) for p in _positions_decoder.decode(answer.content)}
        except (msgspec.MsgspecError, ValueError) as error:
            log.warning("positions cannot be read", error=str(error))
            return None


def _parts(answer: Answer, ids: list[ClientOrderId]) -> list[Answer]:
    """One answer for each order of a batch; the whole one for all where it cannot be taken apart.

    They come in the order of the requests; but where an answer names its order, the name counts.
    """
    if answer.outcome is not Outcome.OK:
        return [answer] * len(ids)
    unknown = replace(answer, outcome=Outcome.UNKNOWN)
    try:
        bodies = [bytes(raw) for raw in _answers_decoder.decode(answer.content)]
    except msgspec.MsgspecError:
        bodies = []
    if len(bodies) != len(ids):
        return [unknown] * len(ids)
    parts = [replace(answer, outcome=_outcome_of(body), content=body) for body in bodies]
    named_ids = [_named_id(part) for part in parts]
    if all(name in {"", id_} for name, id_ in zip(named_ids, ids, strict=True)):
        return parts
    # Which order a refusal is of cannot be known any more: orders that are not named are queried.
    named = dict(zip(named_ids, parts, strict=True))
    return [named.get(id_, unknown) for id_ in ids]


def _named_id(part: Answer) -> str:
    """Which order an answer names; empty for a refusal, and for what cannot be read."""
    if part.outcome is not Outcome.OK:
        return ""
    try:
        return _named_decoder.decode(part.content).clientOrderId
    except msgspec.MsgspecError:
        return ""


def _outcome_of(body: bytes) -> Outcome:
    """An order of a batch was taken, or has an error body of its own in the place of the order."""
    code, _ = error_of(body)
    # Without a code it is an order, or nothing that can be read, which reading it will show.
    return Outcome.OK if code is None else outcome_of(HTTP_BAD, code)


def _traded(request: Request, trades: tuple[Trade, ...] | None) -> Traded:
    return Traded(client_order_id=request.client_order_id, trades=trades, request=request.kind)
