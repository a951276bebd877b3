"""Self-deleveraging of one account: when it must shrink, by how much, and when to stop.

HEALTHY -> WARNING -> REDUCING -> LIQUIDATING -> LIQUIDATED, or STUCK after too many refusals.

Rules
1. One step at a time: while an ADL or liquidation order works, nothing new is decided.
2. The account's own orders are cancelled and gone before the first step is sent, else a
   resting close and a step could close the same position twice.
3. Prices must be fresh. Without them nothing is decided, and the caller raises an alarm. Only a close-out
   goes on: its market orders need a price for nothing but the smallest quantity that the exchange takes.
4. A refused step waits, twice as long each time; after ``ADL_REFUSALS_MAX`` the account is
   STUCK until an operator says otherwise.
5. A close-out (a loss limit, an emergency stop) takes the same way, and ends HEALTHY.
6. LIQUIDATED only when no position and no order is left. What the balance cannot bear is bad
   debt, recorded, never clamped away.

Tiers are data (``RiskLimits.tiers``); source of the default: seed 000.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from actors.facts import (
    AccountStatus,
    AnyFact,
    BadDebtRecorded,
    ClosingOut,
    LiquidationMode,
    OrderIntended,
    Phase,
    PhaseChanged,
    PositionTakenOver,
    Purpose,
    StatusChanged,
)
from actors.limits import (
    ADL_BACKOFF_FIRST,
    ADL_BACKOFF_MAX,
    ADL_REFUSALS_MAX,
    WARNING_DISTANCE,
)
from actors.order_ids import client_order_id
from actors.risk_limits import AdlTier
from actors.subaccount import margin
from actors.subaccount.commitments import cancelled, cancels
from actors.subaccount.market import Market, marks_of
from actors.subaccount.position import Position
from actors.subaccount.state import AccountState, folded
from actors.units import ONE, ZERO, Instrument, Nanos, OrderType, Side, Symbol, TimeInForce, round_to

WARNING_HYSTERESIS = Decimal("0.02")
"""WARNING ends this far below where it began, so that it does not flap with each tick."""


def has_step(state: AccountState) -> bool:
    """Whether an ADL or liquidation order works at the moment."""
    # Asked on every wake, and most accounts have no orders at all.
    return bool(state.orders) and any(o.purpose is not Purpose.USER for o in state.orders)


def assess(state: AccountState, market: Market, cause: str) -> list[AnyFact]:
    """What must happen to the account now, as facts; empty when nothing must."""
    if not state.positions:
        return _without_positions(state, cause)
    if has_step(state) or state.phase is Phase.STUCK or market.now_ns < state.retry_at_ns:
        return []
    marks = marks_of(state, market)
    if marks is None:
        if state.risk.closing_out:
            return _close_all(state, market, _last_known(state, market), cause, Purpose.CLOSE_OUT)
        return []
    view = margin.view(state, marks, market.instruments)
    insolvent = view.equity <= ZERO or view.ratio >= ONE
    if insolvent or (state.phase is Phase.LIQUIDATING and not state.risk.closing_out):
        return _close_all(state, market, marks, cause, Purpose.LIQUIDATION)
    if state.risk.closing_out:
        return _close_all(state, market, marks, cause, Purpose.CLOSE_OUT)
    tier = _tier(state.limits.tiers(), view.ratio)
    if tier is None:
        return _calm(state, view.ratio)
    if state.mode is not LiquidationMode.ADL_30 or tier.fraction >= ONE:
        return _close_all(state, market, marks, cause, Purpose.LIQUIDATION)
    return _reduce(state, market, marks, tier, cause)


def refused(state: AccountState, now_ns: Nanos) -> list[AnyFact]:
    """The fact that a step came back without having filled; once for all orders of one round."""
    if state.phase is Phase.STUCK or state.retry_at_ns > now_ns:
        return []
    refusals = state.refusals + 1
    if refusals >= ADL_REFUSALS_MAX:
        return [PhaseChanged(Phase.STUCK, refusals, Nanos(0))]
    wait = min(ADL_BACKOFF_FIRST << (refusals - 1), ADL_BACKOFF_MAX)
    return [PhaseChanged(state.phase, refusals, Nanos(now_ns + wait))]


def filled(state: AccountState) -> list[AnyFact]:
    """The fact that a step filled: the exchange takes them, so nothing is refused or stuck any more."""
    if not state.refusals:
        return []
    phase = Phase.REDUCING if state.phase is Phase.STUCK else state.phase
    return [PhaseChanged(phase, 0, Nanos(0))]


def _without_positions(state: AccountState, cause: str) -> list[AnyFact]:
    if state.risk.closing_out:
        if state.orders or state.conditionals:
            return _cancel_own(state, cause)
        return _finished(state)
    if state.phase is Phase.LIQUIDATED and state.balance < ZERO:
        # A fee that was booked after the last position went.
        return [BadDebtRecorded(-state.balance)]
    if state.orders or state.phase in {Phase.HEALTHY, Phase.LIQUIDATED}:
        return []
    if state.phase is not Phase.LIQUIDATING:
        return [PhaseChanged(Phase.HEALTHY, 0, Nanos(0))]
    return _finished(state)


def _finished(state: AccountState) -> list[AnyFact]:
    facts: list[AnyFact] = []
    if state.risk.closing_out:
        facts.append(ClosingOut(""))
        if state.balance >= ZERO:
            calm = state.phase is Phase.HEALTHY
            return facts if calm else [*facts, PhaseChanged(Phase.HEALTHY, 0, Nanos(0))]
    if state.balance < ZERO:
        facts.append(BadDebtRecorded(-state.balance))
    facts.append(PhaseChanged(Phase.LIQUIDATED, 0, Nanos(0)))
    facts.append(StatusChanged(AccountStatus.LIQUIDATED))
    return facts


def _last_known(state: AccountState, market: Market) -> dict[Symbol, Decimal]:
    ticks = market.ticks
    return {p.symbol: ticks[p.symbol].mid if p.symbol in ticks else p.entry_price for p in state.positions}


def _tier(tiers: tuple[AdlTier, ...], ratio: Decimal) -> AdlTier | None:
    met = [tier for tier in tiers if ratio >= tier.margin_ratio]
    return max(met, key=lambda tier: (tier.margin_ratio, tier.fraction)) if met else None


def _calm(state: AccountState, ratio: Decimal) -> list[AnyFact]:
    warning_at = state.limits.first_tier - WARNING_DISTANCE
    if ratio >= warning_at or (state.phase is Phase.WARNING and ratio >= warning_at - WARNING_HYSTERESIS):
        phase = Phase.WARNING
    else:
        phase = Phase.HEALTHY
    if phase is state.phase and state.refusals == 0:
        return []
    return [PhaseChanged(phase, 0, Nanos(0))]


def _cancel_own(state: AccountState, cause: str, *, keep_closing: bool = False) -> list[AnyFact]:
    """Cancel what rests and what waits; ``keep_closing`` spares conditional orders that only close."""
    resting = (o for o in state.orders if o.purpose is Purpose.USER and o.remaining > ZERO)
    return cancels(state, resting, cause) + cancelled(state, cause, keep_closing=keep_closing)


def _enter(state: AccountState, phase: Phase) -> list[AnyFact]:
    if state.phase is phase:
        return []
    return [PhaseChanged(phase, state.refusals, state.retry_at_ns)]


def _reduce(
    state: AccountState, market: Market, marks: dict[Symbol, Decimal], tier: AdlTier, cause: str
) -> list[AnyFact]:
    facts = _enter(state, Phase.REDUCING) + _cancel_own(state, cause, keep_closing=True)
    if state.orders:
        return facts
    largest = max(state.positions, key=lambda p: (p.notional, p.symbol))
    number = state.limits.tiers().index(tier) + 1
    quantity = abs(largest.quantity) * tier.fraction
    return facts + _close(state, market, marks, largest, quantity, Purpose.ADL, number, cause)


def _close_all(
    state: AccountState, market: Market, marks: dict[Symbol, Decimal], cause: str, purpose: Purpose
) -> list[AnyFact]:
    facts = _enter(state, Phase.LIQUIDATING) + _cancel_own(state, cause)
    if state.orders:
        return facts
    after = folded(state, facts)
    tier = len(state.limits.tiers())
    for position in state.positions:
        if state.mode is LiquidationMode.TAKEOVER and purpose is Purpose.LIQUIDATION:
            closing = take_over(position, marks, market, purpose)
        else:
            quantity = abs(position.quantity)
            closing = _close(after, market, marks, position, quantity, purpose, tier, cause)
        after = folded(after, closing)
        facts += closing
    if not after.positions and not after.orders:
        facts += _finished(after)
    return facts


def _close(  # noqa: PLR0913 - what to close, how much of it, and why
    state: AccountState,
    market: Market,
    marks: dict[Symbol, Decimal],
    position: Position,
    quantity: Decimal,
    purpose: Purpose,
    tier: int,
    cause: str,
) -> list[AnyFact]:
    """One closing order, rounded to what the exchange takes, or a takeover of dust."""
    instrument = market.instruments.get(position.symbol)
    if instrument is None:
        return []
    held = abs(position.quantity)
    smallest = smallest_order(instrument, min(marks[position.symbol], position.entry_price))
    if held < smallest:
        # Too small for the exchange: nobody could ever close it there, so the house has it.
        if market.fresh(position.symbol, state.limits.price_max_age_ns) is None:
            return []
        return take_over(position, marks, market, purpose)
    closing = max(round_to(quantity, instrument.step_size, ROUND_DOWN), smallest)
    if held - closing < smallest:
        closing = held
    closing = instrument.floor_qty(min(closing, instrument.market_max_qty))
    return [
        OrderIntended(
            account_id=state.account_id,
            sequence=state.next_order_sequence,
            client_order_id=client_order_id(market.origin, state.account_id, state.next_order_sequence),
            symbol=position.symbol,
            side=Side.SELL if position.is_long else Side.BUY,
            order_type=OrderType.MARKET,
            quantity=closing,
            price=None,
            time_in_force=TimeInForce.GTC,
            reduce_only=True,
            leverage=position.leverage,
            margin_reserved=ZERO,
            purpose=purpose,
            tier=tier,
            decided_ms=market.wall_ms,
            cause=cause,
        )
    ]


def smallest_order(instrument: Instrument, price: Decimal) -> Decimal:
    """The smallest quantity that the exchange takes at a price."""
    least = round_to(instrument.min_notional / price, instrument.step_size, ROUND_UP)
    return max(instrument.min_qty, least)


def take_over(
    position: Position,
    marks: dict[Symbol, Decimal],
    market: Market,
    purpose: Purpose,
    fee: Decimal = ZERO,
) -> list[AnyFact]:
    """The house has a position at its mark, for a fee if any."""
    mark = marks[position.symbol]
    realized = position.unrealized(mark)
    stretch = market.extremes(position.symbol, position.since)
    return [
        PositionTakenOver(
            symbol=position.symbol,
            quantity=position.quantity,
            price=mark,
            realized=realized,
            fee=fee,
            taken_ms=market.wall_ms,
        ),
        position.closed(purpose, market.wall_ms, realized, fee, stretch),
    ]
