"""What an order itself, the account's condition and the exchange's rules demand, one function each.

Each returns None, or a rejection with the value and the limit that it met; the lists say which there are, in the
order in which they are reported. To add one: a function and its name in a list, and its code in
``subaccount.rejections``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from actors.core.enums import AccountStatus, OrderType, Phase, Purpose
from actors.core.instruments import TRADING, Instrument
from actors.core.messages import PlaceOrder
from actors.core.orders import WorkingOrder
from actors.core.units import DIGITS_MAX, ZERO, is_sane, plain
from actors.limits.model import MaintenanceBasis
from actors.subaccount.market import Market
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.state import AccountState
from actors.subaccount.steps import smallest_order


class OrderInMarket(msgspec.Struct, frozen=True, gc=False):
    """An order, and what it would meet; ``opening`` of its quantity opens risk, ``least`` is the smallest allowed."""

    state: AccountState
    order: PlaceOrder
    instrument: Instrument
    market: Market
    opening: Decimal
    least: Decimal


# --- its shape: what can be said without knowing anything else


def _bad_number(value: Decimal | None) -> bool:
    return value is None or not is_sane(value) or value <= ZERO


def quantity(order: PlaceOrder) -> Rejection | None:
    """A number above zero."""
    if not _bad_number(order.quantity):
        return None
    text = f"quantity {order.quantity} must be a number above zero of at most {DIGITS_MAX} digits either side"
    return reject(RejectCode.INVALID_QUANTITY, text, order.quantity)


def limit_price(order: PlaceOrder) -> Rejection | None:
    """A LIMIT order has a price."""
    if order.order_type is not OrderType.LIMIT or not _bad_number(order.price):
        return None
    text = f"a LIMIT order needs a finite price above zero, not {order.price}"
    return reject(RejectCode.INVALID_PRICE, text, order.price)


def no_market_price(order: PlaceOrder) -> Rejection | None:
    """A MARKET order has none."""
    if order.order_type is not OrderType.MARKET or order.price is None:
        return None
    return reject(RejectCode.INVALID_PRICE, f"a MARKET order takes no price, not {order.price}", order.price)


def leverage(order: PlaceOrder) -> Rejection | None:
    """At least 1, if the order names one."""
    if order.leverage is None or (not _bad_number(order.leverage) and order.leverage >= 1):
        return None
    text = f"leverage {order.leverage} must be a finite number of at least 1"
    return reject(RejectCode.INVALID_LEVERAGE, text, order.leverage, 1)


SHAPE_CHECKS: tuple[Callable[[PlaceOrder], Rejection | None], ...] = (
    quantity,
    limit_price,
    no_market_price,
    leverage,
)


# --- the account: of these, the first one that fails says enough


def liquidated(state: AccountState) -> Rejection | None:
    """A liquidated account takes no orders."""
    if state.status is not AccountStatus.LIQUIDATED:
        return None
    text = f"{state.account_id} is LIQUIDATED"
    return reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE)


def close_out(state: AccountState) -> Rejection | None:
    """During a close-out the account itself closes everything."""
    if state.risk.close_out is None:
        return None
    reason = state.risk.close_out.reason
    return reject(RejectCode.CLOSING_OUT, f"{state.account_id} is being closed out: {reason}", reason)


def deleveraging(state: AccountState) -> Rejection | None:
    """While a liquidation step works, an order could close the same position once more."""
    steps = any(o.purpose is not Purpose.USER for o in state.orders)
    if not state.phase.is_deleveraging and not steps:
        return None
    text = f"{state.account_id} is being deleveraged; wait until its step has filled"
    return reject(RejectCode.ACCOUNT_LIQUIDATING, text, state.phase)


ACCOUNT_CHECKS: tuple[Callable[[AccountState], Rejection | None], ...] = (liquidated, close_out, deleveraging)


# --- the exchange's filters, for reducing orders too


def step_size(o: OrderInMarket) -> Rejection | None:
    """A whole number of steps."""
    if o.instrument.is_on_step(o.order.quantity):
        return None
    text = f"quantity {o.order.quantity} is not a multiple of the step {o.instrument.step_size}"
    return reject(RejectCode.QUANTITY_OFF_STEP, text, o.order.quantity, o.instrument.step_size)


def size(o: OrderInMarket) -> Rejection | None:
    """Not below the least and not above the most that one order may have."""
    is_market = o.order.order_type is OrderType.MARKET
    most = o.instrument.market_max_qty if is_market else o.instrument.max_qty
    if o.least <= o.order.quantity <= most:
        return None
    text = f"quantity {o.order.quantity} is outside {o.instrument.min_qty} to {most}"
    return reject(RejectCode.INVALID_QUANTITY, text, o.order.quantity, most)


def tick_size(o: OrderInMarket) -> Rejection | None:
    """A whole number of ticks."""
    price = o.order.price
    if price is None or o.instrument.is_on_tick(price):
        return None
    text = f"price {price} is not a multiple of the tick {o.instrument.tick_size}"
    return reject(RejectCode.PRICE_OFF_TICK, text, price, o.instrument.tick_size)


FILTER_CHECKS: tuple[Callable[[OrderInMarket], Rejection | None], ...] = (step_size, size, tick_size)


def min_notional(o: OrderInMarket, price: Decimal, *, of_rest: bool) -> Rejection | None:
    """The exchange's least notional, for reducing orders too: on a netted master they may open.

    ``of_rest`` says that the order closes a part of a position that is too small for the exchange.
    """
    order, instrument = o.order, o.instrument
    notional = order.quantity * price
    if notional >= instrument.min_notional and not of_rest:
        return None
    text = f"notional {plain(notional)} is below the exchange's minimum of {plain(instrument.min_notional)}"
    if of_rest:
        text = (
            f"{plain(order.quantity)} is of a rest of {order.symbol} that is too small for the exchange; "
            "close it whole, with a market order of all of it"
        )
    else:
        text += f"; at this price that is {plain(smallest_order(instrument, price))} or more"
    return reject(RejectCode.MIN_NOTIONAL, text, notional, instrument.min_notional)


# --- new risk: only for what opens


def frozen(o: OrderInMarket) -> Rejection | None:
    """A frozen account reduces only."""
    state = o.state
    if state.status is not AccountStatus.FROZEN:
        return None
    text = f"{state.account_id} is {state.status}: reducing orders only"
    return reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE)


def resting_reduce_only(o: OrderInMarket) -> Rejection | None:
    """A resting reduce-only order speaks for the quantity that this one counts on."""
    spoken_for = [resting for resting in o.state.orders if _speaks_for(resting, o.order)]
    if not spoken_for or o.order.reduce_only:
        return None
    text = f"a resting reduce-only order would close the same {o.order.symbol}; cancel it first"
    return reject(RejectCode.REDUCE_ONLY_CONFLICT, text, spoken_for[0].client_order_id)


def _speaks_for(resting: WorkingOrder, order: PlaceOrder) -> bool:
    same = (resting.symbol, resting.side) == (order.symbol, order.side)
    return same and resting.intent.reduce_only and resting.purpose is Purpose.USER


def nothing_to_reduce(o: OrderInMarket) -> Rejection | None:
    """What says that it only reduces must not open."""
    if not o.order.reduce_only:
        return None
    text = f"{o.opening} of {o.order.quantity} {o.order.symbol} would not reduce anything"
    return reject(RejectCode.NOTHING_TO_REDUCE, text, o.order.quantity)


def reduce_only_mode(o: OrderInMarket) -> Rejection | None:
    """The engine takes no new risk while something that it needs is away; in one symbol while that one's clearing is."""
    symbol = o.order.symbol
    if not o.market.reduce_only and symbol not in o.market.closed_symbols:
        return None
    where = "" if o.market.reduce_only else f" in {symbol}"
    text = f"the engine takes no new risk{where} at present ('bulkhead tree' says why); reducing orders are welcome"
    return reject(RejectCode.REDUCE_ONLY_MODE, text)


