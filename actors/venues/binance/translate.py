"""The exchange's messages to the gateway's own, and back. Pure."""

from __future__ import annotations

import math
from decimal import Decimal
from email.utils import parsedate_to_datetime

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.facts import OrderIntended
from actors.core.trades import Trade
from actors.core.units import DIGITS_MAX, ZERO, ClientOrderId, Symbol, is_sane, plain
from actors.gateway.messages import Report, ReportStatus
from actors.venues.binance import rest
from actors.venues.binance.rules import EXECUTIONS, EXPIRY_REASONS, REASONS, STATUSES
from actors.venues.binance.streams import OrderDetail


def order_params(order: OrderIntended) -> dict[str, str]:
    """The parameters of a new order.

    ``reduceOnly`` is never sent: the master is netted, so what reduces an account may well
    increase the master.
    """
    params = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "quantity": plain(order.quantity),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if order.order_type is OrderType.LIMIT and order.price is not None:
        params["price"] = plain(order.price)
        params["timeInForce"] = order.time_in_force.value
    return params


def report_of(order: rest.Order) -> Report:
    """An order's answer as a report."""
    return Report(
        client_order_id=ClientOrderId(order.clientOrderId),
        exchange_order_id=order.orderId,
        symbol=Symbol(order.symbol),
        status=STATUSES.get(order.status, ReportStatus.UNKNOWN),
        executed=sane(order.executedQty),
        stated=order.status,
        reason=REASONS.get(order.status, ""),
        side=Side(order.side),
        quantity=sane(order.origQty),
    )


def report_of_event(detail: OrderDetail) -> Report:
    """A user event as a report, with its trade if it tells of one."""
    trade = None
    if detail.x in EXECUTIONS and detail.t:
        fee, fee_asset = _commission(detail.n, detail.N)
        trade = Trade(
            exchange_order_id=detail.i,
            trade_id=detail.t,
            symbol=Symbol(detail.s),
            side=Side(detail.S),
            quantity=_positive(detail.l),
            price=_positive(detail.L),
            fee=fee,
            maker=detail.m,
            trade_ms=detail.T,
            fee_asset=fee_asset,
        )
    return Report(
        client_order_id=ClientOrderId(detail.c),
        exchange_order_id=detail.i,
        symbol=Symbol(detail.s),
        status=STATUSES.get(detail.X, ReportStatus.UNKNOWN),
        executed=sane(detail.z),
        trade=trade,
        stated=detail.X,
        reason=REASONS.get(detail.X, EXPIRY_REASONS.get(detail.er, "")),
        side=Side(detail.S),
        quantity=sane(detail.q),
    )


def trade_of(trade: rest.UserTrade) -> Trade:
    """A trade of userTrades."""
    fee, fee_asset = _commission(trade.commission, trade.commissionAsset)
    return Trade(
        exchange_order_id=trade.orderId,
        trade_id=trade.id,
        symbol=Symbol(trade.symbol),
        side=Side(trade.side),
        quantity=_positive(trade.qty),
        price=_positive(trade.price),
        fee=fee,
        maker=trade.maker,
        trade_ms=trade.time,
        fee_asset=fee_asset,
    )


def error_of(content: bytes) -> tuple[int | None, str]:
    """Code and text of the exchange's own error body; without one, no code and the begin of what came."""
    try:
        body = msgspec.json.decode(content, type=rest.ErrorBody)
    except msgspec.MsgspecError:
        return None, content[:200].decode("utf-8", "replace")
    return body.code, body.msg


def _commission(amount: Decimal | None, asset: str | None) -> tuple[Decimal | None, str]:
    """Amount and asset of a commission; no amount when either is missing, as the other must not be guessed."""
    if amount is None or not (asset or amount == ZERO):
        return None, ""
    return sane(amount), asset or ""


def sane(value: Decimal) -> Decimal:
    """A number that can be reckoned with.

    Raises:
        ValueError: it is not finite, or has more digits than any price, quantity or money.
    """
    if not is_sane(value):
        raise ValueError(
            f"{value} is not a finite number of at most {DIGITS_MAX} digits either side of the point"
        )
    return value


def _positive(value: Decimal) -> Decimal:
    if sane(value) <= 0:
        raise ValueError(f"{value} is not a number above zero")
    return value


RETRY_MAX_MS = 3 * 24 * 3_600 * 1_000
"""The longest ban: a header that asks for more is nonsense."""

COUNT_DIGITS_MAX = 12
"""A header with more digits is no count of anything."""


def count_of(header: str) -> int | None:
    """A count in a header; None if there is none that can be read."""
    if not header.isascii() or not header.isdigit() or len(header) > COUNT_DIGITS_MAX:
        return None
    return int(header)


RETRY_UNREADABLE_MS = 1_000
"""How long to wait when the exchange says to, but not in a way that can be read."""


def retry_after_ms(header: str, now_s: float) -> int:
    """The wait that a ``Retry-After`` header asks for: seconds or a date (RFC 9110, 10.2.3); 0 without one."""
    text = header.strip()
    if not text:
        return 0
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_s
        except ValueError:
            return RETRY_UNREADABLE_MS
    if not math.isfinite(seconds):
        return RETRY_UNREADABLE_MS
    return max(0, int(min(seconds * 1_000, RETRY_MAX_MS)))
