"""Margin against seed 000's formulas, and liquidation prices against their own definition."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.subaccount import margin
from tests.factories import BTC, ETH, account, position


def test_seed_000_profit_of_a_long_and_a_short():
    assert position(BTC, "0.001", "65000").unrealized(D(66000)) == D("1.000")
    assert position(BTC, "-0.001", "65000").unrealized(D(66000)) == D("-1.000")


def test_seed_000_ratio_is_one_without_equity_and_zero_without_positions():
    assert margin.margin_ratio(D(5), D(0)) == D(1)
    assert margin.margin_ratio(D(5), D(-1)) == D(1)
    assert margin.margin_ratio(D(5), D(10)) == D("0.5")
    assert margin.margin_ratio(D(0), D(-1)) == D(0)


def test_seed_000_available_is_balance_plus_profit_minus_margin_used():
    state = account("1000", [position(quantity="1", entry="2000", leverage="10")])
    view = margin.view(state, {ETH: D(2100)})
    assert (view.equity, view.margin_used, view.available) == (D(1100), D(200), D(900))
    assert view.maintenance == D(10)


def test_a_missing_mark_is_an_error_and_never_the_entry_price():
    with pytest.raises(KeyError):
        margin.view(account(positions=[position()]), {})


@given(
    st.decimals("-20", "20", places=3),
    st.decimals("-2", "2", places=3),
    st.integers(100, 10_000),
    st.integers(-5, 5),
)
def test_at_the_liquidation_price_the_ratio_is_the_threshold(eth, btc, balance, move):
    assume(eth != 0 and btc != 0)
    state = account(str(balance), [position(ETH, eth, "2000"), position(BTC, btc, "60000", number=2)])
    marks = {ETH: D(2000), BTC: D(60000) * (100 + move) / 100}
    price = margin.liquidation_price(state, state.positions[0], marks)
    assume(price > 0)
    view = margin.view(state, {**marks, ETH: price})
    assert abs(view.ratio - state.limits.liquidation_threshold) < D("1e-30")


@given(st.permutations([position(ETH, "3", "2000"), position(BTC, "-0.2", "60000", number=2)]))
def test_the_order_of_positions_does_not_matter(positions):
    view = margin.view(account(positions=positions), {ETH: D(1990), BTC: D(61000)})
    assert view == margin.view(account(positions=positions[::-1]), {ETH: D(1990), BTC: D(61000)})
