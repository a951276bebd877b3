"""What orders and trades the master account had: for orders that the journal does not know, as after a restored backup.

A page that is full is asked for again as two halves of its time, so it does not matter which end of it the exchange
left out. Each page weighs 5 of 2,400 a minute.

I/O: sends HTTP requests and waits for the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from actors.core.enums import OrderType, Side, TimeInForce
from actors.core.errors import ExchangeBusy, ExchangeUnreachable
from actors.core.trades import Trade
from actors.core.units import Symbol
from actors.venues.binance import rest
from actors.venues.binance.asking import Asker
from actors.venues.binance.translate import report_of, sane, trade_of
from actors.venues.binance.weight import Urgency
from actors.venues.port import PastOrder

ROWS_MAX = 1_000
"""Rows of one answer, the exchange's limit."""

WINDOW_MS = 7 * 86_400_000 - 1
"""The exchange answers for less than seven days at once."""

LATER_MS = 60_000
"""The end of what is asked for lies so far ahead of the exchange's clock, as we measured it."""

BUSY_SECONDS = 90.0
"""How long the budget of request weight, which is a minute's, may have no room."""

BUSY_WAIT_SECONDS = 1.0

Row = TypeVar("Row")
Page = Callable[[int, int], list[Row]]


def past_orders(asker: Asker, symbol: Symbol, since_ms: int, prefix: str) -> list[PastOrder]:
    """Orders of a symbol that were placed since then, and whose client order ids begin like this; by their ids.

    Args:
        asker: asks the exchange.
        symbol: whose.
        since_ms: Unix milliseconds on the exchange's clock.
        prefix: of the client order ids; others are not looked at.

    Raises:
        ExchangeUnreachable, VenueRefused, ExchangeBusy: no usable answer.
    """

    def page(begin_ms: int, end_ms: int) -> list[rest.Order]:
        return _asked(asker, "/fapi/v1/allOrders", list[rest.Order], span(symbol, begin_ms, end_ms))

    rows = {o.orderId: o for o in _all(page, since_ms, asker.now_ms() + LATER_MS)}
    return _read(
        asker, _past_order, [o for _, o in sorted(rows.items()) if o.clientOrderId.startswith(prefix)]
    )


def past_trades(asker: Asker, symbol: Symbol, since_ms: int) -> list[Trade]:
    """The master's trades of a symbol since then, by their ids.

    Raises:
        ExchangeUnreachable, VenueRefused, ExchangeBusy: no usable answer.
    """

    def page(begin_ms: int, end_ms: int) -> list[rest.UserTrade]:
        return _asked(asker, "/fapi/v1/userTrades", list[rest.UserTrade], span(symbol, begin_ms, end_ms))

    rows = {t.id: t for t in _all(page, since_ms, asker.now_ms() + LATER_MS)}
    return _read(asker, trade_of, [t for _, t in sorted(rows.items())])


def _asked(asker: Asker, path: str, kind: type[list[Row]], params: dict[str, str]) -> list[Row]:
    """One page, in people's share of the weight: liquidations go on meanwhile. For a minute's budget it is waited."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return asker.signed("GET", path, kind, Urgency.PEOPLE, params)
        except ExchangeBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(BUSY_WAIT_SECONDS)


def span(symbol: Symbol, begin_ms: int, end_ms: int) -> dict[str, str]:
    """Parameters of one page."""
    return {"symbol": symbol, "startTime": str(begin_ms), "endTime": str(end_ms), "limit": str(ROWS_MAX)}


def _all(page: Page[Row], since_ms: int, until_ms: int) -> list[Row]:
    found: list[Row] = []
    for begin_ms in range(since_ms, until_ms + 1, WINDOW_MS):
        found += _within(page, begin_ms, min(begin_ms + WINDOW_MS - 1, until_ms))
    return found


def _within(page: Page[Row], begin_ms: int, end_ms: int) -> list[Row]:
    rows = page(begin_ms, end_ms)
    if len(rows) < ROWS_MAX:
        return rows
    if begin_ms == end_ms:
        raise ExchangeUnreachable(
            f"the exchange names {len(rows)} rows or more within one millisecond, {begin_ms}"
        )
    middle_ms = (begin_ms + end_ms) // 2
    return _within(page, begin_ms, middle_ms) + _within(page, middle_ms + 1, end_ms)


def _past_order(order: rest.Order) -> PastOrder:
    return PastOrder(
        report=report_of(order),
        side=Side(order.side),
        quantity=sane(order.origQty),
        order_type=OrderType(order.type),
        price=sane(order.price) or None,
        time_in_force=TimeInForce(order.timeInForce),
        placed_ms=order.time,
    )


def _read(asker: Asker, translate: Callable[[Any], Row], rows: list[Any]) -> list[Row]:
    try:
        return [translate(row) for row in rows]
    except ValueError as error:
        raise ExchangeUnreachable(f"{asker.base} does not answer as an exchange: {error}") from None
