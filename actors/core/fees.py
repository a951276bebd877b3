"""What the exchange takes for a trade: in the quote asset, in another one, or not known yet.

A fee in another asset is booked in quote asset: amount x rate, exactly, with the rate of the trade's time
beside it. Until amount and rate are known the fee is pending: the fill is booked, the fee is not.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ClientOrderId, Symbol

RATE_SPAN_MS = 60_000
"""A rate that is learned afterwards is that of the trade's minute."""


class Commission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was taken for one trade in an asset that is not the quote asset.

    ``amount`` is None and ``asset`` empty until the exchange says; ``rate`` is the quote asset's amount for
    one of ``asset`` at ``rate_ms`` (Unix milliseconds), None until it is known.
    """

    asset: str = ""
    amount: Decimal | None = None
    rate: Decimal | None = None
    rate_ms: int = 0


class PendingFee(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The fee of a booked trade that is not booked yet; ``asset`` and ``amount`` as of ``Commission``.

    ``price`` and ``quote_quantity`` are those of the trade, the second written down only where the trade has it.

    ``position_id`` is the position that the trade opened, added to or reduced; empty when it only closed.
    ``closed_id`` is the one that it closed, ``closed_quantity`` of the trade's ``quantity`` did.
    """

    symbol: Symbol
    trade_id: int
    client_order_id: ClientOrderId
    exchange_order_id: int
    trade_ms: int
    quantity: Decimal
    price: Decimal
    closed_quantity: Decimal
    position_id: str
    closed_id: str
    # msgspec leaves a default out only when it is a plain value: these two are always written.
    asset: str = msgspec.field(default_factory=str)
    amount: Decimal | None = msgspec.field(default_factory=lambda: None)
    quote_quantity: Decimal | None = None

    @property
    def value(self) -> Decimal:
        """What the trade was worth without fee, in quote asset."""
        return self.quantity * self.price if self.quote_quantity is None else self.quote_quantity


class FeeShare(msgspec.Struct, frozen=True, gc=False):
    """The part of a fee that one position paid; ``is_closed`` when that position is gone already."""

    position_id: str
    fee: Decimal
    is_closed: bool


class FeeLearned(msgspec.Struct, frozen=True, gc=False, tag_field="fact", tag=True):
    """Fact: what the exchange took for a trade is known, but not what that is worth."""

    symbol: Symbol
    trade_id: int
    asset: str
    amount: Decimal


class FeeBooked(msgspec.Struct, frozen=True, gc=False, tag_field="fact", tag=True):
    """Fact: a pending fee was booked. ``fee`` = amount x ``rate``, in quote asset, is the sum of ``shares``."""

    pending: PendingFee
    rate: Decimal
    rate_ms: int
    fee: Decimal
    shares: tuple[FeeShare, ...]


FeeFact = FeeLearned | FeeBooked
