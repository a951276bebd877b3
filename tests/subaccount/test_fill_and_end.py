"""A fill that carries the end of its order: what two messages would do, in one decision.

Covers: actors/core/messages.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import OrderStatus, Phase
from actors.core.errors import StateCorrupt
from actors.core.facts import FillApplied, OrderEnded, OrderIntended
from actors.core.messages import OrderAccepted, OrderClosed, PlaceOrder, Wake, with_ends
from actors.core.replay_codec import decode as decode_message
from actors.core.replay_codec import encode as encode_message
from actors.subaccount.decide import decide
from tests.factories import BTC, BUY, ETH, SELL, WIDE, account, fill_of, market, position

WAKE = Wake(ETH, "t")


def stepped(state, mid):
    """The account after a tick that makes it act, and its step."""
    decision = decide(state, WAKE, market({ETH: mid}))
    steps = [f for f in decision.facts if isinstance(f, OrderIntended)]
    return decision.state, steps


def told(order, quantity, status=OrderStatus.FILLED, executed=None, **more):
    """Its fill, and its end."""
    fill = fill_of(order, quantity, **more)
    got = fill.trade.quantity if executed is None else D(executed)
    return fill, OrderClosed(order.client_order_id, status, got)


def timeless(state):
    """What is compared: one decision instead of two counts one less, and the marks of a moment may differ in nothing."""
    return replace(state, sequence=0)


@given(
    balance=st.integers(60, 1_200),
    quantity=st.integers(1, 30),
    mid=st.integers(1_850, 2_030),
    after=st.integers(1_850, 2_030),
    price=st.integers(1_850, 2_030),
    share=st.sampled_from([D("0.3"), D(1)]),
    cooldown=st.none() | st.just(5),
)
def test_both_in_one_decision_are_the_same_as_one_after_the_other(
    balance, quantity, mid, after, price, share, cooldown
):
    limits = replace(WIDE, adl_cooldown_seconds=cooldown)
    state, steps = stepped(account(str(balance), [position(quantity=str(quantity))], limits), str(mid))
    for order in steps:
        part = max(D("0.001"), (order.quantity * share).quantize(D("0.001")))
        whole = part == order.quantity
        status = OrderStatus.FILLED if whole else OrderStatus.EXPIRED
        fill, end = told(order, part, status, price=str(price))
        now = market({ETH: str(after)})
        first = decide(state, fill, now)
        apart = decide(first.state, end, now)
        joined = decide(state, replace(fill, end=end), now)
        if not [f for f in first.facts if isinstance(f, OrderIntended)]:
            assert timeless(joined.state) == timeless(apart.state)
        kinds = [type(f) for f in joined.facts]
        assert kinds[0] is FillApplied
        assert kinds.count(OrderEnded) == 1
        assert joined.state.sequence == state.sequence + 1
        assert joined.state.order(order.client_order_id) is None
        state = joined.state


def test_the_next_step_follows_in_the_decision_of_the_end():
    state, [order] = stepped(account("90", [position(quantity="20")]), "1999")
    fill, end = told(order, order.quantity / 2, OrderStatus.EXPIRED, price="1999")
    joined = decide(state, replace(fill, end=end), market({ETH: "1999"}))
    assert [type(f) for f in joined.facts][:2] == [FillApplied, OrderEnded]
    assert [f for f in joined.facts if isinstance(f, OrderIntended)], "the rest is closed by a new step"
    assert joined.state.phase is Phase.LIQUIDATING


def test_an_end_whose_other_fills_are_lacking_is_asked_for_and_the_fill_is_booked():
    state, [order] = stepped(account("90", [position(quantity="20")]), "1999")
    fill, end = told(order, order.quantity / 2, executed=order.quantity, price="1999")
    joined = decide(state, replace(fill, end=end), market({ETH: "1999"}))
    assert joined.resync == (order.client_order_id,)
    assert joined.state.order(order.client_order_id).filled == order.quantity / 2


def test_an_end_with_less_than_was_filled_is_corrupt_and_changes_nothing():
    state, [order] = stepped(account("90", [position(quantity="20")]), "1999")
    fill, end = told(order, order.quantity, executed="0.001", price="1999")
    with pytest.raises(StateCorrupt, match="the exchange says"):
        decide(state, replace(fill, end=end), market({ETH: "1999"}))


def test_a_fill_that_is_known_still_brings_its_end_once():
    state, [order] = stepped(account("90", [position(quantity="20")]), "1999")
    fill, end = told(order, order.quantity, price="1999")
    now = market({ETH: "1999"})
    after = decide(state, fill, now).state
    both = replace(fill, end=end)
    ended = decide(after, both, now)
    assert ended.state.order(order.client_order_id) is None
    assert [type(f) for f in ended.facts].count(FillApplied) == 0
    assert decide(ended.state, both, now).duplicate


def test_an_order_of_the_owner_is_over_too():
    state = account("1000")
    placed = decide(state, PlaceOrder(symbol=ETH, side=BUY, quantity=D(1), leverage=D(10)), market())
    [order] = [f for f in placed.facts if isinstance(f, OrderIntended)]
    fill, end = told(order, "1")
    joined = decide(placed.state, replace(fill, end=end), market())
    assert (joined.state.orders, joined.state.positions[0].quantity) == ((), D(1))


# -- joining them on their way


def test_an_end_goes_with_the_last_fill_of_its_order_and_all_else_stays_in_order():
    state = account("100000", [position(quantity="4"), position(BTC, "1", "60000")])
    orders = []
    for symbol, side in ((ETH, SELL), (BTC, SELL)):
        message = PlaceOrder(symbol=symbol, side=side, quantity=D(1), leverage=D(10))
        decision = decide(state, message, market({ETH: "2000", BTC: "60000"}))
        state = decision.state
        orders += [f for f in decision.facts if isinstance(f, OrderIntended)]
    one, other = orders
    accepted = OrderAccepted(one.client_order_id, 7, "x")
    first, second = fill_of(one, "0.4", trade_id=1), fill_of(one, "0.6", trade_id=2)
    end_one = OrderClosed(one.client_order_id, OrderStatus.FILLED, D(1))
    end_other = OrderClosed(other.client_order_id, OrderStatus.REJECTED, D(0))
    told_before = [("a", accepted), ("a", first), ("b", end_other), ("a", second), ("a", end_one)]
    assert with_ends(told_before) == [
        ("a", accepted), ("a", first), ("b", end_other), ("a", replace(second, end=end_one)),
    ]  # fmt: skip
    again = OrderClosed(one.client_order_id, OrderStatus.FILLED, D(1), cause="again")
    assert with_ends([("a", second), ("a", end_one), ("a", again)])[-1] == ("a", again), "said twice"
    assert with_ends([]) == []


def test_a_dead_letter_keeps_the_end_and_an_old_one_has_none():
    _, [order] = stepped(account("90", [position(quantity="20")]), "1999")
    fill, end = told(order, "1")
    both = replace(fill, end=end)
    assert decode_message("Fill", encode_message(both)) == both
    assert decode_message("Fill", encode_message(fill)) == fill
    assert "end" not in encode_message(fill), "as earlier releases write it"
