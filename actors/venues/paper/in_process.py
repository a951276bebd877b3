"""The paper exchange behind the gateway's transport port, in virtual time and without sockets.

It sends the same messages as the live transport. Replay and simulation run the real gateway against the real
matching, with a latency in virtual time. Answers and events are encoded to the exchange's JSON and decoded by the
engine's own decoders, so that both sides of the protocol are exercised.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.core.units import NANOS_PER_MS, Nanos, Symbol
from actors.gateway.messages import (
    Answered,
    HistoryListed,
    MasterChanged,
    Outcome,
    Reported,
    Surveyed,
    Traded,
    UserStreamConnected,
)
from actors.gateway.orders import Request
from actors.venues.binance import rest
from actors.venues.binance.errors import outcome_of
from actors.venues.binance.rules import RULES
from actors.venues.binance.streams import AccountUpdate as EngineAccountUpdate
from actors.venues.binance.streams import OrderTradeUpdate as EngineOrderUpdate
from actors.venues.binance.streams import decode_user_event
from actors.venues.binance.translate import report_of, report_of_event, trade_of
from actors.venues.paper import reports
from actors.venues.paper.codes import ExchangeRefusal
from actors.venues.paper.generator import Quote
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest, PaperOrder
from actors.venues.paper.user_events import PaperEvent

encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(rest.Order)
_trades = msgspec.json.Decoder(list[rest.UserTrade])

TRADES_MAX = 1_000


class InProcessExchange:
    """One exchange for one gateway.

    Args:
        exchange: the matching.
        dispatcher: source of clock and timers.
        latency_ms: time from a request to its answer, in milliseconds.
    """

    def __init__(self, exchange: Exchange, dispatcher: Any, latency_ms: int) -> None:
        self.exchange = exchange
        self._dispatcher = dispatcher
        self._latency_ns = Nanos(latency_ms * NANOS_PER_MS)
        self._gateway: Any = None

    rules = RULES

    def start(self, gateway: Any) -> None:
        """Set the gateway that receives answers and events."""
        self._gateway = gateway

    def move_to(self, dispatcher: Any) -> None:
        """Serve a gateway on another dispatcher from now on; what was on its way to the one before is lost."""
        self._dispatcher = dispatcher

    def weight(self) -> None:
        """No request weight is counted here."""

    def orders_go_by(self) -> str:
        """Name of the transport, for status views."""
        return "function call"

    def now_ms(self) -> int:
        """Virtual wall clock, Unix milliseconds."""
        return int(self._dispatcher.clock.wall_ms())

    def request(self, request: Request) -> None:
        """Execute one request; the answer arrives after the latency."""
        if request.kind in {"trades", "fees"}:
            trades = self.exchange.user_trades(request.symbol, None, request.exchange_order_id, TRADES_MAX)
            message = _trades.decode(encode([reports.user_trade(t) for t in trades]))
            answer: Any = Traded(
                client_order_id=request.client_order_id,
                trades=tuple(trade_of(t) for t in message),
                request=request.kind,
            )
            events: Iterable[PaperEvent] = ()
        else:
            outcome, events = self._execute_or_refuse(request)
            answer = self._answer(request, outcome)
        self.publish_events(events)
        self._dispatcher.after(self._latency_ns, self._gateway.cell, answer)

    def survey(self, asked_ms: int) -> None:
        """Send all open orders and positions after the latency."""
        answer = Surveyed(
            asked_ms=asked_ms,
            orders=tuple(report_of(_read(o)) for o in self.exchange.orders.open_of(None)),
            positions={s: p.amount for s, p in self.exchange.positions.items()},
        )
        self._dispatcher.after(self._latency_ns, self._gateway.cell, answer)

    def history(self, symbol: Symbol, since_ms: int, asked_ms: int) -> None:
        """Send all orders and trades of a symbol since then after the latency."""
        orders = [o for o in self.exchange.orders.by_symbol.get(symbol, []) if o.time >= since_ms]
        trades = encode([reports.user_trade(t) for t in self.exchange.trades[symbol] if t.time >= since_ms])
        answer = HistoryListed(
            symbol=symbol,
            asked_ms=asked_ms,
            orders=tuple(report_of(_read(o)) for o in orders),
            trades=tuple(trade_of(t) for t in _trades.decode(trades)),
        )
        self._dispatcher.after(self._latency_ns, self._gateway.cell, answer)

    def renew_stream(self) -> None:
        """Report the user data stream as connected; without a socket it cannot go silent."""
        self._dispatcher.after(self._latency_ns, self._gateway.cell, UserStreamConnected())

    def quote(self, quote: Quote) -> None:
        """Send a new quote to the exchange."""
        self.publish_events(self.exchange.on_quote(quote, self.now_ms()))

    def publish_events(self, events: Iterable[PaperEvent]) -> None:
        """Publish user events to the gateway after the latency."""
        for event in events:
            read = decode_user_event(encode(event))
            message: Reported | MasterChanged | None = None
            if isinstance(read, EngineOrderUpdate):
                message = Reported(report_of_event(read.o))
            elif isinstance(read, EngineAccountUpdate):
                message = MasterChanged(read.a.m, (), tuple((Symbol(p.s), p.pa) for p in read.a.P))
            if message is not None:
                self._dispatcher.after(self._latency_ns, self._gateway.cell, message)

    def _execute_or_refuse(
        self, request: Request
    ) -> tuple[PaperOrder | ExchangeRefusal, Iterable[PaperEvent]]:
        try:
            return self._execute(request)
        except ExchangeRefusal as refusal:
            return refusal, ()

    def _execute(self, request: Request) -> tuple[PaperOrder, Iterable[PaperEvent]]:
        now_ms, order = self.now_ms(), request.order
        if request.kind == "place" and order is not None:
            return self.exchange.place(
                OrderRequest(
                    symbol=order.symbol,
                    side=order.side,
                    type=order.order_type,
                    quantity=order.quantity,
                    price=order.price,
                    time_in_force=order.time_in_force,
                    client_order_id=order.client_order_id,
                ),
                now_ms,
            )
        if request.kind == "cancel":
            return self.exchange.cancel(request.symbol, None, request.client_order_id, now_ms)
        return self.exchange.query(request.symbol, None, request.client_order_id), ()

    @staticmethod
    def _answer(request: Request, answer: PaperOrder | ExchangeRefusal) -> Answered:
        if isinstance(answer, ExchangeRefusal):
            found = outcome_of(answer.status, int(answer.code))
            return Answered(
                request=request.kind,
                client_order_id=request.client_order_id,
                outcome=found if found in {Outcome.NOT_FOUND, Outcome.DUPLICATE} else Outcome.REFUSED,
                code=int(answer.code),
                text=answer.text,
            )
        return Answered(
            request=request.kind,
            client_order_id=request.client_order_id,
            outcome=Outcome.OK,
            report=report_of(_read(answer)),
        )


def _read(order: PaperOrder) -> rest.Order:
    """An order, encoded as the exchange and decoded as the engine."""
    return _order.decode(encode(reports.queried_order(order)))
