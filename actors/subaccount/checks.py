"""The pre-trade checks: may this account take this order?

Rules
1. Fixed order, cheapest first; every failed check is reported that can be told: shape, account, filters
   first; what compares numbers only once there are numbers (shape, symbol and prices are good).
2. Fail closed: what is unknown, stale, NaN, zero or negative is a rejection.
3. Reducing is always allowed while the account lives: limits look only at the part of an order that
   opens new risk.
4. ``LIMIT_CHECKS`` is the table of limits, in order; add one there, its limit to ``RiskLimits`` and
   its code to ``RejectCode``.

The limits themselves are in ``subaccount.limit_checks``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches
from itertools import takewhile

import msgspec

from actors.core.enums import AccountStatus, Breaker, OrderType, Phase, Purpose, Side
from actors.core.instruments import TRADING, Instrument
from actors.core.messages import PlaceOrder
from actors.core.orders import WorkingOrder
from actors.core.units import DIGITS_MAX, ONE, ZERO, Symbol, is_sane, plain
from actors.limits.model import MaintenanceBasis
from actors.subaccount import dust, fees, margin
from actors.subaccount.limit_checks import LIMIT_CHECKS, ProposedOrder
from actors.subaccount.market import Market, marks_of
from actors.subaccount.open_order_exposure import commitments
from actors.subaccount.position import Position
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.state import AccountState
from actors.subaccount.steps import smallest_order

DEFAULT_LEVERAGE = Decimal(10)
"""When the order names none; capped by the account's limit."""


SYMBOL_SHOWN = 40
"""Characters of an unknown symbol that are repeated."""
NEAR_SYMBOLS, SYMBOLS_COMPARED = 3, 20


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


def check(
    state: AccountState, order: PlaceOrder, market: Market, at_price: Decimal | None = None
) -> CheckResult:
    """Run all checks on an order.

    Args:
        state: the account.
        order: what is asked for.
        market: what is known of the outside.
        at_price: the price to count with, for an order that will be sent only when the market gets there.

    Returns:
        The checked; when accepted, how much margin the order reserves.
    """
    shape, account = _shape(order), _account(state)
    instrument = market.instruments.get(order.symbol)
    if shape or instrument is None:
        unknown = () if instrument else (_unknown(order.symbol, market),)
        return CheckResult((*shape, *account, *unknown))
    opening = order.quantity - reducible(state, order)
    reduces = opening <= ZERO or order.reduce_only
    marks = _prices(state, order, market, own_only=reduces)
    new_risk = _new_risk(state, order, opening, instrument, market)
    if isinstance(marks, Rejection):
        return CheckResult((*account, *_filters(order, instrument), *new_risk, marks))
    leverage = order.leverage or min(DEFAULT_LEVERAGE, state.limits.max_leverage)
    touch = dust.touch(market, order.symbol, order.side)
    price = at_price or order.price or touch
    rest = _rest(state, order, instrument, market, opening, at_price)
    of_rest = rest is not None or _is_of_rest(state, order, instrument, price)
    rejections = (
        *account,
        *_filters(order, instrument, at_least=ZERO if of_rest else instrument.min_qty),
        *new_risk,
        *(() if rest else _notional(order, instrument, price, of_rest=of_rest)),
    )
    if reduces:
        return CheckResult(rejections, ZERO, ZERO, leverage, price, rest)
    if order.side is Side.SELL:
        # A short that is sold through the bid fills at the bid: it is worth that, and not its limit.
        price = max(price, at_price or touch)
    proposal = _proposal(state, order, market, marks, opening, price, leverage)
    rejections = (*rejections, *(r for c in LIMIT_CHECKS if (r := c(proposal)) is not None))
    return CheckResult(rejections, opening, proposal.required, leverage, price)


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


