"""What orders may still open is told anew from what is held: no reduce-only order opens, no margin is forgotten."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import OrderStatus, OrderType
from actors.core.facts import CancelIntended
from actors.core.messages import OrderClosed, PlaceConditional, PlaceOrder, Wake
from actors.subaccount.decide import decide
from actors.subaccount.open_order_exposure import order_cancels, order_exposures, quantities_that_open
from actors.subaccount.pipeline import Accepted
from actors.subaccount.rejections import RejectCode as Code
from tests.factories import BTC, BUY, ETH, SELL, WIDE, account, fill_of, held_margin, market, position, run

WAKE = Wake(ETH, "t")


def limit(side, quantity, price="2050", **changes):
    return PlaceOrder(
        symbol=ETH,
        side=side,
        quantity=D(quantity),
        order_type=OrderType.LIMIT,
        price=D(price),
        leverage=D(10),
        **changes,
    )


def sell(quantity, **changes):
    return PlaceOrder(symbol=ETH, side=SELL, quantity=D(quantity), leverage=D(10), **changes)


def codes(state, message, at=None):
    reply = decide(state, message, at or market()).reply
    return [] if isinstance(reply, Accepted) else [r.code for r in reply.rejections]


def test_what_reduces_fills_first_and_all_of_the_rest_opens():
    state = run(account("10000", [position(quantity="1")]), limit(SELL, "3", "2000"))
    assert held_margin(state) == D(400)
    half = run(state, fill_of(state.orders[0], quantity="1"))
    assert half.positions == ()
    # Nothing is left to reduce: the 2 that remain hold what they held, not two thirds of it.
    assert held_margin(half) == D(400)
    assert held_margin(run(half, fill_of(state.orders[0], quantity="1", trade_id=2))) == D(200)


def test_a_position_that_goes_away_under_a_resting_order_leaves_it_with_margin():
    state = account("10000", [position(quantity="1")], replace(WIDE, max_total_exposure=D(4000)))
    state = run(state, limit(SELL, "1", "2000"))
    assert held_margin(state) == 0
    state = run(state, sell("0.9"))
    assert [(o.client_order_id[-1], q) for o, q in quantities_that_open(state)] == [
        ("1", D(0)),
        ("2", D("0.9")),
    ]
    filled = run(state, fill_of(state.orders[1]))
    # 0.1 is held, so 0.9 of the resting 1 would open.
    assert [q for _, q in quantities_that_open(filled)] == [D("0.9"), D(0)]
    assert sum(c.notional for c in order_exposures(filled)) == D(1800)
    at = market({ETH: "2000", BTC: "60000"})
    assert codes(filled, PlaceOrder(symbol=BTC, side=BUY, quantity=D("0.034"), leverage=D(10)), at) == [
        Code.MAX_EXPOSURE_EXCEEDED
    ]


def test_nothing_is_placed_that_would_turn_a_resting_reduce_only_order_into_an_opening_one():
    state = run(account("1000", [position(quantity="0.1")]), limit(SELL, "0.1", reduce_only=True))
    assert codes(state, sell("0.1")) == [Code.REDUCE_ONLY_CONFLICT]
    assert codes(state, sell("0.1", reduce_only=True)) == [Code.NOTHING_TO_REDUCE]
    assert codes(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.1"))) == []


def test_one_that_would_open_all_the_same_is_cancelled():
    state = run(account("1000", [position(quantity="0.1")]), limit(SELL, "0.1", reduce_only=True))
    # As if the house had taken half of the position.
    less = replace(state, positions=(position(quantity="0.05"),))
    [cancel] = decide(less, WAKE, market()).facts
    assert isinstance(cancel, CancelIntended)
    assert cancel.client_order_id == state.orders[0].client_order_id


def test_while_it_is_deleveraged_an_account_places_nothing_that_could_hold_it_off():
    sick = account("1000", [position(quantity="10")], maintenance_rate=D("0.045"))
    sick = replace(sick, positions=(position(quantity="10", leverage="50"),))
    resting = replace(sick, maintenance_rate=D("0.005"))
    resting = replace(run(resting, limit(SELL, "1", reduce_only=True)), maintenance_rate=D("0.045"))
    reducing = run(resting, WAKE)
    assert reducing.phase == "REDUCING"
    assert codes(reducing, limit(SELL, "1", reduce_only=True))[0] == Code.ACCOUNT_LIQUIDATING


HUGE = ["1e60", "9e999999", "1e-60", "NaN", "Infinity", "-1e60", "123456789012345678901.5"]


@pytest.mark.parametrize("text", HUGE)
@pytest.mark.parametrize(
    "field", ["quantity", "price", "trigger_price", "activation_price", "callback_rate", "leverage"]
)
def test_numbers_that_arithmetic_cannot_hold_are_refused_and_crash_nobody(text, field):
    state, value = account("10000", [position(quantity="1")]), D(text)
    if field in {"quantity", "price", "leverage"}:
        assert codes(state, replace(limit(SELL, "1"), **{field: value}))
    waiting = PlaceConditional(
        kind="STOP_MARKET", symbol=ETH, side=SELL, quantity=D(1), trigger_price=D(1900)
    )
    if field == "price":
        return
    if field in {"activation_price", "callback_rate"}:
        waiting = replace(waiting, kind="TRAILING_STOP_MARKET", trigger_price=None, callback_rate=D("0.01"))
    assert codes(state, replace(waiting, **{field: value}))


@given(
    st.integers(-50, 50),
    st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 40), st.booleans()), max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 10)), max_size=20),
)
def test_however_orders_fill_reduce_only_ones_open_nothing(held, orders, fills):
    state = account("100000", [position(quantity=D(held) / 10)] if held else [])
    for side, size, reduce_only in orders:
        state = run(state, limit(side, D(size) / 10, "2000", reduce_only=reduce_only))
    for trade_id, (which, tenth) in enumerate(fills):
        if not state.orders:
            break
        order = state.orders[which % len(state.orders)]
        part = min(order.remaining, D(tenth) / 10)
        if part:
            before = state.position(ETH)
            state = run(state, fill_of(order, quantity=part, trade_id=trade_id))
            if order.intent.reduce_only:
                assert before is not None
                assert before.is_long == (order.side is SELL)
                assert part <= abs(before.quantity)
        if order.remaining == part:
            state = run(state, OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity))


def test_only_what_may_open_is_a_commitment():
    held = account("10000", [position(quantity="1")])
    assert order_exposures(run(held, limit(SELL, "1"))) == []
    assert order_exposures(run(held, limit(SELL, "1", reduce_only=True))) == []
    [found] = order_exposures(run(held, limit(SELL, "1.5", "2000")))
    assert (found.quantity, found.notional, found.margin) == (D("0.5"), D(1000), D(100))
    stop = PlaceConditional(
        kind="STOP_MARKET", symbol=ETH, side=BUY, quantity=D(1), trigger_price=D(2100), leverage=D(10)
    )
    [waiting] = order_exposures(run(held, stop))
    assert (waiting.notional, waiting.margin) == (D(2100), D(210))
    closing = replace(stop, side=SELL, trigger_price=D(1900))
    assert order_exposures(run(held, closing)) == []


def test_a_reduce_only_order_that_fits_is_left_alone():
    state = run(account("1000", [position(quantity="0.1")]), limit(SELL, "0.1", reduce_only=True))
    assert decide(state, WAKE, market()).facts == ()


def test_what_has_filled_is_not_cancelled_and_what_was_asked_for_is_not_again():
    state = run(account("10000"), limit(BUY, "1", "1990"))
    [order] = state.orders
    assert [f.client_order_id for f in order_cancels(state, state.orders, "t")] == [order.client_order_id]
    part = run(state, fill_of(order, quantity="0.9", price="1990"))
    assert len(order_cancels(part, part.orders, "t")) == 1
    filled = run(part, fill_of(order, quantity="0.1", price="1990", trade_id=2))
    assert filled.orders[0].remaining == 0
    assert order_cancels(filled, filled.orders, "t") == []
    assert order_cancels(state, [replace(order, cancel_requested=True)], "t") == []
