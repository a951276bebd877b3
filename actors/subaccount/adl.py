"""Self-deleveraging of one account: when it must shrink, by how much, and when to stop.

HEALTHY -> WARNING -> REDUCING -> LIQUIDATING -> LIQUIDATED, or STUCK after too many refusals.

Rules
1. One step of a position at a time, and while a tier's step works nothing new is decided at all. When it is over the
   account is assessed again, so one whose prices or money came back is left alone. While everything goes, a position
   whose step came back before those of the others gets its next one at once.
2. The account's own orders are cancelled and gone before the first step is sent, else a
   resting close and a step could close the same position twice.
3. Prices must be fresh. With an old one nothing is decided, unless the account is bankrupt even with the last known
   price: then what is fresh is closed. A close-out goes on all the same: its market orders need a price for
   nothing but the smallest quantity that the exchange takes.
4. A step that the exchange refused makes the next one wait, twice as long each time; after ``ADL_REFUSALS_MAX`` the
   account is STUCK: it takes no new risk, tries again now and then, and at once when an operator says so. Only what
   the exchange said counts: one that it never got, or that somebody cancelled, makes the next one wait too, lest it
   storms, but ``ADL_UNSENT_MAX_MS`` at most, and never ends STUCK. One that waited here for its turn makes nothing wait.
5. A close-out (a loss limit, or an operator's emergency stop) takes the same way, and ends HEALTHY.
6. LIQUIDATED only when no position and no order is left. What the balance cannot bear is bad
   debt wherever the last position went, recorded, never clamped away.

Tiers are data (``RiskLimits.tiers``); source of the default: seed 000. The orders themselves: ``subaccount.steps``.

Why a step helps: closing a share x of a position at its mark leaves equity E as it is, but for fee and slippage, and
takes x times its maintenance M_i away, so the ratio M / E falls by x M_i / E. The largest position has the largest
M_i, so it is cut first, and a share per tier keeps as much of the owner's exposure as the ratio allows. With E <= 0
no share is enough (M / E has no meaning there): everything goes, which is what ``is_bankrupt`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never

from actors.core.constants import (
    ADL_BACKOFF_FIRST_MS,
    ADL_BACKOFF_MAX_MS,
    ADL_REFUSALS_MAX,
    ADL_STUCK_EVERY_MS,
    ADL_UNSENT_MAX_MS,
)
from actors.core.enums import AccountStatus, LiquidationMode, OrderStatus, Phase, Purpose
from actors.core.facts import (
    AnyFact,
    BadDebtRecorded,
    CloseOutEnded,
    OrderIntended,
    PhaseChanged,
    PositionTakenOver,
    StatusChanged,
)
from actors.core.orders import WorkingOrder
from actors.core.units import ONE, ZERO, Symbol
from actors.limits.model import AdlTier
from actors.subaccount import margin, steps
from actors.subaccount.market import Market, mark, marks_of
from actors.subaccount.open_order_exposure import conditional_cancels, order_cancels
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState
from actors.subaccount.steps import Step

WARNING_HYSTERESIS = Decimal("0.02")
"""WARNING ends this far below where it began, so that it does not flap with each tick."""


def has_step(state: AccountState) -> bool:
    """Whether an ADL, liquidation or close-out order works now."""
    # Asked on every wake, and most accounts have no orders at all.
    return bool(state.orders) and any(o.purpose is not Purpose.USER for o in state.orders)


def steps_at_work(state: AccountState) -> tuple[WorkingOrder, ...]:
    """The ADL, liquidation and close-out orders that work now."""
    return tuple(o for o in state.orders if o.purpose is not Purpose.USER)


def may_add(state: AccountState) -> bool:
    """Whether a step may be added to those at work: only everything goes at once, and a position is left without one."""
    at_work = steps_at_work(state)
    if not at_work or any(step.purpose is Purpose.ADL for step in at_work):
        return False
    covered = {step.symbol for step in at_work}
    return any(p.symbol not in covered for p in state.positions)


def assess(now: Situation) -> Situation:
    """What must happen to the account now."""
    while True:
        found = _round(now)
        now = now.after(found)
        # What the house took is over at once, and each such round leaves fewer positions.
        if not any(isinstance(fact, PositionTakenOver) for fact in found):
            return now


def _round(now: Situation) -> list[AnyFact]:
    state = now.state
    if not state.positions:
        return _without_positions(state, now.cause)
    is_waiting = waits(state, now.market.wall_ms)
    is_at_work = has_step(state)
    if (is_waiting and came_back(state)) or (is_at_work and not may_add(state)):
        return []
    marks, view = now.marks, now.view
    if marks is None or view is None:
        return _without_prices(now)
    if view.is_bankrupt:
        return _close_all(now, marks, Purpose.LIQUIDATION)
    if state.risk.close_out is not None:
        return _close_all(now, marks, Purpose.CLOSE_OUT)
    tier = tier_met(state.limits.tiers(), view.ratio)
    if tier is not None and closes_all(state, marks, tier):
        return _close_all(now, marks, Purpose.LIQUIDATION)
    if is_at_work:
        return []
    if tier is None:
        return _no_tier_met(state, view.ratio)
    if is_waiting:
        return _enter(state, Phase.REDUCING)
    return _reduce(now, marks, tier)


def waits(state: AccountState, wall_ms: int) -> bool:
    """Whether a further step must not come yet.

    One that is further away than any wait of this account is long was put off by a clock that has been set back
    since: it is due now, so no clock makes an account wait longer than twice the wait that it decided on.
    """
    return 0 < state.retry_at_ms - wall_ms <= _longest_wait_ms(state)


def _longest_wait_ms(state: AccountState) -> int:
    cooldown_ms = (state.limits.adl_cooldown_seconds or 0) * 1_000
    return max(_backoff_ms(state.refusals), _unsent_ms(state.unsent), cooldown_ms)


def _backoff_ms(refusals: int) -> int:
    if refusals >= ADL_REFUSALS_MAX:
        return ADL_STUCK_EVERY_MS
    return min(ADL_BACKOFF_FIRST_MS << (refusals - 1), ADL_BACKOFF_MAX_MS) if refusals else 0


def _unsent_ms(unsent: int) -> int:
    return min(ADL_BACKOFF_FIRST_MS << min(unsent - 1, 10), ADL_UNSENT_MAX_MS) if unsent else 0


def came_back(state: AccountState) -> bool:
    """Whether the last round of steps came back without a fill: what waits then is everything, and not only a tier."""
    return bool(state.refusals or state.unsent)


def never_sent(state: AccountState, wall_ms: int) -> list[AnyFact]:
    """The fact that a step came back which the exchange said nothing of; once for all orders of one round."""
    if came_back(state) and waits(state, wall_ms):
        return []
    unsent = state.unsent + 1
    return [PhaseChanged(state.phase, state.refusals, wall_ms + _unsent_ms(unsent), unsent)]


def refused(state: AccountState, wall_ms: int) -> list[AnyFact]:
    """The fact that the exchange refused a step; once for all orders of one round."""
    if state.refusals and not state.unsent and waits(state, wall_ms):
        return []
    refusals = state.refusals + 1
    phase = Phase.STUCK if refusals >= ADL_REFUSALS_MAX else state.phase
    return [PhaseChanged(phase, refusals, wall_ms + _backoff_ms(refusals))]


def filled(state: AccountState) -> list[AnyFact]:
    """The fact that a step filled: the exchange takes them, so nothing is refused or stuck any more."""
    if not came_back(state):
        return []
    phase = Phase.REDUCING if state.phase is Phase.STUCK else state.phase
    return [PhaseChanged(phase, 0, 0)]


def ended(state: AccountState, order: WorkingOrder, status: OrderStatus, wall_ms: int) -> list[AnyFact]:
    """What the end of a step means for the next one: a wait if it came back, or after a tier step if that is wanted."""
    if order.filled == ZERO:
        return refused(state, wall_ms) if status.is_refusal else never_sent(state, wall_ms)
    seconds = state.limits.adl_cooldown_seconds
    if seconds is None or order.purpose is not Purpose.ADL:
        return []
    return [PhaseChanged(state.phase, state.refusals, wall_ms + seconds * 1_000, state.unsent)]


def recovered(now: Situation) -> list[AnyFact]:
    """The fact that money came in time: no wait goes on, and what a step still at work leaves is not LIQUIDATED."""
    state = now.state
    if state.phase in {Phase.HEALTHY, Phase.WARNING, Phase.LIQUIDATED}:
        return []
    if state.risk.close_out is not None or (not state.positions and state.balance < ZERO):
        return []
    view = now.view
    if view is None or view.ratio >= state.limits.first_tier:
        return []
    if not has_step(state):
        return [_phase_without_refusals(state, Phase.REDUCING)]
    return _enter(state, Phase.REDUCING)


def _without_positions(state: AccountState, cause: str) -> list[AnyFact]:
    if state.risk.close_out is not None:
        if state.orders or state.conditionals:
            owes = _enter(state, Phase.LIQUIDATING) if state.balance < ZERO else []
            return owes + _cancel_own(state, cause)
        return _finished(state)
    if state.phase is Phase.LIQUIDATED:
        # A fee that was booked after the last position went.
        return [BadDebtRecorded(-state.balance)] if state.balance < ZERO else []
    if state.balance < ZERO:
        facts = _enter(state, Phase.LIQUIDATING) + _cancel_own(state, cause)
        return facts if state.orders else facts + _finished(state)
    if state.phase is Phase.HEALTHY or has_step(state):
        return []
    if state.phase is not Phase.LIQUIDATING:
        return [_phase_without_refusals(state, Phase.HEALTHY)]
    return [] if state.orders else _finished(state)


def _finished(state: AccountState) -> list[AnyFact]:
    facts: list[AnyFact] = []
    if state.risk.close_out is not None:
        facts.append(CloseOutEnded())
        if state.balance >= ZERO:
            calm = state.phase is Phase.HEALTHY
            return facts if calm else [*facts, _phase_without_refusals(state, Phase.HEALTHY)]
    if state.balance < ZERO:
        facts.append(BadDebtRecorded(-state.balance))
    facts.append(PhaseChanged(Phase.LIQUIDATED, 0, 0))
    facts.append(StatusChanged(AccountStatus.LIQUIDATED))
    return facts


def _without_prices(now: Situation) -> list[AnyFact]:
    """What must happen while a price is old or missing."""
    state, market = now.state, now.market
    if state.risk.close_out is not None:
        return _close_all(now, _last_known(state, market), Purpose.CLOSE_OUT)
    last = marks_of(state, market, at_any_age=True)
    max_age = state.limits.price_max_age_ns
    fresh = any(market.fresh(p.symbol, max_age) is not None for p in state.positions)
    if last is None or not fresh or not margin.view(state, last, market.instruments).is_bankrupt:
        return []
    return _close_all(now, last, Purpose.LIQUIDATION)


def _last_known(state: AccountState, market: Market) -> dict[Symbol, Decimal]:
    ticks, source = market.ticks, state.limits.mark_source
    return {
        p.symbol: mark(p, ticks[p.symbol], source) if p.symbol in ticks else p.entry_price
        for p in state.positions
    }


def tier_met(tiers: tuple[AdlTier, ...], ratio: Decimal) -> AdlTier | None:
    """The highest tier that a margin ratio meets, if it meets one."""
    met = [tier for tier in tiers if ratio >= tier.margin_ratio]
    return max(met, key=lambda tier: (tier.margin_ratio, tier.fraction)) if met else None


def closes_all(
    state: AccountState, marks: Mapping[Symbol, Decimal], tier: AdlTier, share: Decimal = ONE
) -> bool:
    """Whether everything goes at a tier: by the tier, by the account's mode, or as ``share`` of all is too little."""
    if tier.fraction >= ONE or not in_tiers(state.mode):
        return True
    below = state.limits.adl_all_below
    return below is not None and worth(state, marks) * share < below


