"""What the API takes and shows of orders: structs, commands made of requests, orders that close positions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from actors.api.values import ShortText, number_of
from actors.core.carried import made_of
from actors.core.enums import ConditionalKind, OrderStatus, OrderType, Purpose, Side, TimeInForce
from actors.core.errors import BadInput
from actors.core.instruments import Instrument
from actors.core.messages import PlaceConditional, PlaceOrder
from actors.core.names import checked_text
from actors.core.order_tags import OrderTags
from actors.core.orders import ConditionalOrder, WorkingOrder
from actors.core.units import ZERO, ClientOrderId, Symbol
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

SYMBOL_MAX = 40
TAG_MAX = 100

PARTS_MAX = 20
"""Orders that one position is closed by at once; a larger one is closed by asking again."""


class AnyOrderType(StrEnum):
    """The types of orders; the last three wait in the account until the mid reaches their price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class OrderBody(OrderTags, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class OrderView(OrderTags, frozen=True, kw_only=True):
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


class ConditionalView(OrderTags, frozen=True, kw_only=True):
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
    return made_of(OrderView, order.intent, filled=order.filled, status=order.status)


def conditional_view(order: ConditionalOrder) -> ConditionalView:
    """A conditional order as the API shows it."""
    return made_of(ConditionalView, order.placed, extreme=order.extreme)


def order_of(body: OrderBody, cause: str) -> PlaceOrder | PlaceConditional:
    """The command to an account that a request stands for.

    Raises:
        BadInput: a number or text that is none, or a field that this type of order does not take; names it.
    """
    if body.order_type.value in set(ConditionalKind):
        kind = ConditionalKind(body.order_type.value)
        return PlaceConditional(kind=kind, cause=cause, **_said(body, PlaceConditional, PlaceOrder))
    return PlaceOrder(cause=cause, **_said(body, PlaceOrder, PlaceConditional))


def _said(body: OrderBody, kind: type[msgspec.Struct], other: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a ``kind`` of order that a request has; None in a field of the ``other`` kind alone."""
    for name in _refused(kind, other):
        if getattr(body, name) is not None:
            raise BadInput(f"{name}: a {body.order_type} order takes none")
    return {name: read(getattr(body, name), name) for name, read in _readers(kind).items()}


@cache
def _refused(kind: type[msgspec.Struct], other: type[msgspec.Struct]) -> tuple[str, ...]:
    """What a request may leave out, and must for this ``kind``."""
    optional = (field.name for field in msgspec.structs.fields(OrderBody) if field.default is None)
    return tuple(name for name in optional if name in _readers(other) and name not in _readers(kind))


@cache
def _readers(kind: type[msgspec.Struct]) -> dict[str, Callable[[Any, str], Any]]:
    """By name, how each field of an order that a request has is read from there."""
    return {
        field.name: _reader(field.type)
        for field in msgspec.structs.fields(kind)
        if field.name in OrderBody.__struct_fields__
    }


def _reader(kind: Any) -> Callable[[Any, str], Any]:
    if kind is Decimal:
        return number_of
    if kind == Decimal | None:
        return lambda text, name: None if text is None else number_of(text, name)
    if kind is Symbol:
        return lambda text, name: Symbol(checked_text(text, name, SYMBOL_MAX))
    if kind is str:
        return lambda text, name: checked_text(text, name, TAG_MAX)
    if kind is OrderType:
        return lambda chosen, _: OrderType(chosen.value)
    return lambda value, _: value


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
