"""The limits of an order that opens risk, one function each; ``LIMIT_CHECKS`` at the end lists them.

Each returns None, or a rejection with the value and the limit that it met. Equal to a limit is allowed,
but where the document says "below" (margin usage) or "stop after" (losses).

To add one: a function here, its name in ``LIMIT_CHECKS``, and its code in ``subaccount.rejections``. The API, the
command line and the schema take the code from there. A limit that people set is a field of ``limits.model``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from actors.core.constants import ORDER_RATE_WINDOW_MS
from actors.core.enums import Breaker, OrderType, Side
from actors.core.units import ZERO
from actors.limits.model import MaintenanceBasis
from actors.subaccount import after_fill, losses
from actors.subaccount import breaker as breakers
from actors.subaccount.margin import bracket_of, margin_ratio
from actors.subaccount.pretrade import value_at_risk
from actors.subaccount.pretrade.proposed_order import ProposedOrder
from actors.subaccount.rejections import RejectCode, Rejection, reject


def leverage(p: ProposedOrder) -> Rejection | None:
    """Seed 000, check 3."""
    limit = p.state.limits.max_leverage
    if p.leverage <= limit:
        return None
    text = f"leverage {p.leverage} is above the account's {limit}"
    return reject(RejectCode.MAX_LEVERAGE_EXCEEDED, text, p.leverage, limit)


def bracket_leverage(p: ProposedOrder) -> Rejection | None:
    """The exchange's -2027: the bracket of the whole position has a leverage of its own."""
    brackets = p.market.instruments[p.order.symbol].brackets
    if p.state.limits.maintenance_basis is not MaintenanceBasis.BRACKETS or not brackets:
        return None
    notional = p.after_its_fill[p.order.symbol]
    limit = bracket_of(brackets, notional).max_leverage
    if not limit or p.leverage <= limit:
        return None
    text = (
        f"a position of {notional:.2f} in {p.order.symbol} may have a leverage of {limit} at most, "
        f"not {p.leverage}"
    )
    return reject(RejectCode.BRACKET_LEVERAGE_EXCEEDED, text, p.leverage, limit)


def trade_notional(p: ProposedOrder) -> Rejection | None:
    """Seed 000, check 4."""
    limit = p.state.limits.max_notional_per_trade * p.scale
    if p.notional <= limit:
        return None
    text = f"notional {p.notional} is above {limit} for one trade"
    return reject(RejectCode.MAX_NOTIONAL_EXCEEDED, text, p.notional, limit)


def exposure(p: ProposedOrder) -> Rejection | None:
    """Seed 000, check 5; seed 001, check 4."""
    limit, found = p.state.limits.max_total_exposure * p.scale, p.exposure
    if found <= limit:
        return None
    text = f"exposure would be {found}, above {limit}"
    return reject(RejectCode.MAX_EXPOSURE_EXCEEDED, text, found, limit)


def available_margin(p: ProposedOrder) -> Rejection | None:
    """Seed 000, check 6; seed 002's balance sufficiency."""
    available = p.equity - p.used
    if p.required <= available:
        return None
    text = f"needs {p.required:.2f} margin, available {available:.2f}"
    return reject(RejectCode.INSUFFICIENT_MARGIN, text, p.required, available)


def margin_usage(p: ProposedOrder) -> Rejection | None:
    """Seed 000, check 7."""
    limit = p.state.limits.margin_usage_limit
    usage = (p.used + p.required) / p.equity if p.equity > ZERO else Decimal(999)
    if usage < limit:
        return None
    text = f"margin used would be {usage:.4f} of equity, the limit is {limit}"
    return reject(RejectCode.MARGIN_RATIO_EXCEEDED, text, usage, limit)


def maintenance_margin(p: ProposedOrder) -> Rejection | None:
    """What is filled must not be warned of at once, let alone liquidated: the ratio stays below the warning line.

    Not reported if a margin check failed already: that one says how much is missing.
    """
    if available_margin(p) is not None or margin_usage(p) is not None:
        return None
    needed = after_fill.maintenance(p.state, p.after_its_fill, p.market)
    ratio, limit = margin_ratio(needed, p.equity_after), p.state.limits.warning_line
    if ratio < limit:
        return None
    text = f"the margin ratio would be {ratio:.4f} after the fill, and must stay below {limit}"
    return reject(RejectCode.MAINTENANCE_MARGIN_EXCEEDED, text, ratio, limit)


