"""Actions that the exchange takes on the master account by itself: liquidation, ADL, transfers, margin calls. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.units import ZERO, Symbol
from actors.venues.paper import reports
from actors.venues.paper.matching import Exchange
from actors.venues.paper.orders import OrderRequest, PaperOrder
from actors.venues.paper.user_events import MarginCall, MarginCallPosition, PaperEvent

CLOSING_IDS = {
    "liquidation": "autoclose-{at}{number}",
    "adl": "adl_autoclose",
    "settlement": "settlement_autoclose-{at}{number}",
}
"""Client order ids of orders that the exchange creates to close a position; the prefixes are Binance's."""

EXPIRY_LIQUIDATED = "5"


def close_position(  # noqa: PLR0913 - what is to be closed, and how
    exchange: Exchange,
    kind: str,
    symbol: Symbol,
    now_ms: int,
    *,
    quantity: Decimal | None = None,
    status: str = "NEW",
) -> tuple[PaperOrder, list[PaperEvent]]:
    """Close all or part of the master's position at the mark price, as the exchange. A liquidation expires open orders.

    Args:
        exchange: the exchange to act on.
        kind: a key of ``CLOSING_IDS``.
        symbol: symbol of the position.
        now_ms: the exchange's time.
        quantity: quantity to close; the whole position by default.
        status: first status of the order: NEW, NEW_INSURANCE or NEW_ADL.

    Raises:
        ValueError: an unknown kind, or no position of that size.
    """
    if kind not in CLOSING_IDS:
        raise ValueError(f"kind: {kind!r} is not one of {', '.join(CLOSING_IDS)}")
    amount = exchange.positions[symbol].amount
    closed = abs(amount) if quantity is None else quantity
    if not ZERO < closed <= abs(amount):
        raise ValueError(f"quantity: {closed} cannot be closed; the position is {amount} {symbol}")
    events: list[PaperEvent] = []
    if kind == "liquidation":
        for order in exchange.orders.open_of(symbol):
            events += exchange.end(order, "EXPIRED", now_ms, EXPIRY_LIQUIDATED)
    price = exchange.mark(symbol)
    number = len(exchange.orders.all) + 1
    made = exchange.orders.add(
        OrderRequest(
            symbol=symbol,
            side=Side.SELL if amount > ZERO else Side.BUY,
            type=OrderType.LIMIT if kind == "liquidation" else OrderType.MARKET,
            quantity=closed,
            price=price if kind == "liquidation" else None,
            time_in_force="IOC" if kind == "liquidation" else "GTC",
            client_order_id=CLOSING_IDS[kind].format(at=now_ms, number=number),
        ),
        now_ms,
    )
    made.status = status
    events.append(exchange.order_event(made, "NEW", now_ms))
    events += exchange.trade(made, closed, price, now_ms, maker=False, execution="CALCULATED")
    return made, events


def transfer(exchange: Exchange, asset: str, amount: Decimal, reason: str, now_ms: int) -> list[PaperEvent]:
    """Deposit (or withdraw, if negative) an asset; an ACCOUNT_UPDATE reports it."""
    exchange.ledger.transfer(asset, amount, now_ms)
    return [exchange.account_update_event(reason, now_ms, changes={asset: amount})]


def adjust_position(
    exchange: Exchange, symbol: Symbol, quantity: Decimal, now_ms: int, price: Decimal | None = None
) -> list[PaperEvent]:
    """Change a position without an order; only an ACCOUNT_UPDATE reports it."""
    at = exchange.mark(symbol) if price is None else price
    realized = exchange.ledger.apply_trade(symbol, quantity, at, now_ms)
    exchange.ledger.book_realized(exchange.instruments[symbol].quote_asset, realized, symbol, 0, now_ms)
    return [exchange.account_update_event("ADJUSTMENT", now_ms, symbol=symbol)]


def margin_call(exchange: Exchange, now_ms: int) -> list[PaperEvent]:
    """MARGIN_CALL for every open position."""
    found = []
    for symbol in exchange.active_symbols():
        position, margin = exchange.positions[symbol], exchange.symbol_margin(symbol)
        if not position.amount:
            continue
        found.append(
            MarginCallPosition(
                s=symbol,
                ps="BOTH",
                pa=reports.text(position.amount),
                mt="ISOLATED" if symbol in exchange.settings.isolated else "CROSSED",
                iw=reports.text(position.isolated),
                mp=reports.text(exchange.mark(symbol)),
                up=reports.text(margin.unrealized),
                mm=reports.text(margin.maintenance),
            )
        )
    return [MarginCall(E=now_ms, cw=reports.text(exchange.wallet), p=tuple(found))]


def show_status(exchange: Exchange, order: PaperOrder, status: str, now_ms: int) -> list[PaperEvent]:
    """Show an order with a status of the caller's choice; an empty one removes the override."""
    order.shown_status = status
    return [exchange.order_event(order, "NEW" if order.is_open else order.status, now_ms)]


def change_rules(exchange: Exchange, symbol: Symbol, changes: dict[str, Decimal]) -> None:
    """Change trading rules while the exchange runs.

    Raises:
        ValueError: no such rule, or a value that is not above zero.
    """
    known = {"tick_size", "step_size", "min_qty", "max_qty", "market_max_qty", "min_notional"}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{name!r} is not one of {', '.join(sorted(known))}")
        if value <= ZERO:
            raise ValueError(f"{name}: {value} must be above zero")
    exchange.instruments[symbol] = msgspec.structs.replace(exchange.instruments[symbol], **changes)
