"""The pre-trade checks: may this account take this order?

Rules
1. Fixed order, cheapest first; every failed check of a stage is reported, not only the first.
2. Fail closed: what is unknown, stale, NaN, zero or negative is a rejection.
3. Reducing is always allowed while the account lives: checks 3 to 7 look only at the part of
   an order that opens new risk.
4. If you add a code, ``RejectCode.is_transient`` must say whether trying again may help.

Source: seed 000's seven checks, without the faults of the platform's own (a flip's profit
counted twice, sign and NaN unchecked, stale prices taken).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

import msgspec

from actors.messages import AccountStatus, PlaceOrder, Purpose, Tick
from actors.subaccount import margin
from actors.subaccount.state import AccountState
from actors.units import ZERO, Instrument, Nanos, OrderType, Symbol


class RejectCode(StrEnum):
    """Why an order was refused. Closed: clients may rely on these names."""

    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE"
    ACCOUNT_LIQUIDATING = "ACCOUNT_LIQUIDATING"
    ACCOUNT_QUARANTINED = "ACCOUNT_QUARANTINED"
    REDUCE_ONLY_MODE = "REDUCE_ONLY_MODE"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_PRICE = "INVALID_PRICE"
    INVALID_LEVERAGE = "INVALID_LEVERAGE"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    QUANTITY_OFF_STEP = "QUANTITY_OFF_STEP"
    PRICE_OFF_TICK = "PRICE_OFF_TICK"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE"
    NO_PRICE = "NO_PRICE"
    STALE_PRICE = "STALE_PRICE"
    MAX_LEVERAGE_EXCEEDED = "MAX_LEVERAGE_EXCEEDED"
    MAX_NOTIONAL_EXCEEDED = "MAX_NOTIONAL_EXCEEDED"
    MAX_EXPOSURE_EXCEEDED = "MAX_EXPOSURE_EXCEEDED"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    MARGIN_RATIO_EXCEEDED = "MARGIN_RATIO_EXCEEDED"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    TOO_LATE = "TOO_LATE"

    @property
    def is_transient(self) -> bool:
        """Whether the same order may pass later without anybody changing it or the limits."""
        match self:
            case (
                RejectCode.NO_PRICE
                | RejectCode.STALE_PRICE
                | RejectCode.REDUCE_ONLY_MODE
                | RejectCode.INSUFFICIENT_MARGIN
                | RejectCode.MARGIN_RATIO_EXCEEDED
                | RejectCode.MAX_EXPOSURE_EXCEEDED
                | RejectCode.ACCOUNT_LIQUIDATING
                | RejectCode.ACCOUNT_QUARANTINED
                | RejectCode.TOO_LATE
                | RejectCode.NOTHING_TO_REDUCE
            ):
                return True
            case (
                RejectCode.ACCOUNT_NOT_FOUND
                | RejectCode.ACCOUNT_NOT_ACTIVE
                | RejectCode.INVALID_QUANTITY
                | RejectCode.INVALID_PRICE
                | RejectCode.INVALID_LEVERAGE
                | RejectCode.UNKNOWN_SYMBOL
                | RejectCode.QUANTITY_OFF_STEP
                | RejectCode.PRICE_OFF_TICK
                | RejectCode.MIN_NOTIONAL
                | RejectCode.MAX_LEVERAGE_EXCEEDED
                | RejectCode.MAX_NOTIONAL_EXCEEDED
                | RejectCode.ORDER_NOT_FOUND
            ):
                return False
            case _:
                assert_never(self)


class Rejection(msgspec.Struct, frozen=True):
    """One failed check: the value that failed, and the limit that it met."""

    code: RejectCode
    text: str
    value: str = ""
    limit: str = ""


class Market(msgspec.Struct, frozen=True, gc=False):
    """What an account may know of the outside at one moment."""

    ticks: Mapping[Symbol, Tick]
    instruments: Mapping[Symbol, Instrument]
    now_ns: Nanos
    wall_ms: int
    reduce_only: bool = False

    def fresh(self, symbol: Symbol, max_age_ns: Nanos) -> Tick | None:
        """The symbol's L1 unless it is missing or older than ``max_age_ns``."""
        tick = self.ticks.get(symbol)
        if tick is None or self.now_ns - tick.received_ns > max_age_ns:
            return None
        return tick


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The outcome: rejections, or what the order reserves.

    ``opening`` is the part of the quantity that opens risk; ``margin`` what it reserves.
    """

    rejections: tuple[Rejection, ...]
    opening: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal = Decimal(1)

    @property
    def is_accepted(self) -> bool:
        """Whether no check failed."""
        return not self.rejections


DEFAULT_LEVERAGE = Decimal(10)
"""When the order names none; capped by the account's limit."""


