"""The position monitor: raises one alert per position that is too old, and one if it loses too much.

It only raises alerts; closing is for whoever reads them. Source: seed 004 (``monitor_positions``).
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.enums import Alert
from actors.core.facts import AnyFact, PositionAlerted
from actors.core.units import ONE
from actors.subaccount import breaker
from actors.subaccount.market import Market, mark
from actors.subaccount.position import Position
from actors.subaccount.situation import Situation
from actors.subaccount.state import AccountState


def assess(now: Situation) -> Situation:
    """Alerts that are due now and were not given before."""
    state, market = now.state, now.market
    limits = state.limits
    if limits.position_timeout_seconds is None and limits.excessive_loss_percent is None:
        return now
    found: list[AnyFact] = []
    for position in state.positions:
        deadline = deadline_ms(state, position)
        if deadline is not None and market.wall_ms > deadline:
            age = Decimal(market.wall_ms - position.opened_ms) / 1_000
            limit = Decimal(limits.position_timeout_seconds or 0)
            found.append(PositionAlerted(position.symbol, Alert.TIMEOUT, age, limit))
        loss = _loss_share(state, position, market)
        bound = limits.excessive_loss_percent
        if loss is not None and bound is not None and loss > bound:
            found.append(PositionAlerted(position.symbol, Alert.EXCESSIVE_LOSS, loss, bound))
    return now.after(found)


def deadline_ms(state: AccountState, position: Position) -> int | None:
    """Unix milliseconds after which a position is too old; None if it may be, or was said to be."""
    seconds = state.limits.position_timeout_seconds
    if seconds is None or Alert.TIMEOUT in position.alerts:
        return None
    return position.opened_ms + seconds * 1_000


def next_deadline_ms(state: AccountState) -> int | None:
    """After when time alone brings something next: a position too old, the end of a cooldown, a second try."""
    found = [d for p in state.positions if (d := deadline_ms(state, p)) is not None]
    if breaker.is_timed(state):
        found.append(state.risk.breaker_until_ms - 1)
    found += [c.placed.not_before_ms - 1 for c in state.conditionals if c.placed.not_before_ms]
    return min(found) if found else None


def loss_price(state: AccountState, position: Position) -> Decimal | None:
    """The mark beyond which a position loses too much; None if there is no such limit, or the alert was raised."""
    share = state.limits.excessive_loss_percent
    if share is None or Alert.EXCESSIVE_LOSS in position.alerts:
        return None
    return position.cost / abs(position.quantity) * (ONE - share if position.is_long else ONE + share)


def _loss_share(state: AccountState, position: Position, market: Market) -> Decimal | None:
    if loss_price(state, position) is None:
        return None
    tick = market.fresh(position.symbol, state.limits.price_max_age_ns)
    if tick is None:
        return None
    return -position.unrealized(mark(position, tick, state.limits.mark_source)) / position.notional
