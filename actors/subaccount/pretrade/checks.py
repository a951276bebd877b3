"""Runs the pre-trade checks: may this account take this order?

Rules
1. Fixed order, cheapest first; every failed check that can be known is reported: shape, account, filters
   first; what compares numbers only once there are numbers (shape, symbol and prices are good).
2. Fail closed: what is unknown, stale, NaN, zero or negative is a rejection.
3. Reducing is always allowed while the account lives: limits look only at the part of an order that
   opens new risk.

The checks themselves: ``order_checks`` (shape, account, exchange) and ``limit_checks`` (the account's limits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from actors.core.enums import Breaker, Side
from actors.core.instruments import Instrument
from actors.core.messages import PlaceOrder
from actors.core.units import ONE, ZERO
from actors.subaccount import dust, fees, margin
from actors.subaccount.market import Market
from actors.subaccount.open_order_exposure import order_exposures
from actors.subaccount.position import Position
from actors.subaccount.pretrade.limit_checks import LIMIT_CHECKS
from actors.subaccount.pretrade.near_symbols import unknown_symbol
from actors.subaccount.pretrade.order_checks import (
    ACCOUNT_CHECKS,
    FILTER_CHECKS,
    NEW_RISK_CHECKS,
    SHAPE_CHECKS,
    OrderInMarket,
    min_notional,
)
from actors.subaccount.pretrade.proposed_order import ProposedOrder
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

Subject = TypeVar("Subject")

DEFAULT_LEVERAGE = Decimal(10)
"""When the order names none; capped by the account's limit."""


