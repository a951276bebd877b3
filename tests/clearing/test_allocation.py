"""Rounds: who gets what of a block's trades."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.clearing.allocation import allocate, shared_money, shares
from actors.core.enums import Side
from actors.core.errors import StateCorrupt
from actors.core.trades import Trade
from actors.core.units import Symbol

STEP = D("0.001")
UNIT = D("1e-12")


def trade(number=1, quantity="1", price="2000", fee="0.1", **more):
    return Trade(
        exchange_order_id=7,
        trade_id=number,
        symbol=Symbol("ETHUSDT"),
        side=Side.SELL,
        quantity=D(quantity),
        price=D(price),
        fee=None if fee is None else D(fee),
        maker=False,
        trade_ms=5,
        **more,
    )


@st.composite
def rounds(draw):
    """What members lack, in lots, and trades of no more than that."""
    lots = draw(st.lists(st.integers(0, 50_000), min_size=1, max_size=40).filter(any))
    lacks = {f"order-{n}": lot * STEP for n, lot in enumerate(lots)}
    left, trades = sum(lots), []
    for number in range(draw(st.integers(1, 6))):
        if left:
            traded = draw(st.integers(1, left))
            left -= traded
            price = D(draw(st.integers(1, 10**9))) / 10**4
            fee = D(draw(st.integers(-(10**9), 10**12))) / 10**8
            trades.append(trade(number, traded * STEP, price, fee))
    return lacks, trades


@given(rounds(), st.randoms())
def test_a_round_gives_exactly_what_traded_in_proportion_and_nobody_too_much(one, random):
    lacks, trades = one
    parts = allocate(lacks, trades, STEP)
    traded, lacked = sum(t.quantity for t in trades), sum(lacks.values())
    value = sum(t.value for t in trades)
    assert sum(p.quantity for p in parts) == traded
    assert sum(p.value for p in parts) == value
    assert sum(p.fee for p in parts) == sum(t.fee for t in trades)
    got = {p.client_order_id: p.quantity for p in parts}
    assert len(got) == len(parts)
    for id_, lack in lacks.items():
        quantity = got.get(id_, D(0))
        assert 0 <= quantity <= lack
        assert quantity % STEP == 0
        assert abs(quantity - lack * traded / lacked) < STEP
    for part in parts:
        assert part.quantity > 0
        assert part.value >= 0
        assert abs(part.value - part.quantity * value / traded) <= UNIT
    shuffled = list(lacks.items())
    random.shuffle(shuffled)
    assert set(allocate(dict(shuffled), trades, STEP)) == set(parts)


@given(
    st.integers(0, 10**30),
    st.lists(st.integers(0, 10**12), min_size=1, max_size=30).filter(any),
)
def test_shares_are_whole_exact_and_within_one_unit(total, weights):
    names = [f"{n:03}" for n in range(len(weights))]
    given_ = shares(total, weights, names)
    assert sum(given_) == total
    for share, weight in zip(given_, weights, strict=True):
        assert abs(share * sum(weights) - total * weight) < sum(weights)


def test_of_equal_remainders_the_smaller_id_comes_first():
    assert shares(2, [1, 1, 1], ["c", "a", "b"]) == [0, 1, 1]
    assert shares(0, [0, 0], ["a", "b"]) == [0, 0]


def test_the_largest_remainder_comes_first():
    """Of 10 lots over 1, 3 and 6 of them 1.5, 4.5 and 9.0 would be due of 15."""
    assert shares(15, [1, 3, 6], ["a", "b", "c"]) == [2, 4, 9]
    assert shares(10, [1, 1, 5], ["a", "b", "c"]) == [2, 1, 7]


def test_money_is_exact_to_digits_beyond_the_unit():
    total = D("-0.0000000000000007")
    parts = shared_money(total, [1, 2], ["a", "b"])
    assert sum(parts) == total
    assert all(part <= 0 for part in parts)
    assert shared_money(D("1E+3"), [1, 1], ["a", "b"]) == [D(500), D(500)]


def test_who_gets_nothing_is_left_out():
    parts = allocate({"a": D("0.001"), "b": D(5)}, [trade(quantity="0.002")], STEP)
    assert [(p.client_order_id, p.quantity) for p in parts] == [("b", D("0.002"))]


def test_without_one_fee_nobody_gets_a_fee():
    parts = allocate({"a": D(1), "b": D(2)}, [trade(1, fee="1"), trade(2, fee=None)], STEP)
    assert {p.fee for p in parts} == {D(0)}


def test_a_quantity_off_the_step_is_given_in_its_last_digit():
    parts = allocate({"a": D("0.0015"), "b": D("0.0015")}, [trade(quantity="0.0011")], STEP)
    assert sorted(p.quantity for p in parts) == [D("0.0005"), D("0.0006")]


@pytest.mark.parametrize("quantity", ["1.001", "0"])
def test_more_than_is_lacked_and_nothing_at_all_are_refused(quantity):
    with pytest.raises(StateCorrupt):
        allocate({"a": D("0.5"), "b": D("0.5")}, [trade(quantity=quantity)], STEP)


def test_all_of_it_goes_to_all():
    lacks = {"a": D("0.4"), "b": D("0.6")}
    parts = allocate(lacks, [trade(1, "0.3"), trade(2, "0.7")], STEP)
    assert {p.client_order_id: p.quantity for p in parts} == lacks
