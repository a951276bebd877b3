"""Margin of the master account: per symbol, per asset, and what a new order needs. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ZERO
from actors.venues.paper.brackets import bracket_of, maintenance

CENT = Decimal("0.00000001")


class SymbolMargin(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol at its mark: signed notional, profit, initial margins and maintenance."""

    notional: Decimal
    unrealized: Decimal
    bids: Decimal
    asks: Decimal
    position_initial: Decimal
    order_initial: Decimal
    maintenance: Decimal

    @property
    def initial(self) -> Decimal:
        """Of position and open orders together."""
        return self.position_initial + self.order_initial


class AssetMargin(msgspec.Struct, frozen=True, kw_only=True):
    """One margin asset over all its symbols."""

    wallet: Decimal
    unrealized: Decimal = ZERO
    position_initial: Decimal = ZERO
    order_initial: Decimal = ZERO
    maintenance: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        """Wallet and unrealized profit."""
        return self.wallet + self.unrealized

    @property
    def initial(self) -> Decimal:
        """Of positions and open orders together."""
        return self.position_initial + self.order_initial

    @property
    def available(self) -> Decimal:
        """What new orders may still bind, never below zero."""
        return max(ZERO, self.equity - self.initial)


def exposure(notional: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """The largest notional that a netted position comes to if one side's open orders fill."""
    return max(abs(notional + bids), abs(notional - asks))


def symbol_margin(  # noqa: PLR0913 - a position has that many parts
    amount: Decimal, entry: Decimal, mark: Decimal, bids: Decimal, asks: Decimal, leverage: int
) -> SymbolMargin:
    """The margins of one symbol."""
    notional = amount * mark
    held = (abs(notional) / leverage).quantize(CENT)
    total = (exposure(notional, bids, asks) / leverage).quantize(CENT)
    return SymbolMargin(
        notional=notional,
        unrealized=amount * (mark - entry),
        bids=bids,
        asks=asks,
        position_initial=held,
        order_initial=total - held,
        maintenance=maintenance(abs(notional)),
    )


def liquidation_price(amount: Decimal, entry: Decimal, mark: Decimal, margin: AssetMargin) -> Decimal:
    """The mark at which a cross position takes the account's equity down to maintenance; 0 if there is none."""
    if not amount:
        return ZERO
    bracket = bracket_of(abs(amount * mark))
    own_profit = amount * (mark - entry)
    own_need = abs(amount) * mark * bracket.rate - bracket.cum
    free = margin.equity - own_profit - (margin.maintenance - own_need) + bracket.cum
    price = (amount * entry - free) / (amount - abs(amount) * bracket.rate)
    return max(ZERO, price).quantize(CENT)
