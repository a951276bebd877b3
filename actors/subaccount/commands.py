"""What an account does about what people set: money, status, mode, limits, breaker, close-out.

Each acts in the decision that takes it: the margin and the loss limits are assessed with the new value.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace

from actors.core.enums import AccountStatus, Breaker, CloseOutScope, Phase
from actors.core.errors import BadConfig, StateCorrupt
from actors.core.facts import (
    AnyFact,
    BalanceAdjusted,
    BreakerChanged,
    CloseOutBegan,
    CloseOutEnded,
    LimitsBelowChanged,
    LimitsChanged,
    MaintenanceRateChanged,
    ModeChanged,
    PhaseChanged,
    StatusChanged,
)
from actors.core.messages import (
    AdjustBalance,
    CallOff,
    CloseOut,
    PlatformKnown,
    Reopen,
    ResetBreaker,
    SetLimits,
    SetMode,
    SetStatus,
    SettleFee,
    TripBreaker,
)
from actors.core.units import DIGITS_MAX, ONE, ZERO, is_sane, plain
from actors.limits.layers import differing, merge
from actors.limits.model import RiskLimits
from actors.limits.parse import parse, shown
from actors.subaccount import adl, after_fill, breaker, fees, losses, margin
from actors.subaccount.open_order_exposure import order_exposures
from actors.subaccount.pipeline import Accepted, Decision, assessed, concluded, refused
from actors.subaccount.rejections import RejectCode, Rejection, reject
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState, with_limits

Adjusting = AdjustBalance | SettleFee | SetStatus | SetMode | SetLimits | Reopen
"""Commands that an account in quarantine does not take."""

Protective = TripBreaker | ResetBreaker | CloseOut | CallOff
"""Commands that an account in quarantine takes too: each stops or closes something, or ends that."""

Command = Adjusting | Protective | PlatformKnown
"""What people set, here or on the platform."""

CAUSES: Mapping[type[Command], str] = {
    AdjustBalance: "adjust",
    SettleFee: "fee",
    SetStatus: "status",
    SetMode: "mode",
    SetLimits: "limits",
    PlatformKnown: "platform",
    TripBreaker: "breaker",
    ResetBreaker: "breaker",
    CloseOut: "close-out",
    CallOff: "close-out called off",
    Reopen: "reopen",
}
"""What the orders that follow from a command name as their cause."""


def decide(now: Situation, message: Command) -> Decision:  # noqa: PLR0912 - one branch per command
    """Decide on one command of an operator."""
    state = now.state
    match message:
        case AdjustBalance():
            return _adjust(now, message)
        case SettleFee():
            settled = fees.settled(state, message)
            if isinstance(settled, Rejection):
                return refused(now, settled)
            return assessed(now, [settled])
        case SetStatus():
            return _set_status(now, message)
        case SetMode():
            changed: list[AnyFact] = [] if message.mode is state.mode else [ModeChanged(message.mode)]
            return assessed(now, changed)
        case SetLimits():
            return _set_limits(now, message)
        case PlatformKnown():
            return _platform(now, message)
        case TripBreaker():
            fact = breaker.trip(state, message.reason or "by hand", now.market.wall_ms, by_hand=True)
            return assessed(now, [fact])
        case ResetBreaker():
            return _reset(now)
        case CloseOut():
            return _close_out(now, message)
        case CallOff():
            return _call_off(now, message)
        case Reopen():
            return _reopen(now)
        case _:
            assert_never(message)


def _adjust(now: Situation, message: AdjustBalance) -> Decision:
    amount = message.amount
    if not is_sane(amount) or amount == ZERO:
        text = f"amount {amount} must be a number other than zero of at most {DIGITS_MAX} digits either side"
        return refused(now, reject(RejectCode.INVALID_QUANTITY, text, amount))
    if amount < ZERO:
        refusal = _withdrawal_refusal(now, -amount)
        if refusal is not None:
            return refused(now, refusal)
    facts: list[AnyFact] = [BalanceAdjusted(amount, message.reason)]
    if amount > ZERO:
        facts += adl.recovered(now.after(facts))
    return assessed(now, facts)


def _withdrawal_refusal(now: Situation, amount: Decimal) -> Rejection | None:
    state, market = now.state, now.market
    if state.pending_fees:
        first = state.pending_fees[0]
        text = (
            f"{len(state.pending_fees)} fees are not booked yet, the first of trade {first.trade_id} of "
            f"{first.symbol}: what may be withdrawn is unknown; try again when they are"
        )
        return reject(RejectCode.FEE_PENDING, text, len(state.pending_fees), 0)
    marks, view = now.marks, now.view
    if marks is None or view is None:
        text = "a position has no fresh price, so what may be withdrawn is unknown"
        return Rejection(RejectCode.STALE_PRICE, text)
    free = min(view.available, state.balance)
    if amount > free:
        text = f"cannot withdraw {amount}, only {free:.2f} is free"
        return reject(RejectCode.INSUFFICIENT_MARGIN, text, amount, free)
    line = state.limits.warning_line
    sizes = after_fill.notionals(state, state.positions, order_exposures(state), marks, market)
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


def _set_status(now: Situation, message: SetStatus) -> Decision:
    state = now.state
    if state.status is AccountStatus.LIQUIDATED or message.status is AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is {state.status} and cannot be set to {message.status} by hand"
        if state.status is AccountStatus.LIQUIDATED:
            text += f"; with money in it 'bulkhead reopen {state.account_id}' lets it trade again"
        return refused(now, reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, message.status))
    changed: list[AnyFact] = [] if state.status is message.status else [StatusChanged(message.status)]
    return assessed(now, changed)


def _set_limits(now: Situation, message: SetLimits) -> Decision:
    state = now.state
    own = dict(state.overrides)
    changes: list[tuple[str, str | None]] = []
    for name, text in message.changes:
        try:
            new = None if text is None else shown(parse(name, text))
        except BadConfig as error:
            return refused(now, reject(RejectCode.INVALID_LIMIT, str(error), text, name))
        if own.get(name) != new:
            changes.append((name, new))
    facts: list[AnyFact] = [LimitsChanged(tuple(changes))] if changes else []
    # A limit of the day that is the account's first needs the day's begin, which is now; without one no day is counted.
    facts += losses.turn_of_day(now.after(facts))
    return assessed(now, facts)


def _platform(now: Situation, message: PlatformKnown) -> Decision:
    """What came from outside, as facts, where it is other than what the account knows.

    Raises:
        StateCorrupt: a maintenance rate that cannot be.
    """
    if message.sequence not in {None, now.state.sequence}:
        text = f"the account decided something since decision {message.sequence}; it is compared again"
        return refused(now, reject(RejectCode.TOO_LATE, text, message.sequence))
    if message.below is not None:
        try:
            now = now.supposing(_with_limits_below(now.state, message.below))
        except BadConfig as error:
            text = f"the limits below the account cannot be: {error}"
            return refused(now, reject(RejectCode.INVALID_LIMIT, text, ""))
    adjustment = message.adjustment
    if adjustment is not None and not is_sane(adjustment):
        text = f"{adjustment} must be a number of at most {DIGITS_MAX} digits either side"
        return refused(now, reject(RejectCode.INVALID_QUANTITY, text, adjustment))
    if adjustment is not None and adjustment < ZERO:
        refusal = _withdrawal_refusal(now, -adjustment)
        if refusal is not None:
            return refused(now, refusal)
    facts = _facts_of_platform(now, message)
    if adjustment:
        facts.append(BalanceAdjusted(adjustment, "PLATFORM", by_platform=True))
    if adjustment is not None and adjustment > ZERO:
        facts += adl.recovered(now.after(facts))
    return assessed(now, facts)


def _with_limits_below(state: AccountState, below: tuple[tuple[str, str], ...]) -> AccountState:
    age_ns = state.base_limits.price_max_age_ns  # the engine's own setting, which is none of the limits
    base = replace(merge(RiskLimits(), dict(below)), price_max_age_ns=age_ns)
    return with_limits(state, base, state.overrides)


def _facts_of_platform(now: Situation, message: PlatformKnown) -> list[AnyFact]:
    state, rate = now.state, message.maintenance_rate
    facts: list[AnyFact] = []
    below = differing(state.base_limits)
    if below != state.below:
        facts.append(LimitsBelowChanged(below))
    if rate is not None and not (is_sane(rate) and ZERO < rate < ONE):
        raise StateCorrupt(
            f"{state.account_id}: the platform's maintenance rate of {rate} must be between 0 and 1"
        )
    if rate is not None and rate != state.maintenance_rate:
        facts.append(MaintenanceRateChanged(rate))
    if message.mode not in {None, state.mode}:
        facts.append(ModeChanged(message.mode or state.mode))
    status = message.status
    if status is not None and status is not state.status:
        facts.append(StatusChanged(status))
        if state.status is AccountStatus.LIQUIDATED and state.phase is Phase.LIQUIDATED:
            facts.append(PhaseChanged(Phase.HEALTHY, 0, 0))
    return facts


def _reset(now: Situation) -> Decision:
    state = now.state
    left_ms = breaker.cooldown_left_ms(state, now.market.wall_ms)
    if left_ms > 0:
        text = f"the breaker cools down for {-(-left_ms // 1_000)} s more ({state.risk.breaker_reason})"
        return refused(now, reject(RejectCode.BREAKER_COOLING_DOWN, text, left_ms, 0))
    if state.risk.close_out is not None:
        why = state.risk.close_out.reason
        text = f"{state.account_id} is being closed out: {why}"
        return refused(now, reject(RejectCode.CLOSING_OUT, text, why))
    equity = now.equity
    reason = "" if equity is None else breaker.threshold_reached(state, equity)
    if reason:
        text = f"the breaker would open again at once: {reason}; raise the limit, or wait for the next day"
        return refused(now, reject(RejectCode.BREAKER_OPEN, text, reason))
    closed: list[AnyFact] = [BreakerChanged(Breaker.CLOSED, "reset by hand", 0)]
    return assessed(now, closed if state.risk.breaker is not Breaker.CLOSED else [])


def _close_out(now: Situation, message: CloseOut) -> Decision:
    state = now.state
    reason = message.reason or "for no reason given"
    facts: list[AnyFact] = [breaker.trip(state, reason, now.market.wall_ms, by_hand=True)]
    if state.status is AccountStatus.LIQUIDATED:
        # Nothing is there to close, but reopened it must not trade in the middle of a stop.
        return assessed(now, facts)
    if state.risk.close_out is None:
        facts.append(CloseOutBegan(reason, message.scope))
    if state.phase is Phase.STUCK:
        # Whoever stops everything is the operator that a stuck account waits for.
        facts.append(PhaseChanged(Phase.REDUCING, 0, 0))
    return assessed(now, facts)


def _call_off(now: Situation, message: CallOff) -> Decision:
    state = now.state
    close_out = state.risk.close_out
    if close_out is None or message.scope not in {CloseOutScope.ACCOUNT, close_out.scope}:
        return concluded(now, Accepted())
    facts: list[AnyFact] = [CloseOutEnded()]
    if state.phase is not Phase.HEALTHY:
        facts.append(PhaseChanged(Phase.HEALTHY, state.refusals, state.retry_at_ms, state.unsent))
    return assessed(now, facts)


def _reopen(now: Situation) -> Decision:
    state = now.state
    if state.status is not AccountStatus.LIQUIDATED:
        text = f"{state.account_id} is {state.status}; only a LIQUIDATED account is reopened"
        return refused(
            now, reject(RejectCode.ACCOUNT_NOT_ACTIVE, text, state.status, AccountStatus.LIQUIDATED)
        )
    if state.balance <= ZERO:
        text = f"{state.account_id} has a balance of {plain(state.balance)}; deposit something first"
        return refused(now, reject(RejectCode.INSUFFICIENT_MARGIN, text, state.balance, ZERO))
    facts: list[AnyFact] = [StatusChanged(AccountStatus.ACTIVE), PhaseChanged(Phase.HEALTHY, 0, 0)]
    return assessed(now, facts)