def _notional(
    order: PlaceOrder, instrument: Instrument, price: Decimal, *, of_rest: bool
) -> tuple[Rejection, ...]:
    # Reducing orders too: on a netted master they may open, so the exchange asks it of them.
    notional = order.quantity * price
    if notional >= instrument.min_notional and not of_rest:
        return ()
    text = f"notional {plain(notional)} is below the exchange's minimum of {plain(instrument.min_notional)}"
    if of_rest:
        text = (
            f"{plain(order.quantity)} is of a rest of {order.symbol} that is too small for the exchange; "
            "close it whole, with a market order of all of it"
        )
    else:
        text += f"; at this price that is {plain(smallest_order(instrument, price))} or more"
    return (reject(RejectCode.MIN_NOTIONAL, text, notional, instrument.min_notional),)


def _proposal(  # noqa: PLR0913 - what the limits are compared with
    state: AccountState,
    order: PlaceOrder,
    market: Market,
    marks: dict[Symbol, Decimal],
    opening: Decimal,
    price: Decimal,
    leverage: Decimal,
) -> ProposedOrder:
    own = tuple(commitments(state))
    # What is against a position opens nothing before that is gone, whichever order takes the last of it.
    left = tuple(
        p for p in state.positions if p.symbol != order.symbol or p.is_long == (order.side is Side.BUY)
    )
    half_open = state.risk.breaker is Breaker.HALF_OPEN
    return ProposedOrder(
        state=state,
        order=order,
        market=market,
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
        commitments=own,
        scale=state.limits.half_open_fraction if half_open else ONE,
    )


def _bad_number(value: Decimal | None) -> bool:
    return value is None or not is_sane(value) or value <= ZERO


def _shape(order: PlaceOrder) -> tuple[Rejection, ...]:
    found = []
    if _bad_number(order.quantity):
        text = f"quantity {order.quantity} must be a number above zero of at most {DIGITS_MAX} digits either side"
        found.append(reject(RejectCode.INVALID_QUANTITY, text, order.quantity))
    if order.order_type is OrderType.LIMIT and _bad_number(order.price):
        text = f"a LIMIT order needs a finite price above zero, not {order.price}"
        found.append(reject(RejectCode.INVALID_PRICE, text, order.price))
    if order.order_type is OrderType.MARKET and order.price is not None:
        text = f"a MARKET order takes no price, not {order.price}"
        found.append(reject(RejectCode.INVALID_PRICE, text, order.price))
    if order.leverage is not None and (_bad_number(order.leverage) or order.leverage < 1):
        text = f"leverage {order.leverage} must be a finite number of at least 1"
        found.append(reject(RejectCode.INVALID_LEVERAGE, text, order.leverage, 1))
    return tuple(found)


def _account(state: AccountState) -> tuple[Rejection, ...]:
    if state.status is AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is LIQUIDATED"
        return (reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE),)
    if state.risk.closing_out:
        text = f"{state.account_id} is being closed out: {state.risk.closing_out}"
        return (reject(RejectCode.CLOSING_OUT, text, state.risk.closing_out),)
    if state.phase in {Phase.REDUCING, Phase.LIQUIDATING} or any(
        o.purpose is not Purpose.USER for o in state.orders
    ):
        text = f"{state.account_id} is being deleveraged; wait until its step has filled"
        return (reject(RejectCode.ACCOUNT_LIQUIDATING, text, state.phase),)
    return ()


def _unknown(symbol: Symbol, market: Market) -> Rejection:
    near = near_symbols(symbol, market.instruments)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    text = f"{symbol[:SYMBOL_SHOWN]} is not traded here; {meant}'bulkhead master' lists the symbols"
    return reject(RejectCode.UNKNOWN_SYMBOL, text, symbol[:SYMBOL_SHOWN])


