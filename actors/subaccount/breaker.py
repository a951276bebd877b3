"""The account's circuit breaker: closed, open, half-open.

CLOSED -> OPEN on losing trades in a row, refused orders in a row, the day's loss or profit, or by hand.
OPEN -> CLOSED by hand, or -> HALF_OPEN by itself if it is timed and was not opened by hand, both only after the
cooldown.
HALF_OPEN -> CLOSED by a winning trade or by hand, -> OPEN by a losing one or any other reason to trip.

Open lets no new risk in; half-open lets a share of every size limit in. Both let everything reduce.
Sources: seed 001 (streaks, manual reset after a cooldown), seed 004 (thresholds, half-open with 25 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from actors.core.enums import Breaker
from actors.core.facts import AnyFact, BreakerChanged, PositionClosed
from actors.core.units import ZERO
from actors.limits.model import BreakerReset
from actors.subaccount.state import AccountState

HALF_OPEN_LOSS = "a losing trade while half-open"


def trip(state: AccountState, reason: str, wall_ms: int, *, by_hand: bool = False) -> BreakerChanged:
    """The fact that the breaker opens now."""
    until_ms = wall_ms + state.limits.breaker_cooldown_seconds * 1_000
    return BreakerChanged(Breaker.OPEN, reason, until_ms, by_hand)


def threshold_reached(state: AccountState, equity: Decimal) -> str:
    """Which of the day's thresholds ``equity`` has reached, in words; empty for none.

    A threshold of 0.10 is reached by a loss of exactly 10 % of the day's first equity (seed 004). Of
    nothing, any loss is too much.
    """
    limits, risk = state.limits, state.risk
    if not risk.day_start_ms:
        return ""
    profit, first = equity - risk.day_equity, max(ZERO, risk.day_equity)
    if (
        limits.breaker_loss_percent is not None
        and -profit >= limits.breaker_loss_percent * first
        and profit < ZERO
    ):
        return f"a loss of {limits.breaker_loss_percent} of the day's first equity"
    share = limits.breaker_profit_percent
    if share is not None and first > ZERO and profit >= share * first:
        return f"a profit of {limits.breaker_profit_percent} of the day's first equity"
    return ""


def streaks(state: AccountState, facts: Sequence[AnyFact], wall_ms: int) -> list[AnyFact]:
    """What ``facts``, which led to ``state``, do to the breaker: streaks, and trades while half-open."""
    risk, limits = state.risk, state.limits
    if risk.breaker is Breaker.OPEN:
        return []
    if risk.breaker is Breaker.HALF_OPEN:
        for fact in facts:
            if isinstance(fact, PositionClosed) and fact.net < ZERO:
                return [trip(state, HALF_OPEN_LOSS, wall_ms)]
            if isinstance(fact, PositionClosed) and fact.net > ZERO:
                return [BreakerChanged(Breaker.CLOSED, "a winning trade while half-open", 0)]
    if limits.max_consecutive_losses is not None and risk.losses >= limits.max_consecutive_losses:
        return [trip(state, f"{risk.losses} losing trades in a row", wall_ms)]
    if limits.max_consecutive_errors is not None and risk.errors >= limits.max_consecutive_errors:
        return [trip(state, f"{risk.errors} refused orders in a row, the last: {risk.last_refusal}", wall_ms)]
    return []


def after_cooldown(state: AccountState, equity: Decimal | None, wall_ms: int) -> list[AnyFact]:
    """What a timed breaker does once its cooldown is over: half-open, or open again.

    ``equity`` is None while prices are missing; then it stays as it is.
    """
    risk = state.risk
    if not is_timed(state) or wall_ms < risk.breaker_until_ms or equity is None:
        return []
    reason = threshold_reached(state, equity)
    if reason:
        return [trip(state, reason, wall_ms)]
    return [BreakerChanged(Breaker.HALF_OPEN, "the cooldown is over", 0)]


def is_timed(state: AccountState) -> bool:
    """Whether an open breaker half-opens by itself after its cooldown."""
    risk = state.risk
    timed = state.limits.breaker_reset is BreakerReset.TIMED
    return risk.breaker is Breaker.OPEN and timed and not risk.breaker_by_hand


def cooldown_left_ms(state: AccountState, wall_ms: int) -> int:
    """Milliseconds until an open breaker may be reset; 0 when it may."""
    if state.risk.breaker is not Breaker.OPEN:
        return 0
    return max(0, state.risk.breaker_until_ms - wall_ms)