def worth(state: AccountState, marks: Mapping[Symbol, Decimal]) -> Decimal:
    """The notional of all positions at some marks, in quote asset."""
    return sum((abs(p.quantity) * marks[p.symbol] for p in state.positions), ZERO)


def in_tiers(mode: LiquidationMode) -> bool:
    """Whether a mode shrinks an account tier by tier, and does not close everything at the first."""
    match mode:
        case LiquidationMode.ADL_30:
            return True
        case LiquidationMode.INSTANT_CLOSE | LiquidationMode.TAKEOVER:
            return False
        case _:
            assert_never(mode)


def _to_house(mode: LiquidationMode) -> bool:
    """Whether what a mode liquidates goes to the house at its mark, and not to the exchange."""
    match mode:
        case LiquidationMode.TAKEOVER:
            return True
        case LiquidationMode.ADL_30 | LiquidationMode.INSTANT_CLOSE:
            return False
        case _:
            assert_never(mode)


def _no_tier_met(state: AccountState, ratio: Decimal) -> list[AnyFact]:
    warning_at = state.limits.warning_line
    if ratio >= warning_at or (state.phase is Phase.WARNING and ratio >= warning_at - WARNING_HYSTERESIS):
        phase = Phase.WARNING
    else:
        phase = Phase.HEALTHY
    if phase is state.phase and not came_back(state):
        return []
    return [_phase_without_refusals(state, phase)]


