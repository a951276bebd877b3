"""What an account does about a message. Pure: no mailbox, clock, logger or random.

Rules
1. ``decide`` returns a whole ``Decision`` or raises; it never changes anything.
2. The state in a decision is the old one with its facts folded in, and nothing else.
3. After anything that moves positions or money, the margin is assessed in the same decision.
4. Exchange events that were seen before change nothing: a duplicate is counted, not booked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

import msgspec
from msgspec.structs import replace

from actors.errors import StateCorrupt
from actors.messages import (
    AccountStatus,
    AdjustBalance,
    AnyFact,
    BalanceAdjusted,
    CancelIntended,
    CancelOrder,
    Fill,
    FillApplied,
    OrderAccepted,
    OrderAcknowledged,
    OrderClosed,
    OrderEnded,
    OrderIntended,
    OrderStatus,
    Phase,
    PhaseChanged,
    PlaceOrder,
    Purpose,
    Reconsider,
    SetStatus,
    StatusChanged,
    Wake,
)
from actors.subaccount import adl, checks, margin
from actors.subaccount.checks import Market, RejectCode, Rejection
from actors.subaccount.state import AccountState, WorkingOrder, books_balance, client_order_id, fold, settle
from actors.units import ZERO, AccountId, ClientOrderId, Nanos

AccountMessage = (
    Wake
    | PlaceOrder
    | CancelOrder
    | AdjustBalance
    | SetStatus
    | Reconsider
    | OrderAccepted
    | Fill
    | OrderClosed
)


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """A command was taken and is durable. ``client_order_id`` for orders and cancels."""

    client_order_id: ClientOrderId | None = None


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """A command was refused; nothing changed."""

    rejections: tuple[Rejection, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What follows from a message.

    ``resync`` names orders whose fills do not add up, so the gateway must ask again;
    ``duplicate`` says that the message was seen before.
    """

    state: AccountState
    facts: tuple[AnyFact, ...] = ()
    reply: Accepted | Rejected | None = None
    resync: tuple[ClientOrderId, ...] = ()
    duplicate: bool = False
    stale: bool = False


def decide(state: AccountState, message: AccountMessage, market: Market) -> Decision:
    """Decide on one message.

    Raises:
        StateCorrupt: the message cannot be true of this account.
    """
    match message:
        case Wake():
            return _assessed(state, [], market, message.cause)
        case Reconsider():
            return _reconsider(state, message, market)
        case PlaceOrder():
            return _place(state, message, market)
        case CancelOrder():
            return _cancel(state, message)
        case AdjustBalance():
            return _adjust(state, message, market)
        case SetStatus():
            return _set_status(state, message)
        case OrderAccepted():
            return _accepted(state, message)
        case Fill():
            return _fill(state, message, market)
        case OrderClosed():
            return _closed(state, message, market)
        case _:
            assert_never(message)


def _decision(
    state: AccountState, facts: list[AnyFact], reply: Accepted | Rejected | None = None
) -> Decision:
    if not facts:
        return Decision(state=state, reply=reply)
    after = state
    for fact in facts:
        after = fold(after, fact)
    if not books_balance(after):
        raise StateCorrupt(f"{state.account_id}: the balance does not add up after {facts!r}")
    after = replace(after, sequence=state.sequence + 1)
    return Decision(state=after, facts=tuple(facts), reply=reply)


def _assessed(state: AccountState, facts: list[AnyFact], market: Market, cause: str) -> Decision:
    after = state
    for fact in facts:
        after = fold(after, fact)
    facts = facts + adl.assess(after, market, cause)
    decision = _decision(state, facts, Accepted())
    stale = bool(after.positions) and adl.marks_of(after, market) is None
    return replace(decision, stale=stale)


def _reconsider(state: AccountState, message: Reconsider, market: Market) -> Decision:
    facts: list[AnyFact] = []
    if state.phase is Phase.STUCK and message.cause == "operator":
        facts.append(PhaseChanged(Phase.REDUCING, 0, Nanos(0)))
    elif state.retry_at_ns and market.now_ns >= state.retry_at_ns:
        facts.append(PhaseChanged(state.phase, state.refusals, Nanos(0)))
    return _assessed(state, facts, market, message.cause)


def _place(state: AccountState, order: PlaceOrder, market: Market) -> Decision:
    verdict = checks.check(state, order, market)
    if not verdict.is_accepted:
        return Decision(state=state, reply=Rejected(verdict.rejections))
    id_ = client_order_id(state.account_id, state.next_order_sequence)
    intended = OrderIntended(
        account_id=state.account_id,
        sequence=state.next_order_sequence,
        client_order_id=id_,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        leverage=verdict.leverage,
        margin_reserved=verdict.margin,
        purpose=Purpose.USER,
        tier=0,
        decided_ms=market.wall_ms,
        cause=order.cause,
    )
    return _decision(state, [intended], Accepted(id_))


def _cancel(state: AccountState, message: CancelOrder) -> Decision:
    order = state.order(message.client_order_id)
    if order is None or order.purpose is not Purpose.USER:
        text = f"{state.account_id} has no working order {message.client_order_id}"
        rejection = Rejection(RejectCode.ORDER_NOT_FOUND, text, message.client_order_id)
        return Decision(state=state, reply=Rejected((rejection,)))
    fact = CancelIntended(state.account_id, order.client_order_id, order.symbol, message.cause)
    return _decision(state, [fact], Accepted(order.client_order_id))


