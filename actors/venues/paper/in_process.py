"""The paper exchange behind the gateway's transport port, in virtual time and without a socket.

It speaks the same reports as the live transport: replay and simulation run the real gateway
against the real matching, with a latency that the clock, not the machine, makes. What passes
between the two is the exchange's JSON, read by the engine's own decoders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.core.units import NANOS_PER_MS, Nanos, Symbol
from actors.gateway.messages import (
    Answered,
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
        dispatcher: whose clock and timers are used.
        latency_ms: from a request to its answer.
    """

    def __init__(self, exchange: Exchange, dispatcher: Any, latency_ms: int) -> None:
        self.exchange = exchange
        self._dispatcher = dispatcher
        self._latency_ns = Nanos(latency_ms * NANOS_PER_MS)
        self._gateway: Any = None

    rules = RULES

    def start(self, gateway: Any) -> None:
        """Remember whom to tell."""
        self._gateway = gateway

    def weight(self) -> None:
        """Nobody counts requests here."""

    def orders_go_by(self) -> str:
        """No wire."""
        return "function call"

    def now_ms(self) -> int:
        """The virtual wall clock."""
        return int(self._dispatcher.clock.wall_ms())

    def request(self, request: Request) -> None:
        """Serve one request; the answer comes after the latency."""
        if request.kind in {"trades", "fees"}:
            trades = self.exchange.user_trades(request.symbol, None, request.exchange_order_id, TRADES_MAX)
            told = _trades.decode(encode([reports.own_trade(t) for t in trades]))
            answer: Any = Traded(
                client_order_id=request.client_order_id,
                trades=tuple(trade_of(t) for t in told),
                request=request.kind,
            )
            events: Iterable[PaperEvent] = ()
        else:
            outcome, events = self._serve(request)
            answer = self._answer(request, outcome)
        self.tell(events)
        self._dispatcher.after(self._latency_ns, self._gateway.cell, answer)

    def survey(self, asked_ms: int) -> None:
        """All open orders and positions, after the latency."""
        answer = Surveyed(
            asked_ms=asked_ms,
            orders=tuple(report_of(_read(o)) for o in self.exchange.orders.open_of(None)),
            positions={s: p.amount for s, p in self.exchange.positions.items()},
        )
        self._dispatcher.after(self._latency_ns, self._gateway.cell, answer)

    def renew_stream(self) -> None:
        """There is no socket that could be silent: events come again."""
        self._dispatcher.after(self._latency_ns, self._gateway.cell, UserStreamConnected())

    def quote(self, quote: Quote) -> None:
        """A new L1 reaches the exchange."""
        self.tell(self.exchange.on_quote(quote, self.now_ms()))

    def tell(self, events: Iterable[PaperEvent]) -> None:
        """Send events over the user stream, after the latency."""
        for event in events:
            read = decode_user_event(encode(event))
            told: Reported | MasterChanged | None = None
            if isinstance(read, EngineOrderUpdate):
                told = Reported(report_of_event(read.o))
            elif isinstance(read, EngineAccountUpdate):
                told = MasterChanged(read.a.m, (), tuple((Symbol(p.s), p.pa) for p in read.a.P))
            if told is not None:
                self._dispatcher.after(self._latency_ns, self._gateway.cell, told)

    def _serve(self, request: Request) -> tuple[PaperOrder | ExchangeRefusal, Iterable[PaperEvent]]:
        try:
            return self._ask(request)
        except ExchangeRefusal as refusal:
            return refusal, ()

    def _ask(self, request: Request) -> tuple[PaperOrder, Iterable[PaperEvent]]:
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
    """An order as the engine reads it off the wire."""
    return _order.decode(encode(reports.queried(order)))