def _phase_without_refusals(state: AccountState, phase: Phase) -> PhaseChanged:
    # A wait after refusals is over with them, one between two steps is not.
    return PhaseChanged(phase, 0, 0 if came_back(state) else state.retry_at_ms)


def _cancel_own(state: AccountState, cause: str, *, keep_closing: bool = False) -> list[AnyFact]:
    """Cancel what rests and what waits; ``keep_closing`` spares conditional orders that only close."""
    own = (o for o in state.orders if o.purpose is Purpose.USER)
    return order_cancels(state, own, cause) + conditional_cancels(state, cause, keep_closing=keep_closing)


def _enter(state: AccountState, phase: Phase) -> list[AnyFact]:
    if state.phase is phase:
        return []
    return [PhaseChanged(phase, state.refusals, state.retry_at_ms, state.unsent)]


def _reduce(now: Situation, marks: dict[Symbol, Decimal], tier: AdlTier) -> list[AnyFact]:
    state = now.state
    facts = _enter(state, Phase.REDUCING) + _cancel_own(state, now.cause, keep_closing=True)
    if state.orders:
        return facts
    cut = margin.next_cut(state, marks, now.market.instruments)
    number = state.limits.tiers().index(tier) + 1
    quantity = abs(cut.quantity) * tier.fraction
    step = Step(cut, quantity, marks[cut.symbol], Purpose.ADL, number)
    return facts + steps.close(now, step, state.next_order_sequence)