class CheckResult(msgspec.Struct, frozen=True, gc=False):
    """The outcome: rejections, or what the order reserves.

    ``opening`` is the part of the quantity that opens risk; ``margin`` what it reserves, at ``price``. ``rest`` is
    the position that the order closes, if that is too small for the exchange.
    """

    rejections: tuple[Rejection, ...]
    opening: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal = ONE
    price: Decimal | None = None
    rest: Position | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether no check failed."""
        return not self.rejections


def check(now: Situation, order: PlaceOrder, at_price: Decimal | None = None) -> CheckResult:
    """Run all checks on an order.

    Args:
        now: the account, and what it may know of the outside.
        order: what is asked for.
        at_price: the price to count with, for an order that will be sent only when the market gets there.

    Returns:
        The result; if accepted, how much margin the order reserves.
    """
    state, market = now.state, now.market
    shape, account = failed(SHAPE_CHECKS, order), failed(ACCOUNT_CHECKS, state)[:1]
    instrument = market.instruments.get(order.symbol)
    if shape or instrument is None:
        unknown = () if instrument else (unknown_symbol(order.symbol, market),)
        return CheckResult((*shape, *account, *unknown))
    opening = order.quantity - reducible(state, order)
    reduces = opening <= ZERO or order.reduce_only
    unpriced = _without_price(state, order, market, own_only=reduces)
    met = OrderInMarket(state, order, instrument, market, opening, least=instrument.min_qty)
    new_risk = failed(NEW_RISK_CHECKS, met) if opening > ZERO else ()
    if unpriced is not None:
        return CheckResult((*account, *failed(FILTER_CHECKS, met), *new_risk, unpriced))
    leverage = order.leverage or min(DEFAULT_LEVERAGE, state.limits.max_leverage)
    touch = dust.touch(market, order.symbol, order.side)
    price = at_price or order.price or touch
    rest = _rest(state, order, instrument, market, opening, at_price)
    of_rest = rest is not None or _is_of_rest(state, order, instrument, price)
    if of_rest:
        met = replace(met, least=ZERO)
    rejections = (*account, *failed(FILTER_CHECKS, met), *new_risk)
    too_small = None if rest else min_notional(met, price, of_rest=of_rest)
    if too_small is not None:
        rejections = (*rejections, too_small)
    if reduces:
        return CheckResult(rejections, ZERO, ZERO, leverage, price, rest)
    if order.side is Side.SELL:
        # A short that is sold through the bid fills at the bid: it is worth that, and not its limit.
        price = max(price, at_price or touch)
    proposed = _proposed(now, order, opening, price, leverage)
    rejections = (*rejections, *failed(LIMIT_CHECKS, proposed))
    return CheckResult(rejections, opening, proposed.required, leverage, price)


def failed(
    checks: Iterable[Callable[[Subject], Rejection | None]], subject: Subject
) -> tuple[Rejection, ...]:
    """The rejections of some checks, in their order."""
    return tuple(found for check in checks if (found := check(subject)) is not None)


def reducible(state: AccountState, order: PlaceOrder) -> Decimal:
    """How much of an order would reduce the open position.

    What other working orders of the same side already spoke for is not counted again.
    """
    held = state.position(order.symbol)
    if held is None or held.is_long == (order.side is Side.BUY):
        return ZERO
    spoken_for = sum(
        (o.remaining for o in state.orders if o.symbol == order.symbol and o.side is order.side), ZERO
    )
    return min(order.quantity, max(ZERO, abs(held.quantity) - spoken_for))


def _rest(  # noqa: PLR0913 - an order, and what it would meet
    state: AccountState,
    order: PlaceOrder,
    instrument: Instrument,
    market: Market,
    opening: Decimal,
    at_price: Decimal | None,
) -> Position | None:
    """The position that an order closes whole, if the exchange would not take that."""
    held = state.position(order.symbol)
    if held is None or opening > ZERO or order.quantity != abs(held.quantity):
        return None
    touch = dust.touch(market, order.symbol, order.side)
    small = dust.is_rest(held, instrument, at_price or touch)
    return held if small and dust.takes_at_once(order, touch) else None


def _is_of_rest(state: AccountState, order: PlaceOrder, instrument: Instrument, price: Decimal) -> bool:
    """Whether an order would close a part, or all but at once, of what the exchange would not take."""
    held = state.position(order.symbol)
    if held is None or held.is_long == (order.side is Side.BUY) or order.quantity > abs(held.quantity):
        return False
    return dust.is_rest(held, instrument, price)


def _proposed(
    now: Situation, order: PlaceOrder, opening: Decimal, price: Decimal, leverage: Decimal
) -> ProposedOrder:
    state, marks = now.state, now.marks or {}
    own = tuple(order_exposures(state))
    # What is against a position opens nothing before that is gone, whichever order takes the last of it.
    left = tuple(
        p for p in state.positions if p.symbol != order.symbol or p.is_long == (order.side is Side.BUY)
    )
    half_open = state.risk.breaker is Breaker.HALF_OPEN
    return ProposedOrder(
        state=state,
        order=order,
        market=now.market,
        opening=opening,
        price=price,
        marks=marks,
        notional=opening * price,
        required=opening * price / leverage,
        leverage=leverage,
        left=left,
        # Equity does not change by closing at the mark, so a flip's profit counts once.
        equity=state.balance + margin.unrealized(state.positions, marks),
        used=sum((p.margin for p in left), ZERO) + sum((c.margin for c in own), fees.reserve(state)),
        order_exposures=own,
        scale=state.limits.half_open_fraction if half_open else ONE,
    )


def _without_price(
    state: AccountState, order: PlaceOrder, market: Market, *, own_only: bool
) -> Rejection | None:
    """The rejection when a price that the checks need is missing or stale; None if all are there.

    What reduces needs its own symbol's price only: another one's feed must not keep a stop from closing.
    """
    max_age = state.limits.price_max_age_ns
    symbols = (order.symbol,) if own_only else dict.fromkeys((order.symbol, *state.symbols))
    for symbol in symbols:
        tick = market.ticks.get(symbol)
        if tick is None:
            return reject(RejectCode.NO_PRICE, f"there is no price for {symbol}", symbol)
        if market.fresh(symbol, max_age) is None:
            age_ms = (market.now_ns - tick.received_ns + tick.delay_ns) // 1_000_000
            text = f"the price of {symbol} is {age_ms} ms old"
            return reject(RejectCode.STALE_PRICE, text, age_ms, max_age // 1_000_000)
    return None
