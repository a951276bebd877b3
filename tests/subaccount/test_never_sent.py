"""Only what the exchange said counts as its refusal: not an order that it never got, nor one that somebody cancelled."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core import fact_codec
from actors.core.constants import ADL_REFUSALS_MAX, ADL_UNSENT_MAX_MS, REARM_FIRST_MS
from actors.core.enums import Alert, LiquidationMode, OrderStatus, Phase, ReconsiderReason
from actors.core.facts import OrderIntended, PhaseChanged
from actors.core.messages import AdjustBalance, CallOff, CloseOut, OrderClosed, Reconsider
from actors.subaccount import state_codec
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide
from actors.subaccount.fold import folded
from actors.subaccount.triggers import NONE
from tests.factories import BTC, ETH, SELL, WALL_MS, account, fill_of, market, position, run, triggers
from tests.subaccount.conditional_cases import STOP, WAKE, conditional, holding

NEVER = [OrderStatus.NEVER_SENT, OrderStatus.CANCELED]
REFUSALS = [OrderStatus.REJECTED, OrderStatus.EXPIRED]
TIMER = Reconsider(ReconsiderReason.BACKOFF)


def ended(order, status, executed="0", **more):
    return OrderClosed(order.client_order_id, status, D(executed), 0, "x", **more)


def at(ms, eth="2000"):
    prices = {ETH: eth, BTC: "60000"}
    return market(prices, now_ns=ms * 10**6, received_ns=ms * 10**6, wall_ms=WALL_MS + ms)


def sick(**changes):
    """Ten at 2,000 with 1,000 and a ratio of 0.90: the first tier cuts three."""
    return account("1000", [position(quantity="10")], maintenance_rate=D("0.045"), **changes)


def broke():
    """Two positions, and less than nothing left of 100."""
    return account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])


def orders(decision):
    return [f for f in decision.facts if isinstance(f, OrderIntended)]


@pytest.mark.parametrize("status", NEVER)
def test_a_step_that_was_never_sent_is_no_refusal_and_comes_again_after_a_little(status):
    state = run(sick(), WAKE, at(0))
    decision = decide(state, ended(state.orders[0], status), at(10))
    state = decision.state
    assert (state.refusals, state.unsent, state.phase) == (0, 1, Phase.REDUCING)
    assert orders(decision) == []
    assert orders(decide(state, WAKE, at(209))) == []
    assert len(orders(decide(state, TIMER, at(210)))) == 1


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_exchange_refused_is_counted_as_before(status):
    state = run(sick(), WAKE, at(0))
    state = run(state, ended(state.orders[0], status), at(10))
    assert (state.refusals, state.unsent, state.retry_at_ms) == (1, 0, WALL_MS + 210)


@pytest.mark.parametrize("status", NEVER)
@pytest.mark.parametrize("make", [sick, broke], ids=["a tier", "everything"])
def test_steps_that_are_never_sent_do_not_storm_nor_end_stuck(make, status):
    """Ten minutes of an order path that gives everything back at once."""
    state, sent, prices = make(), [], "1800" if make is broke else "2000"
    for ms in range(0, 600_000, 100):
        message = TIMER if state.retry_at_ms else WAKE
        decision = decide(state, message, at(ms, prices))
        state = decision.state
        sent += [ms] if orders(decision) else []
        for order in state.orders:
            state = run(state, ended(order, status), at(ms, prices))
        assert state.phase in {Phase.REDUCING, Phase.LIQUIDATING}
        assert state.refusals == 0
    gaps = [b - a for a, b in pairwise(sent)]
    assert gaps[:4] == [200, 400, 800, 1_600]
    assert set(gaps[4:]) == {ADL_UNSENT_MAX_MS}


def test_all_orders_of_a_round_that_were_never_sent_are_one_wait():
    state = run(broke(), WAKE, at(0, "1800"))
    for order in state.orders:
        state = run(state, ended(order, OrderStatus.NEVER_SENT), at(10, "1800"))
    assert (state.unsent, state.retry_at_ms) == (1, WALL_MS + 210)
    mixed = run(broke(), WAKE, at(0, "1800"))
    first, second = mixed.orders
    for order, status in ((first, OrderStatus.NEVER_SENT), (second, OrderStatus.REJECTED)):
        mixed = run(mixed, ended(order, status), at(10, "1800"))
    assert (mixed.unsent, mixed.refusals) == (0, 1)
    mixed = run(broke(), WAKE, at(0, "1800"))
    first, second = mixed.orders
    for order, status in ((first, OrderStatus.REJECTED), (second, OrderStatus.NEVER_SENT)):
        mixed = run(mixed, ended(order, status), at(10, "1800"))
    assert (mixed.unsent, mixed.refusals) == (0, 1)


def test_a_refusal_counts_even_if_another_order_of_the_round_was_never_sent():
    state = run(replace(broke(), refusals=3), WAKE, at(0, "1800"))
    first, second = state.orders
    state = run(state, ended(first, OrderStatus.NEVER_SENT), at(10, "1800"))
    state = run(state, ended(second, OrderStatus.REJECTED), at(10, "1800"))
    assert (state.unsent, state.refusals, state.retry_at_ms) == (0, 4, WALL_MS + 1_610)


def test_a_fill_says_that_steps_reach_the_exchange_again():
    state = run(broke(), WAKE, at(0, "1800"))
    first, second = state.orders
    state = run(state, ended(first, OrderStatus.NEVER_SENT), at(10, "1800"))
    price = "1800" if second.symbol == ETH else "60000"
    state = run(state, fill_of(second, price=price), at(20, "1800"))
    assert (state.unsent, state.retry_at_ms) == (0, 0)


def test_a_step_that_filled_in_part_was_sent_however_it_ended():
    state = run(sick(), WAKE, at(0))
    order = state.orders[0]
    state = run(state, fill_of(order, quantity="0.5"), at(5))
    state = run(state, ended(order, OrderStatus.CANCELED, "0.5"), at(10))
    assert (state.refusals, state.unsent, state.retry_at_ms) == (0, 0, 0)


def test_an_account_that_waits_for_that_sleeps_until_its_timer():
    state = run(broke(), WAKE, at(0, "1800"))
    for order in state.orders:
        state = run(state, ended(order, OrderStatus.NEVER_SENT), at(10, "1800"))
    assert triggers(state, at(10, "1800")) == NONE


@pytest.mark.parametrize("message", [AdjustBalance(D(50_000), "t"), None])
def test_money_or_a_price_that_came_back_ends_the_wait(message):
    state = run(sick(), WAKE, at(0))
    state = run(state, ended(state.orders[0], OrderStatus.NEVER_SENT), at(10))
    calm = run(state, message, at(20)) if message else run(state, TIMER, at(210, "2200"))
    assert (calm.phase, calm.unsent, calm.retry_at_ms) == (Phase.HEALTHY, 0, 0)


def test_a_close_out_that_is_called_off_keeps_the_wait():
    state = run(account("9000", [position()]), CloseOut("x"), at(0))
    state = run(state, ended(state.orders[0], OrderStatus.NEVER_SENT), at(10))
    assert state.unsent == 1
    calm = run(state, CallOff(), at(20))
    assert orders(decide(calm, WAKE, at(30))) == []


def test_a_stuck_account_s_try_that_was_never_sent_is_tried_again_soon_and_counts_nothing():
    state = replace(sick(), phase=Phase.STUCK, refusals=ADL_REFUSALS_MAX, retry_at_ms=WALL_MS + 1)
    state = run(state, TIMER, at(10))
    assert state.orders
    state = run(state, ended(state.orders[0], OrderStatus.NEVER_SENT), at(20))
    assert (state.refusals, state.retry_at_ms) == (ADL_REFUSALS_MAX, WALL_MS + 220)
    assert orders(decide(state, TIMER, at(220)))


def test_a_clock_that_was_set_back_makes_it_wait_no_longer():
    state = run(sick(), WAKE, at(10_000))
    state = run(state, ended(state.orders[0], OrderStatus.NEVER_SENT), at(10_000))
    assert orders(decide(state, TIMER, at(0)))


def test_what_the_wait_is_written_as():
    plain = fact_codec.encode([PhaseChanged(Phase.REDUCING, 1, 5)])
    assert plain == b'[{"fact":"PhaseChanged","phase":"REDUCING","refusals":1,"retry_at_ms":5}]'
    counted = PhaseChanged(Phase.REDUCING, 0, 5, 2)
    assert fact_codec.decode(fact_codec.VERSION, fact_codec.encode([counted])) == (counted,)
    assert folded(account(), [counted]).unsent == 2
    assert (
        state_codec.decode(state_codec.VERSION, state_codec.encode(folded(account(), [counted]))).unsent == 2
    )


ENDS = st.sampled_from([*NEVER, *REFUSALS, "filled", "waited"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ENDS, st.integers(1, 5_000)), max_size=40), st.sampled_from(LiquidationMode))
def test_refusals_are_what_the_exchange_refused_in_a_row(ends, mode):
    """However a step ends: the counter is the number of rounds that the exchange refused since one filled."""
    state, ms, refused = sick(mode=mode), 0, 0
    state = run(state, WAKE, at(ms))
    for end, wait in ends:
        # A step may come after each wait, whoever it is for.
        ms = max(ms + wait, state.retry_at_ms - WALL_MS)
        state = run(state, TIMER, at(ms)) if not state.orders else state
        for order in state.orders:
            if end == "filled":
                part = min(order.quantity, D("0.02"))
                state = run(state, fill_of(order, quantity=part, trade_id=ms), at(ms))
                state, refused = run(state, ended(order, OrderStatus.EXPIRED, part), at(ms)), 0
            elif end == "waited":
                more = {"waited": True, "again": True}
                state = run(state, ended(order, OrderStatus.NEVER_SENT, **more), at(ms))
            else:
                refused += end in REFUSALS
                state = run(state, ended(order, end), at(ms))
        assert state.refusals == refused
        assert (state.phase is Phase.STUCK) <= (refused >= ADL_REFUSALS_MAX)


@pytest.mark.parametrize("status", [OrderStatus.NEVER_SENT])
def test_a_stop_that_was_never_sent_waits_a_little_and_uses_up_no_try(status):
    state = run(holding("1"), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    ms = 0
    for _ in range(50):
        state = run(state, WAKE, at(ms, "1890"))
        [order] = state.orders
        assert order.intent.attempt == 0
        decision = decide(state, ended(order, status), at(ms, "1890"))
        state = decision.state
        assert state.conditionals[0].placed.not_before_ms == WALL_MS + ms + REARM_FIRST_MS
        assert run(state, WAKE, at(ms + REARM_FIRST_MS - 1, "1890")).orders == ()
        assert not any(Alert.UNPROTECTED in p.alerts for p in state.positions)
        assert alerts_of("acct-1", decision.facts) == []
        ms += REARM_FIRST_MS
