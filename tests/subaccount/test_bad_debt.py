"""Loss beyond the balance is bad debt wherever the last position went, with an alarm, and ends the account."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from actors.core.enums import AccountStatus, ConditionalKind, OrderStatus, OrderType, Phase, Purpose
from actors.core.facts import BadDebtRecorded, CancelIntended, OrderIntended
from actors.core.messages import AdjustBalance, OrderClosed, PlaceConditional, PlaceOrder, Wake
from actors.subaccount.alerts import alerts_of
from actors.subaccount.decide import decide
from actors.subaccount.state import books_balance
from tests.factories import BUY, ETH, SELL, account, fill_of, market, position, run

WAKE = Wake(ETH, "test")


def ended(order, quantity=None):
    return OrderClosed(
        order.client_order_id, OrderStatus.FILLED, order.quantity if quantity is None else quantity
    )


def bad_debt(decision):
    return [f.amount for f in decision.facts if isinstance(f, BadDebtRecorded)]


def is_done(state, debt):
    assert (state.balance, state.bad_debt) == (D(0), D(debt))
    assert (state.status, state.phase) == (AccountStatus.LIQUIDATED, Phase.LIQUIDATED)
    assert (state.positions, state.orders, state.conditionals) == ((), (), ())
    assert books_balance(state)


def test_a_tier_step_that_slips_beyond_the_balance():
    """The first tier takes the whole of a small position, and the fill is far below the mark."""
    state = account("0.24", [position(quantity="0.011", entry="2000")], maintenance_rate=D("0.0099"))
    state = run(state, WAKE)
    [order] = state.orders
    assert (order.purpose, order.quantity) == (Purpose.ADL, D("0.011"))
    slipped = run(state, fill_of(order, price="1846.36363636"))
    decision = decide(slipped, ended(order), market())
    assert bad_debt(decision) == [D("1.45000000004")]
    is_done(decision.state, "1.45000000004")
    assert any("bad debt of 1.45" in text for text in alerts_of(state.account_id, decision.facts))


@pytest.mark.parametrize("reduce_only", [True, False])
def test_the_owner_s_own_close_that_gaps(reduce_only):
    state = run(
        account("100", [position(quantity="1")]),
        PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), reduce_only=reduce_only),
    )
    [order] = state.orders
    gapped = run(state, fill_of(order, price="1850"))
    decision = decide(gapped, ended(order), market({ETH: "1850"}))
    assert bad_debt(decision) == [D(50)]
    is_done(decision.state, 50)


def test_a_stop_that_gaps():
    stop = PlaceConditional(
        kind=ConditionalKind.STOP_MARKET, symbol=ETH, side=SELL, quantity=D(1), trigger_price=D(1950), reduce_only=True
    )  # fmt: skip
    state = run(run(account("100", [position(quantity="1")]), stop), WAKE, market({ETH: "1945"}))
    [order] = state.orders
    gapped = run(state, fill_of(order, price="1870"), market({ETH: "1870"}))
    is_done(run(gapped, ended(order), market({ETH: "1870"})), 30)


def test_what_rests_is_cancelled_before_the_account_ends():
    limit = PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.02"), order_type=OrderType.LIMIT, price=D(1950))
    state = run(account("100", [position(quantity="1", leverage="50")]), limit)
    resting = state.orders[0]
    state = run(state, PlaceOrder(symbol=ETH, side=SELL, quantity=D(1), reduce_only=True))
    close = state.orders[1]
    fill = decide(state, fill_of(close, price="1850"), market({ETH: "1850"}))
    assert [f.client_order_id for f in fill.facts if isinstance(f, CancelIntended)] == [
        resting.client_order_id
    ]
    assert (fill.state.phase, bad_debt(fill)) == (Phase.LIQUIDATING, [])
    refused = decide(fill.state, PlaceOrder(symbol=ETH, side=BUY, quantity=D("0.02")), market({ETH: "1850"}))
    assert not [f for f in refused.facts if isinstance(f, OrderIntended)]
    state = run(fill.state, ended(close), market({ETH: "1850"}))
    assert state.status is AccountStatus.ACTIVE
    gone = OrderClosed(resting.client_order_id, OrderStatus.CANCELED, D(0))
    is_done(run(state, gone, market({ETH: "1850"})), 50)


@pytest.mark.parametrize("deposit", [50, 60])
def test_money_that_comes_before_the_last_order_is_gone_saves_the_account(deposit):
    state = run(account("100", [position(quantity="1")]), PlaceOrder(symbol=ETH, side=SELL, quantity=D(1)))
    state = run(state, fill_of(state.orders[0], price="1850"), market({ETH: "1850"}))
    order = state.orders[0]
    assert (state.balance, state.phase) == (D(-50), Phase.LIQUIDATING)
    state = run(state, AdjustBalance(D(deposit), "deposit"), market({ETH: "1850"}))
    state = run(state, ended(order), market({ETH: "1850"}))
    assert (state.balance, state.bad_debt) == (D(deposit - 50), D(0))
    assert (state.status, state.phase) == (AccountStatus.ACTIVE, Phase.HEALTHY)


def test_an_account_that_has_exactly_nothing_left_has_no_bad_debt_and_lives():
    state = run(account("100", [position(quantity="1")]), PlaceOrder(symbol=ETH, side=SELL, quantity=D(1)))
    [order] = state.orders
    state = run(run(state, fill_of(order, price="1900")), ended(order))
    assert (state.balance, state.bad_debt, state.status) == (D(0), D(0), AccountStatus.ACTIVE)
