"""fold is exact, total and refuses what does not fit.

Covers: actors/subaccount/market.py, actors/core/orders.py
"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.enums import OrderStatus
from actors.core.errors import StateCorrupt
from actors.core.facts import BadDebtRecorded, OrderEnded, PositionTakenOver
from actors.core.messages import PlaceOrder
from actors.core.order_ids import FIXED, client_order_id
from actors.core.units import AccountId
from actors.subaccount.decide import decide
from actors.subaccount.fold import fold
from actors.subaccount.position import position_id
from actors.subaccount.state import books_balance
from tests.factories import BUY, ETH, SELL, account, fill_of, market, position, run

STEPS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 5_000),
        st.integers(190_000, 210_000),
        st.integers(0, 500),
        st.sampled_from([1, 3, 10, 50]),
    ),
    min_size=1,
    max_size=25,
)


def trade(state, side, quantity, price, fee, leverage, trade_id):
    """One market order that fills whole at ``price``."""
    order = PlaceOrder(symbol=ETH, side=side, quantity=quantity, leverage=leverage)
    placed = decide(state, order, market())
    if not placed.facts:
        return state, False
    fill = fill_of(placed.state.orders[-1], price=price, fee=fee, trade_id=trade_id)
    return decide(placed.state, fill, market({})).state, True


@given(STEPS)
def test_any_fills_keep_the_books_exact(steps):
    state = account("100000000")
    held, cash, fees = D(0), D(0), D(0)
    for number, (side, milli, cents, fee, leverage) in enumerate(steps, 1):
        quantity, price = D(milli) / 1000, D(cents) / 100
        state, done = trade(state, side, quantity, price, D(fee) / 1000, D(leverage), number)
        if done:
            held += side.sign * quantity
            cash -= side.sign * quantity * price
            fees += D(fee) / 1000
        assert books_balance(state)
        state = decide(state, closed(state), market({})).state if state.orders else state
    now = state.position(ETH)
    assert (now.quantity if now else D(0)) == held
    assert state.fees == fees
    cost = now.quantity * now.entry_price if now else D(0)
    # realized = cash that came back + what the open position cost; entries are rounded to 1e-12.
    assert abs(state.realized - (cash + cost)) <= D("1e-12") * 5_000 * len(steps)


def closed(state):
    from actors.core.messages import OrderClosed

    order = state.orders[-1]
    return OrderClosed(order.client_order_id, OrderStatus.FILLED, order.quantity)


def test_a_flip_closes_first_and_opens_with_the_rest_under_a_new_id():
    state = account(positions=[position(quantity="1", entry="2000")])
    after, done = trade(state, SELL, D("1.5"), "2100", "1", D(10), 7)
    assert done
    now = after.position(ETH)
    assert (now.quantity, now.entry_price, now.realized) == (D("-0.5"), D(2100), D(0))
    assert after.realized == D(100)
    assert after.balance == D(1099)
    assert now.position_id != state.positions[0].position_id
    assert now.margin == D(105)


def test_an_add_averages_the_entry_and_adds_margin_instead_of_freeing_it():
    state = account(positions=[position(quantity="1", entry="2000", leverage="10")])
    after, _ = trade(state, BUY, D(1), "3000", "0", D(50), 7)
    now = after.position(ETH)
    assert now.entry_price == D(2500)
    assert now.margin == D(200) + D(60)


def test_a_reduction_keeps_entry_and_scales_margin():
    state = account(positions=[position(quantity="-2", entry="2000", leverage="10")])
    after, _ = trade(state, BUY, D("0.5"), "1900", "0", D(10), 7)
    now = after.position(ETH)
    assert (now.quantity, now.entry_price, now.margin, now.realized) == (D("-1.5"), D(2000), D(300), D(50))


def test_facts_that_do_not_fit_are_refused_and_change_nothing():
    state = run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    placed = decide(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)), market())
    filled = decide(state, fill_of(state.orders[0], quantity="0.4"), market())
    booked = filled.facts[0]
    with pytest.raises(StateCorrupt, match="booked already"):
        fold(filled.state, booked)
    with pytest.raises(StateCorrupt, match="does not follow"):
        fold(state, placed.facts[0])
    with pytest.raises(StateCorrupt, match="not a working order"):
        fold(state, OrderEnded(client_order_id(FIXED, state.account_id, 99), OrderStatus.FILLED, 0, ""))
    with pytest.raises(StateCorrupt, match="no position"):
        fold(state, PositionTakenOver(symbol=ETH, quantity=D(1), price=D(1), realized=D(0)))
    assert state == run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))


def test_a_fill_larger_than_what_is_left_is_refused():
    state = run(account(), PlaceOrder(symbol=ETH, side=BUY, quantity=D(1)))
    with pytest.raises(StateCorrupt, match="does not fit"):
        decide(state, fill_of(state.orders[0], quantity="1.001"), market())


def test_bad_debt_is_in_the_books():
    state = fold(account("-5"), BadDebtRecorded(D(5)))
    assert state.balance == D(0)
    assert books_balance(state)


def test_ids_of_positions_differ():
    assert position_id(AccountId("a"), 1) != position_id(AccountId("a"), 2)
