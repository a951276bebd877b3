"""What an account does about a message. Pure: no mailbox, clock, logger or random.

Rules
1. ``decide`` returns a whole ``Decision`` or raises; it never changes anything.
2. What time alone brings, a new trading day or the end of a cooldown, comes before the message.
3. After anything that moves positions or money, the margin is assessed in the same decision.
4. Exchange events that were seen before change nothing: a duplicate is counted, not booked.

Orders are decided on here; what the exchange reports in ``subaccount.exchange_events``, what people set in
``subaccount.commands``; what follows from any of it in ``subaccount.pipeline``.
"""

from __future__ import annotations

from typing import assert_never

from actors.core.enums import ConditionalStatus, Phase, Purpose, ReconsiderReason
from actors.core.facts import AnyFact, CancelIntended, ConditionalEnded, PhaseChanged
from actors.core.messages import (
    CancelOrder,
    FaultOnPurpose,
    PlaceConditional,
    PlaceOrder,
    PlatformKnown,
    Reconsider,
    Wake,
)
from actors.subaccount import adl, breaker, commands, conditionals, dust, exchange_events, fees, losses
from actors.subaccount.commands import Command
from actors.subaccount.exchange_events import ExchangeEvent
from actors.subaccount.intents import intended
from actors.subaccount.market import Market
from actors.subaccount.open_order_exposure import conditional_cancels, order_cancels
from actors.subaccount.pipeline import Accepted, Decision, assessed, decided, house_of, refused
from actors.subaccount.pretrade import checks
from actors.subaccount.rejections import RejectCode, reject
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState

Caused = Wake | ExchangeEvent | PlaceOrder | PlaceConditional | CancelOrder | Reconsider
"""What names its own cause; the most frequent first, as ``isinstance`` tries them in order."""

AccountMessage = Caused | Command


def decide(state: AccountState, message: AccountMessage, market: Market) -> Decision:
    """Decide on one message.

    Raises:
        StateCorrupt: the message cannot be true of this account.
    """
    return _decide(_with_what_is_due(Situation(state, market, cause_of(message))), message)


def withdraw(now: Situation) -> Decision:
    """Cancel every order that the account itself has working, and what waits to open; stops stay."""
    state = now.state
    own = (order for order in state.orders if order.purpose is Purpose.USER)
    return decided(
        now, order_cancels(state, own, now.cause) + conditional_cancels(state, now.cause, keep_closing=True)
    )


def cause_of(message: AccountMessage) -> str:
    """What set a decision off, as its orders and its row name it."""
    if isinstance(message, Caused):
        return message.cause
    return commands.CAUSES[type(message)]


def refused_in_quarantine(message: AccountMessage | FaultOnPurpose) -> bool:
    """Whether a guard takes no part in a message; it cancels, books fills and liquidates."""
    if isinstance(
        message, Wake | ExchangeEvent | Reconsider | CancelOrder | commands.Protective | PlatformKnown
    ):
        return False
    if isinstance(message, PlaceOrder | PlaceConditional | FaultOnPurpose | commands.Adjusting):
        return True
    assert_never(message)


def _with_what_is_due(now: Situation) -> Situation:
    """What time alone brought: a new trading day, the end of a breaker's cooldown."""
    now = now.after(losses.turn_of_day(now))
    state, wall_ms = now.state, now.market.wall_ms
    if breaker.is_timed(state) and wall_ms >= state.risk.breaker_until_ms:
        return now.after(breaker.after_cooldown(state, now.equity, wall_ms))
    return now


def _decide(now: Situation, message: AccountMessage) -> Decision:
    match message:
        case Wake():
            return assessed(now, ())
        case Reconsider():
            return _reconsider(now, message)
        case PlaceOrder():
            return _place(now, message)
        case PlaceConditional():
            return _place_conditional(now, message)
        case CancelOrder():
            return _cancel(now, message)
        case _ if isinstance(message, ExchangeEvent):
            return exchange_events.decide(now, message)
        case _ if isinstance(message, Command):
            return commands.decide(now, message)
        case _:
            assert_never(message)


def _reconsider(now: Situation, message: Reconsider) -> Decision:
    state, market = now.state, now.market
    facts: list[AnyFact] = fees.due(state, market)
    if state.phase is Phase.STUCK and message.reason is ReconsiderReason.OPERATOR:
        facts.append(PhaseChanged(Phase.REDUCING, 0, 0))
    elif state.retry_at_ms and not adl.waits(state, market.wall_ms):
        phase = Phase.REDUCING if state.phase is Phase.STUCK else state.phase
        facts.append(PhaseChanged(phase, state.refusals, 0, state.unsent))
    return assessed(now, facts)


def _place(now: Situation, order: PlaceOrder) -> Decision:
    checked = checks.check(now, order)
    if not checked.is_accepted:
        return refused(now, *checked.rejections)
    if checked.rest is not None:
        facts = dust.taken(now, checked.rest)
        return assessed(now, facts, Accepted(house=house_of(facts)))
    intent = intended(now, order, checked)
    return decided(now, [intent], Accepted(intent.client_order_id))


def _place_conditional(now: Situation, order: PlaceConditional) -> Decision:
    placed = conditionals.place(now, order)
    if isinstance(placed, tuple):
        return refused(now, *placed)
    return decided(now, [placed], Accepted(placed.client_order_id))


def _cancel(now: Situation, message: CancelOrder) -> Decision:
    state, id_ = now.state, message.client_order_id
    order = state.order(id_)
    if order is not None and order.purpose is Purpose.USER:
        cancel = CancelIntended(state.account_id, id_, order.symbol, message.cause)
        return decided(now, [cancel], Accepted(id_))
    if state.conditional(id_) is not None:
        ended = ConditionalEnded(id_, ConditionalStatus.CANCELED, "asked for")
        return decided(now, [ended], Accepted(id_))
    text = f"{state.account_id} has no working order {id_}"
    return refused(now, reject(RejectCode.ORDER_NOT_FOUND, text, id_))
