"""One open position, and what a fill does to it.

Rules
1. ``settle`` is the only place that knows how a fill changes a position.
2. Between two fills quantity and entry are constant, so the worst and the best unrealized
   profit of that period are at the extremes of the mid; ``excursions`` folds them in.
3. Kept is the cost, which is exact: products are, and what a partial close takes of it is rounded once and
   taken off what stays. So over any round trip the realized parts add up to what was sold less what was
   bought. The average entry is a division, and only shown.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.core.enums import Alert, Purpose
from actors.core.facts import FillApplied, PositionClosed
from actors.core.fees import PendingFee
from actors.core.units import ENTRY_QUANTUM, ZERO, AccountId, Symbol, quantize_price


class Position(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One open position. ``quantity`` is signed (long > 0) and never zero.

    ``cost`` (> 0) is the entry notional of what is held, in quote asset: what the opening fills cost, less the
    parts that were closed. ``margin`` is the initial margin in quote asset; ``realized`` what partial closes brought so far, without ``fees`` (paid) and
    ``funding`` (received). ``mae`` and ``mfe`` hold for all periods between fills but the present one, which began
    at ``since``; ``peak`` is the most that was held.
    """

    position_id: str
    symbol: Symbol
    quantity: Decimal
    cost: Decimal
    margin: Decimal
    realized: Decimal
    opened_ms: int
    peak: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    mae: Decimal = ZERO
    mfe: Decimal = ZERO
    since: int = 0
    strategy: str = ""
    alerts: tuple[Alert, ...] = ()

    @property
    def is_long(self) -> bool:
        """Whether it was bought."""
        return self.quantity > 0

    @property
    def notional(self) -> Decimal:
        """Entry notional, in quote asset: the cost."""
        return self.cost

    @property
    def signed_cost(self) -> Decimal:
        """The cost with the sign of the quantity, in quote asset."""
        return self.cost if self.quantity > 0 else -self.cost

    @property
    def entry_price(self) -> Decimal:
        """The quantity-weighted average of what was paid, rounded to ``ENTRY_QUANTUM``."""
        return quantize_price(self.cost / abs(self.quantity))

    @property
    def leverage(self) -> Decimal:
        """Entry notional / initial margin."""
        return self.notional / self.margin

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit at ``mark``, in quote asset: quantity x mark - signed cost."""
        return self.quantity * mark - self.signed_cost

    def cost_of(self, quantity: Decimal) -> Decimal:
        """What ``quantity`` (> 0, at most all) of it cost, in quote asset; rounded unless it is all."""
        if quantity == abs(self.quantity):
            return self.cost
        return (self.cost * quantity / abs(self.quantity)).quantize(ENTRY_QUANTUM)

    def excursions(self, low: Decimal | None, high: Decimal | None) -> tuple[Decimal, Decimal]:
        """MAE (<= 0) and MFE (>= 0), in quote asset, with a period from ``low`` to ``high`` added."""
        if low is None or high is None:
            return self.mae, self.mfe
        ends = (self.unrealized(low), self.unrealized(high))
        return min(self.mae, *ends), max(self.mfe, *ends)

    def closed(
        self,
        purpose: Purpose,
        closed_ms: int,
        realized: Decimal,
        fee: Decimal,
        extremes: tuple[Decimal, Decimal] | None,
    ) -> PositionClosed:
        """The record of this position when its last part brought ``realized`` and cost ``fee``."""
        mae, mfe = self.excursions(*(extremes or (None, None)))
        return PositionClosed(
            position_id=self.position_id,
            symbol=self.symbol,
            quantity=self.peak or self.quantity,
            entry_price=self.entry_price,
            realized=self.realized + realized,
            fees=self.fees + fee,
            funding=self.funding,
            mae=mae,
            mfe=mfe,
            strategy=self.strategy,
            purpose=purpose,
            opened_ms=self.opened_ms,
            closed_ms=closed_ms,
        )


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a fill does to a position: the position after it, and what was realized.

    ``closing_fee`` is the part of the fee that falls on what was closed.
    """

    position: Position | None
    closed_quantity: Decimal
    realized: Decimal
    opened_new: bool
    closing_fee: Decimal = ZERO


