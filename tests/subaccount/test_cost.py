"""What a position cost is kept exactly: over any round trip what was realized is what was sold less what was bought."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from actors.core.enums import Purpose
from actors.core.facts import FillApplied, OrderType
from actors.core.trades import Trade
from actors.core.units import ENTRY_QUANTUM
from actors.subaccount import margin
from actors.subaccount.position import filled, settle
from tests.factories import BUY, ETH, SELL, account, position

KINDS = [("1", "0.0000001", 3_000_000_000), ("0.001", "0.01", 5_000), ("0.00000001", "0.1", 10**10), ("1", "0.000000000001", 10**12), ("0.00000001", "0.0000001", 10**10)]  # fmt: skip
"""Step, tick and the most steps of a fill: a cheap coin in thousands of millions, ETH, whole coins in parts, dust, more than 12 decimals."""

FILLS = st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(1, 10**7)), min_size=1, max_size=25)


def trade_of(signed, price, number):
    return Trade(
        exchange_order_id=1, trade_id=number, symbol=ETH, side=BUY if signed > 0 else SELL, quantity=abs(signed),
        price=price, fee=D(0), maker=False, trade_ms=number,
    )  # fmt: skip


def booked(trade, found):
    return FillApplied(
        client_order_id="o", trade=trade, fee=D(0), purpose=Purpose.USER, tier=0, order_type=OrderType.MARKET,
        **to_builtins(found, builtin_types=[D]),
    )  # fmt: skip


class Run:
    """Fills of one symbol, and beside them the cash that they moved."""

    def __init__(self):
        self.held, self.quantity, self.cash, self.realized, self.number = None, D(0), D(0), D(0), 0

    def trade(self, signed, price):
        self.number += 1
        trade = trade_of(signed, price, self.number)
        found = settle(self.held, trade, D(0), D(20), (None, None))
        self.held = filled(self.held, booked(trade, found), f"p{self.number}", "")
        self.quantity, self.cash = self.quantity + signed, self.cash - signed * price
        self.realized += found.realized
        assert (self.held.quantity if self.held else D(0)) == self.quantity
        unrealized = self.held.unrealized(price) if self.held else D(0)
        # At any moment, and so at the end.
        assert self.realized + unrealized == self.cash + self.quantity * price


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), FILLS, st.integers(1, 10**7))
@example(KINDS[0], [(True, 0.7, 11), (True, 0.3333333, 13), (False, 0.1234567, 12)], 13)
def test_a_round_trip_realizes_what_was_sold_less_what_was_bought(kind, fills, last):
    step, tick, most = D(kind[0]), D(kind[1]), kind[2]
    run = Run()
    for is_buy, share, ticks in fills:
        quantity = step * max(1, int(most * share))
        run.trade(quantity if is_buy else -quantity, tick * ticks)
    if run.quantity:
        run.trade(-run.quantity, tick * last)
    assert run.held is None
    assert run.realized == run.cash


def test_a_cheap_coin_in_thousands_of_millions_loses_nothing():
    run = Run()
    run.trade(D(1_000_000_000), D("0.0000033"))
    run.trade(D(2_000_000_001), D("0.0000034"))
    # The average of 0.000003366666667 a unit, rounded to 1e-12 of it, would be off by 0.001 here.
    assert run.held.cost == D("10100.0000034")
    assert run.held.entry_price == D("0.000003366667")
    run.trade(D(-3_000_000_001), D("0.0000034"))
    assert run.realized == D("100.0000000")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_part_takes_its_share_of_the_cost_rounded_and_the_last_part_takes_the_rest(sign):
    run = Run()
    run.trade(sign * D(1), D(10))
    run.trade(sign * D(2), D("10.000000000001"))
    assert run.held.cost == D("30.000000000002")
    run.trade(-sign * D(1), D(11))
    assert run.held.cost == D("20.000000000001")
    assert run.realized == sign * D("0.999999999999")
    run.trade(-sign * D(2), D(11))
    assert run.realized == sign * D("2.999999999998")
    assert D("1e-12") == ENTRY_QUANTUM


def test_the_last_part_is_exact_also_when_the_cost_has_more_digits_than_a_share():
    run = Run()
    run.trade(D("0.00000003"), D("0.0000001"))
    assert run.held.cost == D("3E-15")
    run.trade(D("-0.00000003"), D("0.0000002"))
    assert run.realized == D("3E-15")


def test_equity_is_exact_where_the_average_is_not():
    run = Run()
    run.trade(D(1_000_000_000), D("0.0000033"))
    run.trade(D(2_000_000_001), D("0.0000034"))
    state = account("20000", [run.held])
    assert margin.view(state, {ETH: D("0.0000034")}).unrealized == D(100)
    assert margin.unrealized(state.positions, {ETH: D("0.0000034")}) == D(100)
    assert margin.view(state, {ETH: D("0.0000034")}).exposure == run.held.cost
    short = account("20000", [position(quantity="-3", entry="7")])
    assert margin.view(short, {ETH: D(5)}).unrealized == D(6)


@pytest.mark.parametrize("quantity", ["3", "-3"])
def test_at_the_liquidation_price_the_ratio_is_that_of_the_first_tier(quantity):
    state = account("500", [position(quantity=quantity, entry="2000")])
    for price in (
        margin.liquidation_price(state, state.positions[0], {}),
        margin.static_liquidation_price(state, state.positions[0]),
    ):
        ratio = margin.view(state, {ETH: price}).ratio
        assert abs(ratio - state.limits.first_tier) < D("1e-9")
