"""One step of deleveraging: how much of a position it cuts, and with what. Pure.

Rules
1. A step is rounded to what the exchange takes, never leaves a rest that it would not take, and is no larger
   than one market order may be.
2. What is too small for the exchange goes to the house at its mark: no order could close it (``subaccount.dust``).
3. Without the exchange's rules of a symbol no order can be made; a human is called, once.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

import msgspec

from actors.core.enums import Alert, OrderType, Purpose, Side, TimeInForce
from actors.core.facts import AnyFact, OrderIntended, PositionAlerted, PositionTakenOver
from actors.core.instruments import Instrument
from actors.core.order_ids import client_order_id
from actors.core.units import ZERO, round_to
from actors.subaccount.market import Market
from actors.subaccount.position import Position
from actors.subaccount.situation import Situation


class Step(msgspec.Struct, frozen=True, gc=False):
    """What to close: about ``quantity`` (> 0) of a position that is worth ``price`` each, for ``tier``.

    ``shortfall`` is what the account lacks of its maintenance margin now, in quote asset: nothing at any tier, as an
    account that lacks some is bankrupt.
    """

    position: Position
    quantity: Decimal
    price: Decimal
    purpose: Purpose
    tier: int
    shortfall: Decimal = ZERO


def close(now: Situation, step: Step, sequence: int) -> list[AnyFact]:
    """One closing order, a takeover of what is too small, or a call for a human.

    Args:
        now: the account, and what it may know.
        step: what to close.
        sequence: the number that the order gets among the account's orders.
    """
    state, market, position, price = now.state, now.market, step.position, step.price
    instrument = market.instruments.get(position.symbol)
    if instrument is None:
        return without_rules(position)
    held = abs(position.quantity)
    smallest = smallest_order(instrument, price)
    if held < smallest:
        if market.fresh(position.symbol, state.limits.price_max_age_ns) is None:
            return []
        return take_over(position, price, market, step.purpose)
    closing = max(round_to(step.quantity, instrument.step_size, ROUND_DOWN), smallest)
    if held - closing < smallest:
        closing = held
    closing = instrument.floor_qty(min(closing, instrument.market_max_qty))
    return [
        OrderIntended(
            account_id=state.account_id,
            sequence=sequence,
            client_order_id=client_order_id(market.origin, state.account_id, sequence),
            symbol=position.symbol,
            side=Side.SELL if position.is_long else Side.BUY,
            order_type=OrderType.MARKET,
            quantity=closing,
            price=None,
            time_in_force=TimeInForce.GTC,
            reduce_only=True,
            leverage=position.leverage,
            margin_reserved=ZERO,
            purpose=step.purpose,
            tier=step.tier,
            decided_ms=market.wall_ms,
            cause=now.cause,
            shortfall=step.shortfall,
        )
    ]


def without_rules(position: Position) -> list[AnyFact]:
    """Nothing can be ordered in a symbol whose increments are unknown: an alert, once for each position."""
    if Alert.NO_RULES in position.alerts:
        return []
    return [PositionAlerted(position.symbol, Alert.NO_RULES, abs(position.quantity), ZERO)]


def smallest_order(instrument: Instrument, price: Decimal) -> Decimal:
    """The smallest quantity that the exchange takes at a price."""
    least = round_to(instrument.min_notional / price, instrument.step_size, ROUND_UP)
    return max(instrument.min_qty, least)


def take_over(
    position: Position, price: Decimal, market: Market, purpose: Purpose, fee: Decimal = ZERO
) -> list[AnyFact]:
    """The house has a position at ``price``, and takes ``fee`` in quote asset for it."""
    realized = position.unrealized(price)
    extremes = market.extremes(position.symbol, position.since)
    return [
        PositionTakenOver(
            symbol=position.symbol,
            quantity=position.quantity,
            price=price,
            realized=realized,
            fee=fee,
            taken_ms=market.wall_ms,
        ),
        position.closed(purpose, market.wall_ms, realized, fee, extremes),
    ]
