"""REST answers about orders, algo orders and trades. Pure data.

Field names are the exchange's. Money, prices and quantities are text; ids and times are integers.
"""

from __future__ import annotations

import msgspec


class OrderBase(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of every answer about an order."""

    orderId: int
    symbol: str
    status: str
    clientOrderId: str
    price: str
    origQty: str
    executedQty: str
    timeInForce: str
    type: str
    reduceOnly: bool
    closePosition: bool
    side: str
    positionSide: str
    stopPrice: str
    workingType: str
    priceProtect: bool
    origType: str
    priceMatch: str
    selfTradePreventionMode: str
    goodTillDate: int
    updateTime: int


class PlacedOrder(OrderBase, frozen=True, kw_only=True):
    """Answer to placing and cancelling. Since July 2026 it has no average price and no quote value."""

    cumQty: str


class ModifiedOrder(PlacedOrder, frozen=True, kw_only=True):
    """Answer to amending an order."""

    pair: str
    modifyId: int


class QueriedOrder(OrderBase, frozen=True, kw_only=True):
    """Answer to querying orders."""

    avgPrice: str
    cumQuote: str
    time: int


class ForceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the exchange created to close the master's position."""

    orderId: int
    symbol: str
    status: str
    clientOrderId: str
    price: str
    avgPrice: str
    origQty: str
    executedQty: str
    cumQuote: str
    timeInForce: str
    type: str
    reduceOnly: bool
    closePosition: bool
    side: str
    positionSide: str
    stopPrice: str
    workingType: str
    origType: str
    time: int
    updateTime: int


class Change(msgspec.Struct, frozen=True):
    """A value before and after."""

    before: str
    after: str


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """Changes made by one amendment."""

    price: Change
    origQty: Change
    count: int
    modifyId: int


class OrderAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an order's amendment history."""

    amendmentId: int
    symbol: str
    pair: str
    orderId: int
    clientOrderId: str
    time: int
    amendment: Amendment


class AlgoBase(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of every answer about an algo order."""

    algoId: int
    clientAlgoId: str
    algoType: str
    orderType: str
    symbol: str
    side: str
    positionSide: str
    timeInForce: str
    quantity: str
    algoStatus: str
    triggerPrice: str
    price: str
    icebergQuantity: str | None
    selfTradePreventionMode: str
    workingType: str
    priceMatch: str
    closePosition: bool
    priceProtect: bool
    reduceOnly: bool
    activatePrice: str
    callbackRate: str
    createTime: int
    updateTime: int
    triggerTime: int
    goodTillDate: int


class PlacedAlgo(AlgoBase, frozen=True, kw_only=True):
    """Answer to placing an algo order."""


class QueriedAlgo(AlgoBase, frozen=True, kw_only=True):
    """Answer to querying algo orders, with the order that a triggered one placed."""

    actualOrderId: str
    actualPrice: str
    actualType: str
    actualQty: str
    tpTriggerPrice: str
    tpPrice: str
    slTriggerPrice: str
    slPrice: str
    tpOrderType: str


class CancelledAlgo(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to cancelling an algo order."""

    algoId: int
    clientAlgoId: str
    code: str = "200"
    msg: str = "success"


class UserTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the master account."""

    id: int
    orderId: int
    symbol: str
    side: str
    positionSide: str
    price: str
    qty: str
    quoteQty: str
    realizedPnl: str
    commission: str
    commissionAsset: str
    marginAsset: str
    time: int
    buyer: bool
    maker: bool


class Done(msgspec.Struct, frozen=True):
    """Answer without data: success."""

    code: int = 200
    msg: str = "success"


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Error answer."""

    code: int
    msg: str


class Countdown(msgspec.Struct, frozen=True):
    """The countdown after which a symbol's orders are cancelled."""

    symbol: str
    countdownTime: str
