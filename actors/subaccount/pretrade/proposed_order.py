"""An order that would open risk, with the numbers that limits look at."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from actors.core.enums import Side
from actors.core.messages import PlaceOrder
from actors.core.units import ZERO, Symbol
from actors.subaccount import after_fill
from actors.subaccount.market import Market, mark_at
from actors.subaccount.open_order_exposure import OrderExposure
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState


class ProposedOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order with the numbers that limits look at; money in quote asset.

    ``opening`` is the quantity that opens, ``price`` what it is counted with; ``notional`` and ``required`` (margin)
    are of it; ``marks`` are those of the open positions; ``left`` are the positions without
    the one that the order closes first; ``used`` is margin of positions left and of ``order_exposures``, which
    are what working and conditional orders may still open; ``scale`` shrinks every size limit while the
    breaker is half-open.
    """

    state: AccountState
    order: PlaceOrder
    market: Market
    opening: Decimal
    price: Decimal
    marks: Mapping[Symbol, Decimal]
    notional: Decimal
    required: Decimal
    leverage: Decimal
    left: tuple[Position, ...]
    equity: Decimal
    used: Decimal
    order_exposures: tuple[OrderExposure, ...]
    scale: Decimal

    @property
    def exposure(self) -> Decimal:
        """Entry notional of everything, the order included."""
        working = sum((c.notional for c in self.order_exposures), ZERO)
        return sum((p.notional for p in self.left), ZERO) + working + self.notional

    @property
    def position_notional(self) -> Decimal:
        """Notional of the position that would come of it, working orders of the symbol included."""
        symbol = self.order.symbol
        held = sum((p.notional for p in self.left if p.symbol == symbol), ZERO)
        working = sum((c.notional for c in self.order_exposures if c.symbol == symbol), ZERO)
        return held + working + self.notional

    @property
    def after_its_fill(self) -> dict[Symbol, Decimal]:
        """By symbol, the notional that maintenance would be counted on, with all that works and waits."""
        order = self.order
        own = OrderExposure(
            order.symbol, order.side, order.strategy, self.opening, self.notional, self.required
        )
        everything = (*self.order_exposures, own)
        return after_fill.notionals(self.state, self.left, everything, self.marks, self.market)

    @property
    def equity_after(self) -> Decimal:
        """Equity after the fill: less the taker's fee, and what the price is worse than the mark."""
        order, limits = self.order, self.state.limits
        mark = mark_at(self.market.ticks[order.symbol], limits.mark_source, is_long=order.side is Side.BUY)
        worse = (self.price - mark) * order.side.sign * self.opening
        return self.equity - self.notional * limits.taker_fee_rate - max(ZERO, worse)
