"""Triggers are never late: while none is crossed, the account would decide nothing."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.core.enums import Breaker, ConditionalKind
from actors.core.instruments import Bracket
from actors.core.messages import CloseOut, OrderAccepted, PlaceConditional, Tick, Wake
from actors.core.order_ids import FIXED
from actors.core.trading_day import TradingDay
from actors.core.units import Nanos
from actors.limits.model import MaintenanceBasis, MarkSource
from actors.subaccount import margin
from actors.subaccount.decide import decide
from actors.subaccount.market import Market
from actors.subaccount.risk_state import RiskState
from actors.subaccount.triggers import NONE, threshold, towards_market
from actors.symbol_router.book import PriceBook
from tests.factories import (
    BTC,
    BUY,
    ETH,
    INSTRUMENTS,
    SELL,
    SOL,
    WALL_MS,
    WIDE,
    account,
    market,
    position,
    run,
    triggers,
)

QUANTITY = st.decimals("-50", "50", places=3).filter(lambda q: q != 0)
MOVE = st.decimals("-30", "30", places=4)
START = {ETH: D(2000), BTC: D(60000), SOL: D(150)}
CAPS = (D(0), D(50_000), D(250_000), D(10**12))
RATES, SUMS = (D("0.004"), D("0.02"), D("0.1")), (D(0), D(800), D(20_800))
BRACKETS = tuple(
    Bracket(notional_floor=CAPS[n], notional_cap=CAPS[n + 1], rate=RATES[n], cumulative=SUMS[n])
    for n in range(3)
)
BRACKETED = {s: replace(i, brackets=BRACKETS) for s, i in INSTRUMENTS.items()}
DAY = TradingDay(WALL_MS - 1_000, WALL_MS + 86_400_000)

OPTIONAL_SHARE = st.none() | st.decimals("0.01", "0.9", places=2)
LIMITS = st.builds(
    lambda **changes: replace(WIDE, **changes),
    max_daily_loss=st.none() | st.integers(1, 5_000).map(D),
    max_daily_loss_percent=OPTIONAL_SHARE,
    max_cumulative_loss=st.none() | st.integers(1, 5_000).map(D),
    breaker_loss_percent=OPTIONAL_SHARE,
    breaker_profit_percent=OPTIONAL_SHARE,
    excessive_loss_percent=OPTIONAL_SHARE,
    maintenance_basis=st.sampled_from(MaintenanceBasis),
    mark_source=st.sampled_from(MarkSource),
)


class Path:
    """A real price book that is fed ticks, and the market that an account sees in it."""

    def __init__(self):
        self.book, self.now, self.update = PriceBook(), 0, 0
        self.book.begin_day(DAY, seen=False)
        for symbol, mid in START.items():
            self.tick(symbol, mid, D("0.02"))

    def tick(self, symbol, mid, spread):
        self.update += 1
        bid, ask = mid - spread / 2, mid + spread / 2
        middle = (float(bid) + float(ask)) * 0.5
        assert self.book.apply(
            Tick(symbol, bid, D(10), ask, D(10), self.update, self.update, Nanos(self.now), middle)
        )

    def market(self):
        book = self.book
        return Market(
            book.ticks, BRACKETED, Nanos(self.now), WALL_MS, FIXED, False, book.day, book.day_ticks, book
        )

    def crossed(self, found):
        def now(trigger):
            tick = self.book.ticks[trigger.symbol]
            if not trigger.touch:
                return tick.mid_float
            return float(tick.bid if trigger.below else tick.ask)

        return any(now(t) <= t.price if t.below else now(t) >= t.price for t in found.prices)


@settings(max_examples=400, deadline=None)
@given(QUANTITY, QUANTITY, QUANTITY, st.integers(100, 100_000), LIMITS, st.data())
def test_while_no_trigger_is_crossed_the_account_decides_nothing(eth, btc, sol, balance, limits, data):
    path = Path()
    held = [
        position(ETH, eth, "2000"),
        position(BTC, btc / 40, "60000", number=2),
        position(SOL, sol * 10, "150", number=3),
    ]
    settled = decide(account(str(balance), held, limits), Wake(ETH, "t"), path.market()).state
    found = triggers(settled, path.market())
    if found.every_tick or settled.orders:
        return
    for symbol, mid in START.items():
        move = data.draw(MOVE)
        path.tick(symbol, mid * (100 + move) / 100, data.draw(st.sampled_from([D("0.02"), D("3.2")])))
    if not path.crossed(found):
        assert decide(settled, Wake(ETH, "t"), path.market()).facts == ()


STEP = st.decimals("-1.5", "1.5", places=3)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([BUY, SELL]),
    st.sampled_from(ConditionalKind),
    st.integers(10, 300),
    st.integers(5, 60),
    st.booleans(),
    st.lists(STEP, min_size=1, max_size=60),
)
def test_an_account_that_sleeps_until_its_triggers_fires_when_one_that_looks_at_every_tick_does(
    side, kind, distance, rate, activated, steps
):
    sign = 1 if (kind is ConditionalKind.TAKE_PROFIT_MARKET) == (side is SELL) else -1
    trails = kind is ConditionalKind.TRAILING_STOP_MARKET
    order = PlaceConditional(
        kind=kind, symbol=ETH, side=side, quantity=D("0.05"),
        trigger_price=None if trails else D(2000) + sign * distance,
        callback_rate=D(rate) / 1000 if trails else None,
        activation_price=D(2000) - sign * D(distance) / 10 if trails and activated else None,
    )  # fmt: skip
    path = Path()
    placed = decide(account("100000"), order, path.market()).state
    assert len(placed.conditionals) == 1
    path.book.checkpoint(ETH)
    sleeper, watcher = placed, placed
    found, mid = triggers(sleeper, path.market()), D(2000)
    looks = 0
    for step in steps:
        mid = mid * (100 + step) / 100
        path.tick(ETH, mid, D("0.02"))
        watcher = decide(watcher, Wake(ETH, "t"), path.market()).state
        if found.every_tick or path.crossed(found):
            looks += 1
            sleeper = decide(sleeper, Wake(ETH, "t"), path.market()).state
            found = triggers(sleeper, path.market())
        assert len(sleeper.orders) == len(watcher.orders)
        if watcher.orders:
            break
    assert looks <= len(steps)


def test_a_trailing_stop_is_not_woken_by_every_new_high():
    path = Path()
    order = PlaceConditional(
        kind=ConditionalKind.TRAILING_STOP_MARKET, symbol=ETH, side=SELL, quantity=D("0.05"), callback_rate=D("0.05")
    )  # fmt: skip
    state = decide(account("100000"), order, path.market()).state
    path.book.checkpoint(ETH)
    found, looks = triggers(state, path.market()), 0
    for n in range(1, 1001):
        path.tick(ETH, D(2000) + n, D("0.02"))
        if path.crossed(found):
            looks += 1
            state = decide(state, Wake(ETH, "t"), path.market()).state
            found = triggers(state, path.market())
    assert not state.orders
    # 2,000 to 3,000 in a thousand new highs; each look lets it rise by half the callback rate.
    assert 10 <= looks <= 20
    path.tick(ETH, D("2850.01"), D("0.02"))
    assert not decide(state, Wake(ETH, "t"), path.market()).state.orders
    path.tick(ETH, D(2850), D("0.02"))
    assert path.crossed(found)
    assert decide(state, Wake(ETH, "t"), path.market()).state.orders


@given(QUANTITY, st.integers(500, 100_000))
def test_with_one_symbol_the_trigger_is_the_threshold_itself(quantity, balance):
    state = account(str(balance), [position(ETH, quantity, "2000")])
    found = triggers(state, market())
    assume(found.prices)
    warned = replace(state, limits=replace(WIDE, liquidation_threshold=threshold(state)))
    exact = margin.liquidation_price(warned, state.positions[0], {ETH: D(2000)})
    assert abs(D(found.prices[0].price) - exact) <= exact * D("1e-13")


def test_loss_limits_and_the_profit_target_are_triggers():
    limits = replace(WIDE, max_daily_loss=D(50), breaker_profit_percent=D("0.2"))
    risk = RiskState(day_start_ms=DAY.start_ms, day_equity=D(1000))
    state = account("1000", [position(quantity="1")], limits, risk=risk)
    found = {t.below: t.price for t in triggers(state, market(day=DAY)).prices}
    assert abs(found[True] - 1950) < 1e-6
    assert abs(found[False] - 2200) < 1e-6
    tripped = replace(state, risk=replace(risk, breaker=Breaker.OPEN, day_stopped=True))
    assert [t.below for t in triggers(tripped, market(day=DAY)).prices] == [True]
    assert triggers(tripped, market(day=DAY)).prices[0].price < 1100


@given(st.decimals("0.0001", "1000000", places=6), st.decimals("0", "10", places=6), st.booleans())
def test_a_float_mid_at_the_exact_trigger_always_crosses(bid, spread, below):
    ask = bid + spread
    exact = (bid + ask) / 2
    mid_float = (float(bid) + float(ask)) * 0.5
    price = towards_market(exact, below=below)
    assert mid_float <= price if below else mid_float >= price


def test_no_price_a_breach_or_a_price_that_is_met_means_every_tick():
    state = account("1000", [position()])
    assert triggers(state, market({})).every_tick == (ETH,)
    breached = account("10", [position(quantity="10")])
    assert triggers(breached, market()).every_tick == (ETH,)
    # Exactly at the limit the monitor says nothing yet, and the router would wake for ever.
    losing = account("1000", [position()], replace(WIDE, excessive_loss_percent=D("0.1")))
    found = triggers(losing, market({ETH: "1800"}))
    assert found.every_tick == (ETH,)


def test_an_account_without_positions_needs_no_wake():
    assert triggers(account(), market({})) == NONE


def test_a_limit_that_needs_the_day_is_watched_until_the_day_has_begun():
    limits = replace(WIDE, max_daily_loss=D(50))
    state = account("1000", [position()], limits)
    assert triggers(state, market(day=DAY)).every_tick == (ETH,)
    begun = decide(state, Wake(ETH, "t"), market(day=DAY)).state
    assert begun.risk.day_start_ms == DAY.start_ms
    assert triggers(begun, market(day=DAY)).every_tick == ()


def test_while_a_step_is_under_way_prices_decide_nothing():
    sick = account("105", [position(quantity="10", entry="2000")])
    stepped = decide(sick, Wake(ETH, "t"), market()).state
    [order] = stepped.orders
    accepted = run(stepped, OrderAccepted(order.client_order_id, 7))
    assert triggers(accepted, market()) == NONE
    # So it is when its clearing said that it went out, or when it was asked back.
    assert triggers(stepped, market(past_replacing=frozenset([order.client_order_id]))) == NONE
    # and without the step it must look at every tick, for it is beyond its threshold
    assert triggers(replace(stepped, orders=()), market()).every_tick == (ETH,)


def at_tier(ratio, **changes):
    """Ten from 2,000 with 1,000, and a margin ratio of exactly ``ratio`` there; the step of that, which waits."""
    sick = account("1000", [position(quantity="10")], maintenance_rate=D(ratio) / 20, **changes)
    state = decide(sick, Wake(ETH, "t"), market()).state
    assert len(state.orders) == 1
    return state


def price_at(state, ratio):
    """The mid at which the account's margin ratio is ``ratio``: equity is 1,000 + 10 x (mid - 2,000)."""
    return 2000 + (state.maintenance_rate * 20_000 / D(ratio) - 1000) / 10


