"""A stop is not lost: to another symbol's feed, to dust, to a refusal, to a quarantine, to its own twins."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from actors.core.constants import CONDITIONALS_MAX, REARM_MAX
from actors.core.enums import Alert, OrderStatus, OrderType
from actors.core.facts import CancelIntended, OrderIntended, PositionAlerted
from actors.core.messages import OrderClosed, PlaceOrder, TripBreaker
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide, withdraw
from actors.subaccount.rejections import RejectCode as Code
from actors.subaccount.situation import Situation
from tests.factories import BTC, BUY, ETH, SELL, WALL_MS, WIDE, account, fill_of, market, position, run
from tests.subaccount.conditional_cases import STOP, WAKE, at, codes, conditional, holding


def protected(**changes):
    """1 ETH with a stop at 1900 that only reduces, and 0.1 BTC."""
    held = [position(quantity="1"), position(BTC, "0.1", "60000", number=2)]
    at_start = market({ETH: "2000", BTC: "60000"})
    return run(
        account("10000", held, **changes), conditional(STOP, SELL, "1", "1900", reduce_only=True), at_start
    )


def test_a_stop_does_not_need_another_symbol_s_price():
    assert [
        f.quantity for f in decide(protected(), WAKE, at("1890")).facts if isinstance(f, OrderIntended)
    ] == [D(1)]
    order = PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), reduce_only=True)
    assert codes(protected(), order, at("1890")) == []
    assert codes(protected(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), at("1890")) == [Code.NO_PRICE]


def test_a_stop_whose_symbol_has_no_rules_waits_for_them_and_alerts_once():
    state, now = protected(), at("1890")
    blind = replace(now, instruments={BTC: now.instruments[BTC]})
    fired = decide(state, WAKE, blind)
    assert [(f.symbol, f.alert) for f in fired.facts if isinstance(f, PositionAlerted)] == [
        (ETH, Alert.NO_RULES)
    ]
    assert len(fired.state.conditionals) == 1
    assert decide(fired.state, WAKE, blind).facts == ()
    assert [f.quantity for f in decide(fired.state, WAKE, now).facts if isinstance(f, OrderIntended)] == [
        D(1)
    ]


def test_a_remainder_that_is_too_small_for_the_exchange_goes_to_the_house():
    state = run(holding("0.1"), conditional(STOP, SELL, "0.1", "1900", reduce_only=True))
    state = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.09")))
    state = run(state, fill_of(state.orders[0]))
    state = run(state, OrderClosed(state.orders[0].client_order_id, OrderStatus.FILLED, D("0.09")))
    fired = decide(state, WAKE, at("1890"))
    assert fired.state.positions == ()
    assert fired.state.conditionals == ()
    assert "PositionTakenOver" in {type(f).__name__ for f in fired.facts}


def test_a_stop_that_became_too_small_closes_what_the_exchange_takes():
    state = run(holding("1"), conditional(STOP, SELL, "0.011", "1900", reduce_only=True))
    [_, intent] = decide(state, WAKE, at("1800")).facts
    assert intent.quantity == D("0.012")


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.EXPIRED])
def test_a_stop_that_the_exchange_does_not_take_is_sent_again_a_bounded_number_of_times(status):
    state, sent, now_ms = protected(), 0, 0
    prices = {ETH: "1890", BTC: "60000"}
    for _ in range(2_500):
        now_ms += 100
        clock = {"wall_ms": WALL_MS + now_ms, "now_ns": now_ms * 10**6, "received_ns": now_ms * 10**6}
        state = run(state, WAKE, market(prices, **clock))
        if state.orders:
            sent += 1
            refused = OrderClosed(state.orders[0].client_order_id, status, D(0), -1, "no")
            decision = decide(state, refused, market(prices, **clock))
            assert len(decision.state.conditionals) == (sent <= REARM_MAX)
            if state.orders[0].intent.attempt == REARM_MAX:
                assert any("is given up" in text for text in alerts_of("acct-1", decision.facts))
            state = decision.state
    assert sent == REARM_MAX + 1
    assert state.positions


def test_the_rest_of_a_stop_that_filled_in_part_is_sent_again():
    state = run(protected(), WAKE, at("1890"))
    state = run(state, fill_of(state.orders[0], quantity="0.4", price="1890"), at("1890"))
    ended = OrderClosed(state.orders[0].client_order_id, OrderStatus.EXPIRED, D("0.4"))
    again = run(state, ended, at("1890"))
    assert [(c.placed.quantity, c.due) for c in again.conditionals] == [(D("0.6"), True)]


def test_a_quarantine_leaves_the_stops():
    state = protected()
    state = run(state, conditional(STOP, BUY, "0.1", "2100"), market({ETH: "2000", BTC: "60000"}))
    left = withdraw(Situation(state, market(), "quarantine")).state
    assert [c.placed.reduce_only for c in left.conditionals] == [True]


def test_the_breaker_leaves_what_closes_even_if_it_does_not_say_so():
    state = run(
        holding(), PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), order_type=OrderType.LIMIT, price=D(2050))
    )
    tripped = run(state, TripBreaker("x"))
    assert not tripped.orders[0].cancel_requested
    more = run(
        holding(),
        PlaceOrder(symbol=ETH, side=SELL, quantity=D("1.1"), order_type=OrderType.LIMIT, price=D(2050)),
    )
    assert run(more, TripBreaker("x")).orders[0].cancel_requested


def test_there_are_at_most_so_many():
    state = holding(balance="100000")
    for n in range(CONDITIONALS_MAX):
        state = run(state, conditional(STOP, SELL, "1", str(1900 - n), reduce_only=True))
    assert len(state.conditionals) == CONDITIONALS_MAX
    assert codes(state, conditional(STOP, SELL, "1", "1700", reduce_only=True)) == [
        Code.MAX_OPEN_ORDERS_EXCEEDED
    ]
    few = replace(state, conditionals=state.conditionals[:2], limits=replace(WIDE, max_open_orders=2))
    assert codes(few, conditional(STOP, SELL, "1", "1700", reduce_only=True)) == [
        Code.MAX_OPEN_ORDERS_EXCEEDED
    ]
    # All of them at once: one order, and the rest waits for what it leaves.
    fired = decide(state, WAKE, at("1800"))
    assert len([f for f in fired.facts if isinstance(f, OrderIntended)]) == 1
    done = run(fired.state, fill_of(fired.state.orders[0], price="1800"), at("1800"))
    assert done.conditionals == ()


def test_a_twin_waits_for_the_market_order_of_the_first():
    state = run(holding(), conditional(STOP, SELL, "0.6", "1900", reduce_only=True))
    state = run(state, conditional(STOP, SELL, "0.6", "1900", reduce_only=True))
    fired = decide(state, WAKE, at("1900"))
    assert not [f for f in fired.facts if isinstance(f, CancelIntended)]
    [first] = fired.state.orders
    filled = run(fired.state, fill_of(first, price="1900"), at("1900"))
    last = run(filled, OrderClosed(first.client_order_id, OrderStatus.FILLED, D("0.6")), at("1900"))
    assert [o.quantity for o in last.orders] == [D("0.4")]


def test_what_the_exchange_just_takes_is_sent_and_not_taken_over():
    state = run(holding("0.1"), conditional(STOP, SELL, "0.1", "1990", reduce_only=True))
    state = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.08")))
    state = run(state, fill_of(state.orders[0]))
    state = run(state, OrderClosed(state.orders[0].client_order_id, OrderStatus.FILLED, D("0.08")))
    # 0.02 at 1000 is the exchange's least, exactly.
    assert [o.quantity for o in run(state, WAKE, at("1000")).orders] == [D("0.02")]
    assert run(state, WAKE, at("999.99")).positions == ()


def test_a_second_try_waits_to_the_millisecond():
    state = run(protected(), WAKE, at("1890"))
    ended = OrderClosed(state.orders[0].client_order_id, OrderStatus.REJECTED, D(0), -1, "no")
    again = run(state, ended, at("1890"))
    [waiting] = again.conditionals
    assert waiting.placed.not_before_ms == WALL_MS + 200
    assert not run(again, WAKE, market({ETH: "1890"}, wall_ms=WALL_MS + 199)).orders
    assert run(again, WAKE, market({ETH: "1890"}, wall_ms=WALL_MS + 200)).orders


def test_one_that_filled_whole_is_not_sent_again_whatever_its_end_is_called():
    state = run(protected(), WAKE, at("1890"))
    order = state.orders[0]
    state = run(state, fill_of(order, quantity="0.5", price="1890"), at("1890"))
    # Somebody added in between, so there is a position left.
    state = replace(state, orders=(replace(state.orders[0], filled=D(1)),))
    ended = OrderClosed(order.client_order_id, OrderStatus.EXPIRED, D(1))
    assert run(state, ended, at("1890")).conditionals == ()


def test_one_that_somebody_cancelled_is_not_sent_again():
    state = run(protected(), WAKE, at("1890"))
    ended = OrderClosed(state.orders[0].client_order_id, OrderStatus.CANCELED, D(0))
    assert run(state, ended, at("1890")).conditionals == ()


def test_what_waits_to_close_and_does_not_say_so_is_left_by_breaker_and_quarantine():
    closing = run(holding(), conditional(STOP, SELL, "1", "1900"))
    assert run(closing, TripBreaker("x")).conditionals == closing.conditionals
    assert withdraw(Situation(closing, market(), "quarantine")).facts == ()
    for opening in (conditional(STOP, SELL, "1.001", "1900"), conditional(STOP, BUY, "1", "2100")):
        state = run(holding(balance="10000"), opening)
        assert len(state.conditionals) == 1
        assert run(state, TripBreaker("x")).conditionals == ()
    # What closed when it was placed may open by now.
    flat = replace(closing, positions=())
    assert run(flat, TripBreaker("x")).conditionals == ()
    turned = replace(closing, positions=(position(quantity="-1"),))
    assert run(turned, TripBreaker("x")).conditionals == ()
    less = replace(closing, positions=(position(quantity="0.999"),))
    assert run(less, TripBreaker("x")).conditionals == ()
