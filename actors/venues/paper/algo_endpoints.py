"""Endpoints for conditional orders. No network; the time is an argument."""

from __future__ import annotations

from actors.venues.paper.algo import AlgoOrder
from actors.venues.paper.codes import missing
from actors.venues.paper.requests import Params, int_param, limit_param, parse_algo
from actors.venues.paper.venue import PaperVenue, Reply, answer
from actors.venues.paper.wire_orders import CancelledAlgo, Done

ROWS_MAX = 1_000


class AlgoEndpoints:
    """Conditional order endpoints of the master account."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._book = venue, venue.exchange.algo

    def place(self, params: Params, now_ms: int) -> Reply:
        """Place a conditional order."""
        self._venue.symbol(params)
        algo, events = self._book.place(parse_algo(params), now_ms)
        return answer(self._book.placed_answer(algo), events)

    def query(self, params: Params, _now_ms: int) -> Reply:
        """Query one conditional order, with the order that it placed."""
        return answer(self._book.queried_answer(self._book.find(*_algo_reference(params))))

    def cancel(self, params: Params, now_ms: int) -> Reply:
        """Cancel a waiting conditional order."""
        algo, events = self._book.cancel(*_algo_reference(params), now_ms)
        return answer(CancelledAlgo(algoId=algo.algo_id, clientAlgoId=algo.request.client_algo_id), events)

    def cancel_all(self, params: Params, now_ms: int) -> Reply:
        """Cancel all waiting conditional orders of a symbol."""
        events = self._venue.cancel_all_algos(self._venue.symbol(params), now_ms)
        return answer(Done(200, "The operation of cancel all open order is done."), events)

    def open_orders(self, params: Params, _now_ms: int) -> Reply:
        """Waiting conditional orders of a symbol, or of all symbols."""
        symbol = self._venue.symbol(params) if params.get("symbol") else None
        wanted = int_param(params, "algoId")
        found = [a for a in self._book.open_of(symbol) if wanted in {None, a.algo_id}]
        return answer([self._book.queried_answer(a) for a in found])

    def all_orders(self, params: Params, _now_ms: int) -> Reply:
        """All conditional orders of a symbol, oldest first: from an id on, or within a time range."""
        symbol = self._venue.symbol(params)
        from_id = int_param(params, "algoId") or 0
        start, end = int_param(params, "startTime") or 0, int_param(params, "endTime")
        found = [a for a in self._book.all.values() if a.algo_id >= from_id and _within(a, start, end)]
        found = [a for a in found if a.request.order.symbol == symbol]
        limit = limit_param(params, "limit", 500, ROWS_MAX)
        return answer(
            [self._book.queried_answer(a) for a in (found[:limit] if from_id or start else found[-limit:])]
        )


def _within(algo: AlgoOrder, start: int, end: int | None) -> bool:
    return algo.created >= start and (end is None or algo.created <= end)


def _algo_reference(params: Params) -> tuple[int | None, str | None]:
    algo_id, client_id = int_param(params, "algoId"), params.get("clientAlgoId") or None
    if algo_id is None and client_id is None:
        raise missing("algoId")
    return algo_id, client_id
