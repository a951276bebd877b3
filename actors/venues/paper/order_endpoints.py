"""Endpoints for orders and trades. No network; the time is an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.core.units import Symbol
from actors.venues.paper import reports
from actors.venues.paper.codes import ExchangeRefusal, PaperCode, missing
from actors.venues.paper.orders import PaperOrder, Trade
from actors.venues.paper.requests import (
    Params,
    decimal_param,
    int_param,
    limit_param,
    parse_order,
    parse_side,
)
from actors.venues.paper.user_events import PaperEvent
from actors.venues.paper.venue import PaperVenue, Reply, answer, error_reply
from actors.venues.paper.wire_orders import Countdown, Done

BATCH_MAX = 5
CANCELS_MAX = 10
ROWS_MAX = 1_000
ALL_CANCELLED = Done(200, "The operation of cancel all open order is done.")

Handler = Callable[[Params, int], Reply]


class OrderEndpoints:
    """Order and trade endpoints of the master account."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._exchange = venue, venue.exchange

    # -- one order

    def place(self, params: Params, now_ms: int) -> Reply:
        """Place an order, with the next planned order fault, if any."""
        request = parse_order(params)
        fault = self._venue.faults.next_for_order()
        if fault is not None and fault.kind == "reject":
            return error_reply_with_code(fault.code, "rejected by an injected fault")
        order, events = self._exchange.place(request, now_ms)
        acknowledge = params.get("newOrderRespType", "ACK") != "RESULT"
        reply = answer(reports.placed_order(order, acknowledge=acknowledge), events)
        if fault is not None:
            apply_order_fault(fault.kind, fault.seconds, reply)
        return reply

    def test(self, params: Params, now_ms: int) -> Reply:
        """Check an order without placing it."""
        request = parse_order(params)
        if not request.client_order_id:
            request = msgspec.structs.replace(request, client_order_id=self._exchange.new_client_order_id())
        self._exchange.checks.check(request, now_ms)
        order = PaperOrder(order_id=0, request=request, time=now_ms, updated=now_ms)
        fields = msgspec.to_builtins(reports.placed_order(order))
        return answer({**fields, "cumQuote": "0", "avgPrice": "0"})

    def query(self, params: Params, _now_ms: int) -> Reply:
        """Query one order, open or ended."""
        return answer(reports.queried_order(self._exchange.query(*self.order_reference(params))))

    def query_open(self, params: Params, _now_ms: int) -> Reply:
        """Query one open order."""
        order = self._exchange.query(*self.order_reference(params))
        if not order.is_open:
            raise ExchangeRefusal(PaperCode.NO_SUCH_ORDER)
        return answer(reports.queried_order(order))

    def cancel(self, params: Params, now_ms: int) -> Reply:
        """Cancel an open order."""
        order, events = self._exchange.cancel(*self.order_reference(params), now_ms)
        return answer(reports.placed_order(order), events)

    def amend(self, params: Params, now_ms: int) -> Reply:
        """Amend the price and quantity of an open order."""
        symbol, order_id, client_id = self.order_reference(params)
        quantity, price = decimal_param(params, "quantity"), decimal_param(params, "price")
        if quantity is None:
            raise missing("quantity")
        if price is None:
            raise missing("price")
        order, modify_id, events = self._exchange.amendments.amend(
            symbol, order_id, client_id, parse_side(params), quantity, price, now_ms
        )
        return answer(reports.modified_order(order, modify_id), events)

    def amendments(self, params: Params, _now_ms: int) -> Reply:
        """Amendment history of an order, newest first."""
        order = self._exchange.query(*self.order_reference(params))
        return answer(
            self._exchange.amendments.history(order.order_id)[: limit_param(params, "limit", 50, 100)]
        )

    # -- several orders

    def place_batch(self, params: Params, now_ms: int) -> Reply:
        """Place up to five orders; each has its own answer."""
        return self._each(_batch(params), self.place, now_ms)

    def amend_batch(self, params: Params, now_ms: int) -> Reply:
        """Amend up to five orders; each has its own answer."""
        return self._each(_batch(params), self.amend, now_ms)

    def cancel_batch(self, params: Params, now_ms: int) -> Reply:
        """Cancel up to ten orders by order id or client order id; each has its own answer."""
        symbol = self._venue.symbol(params)
        name = "orderIdList" if "orderIdList" in params else "origClientOrderIdList"
        wanted = _list(params, name, list[int] if name == "orderIdList" else list[str], CANCELS_MAX)
        key = "orderId" if name == "orderIdList" else "origClientOrderId"
        return self._each([{"symbol": symbol, key: str(w)} for w in wanted], self.cancel, now_ms)

    def _each(self, entries: list[dict[str, str]], handle: Handler, now_ms: int) -> Reply:
        answers: list[Any] = []
        events: list[PaperEvent] = []
        delay_s = 0.0
        for entry in entries:
            try:
                reply = handle(entry, now_ms)
            except ExchangeRefusal as refusal:
                reply = error_reply(refusal)
            answers.append(msgspec.Raw(reply.body))
            events += reply.events
            delay_s = max(delay_s, reply.delay_s)
        whole = answer(answers, events)
        whole.delay_s = delay_s
        return whole

    def cancel_all(self, params: Params, now_ms: int) -> Reply:
        """Cancel all open orders of a symbol."""
        return answer(ALL_CANCELLED, self._venue.cancel_all(self._venue.symbol(params), now_ms))

    def countdown(self, params: Params, now_ms: int) -> Reply:
        """Cancel all open orders of a symbol after a countdown, unless it is renewed; 0 stops it."""
        symbol, after = self._venue.symbol(params), int_param(params, "countdownTime")
        if after is None or after < 0:
            raise missing("countdownTime")
        if after:
            self._venue.countdowns[symbol] = now_ms + after
        else:
            self._venue.countdowns.pop(symbol, None)
        return answer(Countdown(symbol, str(after)))

    # -- lists

    def open_orders(self, params: Params, _now_ms: int) -> Reply:
        """Open orders of a symbol, or of all symbols."""
        symbol = self._venue.symbol(params) if params.get("symbol") else None
        return answer([reports.queried_order(o) for o in self._exchange.orders.open_of(symbol)])

    def all_orders(self, params: Params, _now_ms: int) -> Reply:
        """All orders, oldest first: from an order id on, or within a time range."""
        orders = self._exchange.orders
        if params.get("symbol"):
            found = list(orders.by_symbol.get(self._venue.symbol(params), []))
        else:
            found = list(orders.all.values())
        from_id = int_param(params, "orderId")
        if from_id is not None:
            found = [o for o in found if o.order_id >= from_id]
        found = _between(found, params)
        limit = limit_param(params, "limit", 500, ROWS_MAX)
        # Without a start, the limit selects the newest.
        begins = from_id is not None or bool(params.get("startTime"))
        return answer([reports.queried_order(o) for o in (found[:limit] if begins else found[-limit:])])

    def user_trades(self, params: Params, _now_ms: int) -> Reply:
        """Trades of the master: from a trade id on (oldest first), of one order, within a time range, or the newest."""
        symbol, limit = self._venue.symbol(params), limit_param(params, "limit", 500, ROWS_MAX)
        from_id, order_id = int_param(params, "fromId"), int_param(params, "orderId")
        if params.get("startTime") or params.get("endTime"):
            if from_id is not None:
                raise ExchangeRefusal(
                    PaperCode.UNEXPECTED_PARAM,
                    "The parameter fromId cannot be sent with startTime or endTime.",
                )
            trades: list[Trade] = _between(self._exchange.trades[symbol], params)
            if order_id is not None:
                trades = [t for t in trades if t.order_id == order_id]
            trades = trades[:limit] if params.get("startTime") else trades[-limit:]
        else:
            trades = self._exchange.user_trades(symbol, from_id, order_id, limit)
        return answer([reports.user_trade(t) for t in trades])

    def force_orders(self, params: Params, _now_ms: int) -> Reply:
        """Orders that the exchange created to close positions."""
        kind = params.get("autoCloseType", "")
        prefixes = {"": ("autoclose-", "adl_"), "LIQUIDATION": ("autoclose-",), "ADL": ("adl_",)}
        if kind not in prefixes:
            raise ExchangeRefusal(PaperCode.ILLEGAL_CHARS, f"Invalid autoCloseType: {kind!r}.")
        wanted = self._venue.symbol(params) if params.get("symbol") else None
        found = [
            o
            for o in _between(self._venue.forced_orders, params)
            if o.request.client_order_id.startswith(prefixes[kind]) and wanted in {None, o.request.symbol}
        ]
        return answer([reports.force_order(o) for o in found[-limit_param(params, "limit", 50, 100) :]])

    def order_reference(self, params: Params) -> tuple[Symbol, int | None, str | None]:
        """Symbol, order id and client order id that a request names.

        Raises:
            ExchangeRefusal: neither order id nor client order id.
        """
        symbol = self._venue.symbol(params)
        order_id, client_id = int_param(params, "orderId"), params.get("origClientOrderId") or None
        if order_id is None and client_id is None:
            raise missing("orderId")
        return symbol, order_id, client_id


