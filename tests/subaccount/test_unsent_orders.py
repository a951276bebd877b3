"""What waited for the exchange's limits is decided anew at the present price, and counts against nobody."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import OrderStatus, OrderType, Phase, Purpose
from actors.core.facts import OrderIntended, PositionTakenOver
from actors.core.messages import CancelOrder, OrderClosed, PlaceOrder
from actors.subaccount.decide import decide
from tests.factories import BUY, ETH, SELL, WIDE, account, market, position, run
from tests.subaccount.conditional_cases import STOP, WAKE, at, conditional, holding

BUY_ONE = PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), cause="api:7", strategy="s", leverage=D(5))


def waited(order, *, again=True):
    reason = "it waited 2.0 s for its turn to be sent"
    return OrderClosed(
        order.client_order_id, OrderStatus.NEVER_SENT, D(0), 0, reason, order.intent.cause, waited=True, again=again
    )  # fmt: skip


def in_danger():
    """Long 1 at 2000 with 102: at 1900 equity is 2, so everything must go."""
    return account("102", [position(quantity="1")], maintenance_rate=D("0.0405"))


def intents(decision):
    return [f for f in decision.facts if isinstance(f, OrderIntended)]


def test_a_liquidation_that_waited_is_decided_at_the_present_price_and_is_no_refusal():
    state = run(in_danger(), WAKE, at("1900"))
    [order] = state.orders
    for _ in range(50):
        decision = decide(state, waited(order), at("1899"))
        [again] = intents(decision)
        assert (again.quantity, again.purpose) == (D(1), Purpose.LIQUIDATION)
        state = decision.state
        [order] = state.orders
        assert state.refusals == 0
    assert state.phase is Phase.LIQUIDATING


def test_a_step_is_let_go_when_the_price_came_back_meanwhile():
    # A ratio of 0.90 at 1978: the first tier closes 30 %.
    state = run(account("112", [position(quantity="1")], maintenance_rate=D("0.0405")), WAKE, at("1978"))
    [order] = state.orders
    assert order.purpose is Purpose.ADL
    decision = decide(state, waited(order), at("2050"))
    assert intents(decision) == []
    assert decision.state.phase in {Phase.HEALTHY, Phase.WARNING}


def test_an_owners_market_order_is_placed_once_more_with_the_same_wish():
    state = run(account(), BUY_ONE)
    decision = decide(state, waited(state.orders[0]), at("2010"))
    [again] = intents(decision)
    first = state.orders[0].intent
    assert (again.side, again.quantity, again.cause, again.strategy, again.leverage) == (
        first.side, first.quantity, "api:7", "s", first.leverage,
    )  # fmt: skip
    assert again.client_order_id != first.client_order_id
    assert again.margin_reserved > first.margin_reserved
    assert len(decision.state.orders) == 1


def test_a_close_that_became_too_small_for_the_exchange_meanwhile_goes_to_the_house():
    """0.011 at 2000 is worth 22, at 1800 it is worth 19.8, of the 20 that an order takes at least."""
    close = PlaceOrder(symbol=ETH, side=SELL, quantity=D("0.011"), reduce_only=True)
    state = run(account("1000", [position(quantity="0.011")]), close)
    decision = decide(state, waited(state.orders[0]), at("1800"))
    assert intents(decision) == []
    assert [f.price for f in decision.facts if isinstance(f, PositionTakenOver)] == [D(1800)]
    assert (decision.state.positions, decision.state.orders) == ((), ())


def test_what_the_checks_refuse_now_ends_with_their_word():
    state = run(account("1000"), BUY_ONE)
    decision = decide(state, waited(state.orders[0]), market({ETH: "2000"}, reduce_only=True))
    assert intents(decision) == []
    [ended] = decision.facts
    assert ended.status is OrderStatus.NEVER_SENT
    assert ended.reason.startswith("it waited 2.0 s")
    assert "and refused then: " in ended.reason
    assert decision.state.orders == ()


def test_what_its_owner_cancelled_meanwhile_is_not_placed_again():
    state = run(account(), BUY_ONE)
    state = run(state, CancelOrder(client_order_id=state.orders[0].client_order_id))
    assert intents(decide(state, waited(state.orders[0]), market())) == []


def test_what_is_too_old_just_ends():
    state = run(account(), BUY_ONE)
    decision = decide(state, waited(state.orders[0], again=False), market())
    assert [f.status for f in decision.facts] == [OrderStatus.NEVER_SENT]


def test_a_stop_that_waited_goes_again_at_once_and_uses_up_no_try():
    state = run(holding("1"), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    state = run(state, WAKE, at("1890"))
    [order] = state.orders
    for _ in range(50):
        decision = decide(state, waited(order), at("1880"))
        [again] = intents(decision)
        assert (again.quantity, again.reduce_only, again.tier) == (D(1), True, order.intent.tier)
        state = decision.state
        [order] = state.orders


def test_a_stop_whose_position_is_gone_does_not_go_again():
    state = run(holding("1"), conditional(STOP, SELL, "1", "1900", reduce_only=True))
    state = run(state, WAKE, at("1890"))
    [order] = state.orders
    gone = replace(state, positions=())
    assert intents(decide(gone, waited(order), at("1880"))) == []


def test_an_order_that_was_never_sent_is_none_of_the_orders_of_a_minute():
    limits = replace(WIDE, max_orders_per_minute=1)
    state = run(account(limits=limits), BUY_ONE)
    for _ in range(5):
        decision = decide(state, waited(state.orders[0]), market())
        assert len(intents(decision)) == 1
        state = decision.state
    assert len(state.risk.recent) == 1
    ended = run(state, waited(state.orders[0], again=False))
    assert ended.risk.recent == ()


@given(st.lists(st.sampled_from(["1850", "1890", "1905", "1950", "2000", "2100"]), min_size=1, max_size=20))
def test_an_account_whose_steps_only_wait_never_gets_stuck_and_never_has_two(prices):
    state = in_danger()
    for price in prices:
        order = next(iter(state.orders), None)
        state = run(state, WAKE if order is None else waited(order), at(price))
        assert len(state.orders) <= 1
        assert state.refusals == 0
        assert state.phase is not Phase.STUCK
    assert all(o.order_type is OrderType.MARKET for o in state.orders)