def near_symbols(typed: str, known: Iterable[Symbol]) -> list[Symbol]:
    """Symbols that may have been meant, the likeliest first; ``ETH/USDT:USDT`` is another system's ETHUSDT.

    Few are compared letter by letter: this runs where money waits.
    """
    name = "".join(c for c in typed[:SYMBOL_SHOWN].partition(":")[0].upper() if c.isalnum())
    alike = [s for s in known if name and s[0] == name[0]]
    alike.sort(
        key=lambda s: -sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(s, name, strict=False)))
    )
    return [Symbol(s) for s in get_close_matches(name, alike[:SYMBOLS_COMPARED], n=NEAR_SYMBOLS)]


def _filters(
    order: PlaceOrder, instrument: Instrument, at_least: Decimal | None = None
) -> tuple[Rejection, ...]:
    least = instrument.min_qty if at_least is None else at_least
    found = []
    if not instrument.is_on_step(order.quantity):
        text = f"quantity {order.quantity} is not a multiple of the step {instrument.step_size}"
        found.append(reject(RejectCode.QUANTITY_OFF_STEP, text, order.quantity, instrument.step_size))
    market = order.order_type is OrderType.MARKET
    most = instrument.market_max_qty if market else instrument.max_qty
    if not least <= order.quantity <= most:
        text = f"quantity {order.quantity} is outside {instrument.min_qty} to {most}"
        found.append(reject(RejectCode.INVALID_QUANTITY, text, order.quantity, most))
    if order.price is not None and not instrument.is_on_tick(order.price):
        text = f"price {order.price} is not a multiple of the tick {instrument.tick_size}"
        found.append(reject(RejectCode.PRICE_OFF_TICK, text, order.price, instrument.tick_size))
    return tuple(found)


def _new_risk(
    state: AccountState, order: PlaceOrder, opening: Decimal, instrument: Instrument, market: Market
) -> tuple[Rejection, ...]:
    if opening <= ZERO:
        return ()
    found = []
    if state.status is AccountStatus.FROZEN:
        text = f"{state.account_id} is {state.status}: reducing orders only"
        found.append(reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.ACTIVE))
    spoken_for = [o for o in state.orders if _speaks_for(o, order)]
    if spoken_for and not order.reduce_only:
        text = f"a resting reduce-only order would close the same {order.symbol}; cancel it first"
        found.append(reject(RejectCode.REDUCE_ONLY_CONFLICT, text, spoken_for[0].client_order_id))
    if order.reduce_only:
        text = f"{opening} of {order.quantity} {order.symbol} would not reduce anything"
        found.append(reject(RejectCode.NOTHING_TO_REDUCE, text, order.quantity))
    if market.reduce_only:
        text = (
            "the engine takes no new risk at present ('bulkhead tree' says why); reducing orders are welcome"
        )
        found.append(reject(RejectCode.REDUCE_ONLY_MODE, text))
    if state.phase is Phase.STUCK:
        text = (
            f"{state.account_id} is STUCK in its liquidation: reducing orders only, until its steps are taken "
            f"again ('bulkhead retry {state.account_id}')"
        )
        found.append(reject(RejectCode.ACCOUNT_LIQUIDATING, text, state.phase))
    if not instrument.is_trading:
        text = f"{order.symbol} is {instrument.status}: it takes no new risk, reducing orders only"
        found.append(reject(RejectCode.SYMBOL_NOT_TRADING, text, instrument.status, TRADING))
    if state.limits.maintenance_basis is MaintenanceBasis.BRACKETS and not instrument.brackets:
        text = f"the exchange's leverage brackets of {order.symbol} are not known"
        found.append(reject(RejectCode.NO_BRACKETS, text, order.symbol))
    return tuple(found)


def _speaks_for(resting: WorkingOrder, order: PlaceOrder) -> bool:
    same = (resting.symbol, resting.side) == (order.symbol, order.side)
    return same and resting.intent.reduce_only and resting.purpose is Purpose.USER


def _prices(
    state: AccountState, order: PlaceOrder, market: Market, *, own_only: bool
) -> dict[Symbol, Decimal] | Rejection:
    """Marks of everything that the checks need; all fresh, or a rejection.

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
    return marks_of(state, market) or {}
