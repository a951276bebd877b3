"""What an account does about what people set: money, status, mode, limits, breaker, emergency stop.

Each acts in the decision that takes it: the margin and the loss limits are assessed with the new value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from actors.core.enums import AccountStatus, Breaker, Phase
from actors.core.errors import BadConfig
from actors.core.facts import (
    AnyFact,
    BalanceAdjusted,
    BreakerChanged,
    ClosingOut,
    LimitsChanged,
    ModeChanged,
    PhaseChanged,
    StatusChanged,
)
from actors.core.messages import (
    AdjustBalance,
    CallOff,
    CloseOut,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SetStatus,
    SettleFee,
    TripBreaker,
)
from actors.core.units import DIGITS_MAX, ZERO, Nanos, is_sane, plain
from actors.limits.parse import parse, shown
from actors.subaccount import adl, after_fill, breaker, fees, losses, margin
from actors.subaccount.market import Market, marks_of
from actors.subaccount.open_order_exposure import commitments
from actors.subaccount.pipeline import Accepted, Decision, assessed, refused
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.state import AccountState, folded


def decide(
    state: AccountState,
    message: AdjustBalance
    | SettleFee
    | SetStatus
    | SetMode
    | SetLimits
    | TripBreaker
    | ResetBreaker
    | CloseOut
    | CallOff
    | Reopen,
    market: Market,
) -> Decision:
    """Decide on one command of an operator."""
    match message:
        case AdjustBalance():
            return _adjust(state, message, market)
        case SettleFee():
            settled = fees.settled(state, message)
            if isinstance(settled, Rejection):
                return refused(state, settled)
            return assessed(state, [settled], market, "fee")
        case SetStatus():
            return _set_status(state, message, market)
        case SetMode():
            changed: list[AnyFact] = [] if message.mode is state.mode else [ModeChanged(message.mode)]
            return assessed(state, changed, market, "mode")
        case SetLimits():
            return _set_limits(state, message, market)
        case TripBreaker():
            fact = breaker.trip(state, message.reason or "by hand", market.wall_ms, by_hand=True)
            return assessed(state, [fact], market, "breaker")
        case ResetBreaker():
            return _reset(state, market)
        case CloseOut():
            return _close_out(state, message, market)
        case CallOff():
            return _call_off(state, message, market)
        case Reopen():
            return _reopen(state, market)
        case _:
            assert_never(message)


def _adjust(state: AccountState, message: AdjustBalance, market: Market) -> Decision:
    amount = message.amount
    if not is_sane(amount) or amount == ZERO:
        text = f"amount {amount} must be a number other than zero of at most {DIGITS_MAX} digits either side"
        return refused(state, reject(RejectCode.INVALID_QUANTITY, text, amount))
    if amount < ZERO:
        refusal = _withdrawal_refusal(state, -amount, market)
        if refusal is not None:
            return refused(state, refusal)
    facts: list[AnyFact] = [BalanceAdjusted(amount, message.reason)]
    if amount > ZERO:
        facts += adl.let_go(folded(state, facts), market)
    return assessed(state, facts, market, "adjust")


def _withdrawal_refusal(state: AccountState, amount: Decimal, market: Market) -> Rejection | None:
    if state.pending_fees:
        first = state.pending_fees[0]
        text = (
            f"{len(state.pending_fees)} fees are not booked yet, the first of trade {first.trade_id} of "
            f"{first.symbol}: what may be withdrawn is unknown; try again when they are"
        )
        return reject(RejectCode.FEE_PENDING, text, len(state.pending_fees), 0)
    marks = marks_of(state, market)
    if marks is None:
        text = "a position has no fresh price, so what may be withdrawn is unknown"
        return Rejection(RejectCode.STALE_PRICE, text)
    view = margin.view(state, marks, market.instruments)
    free = min(view.available, state.balance)
    if amount > free:
        text = f"cannot withdraw {amount}, only {free:.2f} is free"
        return reject(RejectCode.INSUFFICIENT_MARGIN, text, amount, free)
    line = state.limits.warning_line
    sizes = after_fill.notionals(state, state.positions, commitments(state), marks, market)
    needed = after_fill.maintenance(state, sizes, market)
    ratio = margin.margin_ratio(needed, view.equity - amount)
    if needed > ZERO and ratio >= line:
        most = max(ZERO, view.equity - needed / line) if line > ZERO else ZERO
        text = (
            f"cannot withdraw {amount}: the margin ratio would be {ratio:.4f}, and must stay below {line}; "
            f"less than {most:.2f} may go"
        )
        return reject(RejectCode.MAINTENANCE_MARGIN_EXCEEDED, text, ratio, line)
    return None


def _set_status(state: AccountState, message: SetStatus, market: Market) -> Decision:
    if state.status is AccountStatus.LIQUIDATED or message.status is AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is {state.status} and cannot be set to {message.status} by hand"
        if state.status is AccountStatus.LIQUIDATED:
            text += f"; with money in it 'bulkhead reopen {state.account_id}' lets it trade again"
        return refused(state, reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, message.status))
    changed: list[AnyFact] = [] if state.status is message.status else [StatusChanged(message.status)]
    return assessed(state, changed, market, "status")


def _set_limits(state: AccountState, message: SetLimits, market: Market) -> Decision:
    own = dict(state.overrides)
    changes: list[tuple[str, str | None]] = []
    for name, text in message.changes:
        try:
            new = None if text is None else shown(parse(name, text))
        except BadConfig as error:
            return refused(state, reject(RejectCode.INVALID_LIMIT, str(error), text, name))
        if own.get(name) != new:
            changes.append((name, new))
    facts: list[AnyFact] = [LimitsChanged(tuple(changes))] if changes else []
    # A limit of the day that is the account's first needs the day's begin, which is now.
    facts += losses.begin_day(folded(state, facts), market)
    return assessed(state, facts, market, "limits")


def _reset(state: AccountState, market: Market) -> Decision:
    left_ms = breaker.cooldown_left_ms(state, market.wall_ms)
    if left_ms > 0:
        text = f"the breaker cools down for {-(-left_ms // 1_000)} s more ({state.risk.breaker_reason})"
        return refused(state, reject(RejectCode.BREAKER_COOLING_DOWN, text, left_ms, 0))
    if state.risk.closing_out:
        text = f"{state.account_id} is being closed out: {state.risk.closing_out}"
        return refused(state, reject(RejectCode.CLOSING_OUT, text, state.risk.closing_out))
    equity = margin.equity(state, market)
    reason = "" if equity is None else breaker.threshold_reached(state, equity)
    if reason:
        text = f"the breaker would open again at once: {reason}; raise the limit, or wait for the next day"
        return refused(state, reject(RejectCode.BREAKER_OPEN, text, reason))
    closed: list[AnyFact] = [BreakerChanged(Breaker.CLOSED, "reset by hand", 0)]
    return assessed(state, closed if state.risk.breaker is not Breaker.CLOSED else [], market, "breaker")


def _close_out(state: AccountState, message: CloseOut, market: Market) -> Decision:
    reason = message.reason or "for no reason given"
    facts: list[AnyFact] = [breaker.trip(state, reason, market.wall_ms, by_hand=True)]
    if state.status is AccountStatus.LIQUIDATED:
        # Nothing is there to close, but reopened it must not trade in the middle of a stop.
        return assessed(state, facts, market, "close-out")
    if not state.risk.closing_out:
        facts.append(ClosingOut(reason))
    if state.phase is Phase.STUCK:
        # Whoever stops everything is the operator that a stuck account waits for.
        facts.append(PhaseChanged(Phase.REDUCING, 0, Nanos(0)))
    return assessed(state, facts, market, "close-out")


def _call_off(state: AccountState, message: CallOff, market: Market) -> Decision:
    if not state.risk.closing_out or not state.risk.closing_out.startswith(message.begun_as):
        return Decision(state=state, reply=Accepted())
    facts: list[AnyFact] = [ClosingOut("")]
    if state.phase is not Phase.HEALTHY:
        facts.append(PhaseChanged(Phase.HEALTHY, state.refusals, Nanos(state.retry_at_ns)))
    return assessed(state, facts, market, "close-out called off")


def _reopen(state: AccountState, market: Market) -> Decision:
    if state.status is not AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is {state.status}; only a LIQUIDATED account is reopened"
        return refused(
            state, reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.LIQUIDATED)
        )
    if state.balance <= ZERO:
        text = f"{state.account_id} has a balance of {plain(state.balance)}; deposit something first"
        return refused(state, reject(RejectCode.INSUFFICIENT_MARGIN, text, state.balance, ZERO))
    facts: list[AnyFact] = [StatusChanged(AccountStatus.ACTIVE), PhaseChanged(Phase.HEALTHY, 0, Nanos(0))]
    return assessed(state, facts, market, "reopen")