def position_id(account_id: AccountId, sequence: int) -> str:
    """The deterministic id of an account's ``sequence``-th position, in UUID shape."""
    h = hashlib.blake2b(f"{account_id}:{sequence}".encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def settle(
    held: Position | None, fill: FillApplied, new_id: str, leverage: Decimal, strategy: str
) -> Settlement:
    """Apply one fill to the account's position in its symbol, netted, one way.

    realized = (closed quantity x price - its share of the cost) x sign of the position, fees excluded.
    A fill against the position reduces it first; what is left over opens the other side.
    """
    signed = fill.trade.quantity * fill.trade.side.sign
    if held is None:
        opened = _opened(fill, signed, fill.fee, new_id, leverage, strategy)
        return Settlement(opened, ZERO, ZERO, opened_new=True)
    if (held.quantity > 0) == (signed > 0):
        return Settlement(_added(held, fill, signed, leverage), ZERO, ZERO, opened_new=False)
    closed = min(abs(held.quantity), fill.trade.quantity)
    sign = 1 if held.quantity > 0 else -1
    cost = held.cost_of(closed)
    realized = (closed * fill.trade.price - cost) * sign
    left = held.quantity + signed
    if left == ZERO:
        return Settlement(None, closed, realized, opened_new=False, closing_fee=fill.fee)
    if (left > 0) == (held.quantity > 0):
        return Settlement(_reduced(held, fill, left, cost, realized), closed, realized, opened_new=False)
    fee = (fill.fee * closed / fill.trade.quantity).quantize(ENTRY_QUANTUM)
    opened = _opened(fill, left, fill.fee - fee, new_id, leverage, strategy)
    return Settlement(opened, closed, realized, opened_new=True, closing_fee=fee)


def pending_of(fill: FillApplied, settlement: Settlement, held_id: str) -> PendingFee | None:
    """The pending fee of a fill that was settled on the position ``held_id``; None if its fee is booked."""
    commission = fill.commission
    if commission is None or commission.rate is not None:
        return None
    after_id = "" if settlement.position is None else settlement.position.position_id
    return PendingFee(
        symbol=fill.trade.symbol,
        trade_id=fill.trade.trade_id,
        client_order_id=fill.client_order_id,
        exchange_order_id=fill.trade.exchange_order_id,
        trade_ms=fill.trade.trade_ms,
        quantity=fill.trade.quantity,
        price=fill.trade.price,
        closed_quantity=fill.closed_quantity,
        position_id=after_id,
        closed_id="" if held_id == after_id else held_id,
        asset=commission.asset,
        amount=commission.amount,
    )


def with_position(
    positions: tuple[Position, ...], symbol: Symbol, position: Position | None
) -> tuple[Position, ...]:
    """``positions`` with ``position`` in its symbol's place; without one if it is None."""
    if position is None:
        return tuple(p for p in positions if p.symbol != symbol)
    if any(p.symbol == symbol for p in positions):
        return tuple(position if p.symbol == symbol else p for p in positions)
    return (*positions, position)


def _opened(  # noqa: PLR0913 - what a new position is made of
    fill: FillApplied, signed: Decimal, fee: Decimal, new_id: str, leverage: Decimal, strategy: str
) -> Position:
    return Position(
        position_id=new_id,
        symbol=fill.trade.symbol,
        quantity=signed,
        cost=abs(signed) * fill.trade.price,
        margin=_margin(abs(signed) * fill.trade.price, leverage),
        realized=ZERO,
        opened_ms=fill.trade.trade_ms,
        peak=signed,
        fees=fee,
        since=fill.moment,
        strategy=strategy,
    )


def _added(held: Position, fill: FillApplied, signed: Decimal, leverage: Decimal) -> Position:
    # Margin adds up: taking over the new order's leverage for the whole position, as the
    # platform does, would let an add free margin.
    quantity = held.quantity + signed
    mae, mfe = held.excursions(fill.low, fill.high)
    return replace(
        held,
        quantity=quantity,
        cost=held.cost + fill.trade.quantity * fill.trade.price,
        margin=held.margin + _margin(fill.trade.quantity * fill.trade.price, leverage),
        peak=quantity if abs(quantity) > abs(held.peak) else held.peak,
        fees=held.fees + fill.fee,
        mae=mae,
        mfe=mfe,
        since=fill.moment,
    )


def _reduced(held: Position, fill: FillApplied, left: Decimal, cost: Decimal, realized: Decimal) -> Position:
    mae, mfe = held.excursions(fill.low, fill.high)
    return replace(
        held,
        quantity=left,
        cost=held.cost - cost,
        margin=(held.margin * left / held.quantity).quantize(ENTRY_QUANTUM),
        realized=held.realized + realized,
        fees=held.fees + fill.fee,
        mae=mae,
        mfe=mfe,
        since=fill.moment,
    )


def _margin(notional: Decimal, leverage: Decimal) -> Decimal:
    return (notional / leverage).quantize(ENTRY_QUANTUM)
