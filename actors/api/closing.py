"""The orders that close an account's positions, as its owner would place them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import OrderType, Side
from actors.core.errors import BadInput
from actors.core.instruments import Instrument
from actors.core.messages import PlaceOrder
from actors.core.units import ZERO, Symbol
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

PARTS_MAX = 20
"""Orders that one position is closed by at once; a larger one is closed by asking again."""


class CloseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../close: of one symbol, or of all that the account holds."""

    symbol: str | None = None


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A reducing order, and what the account answered.

    An accepted one without ``client_order_id`` was below the exchange's minimum, and the house took it.
    """

    symbol: Symbol
    side: Side
    quantity: Decimal
    answer: Accepted | Rejected


def closing_orders(
    state: AccountState, symbol: str | None, instruments: Mapping[Symbol, Instrument], cause: str
) -> list[PlaceOrder]:
    """Reducing market orders over everything that is held.

    Raises:
        BadInput: there is nothing to close; names what is held.
    """
    held = [p for p in state.positions if symbol in {None, p.symbol}]
    if not held:
        others = ", ".join(p.symbol for p in state.positions)
        what = f"no position in {symbol}" if symbol else "no position"
        raise BadInput(f"{state.account_id} has {what}" + (f"; it holds {others}" if others else ""))
    return [order for position in held for order in _parts(position, instruments.get(position.symbol), cause)]


def _parts(position: Position, instrument: Instrument | None, cause: str) -> list[PlaceOrder]:
    """One order, or several where the exchange takes no market order of that size."""
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