def check(state: AccountState, order: PlaceOrder, market: Market) -> Verdict:
    """Run all checks on an order.

    Returns:
        The verdict; when accepted, how much margin the order reserves.
    """
    rejections = _shape(order)
    if rejections:
        return Verdict(rejections)
    rejections = _account(state)
    if rejections:
        return Verdict(rejections)
    instrument = market.instruments.get(order.symbol)
    if instrument is None:
        return Verdict(
            (_reject(RejectCode.UNKNOWN_SYMBOL, f"{order.symbol} is not traded here", order.symbol),)
        )
    reducing = reducible(state, order)
    opening = order.quantity - reducing
    rejections = (*_filters(order, instrument), *_new_risk(state, order, opening, market))
    if rejections:
        return Verdict(rejections)
    priced = _prices(state, order, market)
    if isinstance(priced, Rejection):
        return Verdict((priced,))
    leverage = order.leverage or min(DEFAULT_LEVERAGE, state.limits.max_leverage)
    price = order.price if order.price is not None else _cost_price(order, market)
    # Reducing orders too: on a netted master they may open, so the exchange asks it of them.
    if order.quantity * price < instrument.min_notional:
        text = f"notional {order.quantity * price} is below the exchange's minimum"
        rejection = _reject(RejectCode.MIN_NOTIONAL, text, order.quantity * price, instrument.min_notional)
        return Verdict((rejection,))
    if opening <= ZERO:
        return Verdict((), ZERO, ZERO, leverage)
    required = opening * price / leverage
    rejections = _limits(state, order, opening * price, leverage, required, priced)
    return Verdict(rejections, opening, required, leverage)


def reducible(state: AccountState, order: PlaceOrder) -> Decimal:
    """How much of an order would reduce the open position.

    What other working orders of the same side already spoke for is not counted again.
    """
    held = state.position(order.symbol)
    if held is None or (held.quantity > 0) == (order.side.sign > 0):
        return ZERO
    spoken_for = sum(
        (o.remaining for o in state.orders if o.symbol == order.symbol and o.side is order.side), ZERO
    )
    return min(order.quantity, max(ZERO, abs(held.quantity) - spoken_for))


def _reject(code: RejectCode, text: str, value: object = "", limit: object = "") -> Rejection:
    return Rejection(code, text, str(value), str(limit))


def _bad_number(value: Decimal | None) -> bool:
    return value is None or not value.is_finite() or value <= ZERO


def _shape(order: PlaceOrder) -> tuple[Rejection, ...]:
    found = []
    if _bad_number(order.quantity):
        text = f"quantity {order.quantity} must be a finite number above zero"
        found.append(_reject(RejectCode.INVALID_QUANTITY, text, order.quantity))
    if order.order_type is OrderType.LIMIT and _bad_number(order.price):
        text = f"a LIMIT order needs a finite price above zero, not {order.price}"
        found.append(_reject(RejectCode.INVALID_PRICE, text, order.price))
    if order.order_type is OrderType.MARKET and order.price is not None:
        text = f"a MARKET order takes no price, not {order.price}"
        found.append(_reject(RejectCode.INVALID_PRICE, text, order.price))
    if order.leverage is not None and (_bad_number(order.leverage) or order.leverage < 1):
        text = f"leverage {order.leverage} must be a finite number of at least 1"
        found.append(_reject(RejectCode.INVALID_LEVERAGE, text, order.leverage, 1))
    return tuple(found)


def _account(state: AccountState) -> tuple[Rejection, ...]:
    if state.status is AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is LIQUIDATED"
        return (_reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE),)
    if any(o.purpose is not Purpose.USER for o in state.orders):
        text = f"{state.account_id} is being deleveraged; wait until its step has filled"
        return (_reject(RejectCode.ACCOUNT_LIQUIDATING, text, state.phase),)
    return ()


def _filters(order: PlaceOrder, instrument: Instrument) -> tuple[Rejection, ...]:
    found = []
    if not instrument.is_on_step(order.quantity):
        text = f"quantity {order.quantity} is not a multiple of the step {instrument.step_size}"
        found.append(_reject(RejectCode.QUANTITY_OFF_STEP, text, order.quantity, instrument.step_size))
    market = order.order_type is OrderType.MARKET
    most = instrument.market_max_qty if market else instrument.max_qty
    if not instrument.min_qty <= order.quantity <= most:
        text = f"quantity {order.quantity} is outside {instrument.min_qty} to {most}"
        found.append(_reject(RejectCode.INVALID_QUANTITY, text, order.quantity, most))
    if order.price is not None and not instrument.is_on_tick(order.price):
        text = f"price {order.price} is not a multiple of the tick {instrument.tick_size}"
        found.append(_reject(RejectCode.PRICE_OFF_TICK, text, order.price, instrument.tick_size))
    return tuple(found)


