"""``fold`` alone: what it needs, what it refuses, and that nothing but facts decides what comes of it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from actors.core.constants import ORDER_RATE_WINDOW_MS
from actors.core.enums import (
    Alert,
    Breaker,
    ConditionalKind,
    ConditionalStatus,
    LiquidationMode,
    OrderStatus,
    Phase,
    Purpose,
)
from actors.core.errors import StateCorrupt
from actors.core.facts import (
    AccountCarried,
    AccountOpened,
    BreakerChanged,
    ConditionalEnded,
    DayBegan,
    DayEnded,
    LimitsChanged,
    OrderAcknowledged,
    OrderEnded,
    PhaseChanged,
    PositionAlerted,
    PositionClosed,
    TrailMoved,
)
from actors.core.messages import AdjustBalance, Fill, PlaceConditional, PlaceOrder, SetLimits, Wake
from actors.core.trading_day import TradingDay
from actors.core.units import AccountId
from actors.limits.model import RiskLimits
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold, folded
from actors.subaccount.risk_state import RiskState
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import encode, state_hash
from tests.factories import BTC, BUY, ETH, SELL, WALL_MS, WIDE, account, fill_of, market, position, run
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


# -- what a fill carries


def held_by_fills(*fills):
    """An account with a position in ETH, by orders that filled at once: side, quantity and price of each."""
    state = account("100000")
    for number, (side, quantity, price) in enumerate(fills, 1):
        order = PlaceOrder(symbol=ETH, side=side, quantity=D(quantity), leverage=D(20))
        state = run(state, order, market({ETH: price}))
        fill = fill_of(state.orders[-1], price=price, trade_id=number, fee="0.3")
        state = run(state, fill, market({ETH: price}))
    return state


def fill_fact(state, side, quantity, price="2100"):
    """The fact of one more order that fills, and the account in front of it."""
    state = run(state, PlaceOrder(symbol=ETH, side=side, quantity=D(quantity)), market({ETH: price}))
    fill = fill_of(state.orders[-1], price=price, trade_id=99, fee="0.7")
    return state, decide(state, fill, market({ETH: price})).facts[0]


THIRDS = ((BUY, "1", "2000"), (BUY, "2", "2000.01"))
NUDGE = D("0.01")


def test_a_partial_close_takes_the_cost_and_the_margin_that_its_fact_carries():
    """Another release may have rounded the part of the cost that left in another way; what it booked stays booked."""
    state, fact = fill_fact(held_by_fills(*THIRDS), SELL, "1")
    [today] = fold(state, fact).positions
    other = replace(
        fact,
        cost=fact.cost + NUDGE,
        realized=fact.realized + NUDGE,
        margin=D(7),
        mae=D(-3),
        mfe=D(4),
        moment=5,
    )
    after = fold(state, other)
    [held] = after.positions
    assert (held.cost, held.margin, held.mae, held.mfe) == (today.cost + NUDGE, D(7), D(-3), D(4))
    assert held.realized == today.realized + NUDGE
    assert after.balance == fold(state, fact).balance + NUDGE


def test_what_opens_or_adds_takes_what_its_fact_carries():
    state, fact = fill_fact(held_by_fills(*THIRDS), BUY, "1")
    [held] = fold(state, replace(fact, cost=D(11), margin=D(2), mae=D(-1), mfe=D(1))).positions
    assert (held.cost, held.margin, held.mae, held.mfe, held.quantity) == (D(11), D(2), D(-1), D(1), D(4))
    state, fact = fill_fact(account("100000"), BUY, "1")
    [held] = fold(state, replace(fact, cost=D(11), margin=D(2))).positions
    assert (held.cost, held.margin, held.fees, held.quantity) == (D(11), D(2), D("0.7"), D(1))


def test_a_flip_shares_its_fee_as_its_fact_says():
    state, fact = fill_fact(held_by_fills((BUY, "1", "2000")), SELL, "1.5")
    assert fact.closing_fee == D("0.466666666667")
    [held] = fold(state, replace(fact, closing_fee=D("0.5"), cost=D(1050), margin=D(52))).positions
    assert (held.quantity, held.fees, held.cost, held.margin) == (D("-0.5"), D("0.2"), D(1050), D(52))


@pytest.mark.parametrize(
    "changes",
    [
        {"closed_quantity": D("0.5")},
        {"closed_quantity": D(0), "realized": D(0)},
        {"realized": D(1)},
        {"cost": D(1)},
        {"client_order_id": "bh-of-somebody-else"},
    ],
)
def test_a_fill_that_was_decided_on_another_position_is_refused(changes):
    state, fact = fill_fact(held_by_fills(*THIRDS), SELL, "1")
    fold(state, fact)
    with pytest.raises(StateCorrupt, match=r"settled on another position|not a working order"):
        fold(state, replace(fact, **changes))


def test_a_trade_is_booked_once_and_fits_its_order():
    state, fact = fill_fact(held_by_fills(*THIRDS), SELL, "1")
    half = replace(fact.trade, quantity=D("0.5"))
    twice = fold(
        state,
        decide(state, Fill(state.account_id, fact.client_order_id, half), market({ETH: "2100"})).facts[0],
    )
    with pytest.raises(StateCorrupt, match="is booked already"):
        fold(twice, replace(fact, trade=half))
    with pytest.raises(StateCorrupt, match=r"does not fit the 0\.5"):
        fold(twice, replace(fact, trade=replace(fact.trade, trade_id=100)))


# -- what does not fit, and what stays as it is


def test_an_account_begins_once_and_as_itself():
    opened = AccountOpened(LiquidationMode.TAKEOVER, D("0.01"), (("max_leverage", "7"),))
    state = fold(AccountState(account_id=AccountId("acct-1")), opened)
    assert (state.mode, state.maintenance_rate, state.below) == (
        LiquidationMode.TAKEOVER,
        D("0.01"),
        opened.below,
    )
    for fact in (opened, AccountCarried(1, Raw(encode(account())))):
        with pytest.raises(StateCorrupt, match="it began already"):
            fold(account(), fact)
    with pytest.raises(StateCorrupt, match="acct-2: the state of acct-1 was carried over"):
        fold(AccountState(account_id=AccountId("acct-2")), AccountCarried(1, Raw(encode(account()))))


def test_an_order_s_end_and_a_trail_s_move_leave_the_others_alone():
    state = placed(placed(account("1000000")), symbol=BTC)
    one, other = state.orders
    assert fold(state, OrderEnded(one.client_order_id, OrderStatus.CANCELED, 0, "")).orders == (other,)
    trail = PlaceConditional(
        kind=ConditionalKind.TRAILING_STOP_MARKET,
        symbol=ETH,
        side=SELL,
        quantity=D(1),
        callback_rate=D("0.01"),
        leverage=D(20),
    )
    state = run(run(state, trail), trail)
    one, other = state.conditionals
    moved = fold(state, TrailMoved(one.client_order_id, D(2222))).conditionals
    assert [c.extreme for c in moved] == [D(2222), other.extreme]
    assert fold(
        state, ConditionalEnded(one.client_order_id, ConditionalStatus.CANCELED, "")
    ).conditionals == (other,)


def test_an_alert_is_of_a_position_that_is_held():
    fact = PositionAlerted(ETH, Alert.TIMEOUT, D(1), D(1))
    assert fold(account(positions=[position()]), fact).positions[0].alerts == (Alert.TIMEOUT,)
    with pytest.raises(StateCorrupt, match="there is no position in ETHUSDT"):
        fold(account(), fact)


def test_a_trade_of_nothing_is_refused():
    state, fact = fill_fact(held_by_fills(*THIRDS), SELL, "1")
    with pytest.raises(StateCorrupt, match="a fill of 0 does not fit"):
        fold(state, replace(fact, trade=replace(fact.trade, quantity=D(0))))


@pytest.mark.parametrize(
    ("breaker", "counts"), [(Breaker.OPEN, (2, 1)), (Breaker.CLOSED, (0, 0)), (Breaker.HALF_OPEN, (0, 0))]
)
def test_a_breaker_that_opens_keeps_the_streaks_and_one_that_closes_forgets_them(breaker, counts):
    state = account(risk=RiskState(losses=2, errors=1))
    after = fold(state, BreakerChanged(breaker, "t", 5)).risk
    assert (after.losses, after.errors) == counts


def test_an_order_of_exactly_a_minute_ago_is_none_of_the_last_minute_s():
    state = placed(placed(account("1000000")), WALL_MS + 1)
    after = placed(state, WALL_MS + ORDER_RATE_WINDOW_MS)
    assert [at - WALL_MS for _, at in after.risk.recent] == [1, ORDER_RATE_WINDOW_MS]


def test_of_two_orders_of_one_millisecond_the_one_that_was_never_sent_is_forgotten():
    state = placed(placed(account("1000000")), symbol=BTC)
    never = OrderEnded(state.orders[1].client_order_id, OrderStatus.NEVER_SENT, 0, "waited")
    assert fold(state, never).risk.recent == ((ETH, WALL_MS),)


def test_only_a_position_that_opens_takes_the_next_number():
    numbers = []
    for quantity in ("0.5", "1", "1.5"):
        state, fact = fill_fact(held_by_fills((BUY, "1", "2000")), SELL, quantity)
        numbers.append(fold(state, fact).next_position_sequence)
    assert numbers == [2, 2, 3]
