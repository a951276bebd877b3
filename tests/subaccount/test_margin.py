"""Margin against seed 000's formulas, and liquidation prices against their own definition."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.instruments import Bracket
from actors.core.units import Nanos
from actors.limits.model import MaintenanceBasis
from actors.subaccount import margin
from actors.subaccount.situation import Situation
from tests.factories import BTC, ETH, INSTRUMENTS, WIDE, account, market, position, tick


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


# The first brackets of BTCUSDT as the exchange publishes them: cap, rate, cumulative amount.
CAPS = [D(0), D(300_000), D(800_000), D(3_000_000)]
RATES, SUMS = [D("0.004"), D("0.005"), D("0.0065")], [D(0), D(300), D(1500)]
BRACKETS = tuple(
    Bracket(notional_floor=CAPS[n], notional_cap=CAPS[n + 1], rate=RATES[n], cumulative=SUMS[n])
    for n in range(3)
)
BRACKETED = {**INSTRUMENTS, BTC: replace(INSTRUMENTS[BTC], brackets=BRACKETS)}
ON_BRACKETS = replace(WIDE, maintenance_basis=MaintenanceBasis.BRACKETS)
AT_MARK = replace(WIDE, maintenance_basis=MaintenanceBasis.MARK)


@pytest.mark.parametrize(
    ("notional", "needed"),
    [
        ("299999", "1199.996"),
        # 300,000 x 0.4 % = 1,200 and 300,000 x 0.5 % - 300 = 1,200: no jump, and the higher bracket.
        ("300000", "1200"),
        ("400000", "1700"),
        ("800000", "3700"),
        ("1000000", "5000"),
        ("5000000", "31000"),
    ],
)
def test_brackets_with_their_cumulative_amounts(notional, needed):
    mark = D(50_000)
    for sign in (1, -1):
        held = position(BTC, sign * D(notional) / mark, "60000")
        state = account("1000000", [held], ON_BRACKETS)
        assert margin.maintenance(state, held, mark, BRACKETED) == D(needed)
        assert margin.view(state, {BTC: mark}, BRACKETED).maintenance == D(needed)


def test_the_bracket_at_its_edge_is_the_higher_one():
    assert margin.bracket_of(BRACKETS, D("299999.99")) is BRACKETS[0]
    assert margin.bracket_of(BRACKETS, D(300_000)) is BRACKETS[1]
    assert margin.bracket_of(BRACKETS, D(10**9)) is BRACKETS[2]


def test_three_bases_of_one_position():
    held = position(BTC, "10", "60000")
    marks = {BTC: D(50_000)}
    for limits, needed in ((WIDE, "3000"), (AT_MARK, "2500"), (ON_BRACKETS, "2200")):
        state = account("100000", [held], limits)
        assert margin.view(state, marks, BRACKETED).maintenance == D(needed)
    # Nobody told us the brackets: the account's own rate at the mark.
    assert margin.view(account("100000", [held], ON_BRACKETS), marks).maintenance == D(2500)
    assert margin.view(account("100000", [held], ON_BRACKETS), marks, INSTRUMENTS).maintenance == D(2500)


@given(
    st.sampled_from([WIDE, AT_MARK, ON_BRACKETS]),
    st.integers(-60_000, 60_000).filter(bool).map(lambda n: D(n) / 1000),
    st.integers(1_000, 2_000_000),
    st.booleans(),
)
def test_at_the_liquidation_price_of_each_basis_the_ratio_is_the_threshold(limits, quantity, balance, second):
    held = [position(BTC, quantity, "60000")]
    marks = {BTC: D(60_000), ETH: D(2_100)}
    if second:
        held.append(position(ETH, "-3", "2000", number=2))
    state = account(str(balance), held, limits)
    price = margin.liquidation_price(state, held[0], marks, BRACKETED)
    if price == 0:
        worst = margin.view(state, {**marks, BTC: D("1e-9")}, BRACKETED)
        assert quantity > 0
        assert worst.ratio < limits.first_tier or worst.equity <= 0
        return
    view = margin.view(state, {**marks, BTC: price}, BRACKETED)
    assert abs(view.maintenance - limits.first_tier * view.equity) < D("1e-20")


def test_liquidation_prices_in_the_first_the_last_and_beyond_all_brackets():
    def price(quantity, balance):
        state = account(str(balance), [position(BTC, quantity, "60000")], ON_BRACKETS)
        return margin.liquidation_price(state, state.positions[0], {BTC: D(60_000)}, BRACKETED)

    # 0.9 x (10,000 + (p - 60,000)) = 0.004 p
    assert price("1", 10_000) == D(45_000) / D("0.896")
    # 0.9 x (1,000,000 - 10 (p - 60,000)) = 0.0065 x 10 p - 1,500
    assert price("-10", 1_000_000) == (D(1_440_000) + 1_500) / D("9.065")
    assert price("-10", 5_000_000) == (D(5_040_000) + 1_500) / D("9.065")
    assert price("1", 100_000) == 0
    # Exactly at the edge of two brackets both say the same: 0.9 x (B - 5 x (60,000 - 60,000)) = 1,200.
    assert price("5", D(1200) / D("0.9")) == D(60_000)
    assert price("-5", D(1200) / D("0.9")) == D(60_000)


def test_the_account_s_liquidation_price_is_that_of_its_largest_position():
    held = [position(ETH, "1"), position(BTC, "-0.1", "60000", number=2)]
    state, marks = account("1000", held), {ETH: D(2000), BTC: D(60000)}
    assert margin.account_liquidation_price(state, marks) == (
        BTC, margin.liquidation_price(state, held[1], marks),
    )  # fmt: skip
    assert margin.account_liquidation_price(account(), {}) is None
    twins = [position(ETH, "3"), position(BTC, "-0.1", "60000", number=2)]
    assert margin.account_liquidation_price(account("1000", twins), marks)[0] == BTC


def test_the_static_price_looks_at_one_position_alone():
    held = position(ETH, "1")
    # floor = 2,000 x 0.005 / 0.9; entry - (balance - floor) / quantity.
    floor = D(10) / D("0.9")
    assert margin.static_liquidation_price(account("500", [held]), held) == round(2000 - (500 - floor), 12)
    short = position(ETH, "-1")
    assert margin.static_liquidation_price(account("500", [short]), short) == round(2000 + (500 - floor), 12)
    assert margin.static_liquidation_price(account("5000", [held]), held) == 0


def test_equity_is_told_at_fresh_marks_only():
    state = account("1000", [position(ETH, "2")])
    assert Situation(state, market({ETH: "2100"})).equity == D(1200)
    assert Situation(state, market({})).equity is None
    assert Situation(state, market(now_ns=WIDE.price_max_age_ns + 1)).equity is None
    assert Situation(account("1000"), market({})).equity == D(1000)


def test_a_price_that_was_old_when_it_came_is_not_fresh():
    state, limit = account("1000", [position(ETH, "2")]), WIDE.price_max_age_ns
    at = {ETH: tick(ETH, "2100", delay_ns=limit)}
    fresh = replace(market(), ticks=at, now_ns=Nanos(0))
    late = replace(market(), ticks=at, now_ns=Nanos(1))
    assert Situation(state, fresh).equity == D(1200)
    assert fresh.fresh(ETH, limit) is not None
    assert Situation(state, late).equity is None
    assert late.fresh(ETH, limit) is None
