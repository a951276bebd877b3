"""What an account does about a message. Pure: no mailbox, clock, logger or random.

Rules
1. ``decide`` returns a whole ``Decision`` or raises; it never changes anything.
2. What time alone brings, a new trading day or the end of a cooldown, comes before the message.
3. After anything that moves positions or money, the margin is assessed in the same decision.
4. Exchange events that were seen before change nothing: a duplicate is counted, not booked.

Orders are decided on here; what the exchange says in ``subaccount.booking``, what people set in
``subaccount.control``.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from actors.core.enums import ConditionalStatus, Phase, Purpose
from actors.core.facts import AnyFact, CancelIntended, ConditionalEnded, PhaseChanged
from actors.core.messages import (
    AdjustBalance,
    ApplyFunding,
    CallOff,
    CancelOrder,
    CloseOut,
    FeeKnown,
    Fill,
    OrderAccepted,
    OrderClosed,
    PlaceConditional,
    PlaceOrder,
    RateKnown,
    Reconsider,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SetStatus,
    SettleFee,
    TripBreaker,
    Wake,
)
from actors.core.units import Nanos
from actors.subaccount import (
    breaker,
    checks,
    commands,
    conditionals,
    dust,
    exchange_events,
    fees,
    losses,
    margin,
)
from actors.subaccount.intents import intended
from actors.subaccount.market import Market
from actors.subaccount.open_order_exposure import cancelled, cancels
from actors.subaccount.pipeline import Accepted, Decision, assessed, decided, house_of, refused
from actors.subaccount.rejections import RejectCode, reject
from actors.subaccount.state import AccountState, folded

ControlMessage = (
    AdjustBalance
    | SettleFee
    | SetStatus
    | SetMode
    | SetLimits
    | TripBreaker
    | ResetBreaker
    | CloseOut
    | CallOff
    | Reopen
)
AccountMessage = (
    Wake
    | Reconsider
    | PlaceOrder
    | PlaceConditional
    | CancelOrder
    | ControlMessage
    | exchange_events.ExchangeEvent
)


def decide(state: AccountState, message: AccountMessage, market: Market) -> Decision:
    """Decide on one message.

    Raises:
        StateCorrupt: the message cannot be true of this account.
    """
    due = _due(state, market)
    if not due:
        return _decide(state, message, market)
    decision = _decide(folded(state, due), message, market)
    after = decision.state if decision.facts else replace(decision.state, sequence=state.sequence + 1)
    return replace(decision, state=after, facts=(*due, *decision.facts))


def withdraw(state: AccountState, cause: str) -> Decision:
    """Cancel every order that the account itself has working, and what waits to open; stops stay."""
    own = (order for order in state.orders if order.purpose is Purpose.USER)
    return decided(state, cancels(state, own, cause) + cancelled(state, cause, keep_closing=True))


def _due(state: AccountState, market: Market) -> list[AnyFact]:
    facts = losses.begin_day(state, market)
    if breaker.is_timed(state) and market.wall_ms >= state.risk.breaker_until_ms:
        after = folded(state, facts)
        facts += breaker.after_cooldown(after, margin.equity(after, market), market.wall_ms)
    return facts


def _decide(state: AccountState, message: AccountMessage, market: Market) -> Decision:
    match message:
        case Wake():
            return assessed(state, [], market, message.cause)
        case Reconsider():
            return _reconsider(state, message, market)
        case PlaceOrder():
            return _place(state, message, market)
        case PlaceConditional():
            return _place_conditional(state, message, market)
        case CancelOrder():
            return _cancel(state, message)
        case OrderAccepted() | Fill() | FeeKnown() | RateKnown() | OrderClosed() | ApplyFunding():
            return exchange_events.decide(state, message, market)
        case (
            AdjustBalance()
            | SettleFee()
            | SetStatus()
            | SetMode()
            | SetLimits()
            | TripBreaker()
            | ResetBreaker()
            | CloseOut()
            | CallOff()
            | Reopen()
        ):
            return commands.decide(state, message, market)
        case _:
            assert_never(message)


def _reconsider(state: AccountState, message: Reconsider, market: Market) -> Decision:
    facts: list[AnyFact] = fees.due(state, market)
    if state.phase is Phase.STUCK and message.cause == "operator":
        facts.append(PhaseChanged(Phase.REDUCING, 0, Nanos(0)))
    elif state.retry_at_ns and market.now_ns >= state.retry_at_ns:
        phase = Phase.REDUCING if state.phase is Phase.STUCK else state.phase
        facts.append(PhaseChanged(phase, state.refusals, Nanos(0)))
    return assessed(state, facts, market, message.cause)


def _place(state: AccountState, order: PlaceOrder, market: Market) -> Decision:
    checked = checks.check(state, order, market)
    if not checked.is_accepted:
        return refused(state, *checked.rejections)
    if checked.rest is not None:
        facts = dust.taken(state, checked.rest, market)
        return assessed(state, facts, market, order.cause, Accepted(house=house_of(facts)))
    intent = intended(state, order, checked, market)
    return decided(state, [intent], Accepted(intent.client_order_id))


def _place_conditional(state: AccountState, order: PlaceConditional, market: Market) -> Decision:
    placed = conditionals.place(state, order, market)
    if isinstance(placed, tuple):
        return refused(state, *placed)
    return decided(state, [placed], Accepted(placed.client_order_id))


def _cancel(state: AccountState, message: CancelOrder) -> Decision:
    id_ = message.client_order_id
    order = state.order(id_)
    if order is not None and order.purpose is Purpose.USER:
        return decided(
            state, [CancelIntended(state.account_id, id_, order.symbol, message.cause)], Accepted(id_)
        )
    if state.conditional(id_) is not None:
        ended = ConditionalEnded(id_, ConditionalStatus.CANCELED, "asked for")
        return decided(state, [ended], Accepted(id_))
    text = f"{state.account_id} has no working order {id_}"
    return refused(state, reject(RejectCode.ORDER_NOT_FOUND, text, id_))