def _new_risk(
    state: AccountState, order: PlaceOrder, opening: Decimal, market: Market
) -> tuple[Rejection, ...]:
    if opening <= ZERO:
        return ()
    if state.status is not AccountStatus.ACTIVE:
        text = f"{state.account_id} is {state.status}: reducing orders only"
        return (_reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE),)
    if order.reduce_only:
        text = f"{opening} of {order.quantity} {order.symbol} would not reduce anything"
        return (_reject(RejectCode.NOTHING_TO_REDUCE, text, order.quantity),)
    if market.reduce_only:
        text = "the engine takes no new risk at present; reducing orders are welcome"
        return (_reject(RejectCode.REDUCE_ONLY_MODE, text),)
    return ()


def _prices(state: AccountState, order: PlaceOrder, market: Market) -> dict[Symbol, Decimal] | Rejection:
    """Marks of everything that the checks need; all fresh, or a rejection."""
    max_age = state.limits.price_max_age_ns
    marks: dict[Symbol, Decimal] = {}
    for symbol in dict.fromkeys((order.symbol, *state.symbols)):
        tick = market.ticks.get(symbol)
        if tick is None:
            return _reject(RejectCode.NO_PRICE, f"there is no price for {symbol}", symbol)
        if market.fresh(symbol, max_age) is None:
            age_ms = (market.now_ns - tick.received_ns) // 1_000_000
            text = f"the price of {symbol} is {age_ms} ms old"
            return _reject(RejectCode.STALE_PRICE, text, age_ms, max_age // 1_000_000)
        marks[symbol] = tick.mid
    return marks


def _cost_price(order: PlaceOrder, market: Market) -> Decimal:
    tick = market.ticks[order.symbol]
    return tick.ask if order.side.sign > 0 else tick.bid


def _limits(  # noqa: PLR0913 - one argument per number that the seven checks compare
    state: AccountState,
    order: PlaceOrder,
    notional: Decimal,
    leverage: Decimal,
    required: Decimal,
    marks: Mapping[Symbol, Decimal],
) -> tuple[Rejection, ...]:
    limits = state.limits
    found = []
    if leverage > limits.max_leverage:
        text = f"leverage {leverage} is above the account's {limits.max_leverage}"
        found.append(_reject(RejectCode.MAX_LEVERAGE_EXCEEDED, text, leverage, limits.max_leverage))
    if notional > limits.max_notional_per_trade:
        text = f"notional {notional} is above {limits.max_notional_per_trade} for one trade"
        found.append(_reject(RejectCode.MAX_NOTIONAL_EXCEEDED, text, notional, limits.max_notional_per_trade))
    after = _after_closing(state, order)
    now = margin.view(state, marks)
    exposure = sum((p.notional for p in after.positions), ZERO) + _working_notional(state) + notional
    if exposure > limits.max_total_exposure:
        text = f"exposure would be {exposure}, above {limits.max_total_exposure}"
        found.append(_reject(RejectCode.MAX_EXPOSURE_EXCEEDED, text, exposure, limits.max_total_exposure))
    # Equity does not change by closing at the mark, so a flip's profit counts once.
    used = sum((p.margin for p in after.positions), ZERO) + now.margin_held
    available = now.equity - used
    if required > available:
        text = f"needs {required:.2f} margin, available {available:.2f}"
        found.append(_reject(RejectCode.INSUFFICIENT_MARGIN, text, required, available))
    usage = (used + required) / now.equity if now.equity > ZERO else Decimal(999)
    if usage >= limits.margin_usage_limit:
        text = f"margin used would be {usage:.4f} of equity, the limit is {limits.margin_usage_limit}"
        found.append(_reject(RejectCode.MARGIN_RATIO_EXCEEDED, text, usage, limits.margin_usage_limit))
    return tuple(found)


def _after_closing(state: AccountState, order: PlaceOrder) -> AccountState:
    if reducible(state, order) == ZERO:
        return state
    left = tuple(p for p in state.positions if p.symbol != order.symbol)
    return msgspec.structs.replace(state, positions=left)


def _working_notional(state: AccountState) -> Decimal:
    return sum((o.held_margin * o.leverage for o in state.orders), ZERO)
