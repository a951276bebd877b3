"""What an account does about what the exchange says: orders accepted, filled, closed; funding."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from actors.core.enums import OrderStatus, Purpose
from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact, FillApplied, OrderAcknowledged, OrderEnded
from actors.core.messages import ApplyFunding, FeeKnown, Fill, OrderAccepted, OrderClosed, RateKnown
from actors.core.order_ids import sequence_of
from actors.core.orders import WorkingOrder
from actors.core.units import ZERO, ClientOrderId, is_sane
from actors.subaccount import adl, conditionals, fees, funding, waited
from actors.subaccount.market import Market
from actors.subaccount.pipeline import Decision, assessed, decided
from actors.subaccount.state import AccountState, folded, settlement_of

ExchangeEvent = OrderAccepted | Fill | FeeKnown | RateKnown | OrderClosed | ApplyFunding


def decide(state: AccountState, message: ExchangeEvent, market: Market) -> Decision:
    """Decide on one event of the exchange.

    Raises:
        StateCorrupt: the event cannot be true of this account.
    """
    match message:
        case OrderAccepted():
            return _accepted(state, message, market)
        case Fill():
            return _fill(state, message, market)
        case FeeKnown():
            return _late_fee(state, fees.learned(state, message, market), message, market)
        case RateKnown():
            return _late_fee(state, fees.rated(state, message, market), message, market)
        case OrderClosed():
            return _closed(state, message, market)
        case ApplyFunding():
            return _funding(state, message, market)
        case _:
            assert_never(message)


def _accepted(state: AccountState, message: OrderAccepted, market: Market) -> Decision:
    order = state.order(message.client_order_id)
    if order is None or order.exchange_order_id is not None:
        return _known_or_corrupt(state, message.client_order_id, market)
    return decided(state, [OrderAcknowledged(order.client_order_id, message.exchange_order_id)])


def _fill(state: AccountState, fill: Fill, market: Market) -> Decision:
    order, trade = state.order(fill.client_order_id), fill.trade
    if order is None or trade.trade_id in order.trade_ids:
        return _known_or_corrupt(state, fill.client_order_id, market)
    if (order.symbol, order.side) != (trade.symbol, trade.side):
        raise StateCorrupt(f"{state.account_id}: trade {trade.trade_id} is not of {order!r}")
    facts = _booked(state, order, fill, market)
    if order.purpose is not Purpose.USER:
        facts += adl.filled(state)
    return assessed(state, facts, market, fill.cause)


def _booked(state: AccountState, order: WorkingOrder, fill: Fill, market: Market) -> list[AnyFact]:
    trade = fill.trade
    held = state.position(trade.symbol)
    stretch = None if held is None else market.extremes(trade.symbol, held.since)
    low, high = stretch or (None, None)
    fee, commission = fees.taken(state, trade, market)
    booked = FillApplied(
        client_order_id=fill.client_order_id,
        trade=trade,
        fee=fee,
        closed_quantity=ZERO,
        realized=ZERO,
        purpose=order.purpose,
        tier=order.intent.tier,
        order_type=order.order_type,
        low=low,
        high=high,
        moment=market.moment,
        commission=commission,
    )
    settlement = settlement_of(state, booked)
    facts: list[AnyFact] = [
        replace(booked, closed_quantity=settlement.closed_quantity, realized=settlement.realized)
    ]
    after = settlement.position
    if held is not None and (after is None or after.position_id != held.position_id):
        facts.append(
            held.closed(order.purpose, trade.trade_ms, settlement.realized, settlement.closing_fee, stretch)
        )
    return facts


def _late_fee(
    state: AccountState, facts: list[AnyFact], message: FeeKnown | RateKnown, market: Market
) -> Decision:
    if not facts:
        return Decision(state=state, duplicate=True)
    return assessed(state, facts, market, message.cause)


def _closed(state: AccountState, message: OrderClosed, market: Market) -> Decision:
    order = state.order(message.client_order_id)
    if order is None:
        return _known_or_corrupt(state, message.client_order_id, market)
    if order.filled < message.executed_quantity:
        return Decision(state=state, resync=(order.client_order_id,))
    if order.filled > message.executed_quantity:
        raise StateCorrupt(
            f"{state.account_id}: {order.client_order_id} filled {order.filled}, "
            f"but the exchange says {message.executed_quantity}"
        )
    ended = OrderEnded(order.client_order_id, message.status, message.code, message.reason[:500])
    facts: list[AnyFact]
    if message.waited:
        facts = _waited(state, order, ended, market, again=message.again)
    else:
        facts = [ended, *_after_its_end(state, order, message.status, market)]
    return assessed(state, facts, market, message.cause)


def _after_its_end(
    state: AccountState, order: WorkingOrder, status: OrderStatus, market: Market
) -> list[AnyFact]:
    if order.purpose is not Purpose.USER:
        return adl.ended(state, order, market.now_ns)
    if status is OrderStatus.FILLED:
        return []
    return conditionals.rearmed(state, order, status, market)


def _waited(
    state: AccountState, order: WorkingOrder, ended: OrderEnded, market: Market, *, again: bool
) -> list[AnyFact]:
    """Nobody refused it: our own limits kept it, so it counts against nobody."""
    if not again:
        return [ended]
    follows, rejections = waited.decided_anew(folded(state, [ended]), order, market)
    if rejections:
        now = "; ".join(f"{r.code}: {r.text}" for r in rejections)
        ended = replace(ended, reason=f"{ended.reason}, and refused then: {now}"[:500])
    return [ended, *follows]


def _funding(state: AccountState, message: ApplyFunding, market: Market) -> Decision:
    if not is_sane(message.rate) or not is_sane(message.mark) or message.mark <= ZERO:
        raise StateCorrupt(
            f"{state.account_id}: funding of {message.symbol} at {message.rate} x {message.mark}"
        )
    paid = funding.paid(state, message, market.wall_ms)
    if paid is None:
        return Decision(state=state, duplicate=True)
    return assessed(state, [paid], market, message.cause)


def _known_or_corrupt(state: AccountState, id_: ClientOrderId, market: Market) -> Decision:
    """A late or repeated event of an order of ours is a duplicate; any other id is not ours."""
    sequence = sequence_of(id_, market.origin.fleet, state.account_id)
    if sequence is None or sequence >= state.next_order_sequence:
        raise StateCorrupt(f"{state.account_id}: an event of {id_} arrived, which it never intended")
    return Decision(state=state, duplicate=True)
