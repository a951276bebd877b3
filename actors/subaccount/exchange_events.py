"""What an account does about what the exchange says: orders accepted, filled, closed; funding."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from actors.core.constants import RECOVERED_FROM
from actors.core.enums import OrderStatus, Purpose
from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact, FillApplied, OrderAcknowledged, OrderEnded, OrderIntended
from actors.core.messages import (
    ApplyFunding,
    BookRecovered,
    FeeKnown,
    Fill,
    OrderAccepted,
    OrderClosed,
    RateKnown,
)
from actors.core.order_ids import sequence_of
from actors.core.orders import WorkingOrder
from actors.core.units import ZERO, ClientOrderId, is_sane
from actors.subaccount import adl, conditionals, fees, funding, unsent_orders
from actors.subaccount.market import Market
from actors.subaccount.pipeline import Decision, assessed, concluded, decided
from actors.subaccount.position import settle
from actors.subaccount.pretrade.checks import DEFAULT_LEVERAGE
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

ExchangeEvent = OrderAccepted | Fill | FeeKnown | RateKnown | OrderClosed | ApplyFunding | BookRecovered


def decide(now: Situation, message: ExchangeEvent) -> Decision:
    """Decide on one event of the exchange.

    Raises:
        StateCorrupt: the event cannot be true of this account.
    """
    match message:
        case OrderAccepted():
            return _accepted(now, message)
        case Fill():
            return _fill(now, message)
        case FeeKnown():
            return _late_fee(now, fees.learned(now.state, message, now.market))
        case RateKnown():
            return _late_fee(now, fees.rated(now.state, message, now.market))
        case OrderClosed():
            return _closed(now, message)
        case ApplyFunding():
            return _funding(now, message)
        case BookRecovered():
            return _recovered(now, message)
        case _:
            assert_never(message)


def _accepted(now: Situation, message: OrderAccepted) -> Decision:
    order = now.state.order(message.client_order_id)
    if order is None or order.exchange_order_id is not None:
        return _known_or_corrupt(now, message.client_order_id)
    return decided(now, [OrderAcknowledged(order.client_order_id, message.exchange_order_id)])


def _fill(now: Situation, fill: Fill) -> Decision:
    state = now.state
    order, trade = state.order(fill.client_order_id), fill.trade
    if order is None or trade.trade_id in order.trade_ids:
        # The trade may be known and the end not, if both were told apart.
        return _known_or_corrupt(now, fill.client_order_id) if fill.end is None else _closed(now, fill.end)
    if (order.symbol, order.side) != (trade.symbol, trade.side):
        raise StateCorrupt(f"{state.account_id}: trade {trade.trade_id} is not of {order!r}")
    facts = _booked(state, order, fill, now.market)
    if order.purpose is not Purpose.USER:
        facts += adl.filled(state)
    if fill.end is None:
        return assessed(now, facts)
    end = _facts_of_end(now.after(facts), fill.end)
    if end is None:
        return replace(assessed(now, facts), resync=(order.client_order_id,))
    return assessed(now, [*facts, *end])


def _booked(state: AccountState, order: WorkingOrder, fill: Fill, market: Market) -> list[AnyFact]:
    trade = fill.trade
    held = state.position(trade.symbol)
    extremes = None if held is None else market.extremes(trade.symbol, held.since)
    low, high = extremes or (None, None)
    fee, commission = fees.taken(state, trade, market)
    settled = settle(held, trade, fee, order.intent.leverage, (low, high))
    booked = FillApplied(
        client_order_id=fill.client_order_id,
        trade=trade,
        fee=fee,
        closed_quantity=settled.closed_quantity,
        realized=settled.realized,
        closing_fee=settled.closing_fee,
        cost=settled.cost,
        margin=settled.margin,
        mae=settled.mae,
        mfe=settled.mfe,
        purpose=order.purpose,
        tier=order.intent.tier,
        order_type=order.order_type,
        low=low,
        high=high,
        moment=market.moment,
        commission=commission,
    )
    facts: list[AnyFact] = [booked]
    if held is not None and settled.closed_quantity == abs(held.quantity):
        facts.append(
            held.closed(order.purpose, trade.trade_ms, settled.realized, settled.closing_fee, extremes)
        )
    return facts


def _late_fee(now: Situation, facts: list[AnyFact]) -> Decision:
    return assessed(now, facts) if facts else concluded(now, duplicate=True)


def _closed(now: Situation, message: OrderClosed) -> Decision:
    order = now.state.order(message.client_order_id)
    if order is None:
        return _known_or_corrupt(now, message.client_order_id)
    facts = _facts_of_end(now, message)
    return concluded(now, resync=(order.client_order_id,)) if facts is None else assessed(now, facts)


def _facts_of_end(now: Situation, message: OrderClosed) -> list[AnyFact] | None:
    """What the end of a working order brings; None while fills are lacking.

    Raises:
        StateCorrupt: more was filled than the exchange says.
    """
    state = now.state
    order = state.order(message.client_order_id)
    assert order is not None
    if order.filled < message.executed_quantity:
        return None
    if order.filled > message.executed_quantity:
        raise StateCorrupt(
            f"{state.account_id}: {order.client_order_id} filled {order.filled}, "
            f"but the exchange says {message.executed_quantity}"
        )
    ended = OrderEnded(order.client_order_id, message.status, message.code, message.reason[:500])
    if message.waited:
        return _waited(now, order, ended, again=message.again)
    return [ended, *_after_its_end(now, order, message.status)]


def _after_its_end(now: Situation, order: WorkingOrder, status: OrderStatus) -> list[AnyFact]:
    if order.purpose is not Purpose.USER:
        return adl.ended(now.state, order, status, now.market.wall_ms)
    match status:
        case OrderStatus.FILLED | OrderStatus.CANCELED:
            return []  # it did what it was for, or somebody wanted it gone
        case OrderStatus.REJECTED | OrderStatus.EXPIRED:
            return conditionals.rearmed(now, order)
        case OrderStatus.NEVER_SENT:
            return conditionals.never_sent(now, order)
        case OrderStatus.INTENDED | OrderStatus.ACKNOWLEDGED:
            return conditionals.rearmed(
                now, order
            )  # no order ends so; if one does, what it protected still waits
        case _:
            assert_never(status)


def _waited(now: Situation, order: WorkingOrder, ended: OrderEnded, *, again: bool) -> list[AnyFact]:
    """It was not refused: our own rate limits kept it, so it counts as no refusal."""
    if not again:
        return [ended]
    follows, rejections = unsent_orders.decided_again(now.after([ended]), order)
    if rejections:
        why = "; ".join(f"{r.code}: {r.text}" for r in rejections)
        ended = replace(ended, reason=f"{ended.reason}, and refused then: {why}"[:500])
    return [ended, *follows]


def _funding(now: Situation, message: ApplyFunding) -> Decision:
    state = now.state
    if not is_sane(message.rate) or not is_sane(message.mark) or message.mark <= ZERO:
        raise StateCorrupt(
            f"{state.account_id}: funding of {message.symbol} at {message.rate} x {message.mark}"
        )
    paid = funding.paid(state, message, now.market.wall_ms)
    if paid is None:
        return concluded(now, duplicate=True)
    return assessed(now, [paid])


def _recovered(now: Situation, message: BookRecovered) -> Decision:
    """Book a whole order that the journal lacks: what it was, all its trades, and its end.

    Its number may be one that the account has used since for another order, whose id is of another start; then it
    counts as the next one. Who decided it, and with which leverage, only the lost journal knew.
    """
    state, id_ = now.state, message.client_order_id
    number = sequence_of(id_, now.market.origin.fleet, state.account_id)
    if number is None:
        raise StateCorrupt(f"{state.account_id}: {id_} is no order of it")
    if state.order(id_) is not None:
        return concluded(now, duplicate=True)
    executed = sum((trade.quantity for trade in message.trades), ZERO)
    if not ZERO < executed <= message.quantity:
        raise StateCorrupt(
            f"{state.account_id}: trades of {executed} are not all of {id_}, {message.quantity}"
        )
    intended = OrderIntended(
        account_id=state.account_id,
        sequence=max(number, state.next_order_sequence),
        client_order_id=id_,
        symbol=message.symbol,
        side=message.side,
        order_type=message.order_type,
        quantity=message.quantity,
        price=message.price,
        time_in_force=message.time_in_force,
        reduce_only=False,
        leverage=min(DEFAULT_LEVERAGE, state.limits.max_leverage),
        margin_reserved=ZERO,
        purpose=Purpose.USER,
        tier=0,
        decided_ms=message.placed_ms,
        # Not the decision's, which is that of orders too that it sets off, and those are sent.
        cause=f"{RECOVERED_FROM}{message.exchange_order_id}",
        reference_price=message.trades[0].price,
    )
    facts: list[AnyFact] = [intended, OrderAcknowledged(id_, message.exchange_order_id)]
    then = now.after(facts)
    for trade in message.trades:
        order = then.state.order(id_)
        if order is None or (order.symbol, order.side) != (trade.symbol, trade.side):
            raise StateCorrupt(f"{state.account_id}: trade {trade.trade_id} is not of {id_}")
        fill = Fill(state.account_id, id_, trade, now.cause)
        booked = _booked(then.state, order, fill, now.market)
        facts += booked
        then = then.after(booked)
    facts.append(OrderEnded(id_, message.status, 0, "learned from the exchange"))
    return assessed(now, facts)


def _known_or_corrupt(now: Situation, id_: ClientOrderId) -> Decision:
    """A late or repeated event of an order of ours is a duplicate; any other id is not ours."""
    state = now.state
    sequence = sequence_of(id_, now.market.origin.fleet, state.account_id)
    if sequence is None or sequence >= state.next_order_sequence:
        raise StateCorrupt(f"{state.account_id}: an event of {id_} arrived, which it never intended")
    return concluded(now, duplicate=True)