def order_notional(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 1: order size, absolute."""
    limit = p.state.limits.max_order_notional
    if limit is None or p.notional <= limit * p.scale:
        return None
    text = f"an order of {p.notional} is above {limit * p.scale}"
    return reject(RejectCode.MAX_ORDER_NOTIONAL_EXCEEDED, text, p.notional, limit * p.scale)


def order_percent(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 1: order size as a share of the account."""
    return _share(p, p.notional, p.state.limits.max_order_percent, RejectCode.MAX_ORDER_PERCENT_EXCEEDED)


def position_notional(p: ProposedOrder) -> Rejection | None:
    """Seed 001: ``max_position_size_usd``."""
    limit, found = p.state.limits.max_position_notional, p.position_notional
    if limit is None or found <= limit * p.scale:
        return None
    text = f"the position would be worth {found}, above {limit * p.scale}"
    return reject(RejectCode.MAX_POSITION_NOTIONAL_EXCEEDED, text, found, limit * p.scale)


def position_percent(p: ProposedOrder) -> Rejection | None:
    """Seed 004, check 1; seed 001: ``max_position_size_percent``."""
    limit = p.state.limits.max_position_percent
    return _share(p, p.position_notional, limit, RejectCode.MAX_POSITION_PERCENT_EXCEEDED)


def position_count(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 2: no new position at the limit; what works towards one counts."""
    limit = p.state.limits.max_positions
    if limit is None:
        return None
    state = p.state
    symbols = {position.symbol for position in p.left}
    symbols |= {o.symbol for o in state.orders} | {c.symbol for c in state.conditionals}
    if p.order.symbol in symbols or len(symbols) < limit:
        return None
    text = f"{len(symbols)} positions are open, of {limit}"
    return reject(RejectCode.MAX_POSITIONS_EXCEEDED, text, len(symbols), limit)


def open_orders(p: ProposedOrder) -> Rejection | None:
    """Seed 001: ``max_open_orders``; seed 003."""
    limit, found = p.state.limits.max_open_orders, len(p.state.orders) + len(p.state.conditionals)
    if limit is None or found < limit:
        return None
    return reject(RejectCode.MAX_OPEN_ORDERS_EXCEEDED, f"{found} orders work, of {limit}", found, limit)


def daily_loss(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 3: "Stop after $500 loss", so the limit itself stops, and for the whole day."""
    limit, loss = p.state.limits.max_daily_loss, losses.daily(p.state, p.equity)
    if limit is None or (loss < limit and not p.state.risk.day_stopped):
        return None
    text = f"the day's loss is {loss:.2f}, the limit is {limit}"
    return reject(RejectCode.MAX_DAILY_LOSS_EXCEEDED, text, loss, limit)


def daily_loss_percent(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 3, and seed 004, check 4: of the equity at the day's begin."""
    share = p.state.limits.max_daily_loss_percent
    if share is None:
        return None
    loss, limit = losses.daily(p.state, p.equity), share * p.state.risk.day_equity
    if loss < limit and not p.state.risk.day_stopped:
        return None
    text = (
        f"the day's loss is {loss:.2f}, the limit is {limit:.2f} ({share} of {p.state.risk.day_equity:.2f})"
    )
    return reject(RejectCode.MAX_DAILY_LOSS_PERCENT_EXCEEDED, text, loss, limit)


def cumulative_loss(p: ProposedOrder) -> Rejection | None:
    """Seed 003: once reached, nothing new until money comes or the limit is raised."""
    limit, loss = p.state.limits.max_cumulative_loss, losses.cumulative(p.state, p.equity)
    if limit is None or loss < limit:
        return None
    text = f"the loss since the first deposit is {loss:.2f}, the limit is {limit}"
    return reject(RejectCode.MAX_CUMULATIVE_LOSS_EXCEEDED, text, loss, limit)


def exposure_percent(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 4: exposure as a share of the account."""
    limit = p.state.limits.max_exposure_percent
    return _share(p, p.exposure, limit, RejectCode.MAX_EXPOSURE_PERCENT_EXCEEDED)


def price_deviation(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 5: a limit price far from the market is a slip of the finger."""
    limit, price = p.state.limits.max_price_deviation, p.order.price
    if limit is None or price is None:
        return None
    mid = p.market.ticks[p.order.symbol].mid
    deviation = abs(price - mid) / mid
    if deviation <= limit:
        return None
    text = f"price {price} is {deviation:.4f} away from the mid {mid}, the limit is {limit}"
    return reject(RejectCode.PRICE_DEVIATION_EXCEEDED, text, deviation, limit)


def slippage(p: ProposedOrder) -> Rejection | None:
    """Seed 001: ``max_slippage_percent``; what a market order pays for the spread."""
    limit = p.state.limits.max_slippage_percent
    if limit is None or p.order.order_type is not OrderType.MARKET:
        return None
    tick = p.market.ticks[p.order.symbol]
    # The bid is as far away as the ask.
    found = (tick.ask - tick.mid) / tick.mid
    if found <= limit:
        return None
    text = f"the touch is {found:.4f} away from the mid {tick.mid}, the limit is {limit}"
    return reject(RejectCode.MAX_SLIPPAGE_EXCEEDED, text, found, limit)


def order_rate(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 6: orders of the last 60 seconds in the symbol."""
    limit = p.state.limits.max_orders_per_minute
    if limit is None:
        return None
    begin = p.market.wall_ms - ORDER_RATE_WINDOW_MS
    found = sum(symbol == p.order.symbol and at > begin for symbol, at in p.state.risk.recent)
    if found < limit:
        return None
    text = f"{found} orders in {p.order.symbol} within a minute, the limit is {limit}"
    return reject(RejectCode.ORDER_RATE_EXCEEDED, text, found, limit)


def breaker(p: ProposedOrder) -> Rejection | None:
    """Seed 001, check 7; seed 004's open state."""
    risk = p.state.risk
    reason = (
        risk.breaker_reason if risk.breaker is Breaker.OPEN else breakers.threshold_reached(p.state, p.equity)
    )
    if risk.breaker is not Breaker.OPEN and not reason:
        return None
    text = f"the breaker is open ({reason}); reducing orders are welcome"
    return reject(RejectCode.BREAKER_OPEN, text, reason, risk.breaker_until_ms)


def correlation(p: ProposedOrder) -> Rejection | None:
    """Seed 004, check 3: the highest correlation with a position of the same strategy."""
    limit = p.state.limits.max_correlation
    own, strategy = p.order.symbol, p.order.strategy
    held = {o.symbol for o in p.left if o.strategy == strategy}
    others = (held | {c.symbol for c in p.order_exposures if c.strategy == strategy}) - {own}
    if limit is None or not others:
        return None
    found = []
    for other in sorted(others):
        one = None if p.market.price_history is None else p.market.price_history.correlation(own, other)
        if one is None:
            text = f"too few minutes of prices to correlate {own} with {other}"
            return reject(RejectCode.NO_PRICE_HISTORY, text, other, limit)
        found.append(one)
    if max(found) <= limit:
        return None
    text = f"correlation {max(found):.3f} with a position of the strategy is above {limit}"
    return reject(RejectCode.MAX_CORRELATION_EXCEEDED, text, max(found), limit)


def strategy_drawdown(p: ProposedOrder) -> Rejection | None:
    """Seed 004, check 5; a profit is no drawdown (the seed's own formula takes it for one)."""
    limit = p.state.limits.max_strategy_drawdown
    if limit is None:
        return None
    found = losses.strategy_drawdown(p.state, p.order.strategy, p.market)
    if found <= limit:
        return None
    text = f"the strategy {p.order.strategy!r} is down {found:.3f}, the limit is {limit}"
    return reject(RejectCode.MAX_STRATEGY_DRAWDOWN_EXCEEDED, text, found, limit)


def risk_value(p: ProposedOrder) -> Rejection | None:
    """Seed 003: value at risk of all positions and the order."""
    limit = p.state.limits.max_value_at_risk
    if limit is None:
        return None
    added = [(p.order.symbol, p.notional * p.order.side.sign)]
    added += [(c.symbol, c.notional * c.side.sign) for c in p.order_exposures]
    found = value_at_risk.one_minute(p.left, added, p.market)
    if found is None:
        text = "too few minutes of prices for a value at risk"
        return reject(RejectCode.NO_PRICE_HISTORY, text, p.order.symbol, limit)
    if found <= limit * p.equity:
        return None
    text = f"value at risk would be {found:.2f}, above {limit} of equity {p.equity:.2f}"
    return reject(RejectCode.MAX_VALUE_AT_RISK_EXCEEDED, text, found, limit * p.equity)


def liquidity(p: ProposedOrder) -> Rejection | None:
    """Seed 004: ``min_liquidity``, at the touch that the order would take."""
    limit = p.state.limits.min_liquidity
    if limit is None:
        return None
    tick = p.market.ticks[p.order.symbol]
    found = tick.ask * tick.ask_qty if p.order.side is Side.BUY else tick.bid * tick.bid_qty
    if found >= limit:
        return None
    text = f"only {found:.2f} is displayed at the touch of {p.order.symbol}, at least {limit} is asked for"
    return reject(RejectCode.MIN_LIQUIDITY, text, found, limit)


LIMIT_CHECKS: tuple[Callable[[ProposedOrder], Rejection | None], ...] = (
    leverage,
    bracket_leverage,
    trade_notional,
    exposure,
    available_margin,
    margin_usage,
    maintenance_margin,
    order_notional,
    order_percent,
    position_notional,
    position_count,
    open_orders,
    daily_loss,
    daily_loss_percent,
    cumulative_loss,
    exposure_percent,
    price_deviation,
    slippage,
    order_rate,
    breaker,
    position_percent,
    correlation,
    strategy_drawdown,
    risk_value,
    liquidity,
)
"""In the order in which they are reported: seed 000's, seed 001's (with 003's), seed 004's."""


def _share(p: ProposedOrder, value: Decimal, limit: Decimal | None, code: RejectCode) -> Rejection | None:
    if limit is None:
        return None
    most = limit * p.scale
    if value <= most * p.equity:
        return None
    share = value / p.equity if p.equity > ZERO else Decimal(999)
    return reject(code, f"{value} is {share:.4f} of the account's equity, the limit is {most}", share, most)
