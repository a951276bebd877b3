"""One open position, and what a fill does to it.

Rules
1. ``settle`` is the only place that works out how a trade changes a position, when it is decided on; ``filled`` makes
   the position of what the fact carries, whatever release worked that out.
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

from actors.core.enums import Alert, Purpose, Side
from actors.core.facts import FillApplied, PositionClosed
from actors.core.fees import PendingFee
from actors.core.trades import Trade
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
    """What a fill does to a position, worked out: what ``FillApplied`` carries, and ``filled`` takes as it is.

    ``cost``, ``margin``, ``mae`` and ``mfe`` are those of the position after it, zero when none is left;
    ``closing_fee`` is the part of the fee that falls on the position that the fill ended, if it did.
    """

    closed_quantity: Decimal = ZERO
    realized: Decimal = ZERO
    closing_fee: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    mae: Decimal = ZERO
    mfe: Decimal = ZERO


def position_id(account_id: AccountId, sequence: int) -> str:
    """The deterministic id of an account's ``sequence``-th position, in UUID shape."""
    h = hashlib.blake2b(f"{account_id}:{sequence}".encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def closed_by(held: Position | None, trade: Trade) -> Decimal:
    """How much of a trade reduces the account's position in its symbol, netted, one way; the rest opens or adds."""
    if held is None or held.is_long == (trade.side is Side.BUY):
        return ZERO
    return min(abs(held.quantity), trade.quantity)


def settle(
    held: Position | None,
    trade: Trade,
    fee: Decimal,
    leverage: Decimal,
    extremes: tuple[Decimal | None, Decimal | None],
) -> Settlement:
    """What a trade does to the account's position in its symbol.

    realized = (value of the closed part - its share of the cost) x sign of the position, fees excluded.
    A trade against the position reduces it first; what is left over opens the other side.

    Args:
        held: the position before, if any.
        trade: what the exchange said.
        fee: what is booked of its fee, in quote asset.
        leverage: of the order, for what it opens.
        extremes: of the mid since the position last changed.
    """
    closed = closed_by(held, trade)
    brought, opened = trade.divided(closed)
    if held is None:
        return Settlement(cost=opened, margin=_margin(opened, leverage))
    mae, mfe = held.excursions(*extremes)
    if closed == ZERO:
        # Margin adds up: taking over the new order's leverage for the whole position, as the
        # platform does, would let an add free margin.
        margin = held.margin + _margin(opened, leverage)
        return Settlement(cost=held.cost + opened, margin=margin, mae=mae, mfe=mfe)
    cost = held.cost_of(closed)
    realized = (brought - cost) * (1 if held.is_long else -1)
    left = abs(held.quantity) - closed
    if left:
        margin = (held.margin * left / abs(held.quantity)).quantize(ENTRY_QUANTUM)
        return Settlement(closed, realized, ZERO, held.cost - cost, margin, mae, mfe)
    if closed == trade.quantity:
        return Settlement(closed, realized, fee)
    closing_fee = (fee * closed / trade.quantity).quantize(ENTRY_QUANTUM)
    return Settlement(closed, realized, closing_fee, opened, _margin(opened, leverage))


def filled(held: Position | None, fill: FillApplied, new_id: str, strategy: str) -> Position | None:
    """The position after a booked trade, by the numbers that it carries; None if none is left.

    Nothing is rounded here, so a release that rounds otherwise makes the same of it.
    """
    trade = fill.trade
    quantity = trade.quantity if trade.side is Side.BUY else -trade.quantity
    if held is not None:
        quantity += held.quantity
    if quantity == ZERO:
        return None
    if held is None or held.is_long != (quantity > ZERO):
        return Position(
            position_id=new_id,
            symbol=trade.symbol,
            quantity=quantity,
            cost=fill.cost,
            margin=fill.margin,
            realized=ZERO,
            opened_ms=trade.trade_ms,
            peak=quantity,
            fees=fill.fee - fill.closing_fee,
            since=fill.moment,
            strategy=strategy,
        )
    is_peak = fill.closed_quantity == ZERO and abs(quantity) > abs(held.peak)
    return replace(
        held,
        quantity=quantity,
        cost=fill.cost,
        margin=fill.margin,
        realized=held.realized + fill.realized,
        peak=quantity if is_peak else held.peak,
        fees=held.fees + fill.fee,
        mae=fill.mae,
        mfe=fill.mfe,
        since=fill.moment,
    )


def pending_of(fill: FillApplied, held: Position | None, after: Position | None) -> PendingFee | None:
    """The pending fee of a fill that made the position ``after`` of the one that was held; None if its fee is booked."""
    commission = fill.commission
    if commission is None or commission.rate is not None:
        return None
    held_id = "" if held is None else held.position_id
    after_id = "" if after is None else after.position_id
    return PendingFee(
        symbol=fill.trade.symbol,
        trade_id=fill.trade.trade_id,
        client_order_id=fill.client_order_id,
        exchange_order_id=fill.trade.exchange_order_id,
        trade_ms=fill.trade.trade_ms,
        quantity=fill.trade.quantity,
        price=fill.trade.price,
        quote_quantity=fill.trade.quote_quantity,
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
    for at, held in enumerate(positions):
        if held.symbol == symbol:
            return (*positions[:at], position, *positions[at + 1 :])
    return (*positions, position)


def _margin(notional: Decimal, leverage: Decimal) -> Decimal:
    return (notional / leverage).quantize(ENTRY_QUANTUM)
