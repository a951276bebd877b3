"""What the exchange says of one symbol: increments, limits, leverage brackets."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

import msgspec

from actors.core.units import (
    Symbol,
    round_to,
)

TRADING = "TRADING"
"""The status of a symbol that trades."""


NOT_CONFIGURED = "NOT_CONFIGURED"
"""Ours: a symbol that trades, but that the settings leave out; an account still holds a position in it."""


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """One leverage bracket: notionals at the mark from ``notional_floor`` to below ``notional_cap``.

    Maintenance margin there is notional x ``rate`` - ``cumulative``, which makes it continuous. A position
    there may have a leverage of ``max_leverage`` at most; 0 when it is not known.
    """

    notional_floor: Decimal
    notional_cap: Decimal
    rate: Decimal
    cumulative: Decimal
    max_leverage: int = 0


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's trading rules, as the exchange's ``exchangeInfo`` gives them.

    ``tick_size`` and ``step_size`` are the price and quantity increments; ``min_notional``
    is in the quote asset and is not asked of reduce-only orders (Binance USD-M rule). ``brackets``
    are its leverage brackets, lowest first; empty when the exchange did not say. ``status`` is the
    exchange's; only a TRADING symbol takes new risk. ``callback_min`` and ``callback_max`` bound a trailing
    stop's callback rate, as a fraction; each venue says its own.
    """

    symbol: Symbol
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    brackets: tuple[Bracket, ...] = ()
    status: str = TRADING
    callback_min: Decimal = Decimal("0.001")
    callback_max: Decimal = Decimal("0.2")

    @property
    def is_trading(self) -> bool:
        """Whether orders that open something are taken."""
        return self.status == TRADING

    def floor_qty(self, quantity: Decimal) -> Decimal:
        """Round a quantity down to the step."""
        return round_to(quantity, self.step_size, ROUND_DOWN)

    def ceil_qty(self, quantity: Decimal) -> Decimal:
        """Round a quantity up to the step."""
        return round_to(quantity, self.step_size, ROUND_UP)

    def is_on_step(self, quantity: Decimal) -> bool:
        """Whether the quantity is a whole number of steps."""
        return quantity % self.step_size == 0

    def is_on_tick(self, price: Decimal) -> bool:
        """Whether the price is a whole number of ticks."""
        return price % self.tick_size == 0
