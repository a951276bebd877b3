"""One trade of the master account, as the exchange tells it: the only struct of it.

The gateway's report carries it, the account's ``Fill`` and the fact ``FillApplied`` hold the very same object, and the
writer's rows are made of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.core.enums import Side
from actors.core.units import ENTRY_QUANTUM, ZERO, Symbol


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A trade of one order. ``quantity`` in base asset, ``price`` in quote asset, ``trade_ms`` in Unix milliseconds.

    ``fee`` is what the exchange took, in ``fee_asset`` (empty: the quote asset), positive when paid; None when it has
    not said so yet. ``trade_id`` is unique within a symbol. ``quote_quantity`` is what it cost, where that is not quantity
    times price: a part of several trades at several prices, whose price is rounded and only for people to read. It is
    written down only where it is given, so that any other trade is written as all releases have written it.
    """

    exchange_order_id: int
    trade_id: int
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal | None
    maker: bool
    trade_ms: int
    # msgspec leaves a default out only when it is a plain value: this one is always written.
    fee_asset: str = msgspec.field(default_factory=str)
    quote_quantity: Decimal | None = None

    @property
    def value(self) -> Decimal:
        """What was paid or received for it without fee, in quote asset, exact."""
        return self.quantity * self.price if self.quote_quantity is None else self.quote_quantity

    def divided(self, closed: Decimal) -> tuple[Decimal, Decimal]:
        """What ``closed`` of its quantity is worth, and what the rest is, in quote asset; their sum is its value.

        In proportion, the first rounded to ``ENTRY_QUANTUM`` where it is given what the whole cost; exact otherwise.
        """
        if self.quote_quantity is None:
            return closed * self.price, (self.quantity - closed) * self.price
        if closed == self.quantity:
            return self.value, ZERO
        part = (self.value * closed / self.quantity).quantize(ENTRY_QUANTUM) if closed else ZERO
        return part, self.value - part


TRADE_FIELDS = frozenset(Trade.__struct_fields__)


def flattened(holder: msgspec.Struct) -> dict[str, Any]:
    """A struct that holds a trade as plain fields, those of the trade in its place, as all releases have written it.

    A field of the holder's own wins over one of the trade's by the same name.
    """
    fields: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(holder).items():
        fields.update(value if name == "trade" else {name: value})
    return fields


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """The way back from ``flattened``, for a holder that has no field named like one of the trade's."""
    trade = {name: value for name, value in fields.items() if name in TRADE_FIELDS}
    rest = {name: value for name, value in fields.items() if name not in TRADE_FIELDS}
    return {**rest, "trade": trade}