@pytest.mark.parametrize(
    ("ratio", "worse", "better"),
    [("0.90", "0.925", "0.88"), ("0.925", "0.95", "0.905"), ("0.95", None, "0.93"), ("1.2", None, "0.93")],
)
def test_a_step_that_waits_has_triggers_at_the_next_tier_and_on_the_way_back(ratio, worse, better):
    state = at_tier(ratio)
    found = {t.below: t.price for t in triggers(state, market()).prices}
    expected = {False: float(price_at(state, better))}
    if worse is not None:
        expected[True] = float(price_at(state, worse))
    assert found == {below: pytest.approx(price, rel=1e-12) for below, price in expected.items()}
    assert triggers(state, market()).every_tick == ()


def test_a_close_out_that_waits_is_woken_when_the_account_is_bankrupt_and_never_lets_go():
    state = run(account("1000", [position(quantity="10")]), CloseOut("x"))
    [trigger] = triggers(state, market()).prices
    assert (trigger.below, trigger.price) == (True, pytest.approx(float(price_at(state, 1)), rel=1e-12))
    bankrupt = run(state, Wake(ETH, "t"), market({ETH: "1905"}))
    assert triggers(bankrupt, market({ETH: "1905"})) == NONE  # asked back by then


def test_a_step_that_waits_without_a_price_looks_at_every_tick():
    state = at_tier("0.90")
    assert triggers(state, market({})).every_tick == (ETH,)
    accepted = run(state, OrderAccepted(state.orders[0].client_order_id, 7))
    assert triggers(accepted, market({})) == NONE


def test_a_position_without_a_step_while_all_go_is_looked_at_with_every_tick():
    broke = account("100", [position(quantity="1"), position(BTC, "-0.1", "60000", number=2)])
    both = market({ETH: "1800", BTC: "60000"})
    state = run(broke, Wake(ETH, "t"), both)
    assert triggers(state, both).every_tick == ()
    one = replace(state, orders=state.orders[:1])
    assert set(triggers(one, both).every_tick) == {ETH, BTC}
    # Not while what came back waits for its timer, nor for a tier, which cuts one position only.
    waits = replace(one, refusals=1, retry_at_ms=WALL_MS + 200)
    assert triggers(waits, both) == NONE
