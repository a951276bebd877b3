"""Position events in the platform's words: its names, its fields, numbers as JSON numbers. Pure.

One event of the stream has at most one of them, made of its fact and of the account's state before and after it. Where
that state is not known any more (a row that was read back from the journal), a closed position has no ``newBalance``,
and a fill has no event of the platform's: the stream's own event has all that the journal says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from actors.core.enums import Purpose
from actors.core.facts import AnyFact, FillApplied, PositionClosed, PositionTakenOver
from actors.core.units import ZERO, Symbol
from actors.persistence.projection.positions import HOUSE
from actors.persistence.projection.spelling import platform_symbol
from actors.persistence.projection.trades import closing_action
from actors.persistence.redis.snapshots import short
from actors.subaccount.margin import static_liquidation_price
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState

Value = str | Decimal | bool | None

ENCODER = msgspec.json.Encoder(decimal_format="number")

REASONS = {
    Purpose.USER: "CLOSE",
    Purpose.ADL: "LIQUIDATION",
    Purpose.LIQUIDATION: "LIQUIDATION",
    Purpose.CLOSE_OUT: "CLOSE_OUT",
}
"""Why a position was closed; the last is ours: a loss limit, or an emergency stop."""


class PlatformEvent(NamedTuple):
    """``type`` and ``data``, as the platform's websocket has them."""

    type: str
    data: dict[str, Value]

    def json(self) -> bytes:
        """``data`` as text."""
        return ENCODER.encode(self.data)


def platform_event(
    account_id: str,
    fact: AnyFact,
    before: AccountState | None,
    after: AccountState | None,
    previous: AnyFact | None = None,
) -> PlatformEvent | None:
    """What the platform's programs are told of a fact.

    Args:
        account_id: whose it is.
        fact: what happened.
        before: the account before it; None if that is not known.
        after: the account after it; None as above.
        previous: the fact before it in the same decision.
    """
    match fact:
        case FillApplied() if after is not None:
            return _filled(account_id, fact, after)
        case PositionClosed():
            # A position that the house took over has its own event, and no other.
            if isinstance(previous, PositionTakenOver) and previous.symbol == fact.symbol:
                return None
            return _closed(account_id, fact, after)
        case PositionTakenOver():
            return _taken_over(account_id, fact, before)
        case _:
            return None


def _filled(account_id: str, fact: FillApplied, after: AccountState) -> PlatformEvent | None:
    held = after.position(fact.trade.symbol)
    if held is None:
        return None  # ``PositionClosed`` follows
    if fact.trade.quantity > fact.closed_quantity:
        return PlatformEvent(
            "position_updated",
            {
                **_head(account_id, held.position_id, held.symbol, held.quantity),
                "entryPrice": held.entry_price,
                "quantity": abs(held.quantity),
                "notional": short(held.notional),
                "leverage": short(held.leverage),
                "margin": short(held.margin),
                "liquidationPrice": _liquidation_price(after, held),
                "babysitterExcluded": True,
            },
        )
    return PlatformEvent(
        "position_reduced",
        {
            **_head(account_id, held.position_id, held.symbol, held.quantity),
            "remainingQty": abs(held.quantity),
            "closedQty": fact.closed_quantity,
            "realizedPnl": short(fact.realized - fact.fee),
            "newBalance": short(after.balance),
            "reason": closing_action(fact)[0],
        },
    )


def _closed(account_id: str, fact: PositionClosed, after: AccountState | None) -> PlatformEvent:
    flipped = after is not None and after.position(fact.symbol) is not None
    return PlatformEvent(
        "position_closed",
        {
            **_head(account_id, fact.position_id, fact.symbol, fact.quantity),
            "realizedPnl": short(fact.net),
            "newBalance": None if after is None else short(after.balance),
            "reason": "FLIP" if flipped and fact.purpose is Purpose.USER else REASONS[fact.purpose],
        },
    )


def _taken_over(account_id: str, fact: PositionTakenOver, before: AccountState | None) -> PlatformEvent:
    held = None if before is None else before.position(fact.symbol)
    position_id = None if held is None else held.position_id
    return PlatformEvent(
        "position_takeover",
        {**_head(account_id, position_id, fact.symbol, fact.quantity), "adminUserId": HOUSE},
    )


def _head(account_id: str, position_id: str | None, symbol: Symbol, quantity: Decimal) -> dict[str, Value]:
    return {
        "subAccountId": account_id,
        "positionId": position_id,
        "symbol": platform_symbol(symbol),
        "side": "LONG" if quantity > ZERO else "SHORT",
    }


def _liquidation_price(after: AccountState, held: Position) -> Decimal:
    """Of this position alone, as the platform's column has it: of prices the journal knows nothing."""
    return short(static_liquidation_price(after, held))
