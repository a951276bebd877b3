"""A symbol's orders and trades since a time, for the gateway: what became of many orders at once.

As in ``history``, a page that is full is asked for again as two halves of its time. A page weighs 5 of 2,400 a minute and
holds 1,000 rows. Nothing is guessed: with one page missing, or one that cannot be read, there is no history.

I/O: sends HTTP requests on the transport's loop.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import structlog

from actors.core.trades import Trade
from actors.core.units import Symbol
from actors.gateway.messages import Outcome, Report
from actors.venues.binance import rest
from actors.venues.binance.history import LATER_MS, ROWS_MAX, span
from actors.venues.binance.http import SignedHttp
from actors.venues.binance.translate import report_of, trade_of

log = structlog.get_logger("binance")

PAGES_MAX = 64
"""For one symbol's orders, and for its trades: an eighth of a minute's weight each."""

Row = TypeVar("Row")
History = tuple[tuple[Report, ...], tuple[Trade, ...]] | tuple[None, None]

_orders = msgspec.json.Decoder(list[rest.Order])
_trades = msgspec.json.Decoder(list[rest.UserTrade])


class _NoPageError(Exception):
    """A page is missing."""


async def listed_since(http: SignedHttp, symbol: Symbol, since_ms: int, now_ms: int) -> History:
    """All orders and trades of a symbol since then, whole, or two Nones; times are Unix milliseconds of the exchange."""
    whole = (since_ms, now_ms + LATER_MS)
    try:
        orders = await _all(http, "/fapi/v1/allOrders", _orders, symbol, whole)
        trades = await _all(http, "/fapi/v1/userTrades", _trades, symbol, whole)
        # Trades are read after orders: what executed until then is among them.
        reports = tuple(report_of(order) for order in {o.orderId: o for o in orders}.values())
        known = tuple(trade_of(trade) for trade in {t.id: t for t in trades}.values())
    except (_NoPageError, msgspec.MsgspecError, ValueError) as error:
        log.warning("a symbol's history cannot be read", symbol=symbol, error=str(error))
        return None, None
    return reports, known


async def _all(
    http: SignedHttp,
    path: str,
    decoder: msgspec.json.Decoder[list[Row]],
    symbol: Symbol,
    whole: tuple[int, int],
) -> list[Row]:
    found: list[Row] = []
    spans = [whole]
    for _ in range(PAGES_MAX):
        if not spans:
            return found
        begin_ms, end_ms = spans.pop()
        answer = await http.call("GET", path, span(symbol, begin_ms, end_ms))
        if answer.outcome is not Outcome.OK:
            raise _NoPageError(f"{path}: {answer.content[:200].decode('utf-8', 'replace')}")
        rows = decoder.decode(answer.content)
        if len(rows) < ROWS_MAX:
            found += rows
            continue
        if begin_ms == end_ms:
            raise _NoPageError(f"{path}: {len(rows)} rows or more within one millisecond, {begin_ms}")
        middle_ms = (begin_ms + end_ms) // 2
        spans += [(middle_ms + 1, end_ms), (begin_ms, middle_ms)]
    raise _NoPageError(f"{path}: more than {PAGES_MAX} pages")
