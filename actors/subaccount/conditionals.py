"""Stops, take-profits and trailing stops: orders that wait in the account for a price.

Rules
1. They fire on the mid. A stop fires if the mid was at its price at any time since it was placed, as
   the router's running extremes say, even when the account looked later.
2. One that fires is checked like any market order then; what is refused ends REJECTED.
3. One that only reduces takes no more than what is held, and expires with the position. What else of the
   account would close the same quantity, a resting limit say, is cancelled and gone before it is sent.
4. None fires while the account is being liquidated. Those that may open risk, and hold margin for it,
   are cancelled at the first step; all of them when everything must go.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from actors.core.carried import made_of
from actors.core.constants import CONDITIONALS_MAX, REARM_FIRST_MS, REARM_MAX
from actors.core.enums import Alert, ConditionalKind, ConditionalStatus, OrderType, Side
from actors.core.facts import (
    AnyFact,
    ConditionalDue,
    ConditionalEnded,
    ConditionalPlaced,
    OrderIntended,
    PositionAlerted,
    TrailMoved,
)
from actors.core.instruments import Instrument
from actors.core.messages import PlaceConditional, PlaceOrder
from actors.core.order_ids import client_order_id
from actors.core.orders import TRIGGERED_BY, ConditionalOrder, WorkingOrder
from actors.core.units import DIGITS_MAX, ONE, ZERO, is_sane
from actors.subaccount import dust
from actors.subaccount.adl import has_step
from actors.subaccount.intents import intended
from actors.subaccount.market import Market
from actors.subaccount.open_order_exposure import conditional_cancels, order_cancels, quantities_that_open
from actors.subaccount.position import Position
from actors.subaccount.pretrade import checks
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.subaccount.steps import smallest_order, without_rules

TRAIL_STEP = Decimal("0.125")
"""A better price is made durable when it moves a trailing stop by this share of its callback rate."""


def place(now: Situation, order: PlaceConditional) -> ConditionalPlaced | tuple[Rejection, ...]:
    """The fact that a conditional order waits now, or why it may not."""
    state, market = now.state, now.market
    as_market = _market_order(order, order.quantity)
    price = order.trigger_price or order.activation_price
    usable = price is not None and is_sane(price)
    checked = checks.check(now.supposing(_alone(state, order)), as_market, at_price=price if usable else None)
    rejections = (*checked.rejections, *_too_many(state))
    instrument, tick = market.instruments.get(order.symbol), market.ticks.get(order.symbol)
    if instrument is not None and tick is not None:
        rejections = (*rejections, *_shape(order, instrument, tick.mid))
    if rejections:
        return rejections
    return made_of(
        ConditionalPlaced,
        order,
        account_id=state.account_id,
        sequence=state.next_order_sequence,
        client_order_id=client_order_id(market.origin, state.account_id, state.next_order_sequence),
        extreme=market.ticks[order.symbol].mid
        if _trails(order.kind) and order.activation_price is None
        else None,
        leverage=checked.leverage,
        margin_reserved=checked.margin,
        decided_ms=market.wall_ms,
        moment=market.moment,
    )


def assess(now: Situation) -> Situation:
    """Conditional orders that fire, move or expire now."""
    if not now.state.conditionals:
        return now
    now = now.after(e for c in now.state.conditionals if (e := _expired(now.state, c)) is not None)
    state, market = now.state, now.market
    if has_step(state) or not state.phase.is_calm or state.risk.close_out is not None:
        return now
    for order in state.conditionals:
        if market.fresh(order.symbol, state.limits.price_max_age_ns) is None:
            continue
        if not is_due(order, market):
            now = now.after(_moved(order, market))
        elif market.wall_ms >= order.placed.not_before_ms:
            now = now.after(_fired(now, order))
    return now


def withdraw_opening(state: AccountState, cause: str) -> list[AnyFact]:
    """Cancel all that rests or waits and may open new risk, whatever it says of itself."""
    resting = (order for order, opening in quantities_that_open(state) if opening > ZERO)
    return order_cancels(state, resting, cause) + conditional_cancels(state, cause, keep_closing=True)


def rearmed(now: Situation, order: WorkingOrder) -> list[AnyFact]:
    """A protective order that the exchange did not take waits once more, longer each time.

    After ``REARM_MAX`` tries an alert calls for a human.
    """
    if not is_protective(order.intent):
        return []
    attempt = order.intent.attempt + 1
    held = _protects(now, order)
    if held is None:
        return []
    if attempt > REARM_MAX:
        if Alert.UNPROTECTED in held.alerts:
            return []
        return [PositionAlerted(order.symbol, Alert.UNPROTECTED, Decimal(attempt), Decimal(REARM_MAX))]
    return again(now, order, attempt, now.market.wall_ms + (REARM_FIRST_MS << (attempt - 1)))


def never_sent(now: Situation, order: WorkingOrder) -> list[AnyFact]:
    """A protective order that the exchange never got waits a little once more, and uses up no try."""
    if not is_protective(order.intent):
        return []
    return again(now, order, order.intent.attempt, now.market.wall_ms + REARM_FIRST_MS)


def _protects(now: Situation, order: WorkingOrder) -> Position | None:
    """The position that what is left of a protective order is for, if there are both, and a price."""
    if order.remaining <= ZERO or order.symbol not in now.market.ticks:
        return None
    return now.state.position(order.symbol)


def is_protective(intent: OrderIntended) -> bool:
    """Whether an order came of a conditional one that only reduces."""
    return intent.reduce_only and intent.conditional_id is not None


def again(now: Situation, order: WorkingOrder, attempt: int, not_before_ms: int) -> list[AnyFact]:
    """What is left of a protective order, due at once or after a wait; nothing if it has nothing to protect."""
    state, market, intent = now.state, now.market, order.intent
    if _protects(now, order) is None:
        return []
    id_ = client_order_id(market.origin, state.account_id, state.next_order_sequence)
    placed = made_of(
        ConditionalPlaced,
        intent,
        account_id=state.account_id,
        sequence=state.next_order_sequence,
        client_order_id=id_,
        kind=ConditionalKind.STOP_MARKET,
        quantity=order.remaining,
        trigger_price=market.ticks[order.symbol].mid,
        callback_rate=None,
        activation_price=None,
        extreme=None,
        reduce_only=True,
        margin_reserved=ZERO,
        decided_ms=market.wall_ms,
        moment=market.moment,
        attempt=attempt,
        not_before_ms=not_before_ms,
    )
    return [placed, ConditionalDue(id_)]


def fires_below(kind: ConditionalKind, side: Side) -> bool:
    """Whether an order fires when the price falls: stops that sell, and take-profits that buy."""
    return (kind is ConditionalKind.TAKE_PROFIT_MARKET) == (side is Side.BUY)


def extreme(order: ConditionalOrder, market: Market) -> Decimal | None:
    """The best price that a trailing stop has seen, the present one included; None while not active.

    The best since it became active is the best since it was placed: before, no price was as good.
    """
    placed, mid = order.placed, market.ticks[order.symbol].mid
    low, high = market.extremes(order.symbol, placed.moment) or (mid, mid)
    sells = placed.side is Side.SELL
    best = max(high, mid) if sells else min(low, mid)
    if order.extreme is not None:
        return max(best, order.extreme) if sells else min(best, order.extreme)
    active = placed.activation_price
    if active is None or (best >= active if sells else best <= active):
        return best
    return None


def stop_price(order: ConditionalOrder, best: Decimal) -> Decimal:
    """Where a trailing stop fires whose best price is ``best``: that far back as its callback rate says."""
    rate = order.placed.callback_rate or ZERO
    return best * (ONE - rate if order.placed.side is Side.SELL else ONE + rate)


def is_due(order: ConditionalOrder, market: Market) -> bool:
    """Whether an order fires at the present price, or a stop at one since it was placed."""
    if order.due:
        return True
    placed, mid = order.placed, market.ticks[order.symbol].mid
    below = fires_below(placed.kind, placed.side)
    if placed.trigger_price is not None:
        low, high = market.extremes(order.symbol, placed.moment) or (mid, mid)
        return min(low, mid) <= placed.trigger_price if below else max(high, mid) >= placed.trigger_price
    best = extreme(order, market)
    if best is None:
        return False
    return mid <= stop_price(order, best) if below else mid >= stop_price(order, best)


def _trails(kind: ConditionalKind) -> bool:
    return kind is ConditionalKind.TRAILING_STOP_MARKET


def _market_order(order: PlaceConditional | ConditionalPlaced, quantity: Decimal) -> PlaceOrder:
    return made_of(PlaceOrder, order, quantity=quantity, cause="")


def _too_many(state: AccountState) -> tuple[Rejection, ...]:
    # Reducing ones too: each of them is looked at on every wake.
    limit = min(CONDITIONALS_MAX, state.limits.max_open_orders or CONDITIONALS_MAX)
    found = len(state.conditionals)
    if found < limit:
        return ()
    return (reject(RejectCode.MAX_OPEN_ORDERS_EXCEEDED, f"{found} orders wait, of {limit}", found, limit),)


def _shape(order: PlaceConditional, instrument: Instrument, mid: Decimal) -> list[Rejection]:
    found = []
    trails = _trails(order.kind)
    if (order.trigger_price is None) != trails or (order.callback_rate is not None) != trails:
        text = "a trailing stop takes a callback rate and no trigger price, every other one the reverse"
        return [reject(RejectCode.INVALID_TRIGGER, text, order.kind)]
    if order.activation_price is not None and not trails:
        return [
            reject(RejectCode.INVALID_TRIGGER, "only a trailing stop takes an activation price", order.kind)
        ]
    rate = order.callback_rate
    least, most = instrument.callback_min, instrument.callback_max
    if rate is not None and not (is_sane(rate) and least <= rate <= most):
        text = f"callback rate {rate} must lie between {least} and {most}"
        found.append(reject(RejectCode.INVALID_TRIGGER, text, rate, most))
    for name, price in (("trigger", order.trigger_price), ("activation", order.activation_price)):
        if price is None:
            continue
        if not is_sane(price) or price <= ZERO:
            text = (
                f"{name} price {price} must be a number above zero of at most {DIGITS_MAX} digits either side"
            )
            found.append(reject(RejectCode.INVALID_TRIGGER, text, price))
        elif not instrument.is_on_tick(price):
            text = f"{name} price {price} is not a multiple of the tick {instrument.tick_size}"
            found.append(reject(RejectCode.PRICE_OFF_TICK, text, price, instrument.tick_size))
        else:
            # A trailing stop is activated by a move in its favour, all others are set off by theirs.
            below = fires_below(order.kind, order.side) != (name == "activation")
            if mid <= price if below else mid >= price:
                text = f"{name} price {price} would be met at once, the mid is {mid}"
                found.append(reject(RejectCode.TRIGGERS_AT_ONCE, text, price, mid))
    return found


def _expired(state: AccountState, order: ConditionalOrder) -> ConditionalEnded | None:
    if not order.placed.reduce_only:
        return None
    held = state.position(order.symbol)
    if held is not None and held.is_long == (order.placed.side is Side.SELL):
        return None
    return ConditionalEnded(
        order.client_order_id, ConditionalStatus.EXPIRED, "there is nothing left to reduce"
    )


def _moved(order: ConditionalOrder, market: Market) -> list[AnyFact]:
    rate = order.placed.callback_rate
    best = extreme(order, market) if rate is not None else None
    if best is None or rate is None or best == order.extreme:
        return []
    if order.extreme is not None and abs(best - order.extreme) < order.extreme * rate * TRAIL_STEP:
        return []
    return [TrailMoved(order.client_order_id, best)]


def _fired(now: Situation, order: ConditionalOrder) -> list[AnyFact]:
    state, market, placed = now.state, now.market, order.placed
    # Its own reserved margin must be free before it is asked for again.
    others = tuple(c for c in state.conditionals if c is not order)
    left = now.supposing(replace(state, conditionals=others))
    quantity = placed.quantity
    held = state.position(order.symbol)
    if placed.reduce_only and held is not None:
        if order.symbol not in market.instruments:
            return without_rules(held)
        touch = dust.touch(market, order.symbol, placed.side)
        smallest = smallest_order(market.instruments[order.symbol], touch)
        quantity = min(max(quantity, smallest), abs(held.quantity))
        if checks.reducible(state, _market_order(placed, quantity)) < quantity:
            return _make_way(state, order)
    request = replace(_market_order(placed, quantity), cause=f"{TRIGGERED_BY}{order.client_order_id}")
    checked = checks.check(left, request)
    if not checked.is_accepted:
        reason = "; ".join(r.text for r in checked.rejections)
        return [ConditionalEnded(order.client_order_id, ConditionalStatus.REJECTED, reason[:500])]
    if checked.rest is not None:
        ended = ConditionalEnded(order.client_order_id, ConditionalStatus.TRIGGERED, _why(order, market))
        return [ended, *dust.taken(left, checked.rest)]
    intent: OrderIntended = replace(
        intended(left, request, checked), attempt=placed.attempt, conditional_id=order.client_order_id
    )
    ended = ConditionalEnded(
        order.client_order_id, ConditionalStatus.TRIGGERED, _why(order, market), intent.client_order_id
    )
    return [ended, intent]


def _alone(state: AccountState, order: PlaceConditional) -> AccountState:
    # A resting take-profit does not speak for what a stop may close as well.
    if not order.reduce_only:
        return state
    others = tuple(o for o in state.orders if (o.symbol, o.side) != (order.symbol, order.side))
    return replace(state, orders=others)


def _make_way(state: AccountState, order: ConditionalOrder) -> list[AnyFact]:
    # A market order that closes already is waited for; what rests is cancelled.
    facts: list[AnyFact] = [] if order.due else [ConditionalDue(order.client_order_id)]
    cause = f"{TRIGGERED_BY}{order.client_order_id}"
    side = (order.symbol, order.placed.side)
    resting = (o for o in state.orders if (o.symbol, o.side) == side and o.order_type is OrderType.LIMIT)
    return facts + order_cancels(state, resting, cause)


def _why(order: ConditionalOrder, market: Market) -> str:
    mid: Decimal = market.ticks[order.symbol].mid
    return f"the mid was {mid}"