def _close_all(now: Situation, marks: dict[Symbol, Decimal], purpose: Purpose) -> list[AnyFact]:
    state, market = now.state, now.market
    facts = _enter(state, Phase.LIQUIDATING) + _cancel_own(state, now.cause)
    covered = {step.symbol for step in steps_at_work(state)}
    if any(order.purpose is Purpose.USER for order in state.orders):
        return facts
    tier, max_age = len(state.limits.tiers()), state.limits.price_max_age_ns
    to_house = purpose is Purpose.LIQUIDATION and _to_house(state.mode)
    sequence, shortfall = state.next_order_sequence, _shortfall(now, marks)
    for position in state.positions:
        if position.symbol in covered:
            continue
        price = marks[position.symbol]
        if purpose is Purpose.LIQUIDATION and market.fresh(position.symbol, max_age) is None:
            continue
        if to_house:
            facts += steps.take_over(position, price, market, purpose)
            continue
        step = Step(position, abs(position.quantity), price, purpose, tier, shortfall)
        closing = steps.close(now, step, sequence)
        sequence += sum(isinstance(fact, OrderIntended) for fact in closing)
        facts += closing
    return facts


def _shortfall(now: Situation, marks: Mapping[Symbol, Decimal]) -> Decimal:
    """What the account lacks of its maintenance margin, at the last known prices if there are no fresh ones."""
    view = now.view or margin.view(now.state, marks, now.market.instruments)
    return view.shortfall
