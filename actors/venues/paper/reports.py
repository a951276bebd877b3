"""Conversion of orders, trades and account changes to REST answers and user events. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.core.units import ZERO, Symbol, quantize_price
from actors.venues.paper import user_events as events
from actors.venues.paper import wire_orders as wire
from actors.venues.paper.orders import PaperOrder, Trade

UNSET = msgspec.UNSET


def text(value: Decimal) -> str:
    """A decimal in plain notation, never with an exponent, as on Binance."""
    return f"{value:f}"


def _order_fields(order: PaperOrder) -> dict[str, Any]:
    request = order.request
    return {
        "orderId": order.order_id,
        "symbol": request.symbol,
        "status": order.shown_status or order.status,
        "clientOrderId": request.client_order_id,
        "price": text(request.price or ZERO),
        "origQty": text(request.quantity),
        "executedQty": text(order.executed),
        "timeInForce": request.time_in_force,
        "type": str(request.type),
        "reduceOnly": request.reduce_only,
        "closePosition": request.close_position,
        "side": str(request.side),
        "positionSide": request.position_side,
        "stopPrice": text(request.stop_price),
        "workingType": request.working_type,
        "priceProtect": request.price_protect,
        "origType": request.orig_type or str(request.type),
        "priceMatch": request.price_match,
        "selfTradePreventionMode": request.self_trade,
        "goodTillDate": request.good_till_ms,
        "updateTime": order.updated,
    }


def placed_order(order: PaperOrder, *, acknowledge: bool = False) -> wire.PlacedOrder:
    """Answer to placing or cancelling; with ``acknowledge`` (ACK) it has no execution details."""
    fields = _order_fields(order)
    executed = order.executed
    if acknowledge:
        executed = ZERO
        fields |= {"status": "NEW", "executedQty": "0", "updateTime": order.time}
    return wire.PlacedOrder(cumQty=text(executed), **fields)


def modified_order(order: PaperOrder, modify_id: int) -> wire.ModifiedOrder:
    """Answer to amending an order."""
    return wire.ModifiedOrder(
        cumQty=text(order.executed),
        pair=order.request.symbol,
        modifyId=modify_id,
        **_order_fields(order),
    )


def queried_order(order: PaperOrder) -> wire.QueriedOrder:
    """Answer to querying an order."""
    return wire.QueriedOrder(
        avgPrice=text(quantize_price(order.average)) if order.executed else "0",
        cumQuote=text(order.cost),
        time=order.time,
        **_order_fields(order),
    )


def force_order(order: PaperOrder) -> wire.ForceOrder:
    """An entry of forceOrders."""
    full = queried_order(order)
    return msgspec.convert(msgspec.to_builtins(full), wire.ForceOrder)


def user_trade(trade: Trade) -> wire.UserTrade:
    """An entry of userTrades."""
    return wire.UserTrade(
        id=trade.id,
        orderId=trade.order_id,
        symbol=trade.symbol,
        side=str(trade.side),
        positionSide="BOTH",
        price=text(trade.price),
        qty=text(trade.qty),
        quoteQty=text(trade.qty * trade.price),
        realizedPnl=text(trade.realized),
        commission=text(trade.commission),
        commissionAsset=trade.asset,
        marginAsset=trade.margin_asset,
        time=trade.time,
        buyer=trade.buyer,
        maker=trade.maker,
    )


def order_update(  # noqa: PLR0913 - the parts of an update
    order: PaperOrder,
    execution: str,
    now_ms: int,
    trade: Trade | None = None,
    open_notional: tuple[Decimal, Decimal] = (ZERO, ZERO),
    *,
    show_fee: bool = True,
) -> events.OrderTradeUpdate:
    """ORDER_TRADE_UPDATE event; ``open_notional`` is that of the symbol's open buys and sells."""
    request = order.request
    trailing = bool(request.callback_rate)
    with_fee = trade is not None and show_fee
    body = events.OrderBody(
        s=request.symbol,
        c=request.client_order_id,
        S=request.side.value,
        o=request.type.value,
        f=request.time_in_force,
        q=text(request.quantity),
        p=text(request.price or ZERO),
        ap=text(quantize_price(order.average)) if order.executed else "0",
        sp=text(request.stop_price),
        x=execution,
        X=order.shown_status or order.status,
        i=order.order_id,
        l=text(trade.qty) if trade else "0",
        z=text(order.executed),
        L=text(trade.price) if trade else "0",
        N=trade.asset if trade and with_fee else UNSET,
        n=text(trade.commission) if trade and with_fee else UNSET,
        T=now_ms,
        t=trade.id if trade else 0,
        b=text(open_notional[0]),
        a=text(open_notional[1]),
        m=trade.maker if trade else False,
        R=request.reduce_only,
        wt=request.working_type,
        ot=request.orig_type or request.type.value,
        ps=request.position_side,
        cp=request.close_position,
        AP=text(request.activate_price) if trailing else UNSET,
        cr=text(request.callback_rate) if trailing else UNSET,
        pP=request.price_protect,
        rp=text(trade.realized) if trade else "0",
        V=request.self_trade,
        pm=request.price_match,
        gtd=request.good_till_ms,
        er=order.expiry,
    )
    return events.OrderTradeUpdate(E=now_ms, T=now_ms, o=body)


def trade_lite(order: PaperOrder, trade: Trade, now_ms: int) -> events.TradeLite:
    """TRADE_LITE event."""
    request = order.request
    return events.TradeLite(
        E=now_ms,
        T=now_ms,
        s=request.symbol,
        q=text(request.quantity),
        p=text(request.price or ZERO),
        m=trade.maker,
        c=request.client_order_id,
        S=request.side.value,
        L=text(trade.price),
        l=text(trade.qty),
        t=trade.id,
        i=order.order_id,
    )


def account_update(
    reason: str,
    balances: tuple[events.BalanceBody, ...],
    positions: tuple[events.PositionBody, ...],
    now_ms: int,
    symbol: Symbol | None = None,
) -> events.AccountUpdate:
    """ACCOUNT_UPDATE event."""
    body = events.AccountBody(m=reason, B=balances, P=positions, S=UNSET if symbol is None else symbol)
    return events.AccountUpdate(E=now_ms, T=now_ms, a=body)
