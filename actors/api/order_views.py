"""What the API takes and shows of orders: structs, commands made of requests, orders that close positions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from actors.api.values import ShortText, number_of
from actors.core.enums import ConditionalKind, OrderStatus, OrderType, Purpose, Side, TimeInForce
from actors.core.errors import BadInput
from actors.core.instruments import Instrument
from actors.core.messages import PlaceConditional, PlaceOrder
from actors.core.names import checked_text
from actors.core.orders import ConditionalOrder, WorkingOrder
from actors.core.units import ZERO, ClientOrderId, Symbol
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

SYMBOL_MAX = 40
STRATEGY_MAX = 100

PARTS_MAX = 20
"""Orders that one position is closed by at once; a larger one is closed by asking again."""


class AnyOrderType(StrEnum):
    """The types of orders; the last three wait in the account until the mid reaches their price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST .../orders. Numbers are text, so that no digit is lost on the way.

    ``callback_rate`` is a fraction: 0.01 trails by 1 %.
    """

    symbol: str
    side: Side
    quantity: str
    order_type: AnyOrderType = AnyOrderType.MARKET
    price: str | None = None
    trigger_price: str | None = None
    callback_rate: str | None = None
    activation_price: str | None = None
    strategy: ShortText = ""
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    leverage: str | None = None
    account_id: str | None = None


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """A working order."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    order_type: OrderType
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    status: OrderStatus
    purpose: Purpose


class ConditionalView(msgspec.Struct, frozen=True, kw_only=True):
    """An order that waits for a price. ``attempt`` counts the orders of a stop that the exchange refused before."""

    client_order_id: ClientOrderId
    kind: ConditionalKind
    symbol: Symbol
    side: Side
    quantity: Decimal
    trigger_price: Decimal | None
    callback_rate: Decimal | None
    activation_price: Decimal | None
    extreme: Decimal | None
    reduce_only: bool
    strategy: str
    attempt: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An order of a list that has no outcome: ``code`` is TIMEOUT or the class of the error."""

    code: str
    message: str


class CloseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../close: the position in one symbol, or all positions."""

    symbol: str | None = None


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A reducing order, and what the account answered.

    An accepted one without ``client_order_id`` was below the exchange's minimum; the house took the position over.
    """

    symbol: Symbol
    side: Side
    quantity: Decimal
    answer: Accepted | Rejected


def order_view(order: WorkingOrder) -> OrderView:
    """A working order as the API shows it."""
    return OrderView(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        filled=order.filled,
        price=order.price,
        status=order.status,
        purpose=order.purpose,
    )


def conditional_view(order: ConditionalOrder) -> ConditionalView:
    """A conditional order as the API shows it."""
    placed = order.placed
    return ConditionalView(
        client_order_id=placed.client_order_id,
        kind=placed.kind,
        symbol=placed.symbol,
        side=placed.side,
        quantity=placed.quantity,
        trigger_price=placed.trigger_price,
        callback_rate=placed.callback_rate,
        activation_price=placed.activation_price,
        extreme=order.extreme,
        reduce_only=placed.reduce_only,
        strategy=placed.strategy,
        attempt=placed.attempt,
    )


def order_of(body: OrderBody, cause: str) -> PlaceOrder | PlaceConditional:
    """The command to an account that a request stands for.

    Raises:
        BadInput: a number that is none, or a field that this type of order does not take; names it.
    """

    def optional(name: str) -> Decimal | None:
        text = getattr(body, name)
        return None if text is None else number_of(text, name)

    symbol = Symbol(checked_text(body.symbol, "symbol", SYMBOL_MAX))
    waits = body.order_type.value in set(ConditionalKind)
    for name in ("price",) if waits else ("trigger_price", "callback_rate", "activation_price"):
        if getattr(body, name) is not None:
            raise BadInput(f"{name}: a {body.order_type} order takes none")
    if waits:
        return PlaceConditional(
            kind=ConditionalKind(body.order_type.value),
            symbol=symbol,
            side=body.side,
            quantity=number_of(body.quantity, "quantity"),
            trigger_price=optional("trigger_price"),
            callback_rate=optional("callback_rate"),
            activation_price=optional("activation_price"),
            reduce_only=body.reduce_only,
            leverage=optional("leverage"),
            cause=cause,
            strategy=checked_text(body.strategy, "strategy", STRATEGY_MAX),
        )
    return PlaceOrder(
        symbol=symbol,
        side=body.side,
        quantity=number_of(body.quantity, "quantity"),
        order_type=OrderType(body.order_type.value),
        price=optional("price"),
        time_in_force=body.time_in_force,
        reduce_only=body.reduce_only,
        leverage=optional("leverage"),
        cause=cause,
        strategy=checked_text(body.strategy, "strategy", STRATEGY_MAX),
    )


def closing_orders(
    state: AccountState, symbol: str | None, instruments: Mapping[Symbol, Instrument], cause: str
) -> list[PlaceOrder]:
    """Reducing market orders that close positions, as the owner of an account would place them.

    Args:
        state: the account.
        symbol: close this position only; None closes all.
        instruments: rules of the exchange.
        cause: of each order.

    Raises:
        BadInput: there is nothing to close; names the positions that there are.
    """
    held = [p for p in state.positions if symbol in {None, p.symbol}]
    if not held:
        others = ", ".join(p.symbol for p in state.positions)
        what = f"no position in {symbol}" if symbol else "no position"
        raise BadInput(f"{state.account_id} has {what}" + (f"; it holds {others}" if others else ""))
    return [order for position in held for order in _parts(position, instruments.get(position.symbol), cause)]


def _parts(position: Position, instrument: Instrument | None, cause: str) -> list[PlaceOrder]:
    """One order, or several where the exchange does not take a market order of that size."""
    left = abs(position.quantity)
    most = left if instrument is None else instrument.floor_qty(instrument.market_max_qty)
    found: list[PlaceOrder] = []
    while left > ZERO and len(found) < PARTS_MAX:
        quantity = min(left, most) if most > ZERO else left
        left -= quantity
        found.append(
            PlaceOrder(
                symbol=position.symbol,
                side=Side.SELL if position.is_long else Side.BUY,
                quantity=quantity,
                order_type=OrderType.MARKET,
                reduce_only=True,
                cause=cause,
            )
        )
    return found