def _between(found: list[Any], params: Params) -> list[Any]:
    start, end = int_param(params, "startTime"), int_param(params, "endTime")
    return [f for f in found if f.time >= (start or 0) and (end is None or f.time <= end)]


def _list(params: Params, name: str, kind: Any, maximum: int) -> list[Any]:
    try:
        found: list[Any] = msgspec.json.decode(params.get(name, ""), type=kind, strict=False)
    except msgspec.MsgspecError:
        raise missing(name) from None
    if not 0 < len(found) <= maximum:
        raise ExchangeRefusal(
            PaperCode.MANDATORY_PARAM_EMPTY_OR_MALFORMED,
            f"{name}: {len(found)} entries, 1 to {maximum} are taken.",
        )
    return found


def _batch(params: Params) -> list[dict[str, str]]:
    entries = _list(params, "batchOrders", list[dict[str, Any]], BATCH_MAX)
    return [{k: _as_text(v) for k, v in entry.items() if v is not None} for entry in entries]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def apply_order_fault(kind: str, seconds: float, reply: Reply) -> None:
    """Apply a fault to the answer of an order that the exchange has accepted."""
    if kind == "delay":
        reply.delay_s = seconds
        return
    timeout = error_reply(ExchangeRefusal(PaperCode.TIMEOUT, status=503))
    reply.status, reply.body = timeout.status, timeout.body
    if kind == "lost_reply":
        reply.delay_s = seconds


def error_reply_with_code(code: int, text: str) -> Reply:
    """An error answer with any code."""
    return Reply(status=400, body=msgspec.json.encode({"code": code, "msg": text}))
