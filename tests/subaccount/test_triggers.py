"""Triggers are never late: while none is crossed, no threshold is breached."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.messages import Phase, Wake
from actors.subaccount import margin
from actors.subaccount.decide import decide
from actors.subaccount.triggers import threshold, towards_market, triggers
from tests.factories import BTC, ETH, SOL, account, market, position

QUANTITY = st.decimals("-50", "50", places=3).filter(lambda q: q != 0)
MOVE = st.decimals("-30", "30", places=4)
START = {ETH: D(2000), BTC: D(60000), SOL: D(150)}


def crossed(found, mids):
    return any(mids[t.symbol] <= t.price if t.below else mids[t.symbol] >= t.price for t in found.prices)


@given(QUANTITY, QUANTITY, QUANTITY, st.integers(100, 100_000), st.tuples(MOVE, MOVE, MOVE))
def test_while_no_trigger_is_crossed_no_threshold_is_breached(eth, btc, sol, balance, moves):
    held = [
        position(ETH, eth, "2000"),
        position(BTC, btc / 40, "60000", number=2),
        position(SOL, sol * 10, "150", number=3),
    ]
    state = account(str(balance), held)
    found = triggers(state, START)
    marks = {s: START[s] * (100 + m) / 100 for s, m in zip(START, moves, strict=True)}
    mids = {s: (float(m) + float(m)) * 0.5 for s, m in marks.items()}
    if found.every_tick or crossed(found, mids):
        return
    view = margin.view(state, marks)
    assert view.equity > 0
    assert view.ratio < threshold(state)


@given(QUANTITY, st.integers(500, 100_000))
def test_with_one_symbol_the_trigger_is_the_threshold_itself(quantity, balance):
    state = account(str(balance), [position(ETH, quantity, "2000")], phase=Phase.WARNING)
    found = triggers(state, {ETH: D(2000)})
    assume(found.prices)
    exact = margin.liquidation_price(state, state.positions[0], {ETH: D(2000)})
    assert abs(D(found.prices[0].price) - exact) <= exact * D("1e-13")


@given(st.decimals("0.0001", "1000000", places=6), st.decimals("0", "10", places=6), st.booleans())
def test_a_float_mid_at_the_exact_trigger_always_crosses(bid, spread, below):
    ask = bid + spread
    exact = (bid + ask) / 2
    mid_float = (float(bid) + float(ask)) * 0.5
    price = towards_market(exact, below=below)
    assert mid_float <= price if below else mid_float >= price


def test_no_price_or_a_breach_means_every_tick():
    state = account("1000", [position()])
    assert triggers(state, None).every_tick == (ETH,)
    breached = account("10", [position(quantity="10")])
    assert triggers(breached, {ETH: D(2000)}).every_tick == (ETH,)


def test_an_account_without_positions_needs_no_wake():
    assert triggers(account(), {}) == triggers(account(), None)
    assert triggers(account(), None).every_tick == ()


def test_while_a_step_works_prices_decide_nothing():
    sick = account("105", [position(quantity="10", entry="2000")])
    stepped = decide(sick, Wake(ETH, "t"), market()).state
    assert stepped.orders
    assert triggers(stepped, {ETH: D(2000)}) == triggers(account(), None)
    # and without the step it must look at every tick, for it is beyond its threshold
    assert triggers(replace(stepped, orders=()), {ETH: D(2000)}).every_tick == (ETH,)