def stuck(o: OrderInMarket) -> Rejection | None:
    """An account whose liquidation the exchange refuses takes no new risk."""
    state = o.state
    if state.phase is not Phase.STUCK:
        return None
    text = (
        f"{state.account_id} is STUCK in its liquidation: reducing orders only, until its steps are taken "
        f"again ('bulkhead retry {state.account_id}')"
    )
    return reject(RejectCode.ACCOUNT_LIQUIDATING, text, state.phase)


def symbol_trading(o: OrderInMarket) -> Rejection | None:
    """The exchange trades the symbol."""
    if o.instrument.is_trading:
        return None
    text = f"{o.order.symbol} is {o.instrument.status}: it takes no new risk, reducing orders only"
    return reject(RejectCode.SYMBOL_NOT_TRADING, text, o.instrument.status, TRADING)


def known_brackets(o: OrderInMarket) -> Rejection | None:
    """An account on the exchange's brackets needs those of the symbol."""
    if o.state.limits.maintenance_basis is not MaintenanceBasis.BRACKETS or o.instrument.brackets:
        return None
    text = f"the exchange's leverage brackets of {o.order.symbol} are not known"
    return reject(RejectCode.NO_BRACKETS, text, o.order.symbol)


NEW_RISK_CHECKS: tuple[Callable[[OrderInMarket], Rejection | None], ...] = (
    frozen,
    resting_reduce_only,
    nothing_to_reduce,
    reduce_only_mode,
    stuck,
    symbol_trading,
    known_brackets,
)
