"""Dust: a position that is too small for the exchange, when its owner closes it: the house takes it. Pure.

Partial fills, partial liquidations and prices that fall leave positions below the exchange's smallest order (its
minimum quantity, or its minimum notional at the present price). No order can close them: a larger one would open the
other side, a smaller one is refused. At the master account such positions of many accounts net into ones that can be
traded, so the house takes each at a fair price and carries the sum.

Rules
1. At the touch, with the taker's fee, as the exchange would have closed it: a free exit at the mid could be farmed.
2. Only whole, at once, and only while nothing else of the account closes the same.

In deleveraging such a rest goes to the house at its mark (``subaccount.steps``).
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import OrderType, Purpose, Side, TimeInForce
from actors.core.facts import AnyFact
from actors.core.instruments import Instrument
from actors.core.messages import PlaceOrder
from actors.core.units import Symbol
from actors.subaccount.market import Market
from actors.subaccount.position import Position
from actors.subaccount.situation import Situation
from actors.subaccount.steps import smallest_order, take_over


def touch(market: Market, symbol: Symbol, side: Side) -> Decimal:
    """What an order of ``side`` takes: the ask to buy, the bid to sell."""
    tick = market.ticks[symbol]
    return tick.ask if side is Side.BUY else tick.bid


def is_rest(position: Position, instrument: Instrument, price: Decimal) -> bool:
    """Whether the exchange would not take an order that closes ``position`` at ``price``."""
    return abs(position.quantity) < smallest_order(instrument, price)


def takes_at_once(order: PlaceOrder, price: Decimal) -> bool:
    """Whether an order would trade at the touch ``price`` now, all of it."""
    if order.order_type is OrderType.MARKET or order.price is None:
        return True
    if order.time_in_force is TimeInForce.GTX:
        return False
    return order.price >= price if order.side is Side.BUY else order.price <= price


def taken(now: Situation, position: Position) -> list[AnyFact]:
    """The house has the account's rest at the touch."""
    market = now.market
    price = touch(market, position.symbol, Side.SELL if position.is_long else Side.BUY)
    fee = abs(position.quantity) * price * now.state.limits.taker_fee_rate
    return take_over(position, price, market, Purpose.USER, fee)
