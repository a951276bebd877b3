"""``fold`` alone: what it needs, what it refuses, and that nothing but facts decides what comes of it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.constants import ORDER_RATE_WINDOW_MS
from actors.core.enums import OrderStatus, Phase, Purpose
from actors.core.errors import StateCorrupt
from actors.core.facts import (
    DayBegan,
    DayEnded,
    LimitsChanged,
    OrderAcknowledged,
    OrderEnded,
    PhaseChanged,
    PositionClosed,
)
from actors.core.messages import AdjustBalance, PlaceOrder, SetLimits, Wake
from actors.core.trading_day import TradingDay
from actors.limits.model import RiskLimits
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold, folded
from actors.subaccount.state_codec import state_hash
from tests.factories import BTC, BUY, ETH, WALL_MS, WIDE, account, market, run
from tests.subaccount.days import STEPS, day_of

TIGHT = RiskLimits(
    max_daily_loss=D(1), max_consecutive_losses=1, max_consecutive_errors=1, max_orders_per_minute=1
)
WAKE = Wake(ETH, "t")


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([WIDE, replace(WIDE, max_daily_loss=D(400), max_consecutive_losses=9)]))
def test_the_same_facts_make_the_same_account_whatever_its_limits_are_now(steps, limits):
    day = day_of(steps, limits)
    other = replace(day.first, base_limits=TIGHT, limits=TIGHT)
    for facts, after in day.decisions:
        other = replace(folded(other, facts), sequence=other.sequence + 1)
        assert state_hash(other) == state_hash(after)


def closed(net):
    zero = D(0)
    return PositionClosed(
        position_id="p", symbol=ETH, quantity=D(1), entry_price=D(2000), realized=D(net), fees=zero, funding=zero,
        mae=zero, mfe=zero, strategy="", purpose=Purpose.USER, opened_ms=1, closed_ms=2,
    )  # fmt: skip


def placed(state, decided_ms=WALL_MS, symbol=ETH):
    price = {ETH: "2000", BTC: "60000"}[symbol]
    return run(
        state,
        PlaceOrder(symbol=symbol, side=BUY, quantity=D("0.01"), leverage=D(20)),
        market({symbol: price}, wall_ms=decided_ms),
    )


def test_streaks_are_counted_without_a_limit_and_trip_nothing():
    state = folded(account(), [closed(-1), closed(0), closed(-2)])
    assert state.risk.losses == 2
    assert fold(state, closed(1)).risk.losses == 0
    for count in (1, 2, 3):
        state = placed(state)
        state = fold(state, OrderEnded(state.orders[-1].client_order_id, OrderStatus.REJECTED, -1, "no"))
        assert state.risk.errors == count
    assert decide(state, WAKE, market()).facts == ()
    state = placed(state)
    assert fold(state, OrderAcknowledged(state.orders[-1].client_order_id, 7)).risk.errors == 0


def test_a_limit_of_a_streak_that_is_there_already_trips_at_once():
    state = folded(account(), [closed(-1), closed(-2)])
    after = run(state, SetLimits((("max_consecutive_losses", "2"),)))
    assert "2 losing trades" in after.risk.breaker_reason


def test_a_day_that_no_limit_needs_is_ended_by_a_fact_and_not_by_the_limits_change():
    day = TradingDay(WALL_MS - 1, WALL_MS + 10**6)
    own = run(account(), SetLimits((("max_daily_loss", "50"),)), market(day=day))
    assert own.risk.day_start_ms == day.start_ms
    change = LimitsChanged((("max_daily_loss", None),))
    assert fold(own, change).risk == own.risk
    decision = decide(own, SetLimits(change.changes), market(day=day))
    assert decision.facts == (change, DayEnded())
    assert (decision.state.risk.day_start_ms, decision.state.risk.day_equity) == (0, D(0))


def test_a_day_is_ended_in_front_of_the_first_decision_after_its_limit_is_gone_below_the_account():
    state = fold(account(), DayBegan(WALL_MS - 1, D(1000)))
    decision = decide(state, AdjustBalance(D(5), "t"), market())
    assert [type(f) for f in decision.facts][:1] == [DayEnded]
    assert decide(decision.state, WAKE, market()).facts == ()


def test_an_own_limit_that_is_not_known_is_refused_by_name():
    with pytest.raises(StateCorrupt, match="acct-1: its own limits cannot be read: max_cats: no such limit"):
        fold(account(), LimitsChanged((("max_cats", "9"),)))


# -- orders of the last minute

TIMES = st.lists(
    st.tuples(st.sampled_from([ETH, BTC]), st.integers(-5_000, 70_000), st.booleans()), max_size=30
)


@settings(max_examples=100, deadline=None)
@given(TIMES)
def test_the_orders_of_the_last_minute_are_those_that_a_filter_would_keep(asked):
    """Also when the clock goes back, and with orders that were never sent after all."""
    state, expected, now = account("1000000"), [], WALL_MS
    for symbol, later_ms, is_sent in asked:
        now += later_ms // 10
        state = placed(state, now, symbol)
        expected = [(s, at) for s, at in expected if at > now - ORDER_RATE_WINDOW_MS] + [(symbol, now)]
        if not is_sent:
            order = state.orders[-1]
            state = fold(state, OrderEnded(order.client_order_id, OrderStatus.NEVER_SENT, 0, "waited"))
            expected.remove((symbol, now))
        recent = state.risk.recent
        assert sorted(recent) == sorted(expected)
        assert [at for _, at in recent] == sorted(at for _, at in recent)


def test_an_order_that_is_not_among_the_recent_ones_leaves_them():
    state = placed(placed(account("1000000")), WALL_MS + 1)
    order = state.orders[0]
    forgotten = replace(state, risk=replace(state.risk, recent=state.risk.recent[1:]))
    ended = OrderEnded(order.client_order_id, OrderStatus.NEVER_SENT, 0, "waited")
    assert fold(forgotten, ended).risk.recent == forgotten.risk.recent


def test_a_fact_says_when_the_next_step_may_come_in_the_wall_s_time():
    after = fold(account(), PhaseChanged(Phase.REDUCING, 2, WALL_MS + 400))
    assert (after.phase, after.refusals, after.retry_at_ms) == (Phase.REDUCING, 2, WALL_MS + 400)