def withdraw(state: AccountState, cause: str) -> Decision:
    """Cancel every order that the account itself has working."""
    facts: list[AnyFact] = [
        CancelIntended(state.account_id, order.client_order_id, order.symbol, cause)
        for order in state.orders
        if order.purpose is Purpose.USER and not order.cancel_requested
    ]
    return _decision(state, facts)


def _adjust(state: AccountState, message: AdjustBalance, market: Market) -> Decision:
    amount = message.amount
    if not amount.is_finite() or amount == ZERO:
        text = f"amount {amount} must be a finite number other than zero"
        return Decision(
            state=state, reply=Rejected((Rejection(RejectCode.INVALID_QUANTITY, text, str(amount)),))
        )
    if amount < ZERO:
        refusal = _withdrawal_refusal(state, -amount, market)
        if refusal is not None:
            return Decision(state=state, reply=Rejected((refusal,)))
    return _assessed(state, [BalanceAdjusted(amount, message.reason)], market, "adjust")


def _withdrawal_refusal(state: AccountState, amount: Decimal, market: Market) -> Rejection | None:
    marks = adl.marks_of(state, market)
    if marks is None:
        text = "a position has no fresh price, so what may be withdrawn is unknown"
        return Rejection(RejectCode.STALE_PRICE, text)
    view = margin.view(state, marks)
    free = min(view.available, state.balance)
    if amount > free:
        text = f"cannot withdraw {amount}, only {free:.2f} is free"
        return Rejection(RejectCode.INSUFFICIENT_MARGIN, text, str(amount), str(free))
    return None


def _set_status(state: AccountState, message: SetStatus) -> Decision:
    if state.status is AccountStatus.LIQUIDATED or message.status is AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is {state.status} and cannot be set to {message.status} by hand"
        rejection = Rejection(RejectCode.ACCOUNT_NOT_ACTIVE, text, message.status)
        return Decision(state=state, reply=Rejected((rejection,)))
    if state.status is message.status:
        return Decision(state=state, reply=Accepted())
    return _decision(state, [StatusChanged(message.status)], Accepted())


def _accepted(state: AccountState, message: OrderAccepted) -> Decision:
    order = state.order(message.client_order_id)
    if order is None or order.exchange_order_id is not None:
        return _known_or_corrupt(state, message.client_order_id)
    return _decision(state, [OrderAcknowledged(order.client_order_id, message.exchange_order_id)])


def _fill(state: AccountState, fill: Fill, market: Market) -> Decision:
    order = state.order(fill.client_order_id)
    if order is None or fill.trade_id in order.trade_ids:
        return _known_or_corrupt(state, fill.client_order_id)
    if (order.symbol, order.side) != (fill.symbol, fill.side):
        raise StateCorrupt(f"{state.account_id}: trade {fill.trade_id} is not of {order!r}")
    booked = FillApplied(
        client_order_id=fill.client_order_id,
        exchange_order_id=fill.exchange_order_id,
        trade_id=fill.trade_id,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        maker=fill.maker,
        trade_ms=fill.trade_ms,
        closed_quantity=ZERO,
        realized=ZERO,
        purpose=order.purpose,
        tier=order.tier,
        order_type=order.order_type,
    )
    settlement = settle(state, booked, order.leverage)
    facts: list[AnyFact] = [
        replace(booked, closed_quantity=settlement.closed_quantity, realized=settlement.realized)
    ]
    if order.purpose is not Purpose.USER and state.refusals:
        facts.append(PhaseChanged(state.phase, 0, Nanos(0)))
    return _assessed(state, facts, market, fill.cause)


def _closed(state: AccountState, message: OrderClosed, market: Market) -> Decision:
    order = state.order(message.client_order_id)
    if order is None:
        return _known_or_corrupt(state, message.client_order_id)
    if order.filled < message.executed_quantity:
        return Decision(state=state, resync=(order.client_order_id,))
    if order.filled > message.executed_quantity:
        raise StateCorrupt(
            f"{state.account_id}: {order.client_order_id} filled {order.filled}, "
            f"but the exchange says {message.executed_quantity}"
        )
    facts: list[AnyFact] = [
        OrderEnded(order.client_order_id, message.status, message.code, message.reason[:500])
    ]
    if order.purpose is not Purpose.USER and message.status is not OrderStatus.FILLED:
        facts.append(adl.refused(state, market.now_ns))
    return _assessed(state, facts, market, message.cause)


def _known_or_corrupt(state: AccountState, id_: ClientOrderId) -> Decision:
    """A late or repeated event of an order of ours is a duplicate; any other id is not ours."""
    prefix, _, tail = id_.rpartition("-")
    ours = client_order_id(state.account_id, 0).rpartition("-")[0]
    if prefix != ours or not tail.isdigit() or int(tail) >= state.next_order_sequence:
        raise StateCorrupt(f"{state.account_id}: an event of {id_} arrived, which it never intended")
    return Decision(state=state, duplicate=True)


def intended_of(account_id: AccountId, order: WorkingOrder) -> OrderIntended:
    """The intent that a working order came from."""
    return OrderIntended(
        account_id=account_id,
        sequence=order.sequence,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        leverage=order.leverage,
        margin_reserved=order.margin_reserved,
        purpose=order.purpose,
        tier=order.tier,
        decided_ms=order.decided_ms,
        cause="resync",
    )
