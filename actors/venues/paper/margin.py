"""Margin of the master account: per symbol, per margin asset, and the liquidation price. Pure.

Amounts are signed: positive for long. All values are in the margin asset, which is the symbol's quote asset.
Initial margin = exposure / leverage, where exposure counts open orders of the worse side only: buys and sells cannot
both fill and both add to the net position. Maintenance margin comes from the leverage brackets (``brackets.py``).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from actors.core.units import ZERO
from actors.venues.paper.brackets import bracket_of, maintenance

MARGIN_QUANTUM = Decimal("0.00000001")


class SymbolMargin(msgspec.Struct, frozen=True, kw_only=True):
    """Margin of one symbol at its mark price. ``bids`` and ``asks`` are the notional of its open orders."""

    notional: Decimal
    unrealized: Decimal
    bids: Decimal
    asks: Decimal
    position_initial: Decimal
    order_initial: Decimal
    maintenance: Decimal

    @property
    def initial(self) -> Decimal:
        """Initial margin of the position and the open orders."""
        return self.position_initial + self.order_initial


class AssetMargin(msgspec.Struct, frozen=True, kw_only=True):
    """Margin of one asset over all its symbols."""

    wallet: Decimal
    unrealized: Decimal = ZERO
    position_initial: Decimal = ZERO
    order_initial: Decimal = ZERO
    maintenance: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        """Wallet balance plus unrealized profit."""
        return self.wallet + self.unrealized

    @property
    def initial(self) -> Decimal:
        """Initial margin of all positions and open orders."""
        return self.position_initial + self.order_initial

    @property
    def available(self) -> Decimal:
        """Margin available for new orders; never negative."""
        return max(ZERO, self.equity - self.initial)


def exposure(notional: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """Largest absolute notional of the position if all open orders of one side fill."""
    return max(abs(notional + bids), abs(notional - asks))


def symbol_margin(  # noqa: PLR0913 - the parts of a position
    amount: Decimal, entry: Decimal, mark: Decimal, bids: Decimal, asks: Decimal, leverage: int
) -> SymbolMargin:
    """Margin of one symbol."""
    notional = amount * mark
    position_initial = (abs(notional) / leverage).quantize(MARGIN_QUANTUM)
    total = (exposure(notional, bids, asks) / leverage).quantize(MARGIN_QUANTUM)
    return SymbolMargin(
        notional=notional,
        unrealized=amount * (mark - entry),
        bids=bids,
        asks=asks,
        position_initial=position_initial,
        order_initial=total - position_initial,
        maintenance=maintenance(abs(notional)),
    )


def liquidation_price(amount: Decimal, entry: Decimal, mark: Decimal, margin: AssetMargin) -> Decimal:
    """Mark price at which equity falls to the maintenance margin; 0 if there is no position or no such price.

    Only this symbol's mark price moves. At price p, with q = abs(amount) and the bracket's rate and cum:

        equity(p)      = other equity + amount x (p - entry)
        maintenance(p) = other maintenance + q x p x rate - cum

    Setting both equal is linear in p; ``free`` is other equity - other maintenance + cum. The bracket is that of the
    current notional, so the result is approximate if the price crosses a bracket's edge on the way.

    Source: Binance, "How to calculate liquidation price of USD-M futures contracts".
    """
    if not amount:
        return ZERO
    bracket = bracket_of(abs(amount * mark))
    own_profit = amount * (mark - entry)
    own_maintenance = abs(amount) * mark * bracket.rate - bracket.cum
    free = margin.equity - own_profit - (margin.maintenance - own_maintenance) + bracket.cum
    price = (amount * entry - free) / (amount - abs(amount) * bracket.rate)
    return max(ZERO, price).quantize(MARGIN_QUANTUM)
